"""The life of an HTLC as a table (Core Lightning's stages). Rows are easier to check than branches.

Rule 1: every transition of an HTLC is a row below; a fee change rides the rows of an addition.
Rule 2: this file does not know who opened the channel, nor any amount.

An HTLC that we offered walks `SENT_ADD_HTLC … RCVD_REMOVE_ACK_REVOCATION`; one that they offered
walks the mirror, in which sent and received, ours and theirs are swapped.  Columns: is it in our
commitment, in theirs, in our previous one while that is not yet revoked, in their previous one
likewise; which beat moves it on, and where to; what is left of it after a reconnect.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Beat(StrEnum):
    """What can move an HTLC on: a commitment_signed or revoke_and_ack, in either direction."""

    WE_COMMIT = "we commit"
    THEY_REVOKE = "they revoke"
    THEY_COMMIT = "they commit"
    WE_REVOKE = "we revoke"


class Stage(StrEnum):
    """Twenty stages, ten for each direction. Stored by name."""

    SENT_ADD_HTLC = "SENT_ADD_HTLC"
    SENT_ADD_COMMIT = "SENT_ADD_COMMIT"
    RCVD_ADD_REVOCATION = "RCVD_ADD_REVOCATION"
    RCVD_ADD_ACK_COMMIT = "RCVD_ADD_ACK_COMMIT"
    SENT_ADD_ACK_REVOCATION = "SENT_ADD_ACK_REVOCATION"
    RCVD_REMOVE_HTLC = "RCVD_REMOVE_HTLC"
    RCVD_REMOVE_COMMIT = "RCVD_REMOVE_COMMIT"
    SENT_REMOVE_REVOCATION = "SENT_REMOVE_REVOCATION"
    SENT_REMOVE_ACK_COMMIT = "SENT_REMOVE_ACK_COMMIT"
    RCVD_REMOVE_ACK_REVOCATION = "RCVD_REMOVE_ACK_REVOCATION"

    RCVD_ADD_HTLC = "RCVD_ADD_HTLC"
    RCVD_ADD_COMMIT = "RCVD_ADD_COMMIT"
    SENT_ADD_REVOCATION = "SENT_ADD_REVOCATION"
    SENT_ADD_ACK_COMMIT = "SENT_ADD_ACK_COMMIT"
    RCVD_ADD_ACK_REVOCATION = "RCVD_ADD_ACK_REVOCATION"
    SENT_REMOVE_HTLC = "SENT_REMOVE_HTLC"
    SENT_REMOVE_COMMIT = "SENT_REMOVE_COMMIT"
    RCVD_REMOVE_REVOCATION = "RCVD_REMOVE_REVOCATION"
    RCVD_REMOVE_ACK_COMMIT = "RCVD_REMOVE_ACK_COMMIT"
    SENT_REMOVE_ACK_REVOCATION = "SENT_REMOVE_ACK_REVOCATION"


@dataclass(frozen=True, slots=True)
class Row:
    """One stage: four columns, the beat that ends it, its successor, its fate at a reconnect."""

    in_ours: bool
    in_theirs: bool
    in_our_previous: bool
    in_their_previous: bool
    beat: Beat | None
    following: Stage | None
    after_reconnect: Stage | None
    """None: forgotten, as if the peer had never said it (BOLT 2, Message Retransmission)."""
    added: bool
    """Whether the addition is irrevocable on both sides."""
    removing: bool
    """Whether a fulfil or a failure has been said."""


_S = Stage
_B = Beat

# fmt: off
# Offered by us.  Columns: ours, theirs, our unrevoked previous, their unrevoked previous.
_OFFERED: Final = (
    (_S.SENT_ADD_HTLC,              "- - - -", _B.WE_COMMIT),
    (_S.SENT_ADD_COMMIT,            "- x - -", _B.THEY_REVOKE),
    (_S.RCVD_ADD_REVOCATION,        "- x - x", _B.THEY_COMMIT),
    (_S.RCVD_ADD_ACK_COMMIT,        "x x - x", _B.WE_REVOKE),
    (_S.SENT_ADD_ACK_REVOCATION,    "x x x x", None),
    (_S.RCVD_REMOVE_HTLC,           "x x x x", _B.THEY_COMMIT),
    (_S.RCVD_REMOVE_COMMIT,         "- x x x", _B.WE_REVOKE),
    (_S.SENT_REMOVE_REVOCATION,     "- x - x", _B.WE_COMMIT),
    (_S.SENT_REMOVE_ACK_COMMIT,     "- - - x", _B.THEY_REVOKE),
    (_S.RCVD_REMOVE_ACK_REVOCATION, "- - - -", None),
)
# fmt: on

_MIRROR_BEAT: Final = {
    _B.WE_COMMIT: _B.THEY_COMMIT,
    _B.THEY_COMMIT: _B.WE_COMMIT,
    _B.WE_REVOKE: _B.THEY_REVOKE,
    _B.THEY_REVOKE: _B.WE_REVOKE,
}


def mirror(stage: Stage) -> Stage:
    """The same moment as the peer sees it: sent and received swapped."""
    verb, _, rest = stage.value.partition("_")
    return Stage(("RCVD_" if verb == "SENT" else "SENT_") + rest)


def _rows() -> dict[Stage, Row]:
    rows: dict[Stage, Row] = {}
    for at, (stage, columns, beat) in enumerate(_OFFERED):
        ours, theirs, our_previous, their_previous = (c == "x" for c in columns.split())
        following = _OFFERED[at + 1][0] if beat else None
        # They forget what they had not committed; so do we of theirs.  A removal falls back to the
        # settled HTLC.  What we said and had not committed is said again from the intention.
        after: Stage | None = stage
        after_mirror: Stage | None = mirror(stage)
        if stage is _S.SENT_ADD_HTLC:
            after_mirror = None
        elif stage is _S.RCVD_REMOVE_HTLC:
            after = _S.SENT_ADD_ACK_REVOCATION
        rows[stage] = Row(
            ours, theirs, our_previous, their_previous, beat, following, after, at >= 4, at >= 5
        )
        rows[mirror(stage)] = Row(
            theirs,
            ours,
            their_previous,
            our_previous,
            _MIRROR_BEAT[beat] if beat else None,
            mirror(following) if following else None,
            after_mirror,
            at >= 4,
            at >= 5,
        )
    return rows


ROWS: Final = _rows()

FINAL: Final = frozenset({_S.RCVD_REMOVE_ACK_REVOCATION, _S.SENT_REMOVE_ACK_REVOCATION})
"""Stages at which an HTLC is gone from every commitment that can still be broadcast."""
SETTLED: Final = frozenset({_S.SENT_ADD_ACK_REVOCATION, _S.RCVD_ADD_ACK_REVOCATION})
"""Stages at which an addition is irrevocable and nothing has been said about removing it."""


def advance(stage: Stage, beat: Beat) -> Stage:
    """The stage after `beat`: the successor if the row waits for that beat, else the same."""
    row = ROWS[stage]
    if row.beat is beat and row.following is not None:
        return row.following
    return stage
