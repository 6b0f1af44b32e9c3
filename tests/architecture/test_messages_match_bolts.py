"""Every declared message against the BOLTs' own tables (BOLT 1, 2 and 7 at commit a377265).

`tests/data/bolt_messages.csv` holds number, message, TLV number, name and type of every field.  A
length that a field has in front is part of the field's type, as in `u16*byte`.
"""

import csv
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

from wallet.base.wire import LAYOUTS

TABLE: Final = Path(__file__).parent.parent / "data" / "bolt_messages.csv"
Row = tuple[str, str, str]

# Messages of features that we do not offer: receiving one of an even type ends the connection.
NOT_SPOKEN: Final = {
    "stfu",
    "open_channel2",
    "accept_channel2",
    "tx_add_input",
    "tx_add_output",
    "tx_remove_input",
    "tx_remove_output",
    "tx_complete",
    "tx_signatures",
    "tx_init_rbf",
    "tx_ack_rbf",
    "tx_abort",
    "splice_locked",
    "splice_init",
    "splice_ack",
    "start_batch",
}

# A tuple of many bears a plural.
SPEC_NAMES: Final = {"htlc_signatures": "htlc_signature"}


def _published() -> dict[tuple[int, str], list[Row]]:
    found: dict[tuple[int, str], list[Row]] = defaultdict(list)
    with TABLE.open(newline="") as lines:
        for row in csv.DictReader(lines):
            found[int(row["number"]), row["message"]].append((row["tlv"], row["name"], row["type"]))
    return dict(found)


PUBLISHED: Final = _published()


def test_all_messages_are_declared_or_named_here() -> None:
    declared = {(number, layout.cls.name) for number, layout in LAYOUTS.items()}
    spoken = {key for key in PUBLISHED if key[1] not in NOT_SPOKEN}
    print(f"BOLT 1, 2, 7 messages declared {len(declared & spoken)}/{len(spoken)}")
    assert declared == spoken
    assert (len(PUBLISHED), len(NOT_SPOKEN)) == (49, 16)


@pytest.mark.parametrize("number", sorted(LAYOUTS), ids=lambda n: LAYOUTS[n].cls.name)
def test_fields_and_records(number: int) -> None:
    layout = LAYOUTS[number]
    ours: list[Row] = [
        ("", SPEC_NAMES.get(name, name), codec.name) for name, codec in layout.fields.items()
    ]
    ours += [
        (str(tlv.type), tlv.record or name, tlv.codec.name)
        for name, tlv in layout.extension.records.items()
    ]
    assert ours == PUBLISHED[number, layout.cls.name]
