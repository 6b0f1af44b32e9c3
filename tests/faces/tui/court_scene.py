"""What the court says of the scenes' channels, in the figures that a node gives for them."""

from collections.abc import Mapping
from typing import Any, Final

from tests.faces.tui.fake_core import Reply

TIP: Final = 1_204
_ANCHOR: Final = 330


def _output(
    sat: int, what: str, owner: str, after: int = 0, costs: tuple[int | None, ...] = (), **more: Any
) -> dict[str, Any]:
    judged = more.pop("verified", True if costs else None)
    return {
        "amount_msat": sat * 1000,
        "what": what,
        "owner": owner,
        "after_blocks": after,
        "costs_sat": list(costs),
        "verified": judged,
        **more,
    }


def _way(
    way: str, costs: tuple[int, int, int], *outputs: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """`ours_msat` is what is ours without condition; anchors are for fees only."""
    numbered = [{"output": number, **one} for number, one in enumerate(outputs)]
    ours = [
        o for o in outputs
        if o["owner"] == "us" and "condition" not in o and o["what"] != "our anchor"
    ]  # fmt: skip
    return {
        "way": way,
        "ours_msat": sum(o["amount_msat"] for o in ours),
        "costs_sat": list(costs),
        "outputs": numbered,
        **more,
    }


_ANCHORS: Final = (
    _output(_ANCHOR, "our anchor", "us"),
    _output(_ANCHOR, "their anchor", "peer"),
)
_OFFERED: Final = {"from_height": 1_345, "condition": "unless they show the preimage"}
BOB: Final = [
    _way(
        "together",
        (193, 1_925, 19_250),
        _output(734_567, "our balance", "us"),
        _output(265_433, "their balance", "peer"),
    ),
    _way(
        "alone",
        (1_124, 1_124, 1_124),
        *_ANCHORS,
        _output(265_433, "their balance", "peer", 1),
        _output(732_783, "our balance", "us", 144, (121, 1_203, 12_025)),
        commitment_number=318,
    ),
    _way(
        "by them",
        (1_124, 1_124, 1_124),
        *_ANCHORS,
        _output(265_433, "their balance", "peer", 144),
        _output(732_783, "our balance", "us", 1, (111, 1_105, 11_050)),
        commitment_number=317,
    ),
    _way(
        "by their cheat",
        (1_124, 1_124, 1_124),
        *_ANCHORS,
        _output(20_433, "our balance", "us", 1, (111, 1_105, 11_050)),
        _output(977_783, "the cheat's balance", "us", 0, (121, 1_205, 12_050)),
        commitment_number=12,
    ),
]
CAROL: Final = [
    _way(
        "alone",
        (1_296, 1_296, 1_296),
        *_ANCHORS,
        _output(230_000, "their balance", "peer", 1),
        # Coins of the wallet pay for it, so there is nothing to judge yet.
        _output(250_000, "an HTLC that we offered", "us", 0, (278, 2_775, 27_750),
                verified=None, **_OFFERED),
        _output(518_044, "our balance", "us", 144, (121, 1_203, 12_025)),
        commitment_number=41,
    ),
    _way(
        "by them",
        (1_296, 1_296, 1_296),
        *_ANCHORS,
        _output(230_000, "their balance", "peer", 144),
        _output(250_000, "an HTLC that we offered", "us", 0, (137, 1_368, 13_680), **_OFFERED),
        _output(518_044, "our balance", "us", 1, (111, 1_105, 11_050)),
        commitment_number=41,
    ),
    _way(
        "by their cheat",
        (1_124, 1_124, 1_124),
        *_ANCHORS,
        _output(20_216, "our balance", "us", 1, (111, 1_105, None)),
        _output(978_000, "the cheat's balance", "us", 0, (121, 1_205, 12_050)),
        commitment_number=9,
    ),
]  # fmt: skip
_CASES: Final[dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]]] = {
    "bob": (BOB, []),
    "carol": (
        CAROL,
        [
            {
                "height": 1_344,
                "what": "HTLC 3: ours to take back",
                "amount_msat": 250_000_000,
                "htlc_id": 3,
                "direction": "out",
            }
        ],
    ),
    "dave": (BOB[:1], []),
    "erin": (
        [],
        [
            {
                "height": 1_348,
                "what": "to_local: can be in a block",
                "amount_msat": 1_200_000_000,
                "claim": "to_local",
                "late": False,
            }
        ],
    ),
}


def court(channel_ids: Mapping[str, str]) -> Reply:
    """`court` of one channel, or of all."""

    def answer(params: dict[str, Any]) -> dict[str, Any]:
        wanted = params.get("channel_id")
        return {
            "feerates_sat_vb": [1, 10, 100],
            "blockheight": TIP,
            "channels": [
                {"channel_id": channel_ids[name], "ways": ways, "docket": docket}
                for name, (ways, docket) in _CASES.items()
                if wanted in (None, channel_ids[name])
            ],
        }

    return answer
