"""One payment, message by message: what the town's nodes have said of it to each other."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from wallet.faces.demo.looks import expect
from wallet.faces.demo.town import Node


@dataclass(frozen=True, slots=True)
class Message:
    """From one node to another, by their keys. `at` is Unix time; `type` add, fulfill or fail."""

    at: float
    sender: str
    receiver: str
    type: str
    channel_id: str
    htlc_id: int
    msat: int
    expiry: int

    @property
    def htlc(self) -> tuple[str, str, int]:
        """The HTLC that it is about, whichever side says it: ids count for each direction."""
        return self.channel_id, self.sender if self.type == "add" else self.receiver, self.htlc_id

    def told(self, names: Mapping[str, str]) -> str:
        """As a sentence."""
        one, other = names[self.sender], names[self.receiver]
        match self.type:
            case "add":
                return (
                    f"{one} to {other}: {self.msat:,} msat are yours if you show me the secret"
                    f" before block {self.expiry}"
                )
            case "fulfill":
                return f"{one} to {other}: here is the secret; the {self.msat:,} msat are mine"
            case _:
                return f"{one} to {other}: it went no further; keep your {self.msat:,} msat"


class Follower:
    """Hears what is said from now on, by those who answer when they are asked."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = tuple(nodes)
        self._next = {node.key: node.call("flow")["next"] for node in self._nodes if node.answers}

    def messages(self, payment_hash: str) -> list[Message]:
        """Of one payment, in order of time."""
        keys = {node.id: node.key for node in self._nodes}
        found = []
        for node in self._nodes:
            if not node.answers:
                continue
            since = self._next.get(node.key, 0)
            while rows := (told := node.call("flow", since=since))["flow"]:
                since = told["next"]
                found += [
                    Message(
                        row["at"],
                        node.key,
                        keys[row["peer_id"]],
                        row["type"],
                        row["channel_id"],
                        row["htlc_id"],
                        row["amount_msat"],
                        row["expiry"],
                    )
                    for row in rows
                    if row.get("payment_hash") == payment_hash
                ]
        return sorted(found, key=lambda message: message.at)


def path_of(messages: list[Message], payer: str, payee: str) -> list[Message]:
    """The promises that were kept, from the payer to the payee.

    Raises `ServiceFault` unless they are one chain in which each promise is kept once, from the end
    to the beginning, no promise is greater than the one before it, and none has to be kept later.
    """
    kept = [message.htlc for message in messages if message.type == "fulfill"]
    path = [m for m in messages if m.type == "add" and m.htlc in kept]
    ends = [payer, *(m.receiver for m in path)]
    expect([m.sender for m in path] == ends[:-1], "the promises are not one chain")
    expect(ends[-1] == payee, f"the money has reached {ends[-1]}")
    expect(kept == [m.htlc for m in reversed(path)], "the secret did not come back hop by hop")
    for one, following in pairwise(path):
        expect(one.msat >= following.msat, f"{following.sender} has passed on more than it got")
        expect(one.expiry > following.expiry, f"{following.sender} has no time to claim")
    return path
