"""Every screen worth a picture: what is pressed, what the core answers, and what it is called.

`test_gallery` plays each scene, compares its text with `goldens/NAME-SIZE.txt` in each of its sizes
and its colours with what was drawn last; `python -m tests.tools.pictures [NAME …]` plays it and
draws `screenshots/NAME.png` in the first of the sizes.  A new picture is one line in `SCENES`:

    Scene("network", ("4", "j"), LARGE),

Then write its text (LEYDEN_UPDATE_GOLDENS=1 and `test_gallery`), draw it, and look at both.
"""

from typing import Any, Final

from tests.faces.tui import money
from tests.faces.tui.fake_core import Refusal, Reply
from tests.faces.tui.payment_scene import INVOICE, answer, decoded, invoiced, sent_back, tries
from tests.faces.tui.scenes import DAY, HISTORY, PEERS, channel, paid, past, replies
from tests.faces.tui.stage import (
    Scene,
    Shot,
    Step,
    answers,
    armed,
    at_first,
    clock,
    in_the_town,
    learnt,
    let_go,
    opens,
    paid_to_us,
    paste,
    shows,
    tells,
)
from wallet.faces.tui.sheets.receive import Receive
from wallet.faces.tui.sheets.withdraw import Withdraw
from wallet.faces.tui.town.moves import TRAVEL_SECONDS

BOTH: Final = ("80x24", "120x40")
LARGE: Final = ("120x28", "120x40", "80x24")
"""A picture wide enough for two columns, and not much higher than what stands in them."""


def core_replies() -> dict[str, Reply]:
    """What the core of every scene answers."""
    wallet = replies()
    return wallet | money.moving(wallet) | _PAYING


_PAYING: Final[dict[str, Reply]] = {
    "decode": decoded(),
    "pay": answer(),
    "listpays": {"pays": []},
    "invoice": invoiced(),
    "newaddr": {"bech32": money.ADDRESS},
}
_CHANNELS: Final[Any] = replies()["listpeerchannels"]
_PAID: Final[dict[str, Reply]] = {
    "history": past(
        [paid("20 12:04", 150_000, "Desk lamp, order 3312", fee_msat=212_000), *HISTORY]
    ),
    "listpeerchannels": {
        "channels": [channel("bob", 584_355, 1_000_000), *_CHANNELS["channels"][1:]]
    },
}
_LARGE: Final[dict[str, Reply]] = {"decode": decoded(amount_msat=300_000_000)}
_LINK: Final = f"bitcoin:{money.ADDRESS.upper()}?amount=0.003&label=a%20lamp"
_TRIES: Final[dict[str, Reply]] = {
    "listsendpays": {"payments": tries(HISTORY[0]["payment_hash"], 2_106)},
    "waitsendpay": sent_back("carol", "temporary_channel_failure: no room for so much now"),
}
_TO_REVIEW: Final[tuple[Step, ...]] = ("s", paste(INVOICE), "enter", armed)

SCENES: Final = (
    Scene("home", (), LARGE),
    Scene("home", (), LARGE[:1], light=True),
    Scene("help", ("question_mark",)),
    Scene("activity", ("2", "j", "j", "j"), LARGE),
    Scene("activity-empty", ("2",), answers={"history": past([])}),
    Scene("payment", ("2", "enter", shows("How it went")), answers=_TRIES),
    Scene("payment-failed", ("2", "j", "j", "j", "enter")),
    Scene("channels", ("3", "j"), LARGE),
    Scene("channel", ("3", "j", "enter")),
    Scene("court", ("3", "j", "C", shows("judged")), BOTH),
    Scene(
        "network",
        ("4", shows("7 channels"), "j"),
        LARGE,
        answers={"listpeers": {"peers": PEERS}},
    ),
    Scene("chain", ("5", "j"), LARGE),
    Scene(
        "log",
        (tells(DAY), "8", "tab", *"getinfo", "enter", shows('"alias"'), "escape", "k", "k"),
        LARGE,
    ),
    Scene("demo", (shows("pays"), clock(2.5 * TRAVEL_SECONDS)), LARGE, where=in_the_town),
    Scene("wizard-1", where=at_first),
    Scene("wizard-2", ("enter", shows("Write these")), where=at_first),
    # A payment, step by step: the film that the README begins with.
    Scene(
        "pay",
        (
            Shot("pay-0-home", 1_800, alone=False),
            "s",
            Shot("pay-1-paste", 1_200),
            paste(INVOICE),
            Shot("pay-2-pasted", 1_200),
            "enter",
            armed,
            Shot("pay-3-review", 3_200),
            "p",
            shows("Paying"),
            clock(0.6),
            Shot("pay-4-begun", 600, alone=False),
            clock(1.3),
            Shot("pay-4-paying", 600),
            clock(2.0),
            Shot("pay-4-still", 600, alone=False),
            let_go,
            shows("Proof"),
            Shot("pay-5-done", 3_000),
            answers(**_PAID),
            "escape",
            shows("fee 212"),
            Shot("pay-6-home", 3_000, alone=False),
        ),
        BOTH,
        held=("pay",),
        film="pay",
    ),
    Scene(
        "send-failed",
        (*_TO_REVIEW, "p", shows("never left")),
        answers={"pay": Refusal(205, "carol has too little on her side towards dave.")},
    ),
    Scene("send-large", _TO_REVIEW, answers=_LARGE),
    Scene("send-large", _TO_REVIEW, answers=_LARGE, light=True),
    Scene(
        "receive",
        (
            "r",
            Shot("receive-form"),
            *"250,000",
            "tab",
            *"Desk lamp",
            "enter",
            shows("waiting"),
            Shot("receive-code"),
            paid_to_us(250_000),
            shows("✓ Received 250,000 sat"),
            Shot("receive-paid"),
        ),
        BOTH,
    ),
    Scene("receive-address", (opens(lambda state: Receive(state, on_chain=True)), shows("bcrt1"))),
    Scene("open-review", ("3", "o", learnt, "down", "tab", *"1,000,000", "enter", armed)),
    Scene("close-review", ("3", "c", armed)),
    Scene("withdraw", (opens(Withdraw), learnt, paste(_LINK), "enter", armed)),
)
