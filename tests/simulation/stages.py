"""The life of an HTLC that goes on from ann by bob to cat, as a script: one message a stage.

Rule 1: who says what when is in the table below; nothing is left to dice.
Rule 2: between the messages of the payment there are fee changes, so that updates wait for an
answer, and so that there are revoked commitments with the HTLC in them.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final


class Story(StrEnum):
    """How cat answers."""

    FULFIL = "fulfil"
    FAIL = "fail"


class Side(StrEnum):
    """Of bob: where the HTLC comes in, and where it goes out."""

    IN = "in"
    OUT = "out"


class Stage(StrEnum):
    """How far the HTLC has come on the channel ann – bob (in) or bob – cat (out).

    Held: `update_*` is on its way, and no `commitment_signed`, for an earlier one is unanswered.
    Signed: both are on their way. Said: the update has arrived. Committed: so has the signature,
    and was answered by `revoke_and_ack` and `commitment_signed`. Revoked: that revocation has
    arrived. Acked: so has that signature, and was answered by `revoke_and_ack`, whose arrival makes
    the next stage.  A payee answers in the batch in which its peer's last word arrives: nothing
    of its own is unanswered then, and it holds nothing back.
    """

    IN_ADD_HELD = "in add held"
    IN_ADD_SIGNED = "in add signed"
    IN_ADD_SAID = "in add said"
    IN_ADD_COMMITTED = "in add committed"
    IN_ADD_REVOKED = "in add revoked"
    IN_ADD_ACKED = "in add acked"
    OUT_ADD_HELD = "out add held"
    OUT_ADD_SIGNED = "out add signed"
    OUT_ADD_SAID = "out add said"
    OUT_ADD_COMMITTED = "out add committed"
    OUT_ADD_REVOKED = "out add revoked"
    OUT_ADD_ACKED = "out add acked"
    OUT_END_SIGNED = "out end signed"
    OUT_END_SAID = "out end said"
    OUT_END_COMMITTED = "out end committed"
    OUT_END_REVOKED = "out end revoked"
    OUT_END_ACKED = "out end acked"
    IN_END_HELD = "in end held"
    IN_END_SIGNED = "in end signed"
    IN_END_SAID = "in end said"
    IN_END_COMMITTED = "in end committed"
    IN_END_REVOKED = "in end revoked"
    IN_END_ACKED = "in end acked"
    OVER = "over"


STAGES: Final = tuple(Stage)

Pair = tuple[str | None, str | None]
"""The HTLC as who offered it has it in its table, and as the other."""
Standing = tuple[Pair, Pair]
"""On ann's channel with bob, and on bob's with cat."""

# fmt: off
_ADDING: Final[tuple[Pair, ...]] = (
    ("SENT_ADD_HTLC",           None),
    ("SENT_ADD_COMMIT",         None),
    ("SENT_ADD_COMMIT",         "RCVD_ADD_HTLC"),
    ("SENT_ADD_COMMIT",         "SENT_ADD_ACK_COMMIT"),
    ("RCVD_ADD_REVOCATION",     "SENT_ADD_ACK_COMMIT"),
    ("SENT_ADD_ACK_REVOCATION", "SENT_ADD_ACK_COMMIT"),
)
_SETTLED: Final[Pair] =\
    ("SENT_ADD_ACK_REVOCATION", "RCVD_ADD_ACK_REVOCATION")
_HELD, *_ENDING = (
    ("SENT_ADD_ACK_REVOCATION", "SENT_REMOVE_HTLC"),
    ("SENT_ADD_ACK_REVOCATION", "SENT_REMOVE_COMMIT"),
    ("RCVD_REMOVE_HTLC",        "SENT_REMOVE_COMMIT"),
    ("SENT_REMOVE_ACK_COMMIT",  "SENT_REMOVE_COMMIT"),
    ("SENT_REMOVE_ACK_COMMIT",  "RCVD_REMOVE_REVOCATION"),
    ("SENT_REMOVE_ACK_COMMIT",  None),
)
_NONE: Final[Pair] = (None, None)
# fmt: on


def standing_at(story: Story, stage: Stage) -> Standing:
    """What the tables must say."""
    # A preimage goes upstream as soon as it is said, a failure once it is irrevocable.
    told = story is Story.FULFIL and stage is not Stage.OUT_END_SIGNED
    meanwhile = _HELD if told else _SETTLED
    all_of_them: tuple[Standing, ...] = (
        *((pair, _NONE) for pair in _ADDING),
        *((_SETTLED, pair) for pair in _ADDING),
        *((meanwhile, pair) for pair in _ENDING),
        *((pair, _NONE) for pair in (_HELD, *_ENDING)),
        (_NONE, _NONE),
    )
    return all_of_them[STAGES.index(stage)]


@dataclass(frozen=True, slots=True)
class Hear:
    """So many messages of a speaker arrive, and are taken up in one batch."""

    side: Side
    speaker: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Fee:
    """The opener of a channel is told another fee rate: it says `update_fee` and signs."""

    opener: str
    per_kw: int


_ANN, _BOB = partial(Hear, Side.IN, "ann"), partial(Hear, Side.IN, "bob")
_BOB_ON, _CAT = partial(Hear, Side.OUT, "bob"), partial(Hear, Side.OUT, "cat")

FIRST: Final = Fee("ann", 2_500)
"""Before she pays: she cannot sign again until bob has answered, and holds the HTLC back."""
_MOVES: Final[tuple[tuple[Hear | Fee, ...], ...]] = (
    # What leads to each stage after the first.
    (_ANN(2), _BOB(2)),
    (_ANN(),),
    (_ANN(2),),
    (_BOB(),),
    (_BOB(),),
    # Bob has just signed a fee change when the HTLC becomes irrevocable, and cannot sign again.
    (Fee("bob", 2_000), _ANN()),
    # And a round on ann's channel: from here on she has revoked one that holds the HTLC.
    (_BOB_ON(2), _CAT(2), Fee("ann", 1_000), _ANN(2), _BOB(2), _ANN()),
    (_BOB_ON(),),
    (_BOB_ON(2),),
    # Bob signs another one for cat, who revokes the one that holds the HTLC.
    (_CAT(), Fee("bob", 1_000), _BOB_ON(2)),
    (_CAT(), _CAT()),
    (_BOB_ON(),),
    # Bob has just signed a fee change for ann, and cannot sign what he says of the HTLC.
    (Fee("ann", 2_500), _ANN(2), _CAT()),
    (_CAT(),),
    (_BOB_ON(),),
    (_BOB_ON(),),
    (_CAT(),),
    (_BOB(2), _ANN()),
    (_BOB(),),
    (_BOB(),),
    (_ANN(),),
    (_ANN(),),
    (_BOB(),),
)
WAY: Final = dict(zip(STAGES[1:], _MOVES, strict=True))
