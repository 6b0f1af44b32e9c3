"""What the end of a channel would bring, worked out from what the node says of it. Ends nothing.

The fee is settled with the peer only when both close, and fee rates move: figures are "about".
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wallet.faces.cli.verbs.amount import MSAT_PER_SAT, sat, whole_sat
from wallet.faces.cli.verbs.desk import Desk, Halt
from wallet.faces.cli.verbs.paper import short
from wallet.faces.cli.verbs.plans import Facts
from wallet.faces.rpc.errors import Code

DEFAULT_PATIENCE: Final = 172_800
"""Seconds, Core Lightning's: two days of asking the peer before a close is forced."""
_ANCHORS_MSAT: Final = 2 * 330 * MSAT_PER_SAT
"""BOLT 3: the opener of a channel pays for both anchors of a commitment."""
_SWEEP_WEIGHT: Final = 4 * (4 + 4 + 1 + 1 + 41 + 43) + 2 + 1 + 73 + 1 + 1 + 77
"""Of taking a `to_local` output to the largest usual kind of address."""
_MUTUAL_WEIGHT: Final = 426 + 4 * 2 * 43
"""Of a closing transaction with two outputs of the largest usual kind."""
_MAX_FEE_FACTOR: Final = 10
"""As opener this node agrees to a closing fee of up to so many times its own estimate."""
_MINUTES_A_BLOCK: Final = 10
_ON_CHAIN: Final = frozenset({"AWAITING_UNILATERAL", "FUNDING_SPEND_SEEN", "ONCHAIN", "CLOSED"})
_ASKING: Final = frozenset(
    {"CHANNELD_AWAITING_LOCKIN", "CHANNELD_NORMAL", "CHANNELD_SHUTTING_DOWN",
     "CLOSINGD_SIGEXCHANGE"}
)  # fmt: skip
"""States in which the peer can still be asked to close together."""
_AGREED: Final = "CLOSINGD_COMPLETE"
_SIMPLE_CLOSE: Final = 60
"""BOLT 9, the even bit of option_simple_close: each side pays for a transaction of its own."""


def chosen(channels: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """The one channel that is meant, as the daemon chooses it. Raises `Halt`."""
    found = [c for c in channels if name in _names(c)]
    living = [c for c in found if c["state"] in _ASKING] or found
    if not living:
        raise Halt(f"there is no channel {name[:70]!r}: leyden channels", Code.INVALID_PARAMS)
    if len(living) > 1:
        several = ", ".join(str(c.get("short_channel_id") or c["channel_id"]) for c in living)
        raise Halt(f"there are several with this peer; name one: {several}", Code.INVALID_PARAMS)
    return living[0]


def _names(channel: Mapping[str, Any]) -> set[object]:
    names = ("peer_id", "channel_id", "short_channel_id")
    alias = channel.get("alias") or {}
    return {channel.get(n) for n in names} | set(alias.values())


class Ending:
    """The close that is about to be asked for. Raises `Halt` when it cannot be."""

    def __init__(
        self, desk: Desk, channel: Mapping[str, Any], params: Mapping[str, Any], *, force: bool
    ) -> None:
        self.desk, self.channel, self.force = desk, channel, force
        self.channel_id = str(channel["channel_id"])
        self.destination = params.get("destination") or channel.get("close_to_addr")
        self.patience = int(params.get("unilateraltimeout", DEFAULT_PATIENCE))
        self.raises = channel["state"] == _AGREED and "feerange" in params and not force
        """Whether it is closed already, and asked to pay more for its block."""
        self._refuse_what_cannot_be()
        self.each_pays = False if force else _each_pays(desk, str(channel["peer_id"]))
        self.we_pay = self.each_pays or channel.get("opener") == "local"
        # What we offer to others in payments counts as ours until they have it.
        out_msat = sum(int(h["amount_msat"]) for h in self._htlcs if h["direction"] == "out")
        self.ours_msat = _whole(max(int(channel.get("to_us_msat") or 0) - out_msat, 0))
        rates = desk.ask("feerates", style="perkw")["perkw"]
        rate = int(rates.get("mutual_close") or rates["floor"])
        self.usual_msat, self.fee_msat = self._fees(rate)
        left_msat = self.ours_msat - self.usual_msat
        dust_msat = int(channel.get("dust_limit_msat") or 0)
        self.amount_msat = left_msat if left_msat >= max(dust_msat, 1) else 0
        """What comes back, as far as it can be known."""

    def _refuse_what_cannot_be(self) -> None:
        state = self.channel["state"]
        if self.force and self.channel.get("lost_state"):
            raise Halt(
                "this node's copy of the channel is old: to force it would lose all that is in it."
                " Only the peer can close it"
            )
        if state in _ON_CHAIN or (state not in _ASKING and not self.force and not self.raises):
            more = " A higher feerange makes it pay more" if state == _AGREED else ""
            raise Halt(f"this channel is closing already: leyden channels.{more}")

    def _fees(self, per_kw: int) -> tuple[int, int]:
        """About what it costs us, and the most that we would agree to, in millisatoshi."""
        if self.force:
            sweep_msat = _fee(per_kw, _SWEEP_WEIGHT)
            opener_msat = int(self.channel.get("last_tx_fee_msat") or 0) + _ANCHORS_MSAT
            usual_msat = sweep_msat + (opener_msat if self.we_pay else 0)
            return usual_msat, usual_msat
        if not self.we_pay:
            return 0, 0
        usual_msat = _fee(per_kw, _MUTUAL_WEIGHT)
        factor = 1 if self.each_pays else _MAX_FEE_FACTOR
        return usual_msat, min(usual_msat * factor, self.ours_msat)

    @property
    def _htlcs(self) -> list[Mapping[str, Any]]:
        return list(self.channel.get("htlcs", ()))

    @property
    def _in_flight_msat(self) -> int:
        return sum(int(h["amount_msat"]) for h in self._htlcs)

    def facts(self) -> Facts:
        """What a person should know before the yes."""
        channel, peer = self.channel, str(self.channel["peer_id"])
        if self.raises:
            return self._facts_of_more(peer)
        back = f"about {whole_sat(self.amount_msat)}" if self.amount_msat else "nothing"
        return [
            ("with", f"{self.desk.alias(peer)} {short(peer)}".strip()),
            ("channel", channel.get("short_channel_id") or self.channel_id),
            ("comes back", f"{back} of your {whole_sat(self.ours_msat)} sat"),
            ("to", None if self.force else self.destination),
            ("when", self._when()),
            ("costs", self._costs()),
            *self._warnings(),
        ]

    def _facts_of_more(self, peer: str) -> Facts:
        fee = whole_sat(int(self.channel.get("last_tx_fee_msat") or 0))
        here = self.channel.get("peer_connected")
        return [
            ("with", f"{self.desk.alias(peer)} {short(peer)}".strip()),
            ("channel", self.channel.get("short_channel_id") or self.channel_id),
            ("replaces", f"{self.channel.get('scratch_txid')}, which pays {fee} sat"),
            ("when", "at once" if here else "once the peer is back, which is away now"),
            ("costs", "what the feerange asks for, from your output"),
        ]

    def _when(self) -> str:
        if self.force:
            blocks = int(self.channel.get("our_to_self_delay") or 0)
            lasts = _lasts(blocks * _MINUTES_A_BLOCK * 60)
            return f"{blocks} blocks, about {lasts}, after the block of our commitment; then taken"
        if self.channel.get("peer_connected"):
            when = "once both have signed, with the next block"
        else:
            when = "once the peer is back, which is away now"
        if self.patience == 0:
            return f"{when}; until then it is waited for"
        return f"{when}; by force if that has not happened in {_lasts(self.patience)}"

    def _costs(self) -> str:
        if self.force:
            ours = "our commitment, and " if self.we_pay else ""
            return f"about {sat(self.usual_msat)} sat, for {ours}taking what is ours"
        if self.each_pays:
            ours = f"about {sat(self.usual_msat)} sat for your closing transaction"
            return f"{ours}, or nothing if a block takes the peer's"
        if self.each_pays is None and not self.we_pay:
            return "nothing if the peer pays, which opened the channel; it may ask each to pay"
        if not self.we_pay:
            return "nothing: the peer opened the channel and pays the fee"
        return f"about {sat(self.usual_msat)} sat, at most {sat(self.fee_msat)} sat"

    def _warnings(self) -> Facts:
        can_send = whole_sat(int(self.channel.get("spendable_msat") or 0))
        can_receive = whole_sat(int(self.channel.get("receivable_msat") or 0))
        has = f"it can send {can_send} and receive {can_receive} sat now"
        found: Facts = [("!", f"this ends the channel: {has}")]
        if self.force:
            return found + self._warnings_of_force()
        return found + ([("!", f"{self._flying()}: that ends first")] if self._htlcs else [])

    def _warnings_of_force(self) -> Facts:
        found: Facts = [("!", "it cannot be taken back, and its fee cannot be raised later")]
        if self._htlcs:
            found.append(("!", f"{self._flying()}, which may be lost"))
            found.append(("!", "this node cannot settle payments in flight on chain yet"))
        if self.channel.get("peer_connected") and self.channel["state"] in _ASKING:
            found.append(("!", "the peer is here: without force it costs less and takes a block"))
        return found

    def _flying(self) -> str:
        many = len(self._htlcs)
        words = "1 payment is" if many == 1 else f"{many} payments are"
        return f"{words} in flight with {whole_sat(self._in_flight_msat)} sat"

    def preview(self) -> dict[str, Any]:
        """For a dry run."""
        delay = int(self.channel.get("our_to_self_delay") or 0) if self.force else 0
        return {
            "type": "channel_close",
            "how": "unilateral" if self.force else "mutual",
            "peer_id": self.channel["peer_id"],
            "channel_id": self.channel_id,
            "replaces": self.channel.get("scratch_txid") if self.raises else None,
            "destination": None if self.force else self.destination,
            "to_us_msat": self.ours_msat,
            "amount_msat": self.amount_msat,
            "fee_msat": self.usual_msat,
            "max_fee_msat": self.fee_msat,
            "delay_blocks": delay,
            "unilateraltimeout": self.patience,
            "in_flight_msat": self._in_flight_msat,
            "peer_connected": bool(self.channel.get("peer_connected")),
        }


def _each_pays(desk: Desk, peer: str) -> bool | None:
    """Whether both offer option_simple_close; None: we do, and the peer is not here to say."""
    ours = desk.ask("getinfo").get("our_features", {}).get("init")
    if not _offers_simple_close(ours):
        return False
    found = desk.ask("listpeers", id=peer)["peers"]
    here = [each["features"] for each in found if each.get("features")]
    return _offers_simple_close(here[0]) if here else None


def _offers_simple_close(features: str | None) -> bool:
    return bool(int(features or "0", 16) >> _SIMPLE_CLOSE & 3)


def _whole(amount_msat: int) -> int:
    return amount_msat - amount_msat % MSAT_PER_SAT


def _fee(per_kw: int, weight: int) -> int:
    return MSAT_PER_SAT * -(-per_kw * weight // 1000)


def _lasts(seconds: int) -> str:
    """`2 days`, `24 hours`, `90 seconds`."""
    for name, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * size or seconds == size:
            count = (seconds + size // 2) // size
            return f"{count} {name}s" if count != 1 else f"1 {name}"
    return f"{seconds} seconds"
