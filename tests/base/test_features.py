"""BOLT 9: the table, dependencies, and who is refused with which words."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.base.errors import InvariantBroken, PeerFault, Severity
from wallet.base.values.features import (
    ASSUMED,
    CHANNEL_TYPE_ANCHORS,
    DEPENDENCIES,
    OUR_INIT,
    OUR_INVOICE,
    OUR_NODE,
    Feature,
    Features,
    name_of,
    negotiate,
)

# BOLT 9 at commit a377265: even bit, name, dependency or "ASSUMED".
TABLE: Final = (
    (0, "option_data_loss_protect", "ASSUMED"),
    (4, "option_upfront_shutdown_script", ""),
    (6, "gossip_queries", ""),
    (8, "var_onion_optin", "ASSUMED"),
    (10, "gossip_queries_ex", ""),
    (12, "option_static_remotekey", "ASSUMED"),
    (14, "payment_secret", "ASSUMED"),
    (16, "basic_mpp", "payment_secret"),
    (18, "option_support_large_channel", ""),
    (22, "option_anchors", ""),
    (24, "option_route_blinding", ""),
    (26, "option_shutdown_anysegwit", ""),
    (28, "option_dual_fund", ""),
    (34, "option_quiesce", ""),
    (36, "option_attribution_data", ""),
    (38, "option_onion_messages", ""),
    (42, "option_provide_storage", ""),
    (44, "option_channel_type", "ASSUMED"),
    (46, "option_scid_alias", ""),
    (48, "option_payment_metadata", ""),
    (50, "option_zeroconf", "option_scid_alias"),
    (60, "option_simple_close", "option_shutdown_anysegwit"),
    (62, "option_splice", ""),
)
# What a stock LDK 0.1 node sends.
LDK: Final = Features.from_bytes(bytes.fromhex("08a0800a8a51a1"))


def test_table() -> None:
    ours = [
        (
            int(f),
            f.word,
            "ASSUMED" if f in ASSUMED else ",".join(d.word for d in DEPENDENCIES.get(f, ())),
        )
        for f in Feature
    ]
    good = sum(row in TABLE for row in ours)
    print(f"BOLT 9 features {good}/{len(TABLE)}")
    assert good == len(TABLE) == len(ours) == 23


@given(st.frozensets(st.integers(0, 300), max_size=20))
def test_there_and_back(bits: frozenset[int]) -> None:
    field = Features(bits).to_bytes()
    assert Features.from_bytes(field) == Features(bits)
    assert Features.from_bytes(b"\0\0" + field) == Features(bits)
    assert field[:1] != b"\0"


def test_ours_are_what_works() -> None:
    assert sorted(OUR_INIT.bits) == [0, 5, 7, 8, 12, 14, 17, 19, 23, 27, 44, 47, 51, 61]
    assert OUR_NODE.bits - OUR_INIT.bits == {55}
    assert sorted(OUR_INVOICE.bits) == [8, 14, 17]
    assert CHANNEL_TYPE_ANCHORS.to_bytes().hex() == "401000"


def test_construction__dependency_missing() -> None:
    with pytest.raises(InvariantBroken, match="option_zeroconf without option_scid_alias"):
        Features.of(optional=[Feature.OPTION_ZEROCONF])


def test_construction__both_bits() -> None:
    with pytest.raises(InvariantBroken, match="both bits of basic_mpp"):
        Features.of(required=[Feature.BASIC_MPP], optional=[Feature.BASIC_MPP])


def test_both_bits_mean_required() -> None:
    both = Features(frozenset({22, 23}))
    assert both.requires(Feature.OPTION_ANCHORS)
    assert both.supports(Feature.OPTION_ANCHORS)


def test_negotiate__ldk() -> None:
    held = negotiate(OUR_INIT, LDK)
    assert sorted(held.bits) == [0, 4, 6, 8, 12, 14, 16, 18, 22, 26, 44, 46, 50]
    assert not held.supports(Feature.OPTION_DUAL_FUND)


@pytest.mark.parametrize("bit", sorted(ASSUMED))
def test_negotiate__assumed_may_be_required_or_missing(bit: int) -> None:
    negotiate(OUR_INIT, Features(frozenset({bit})))
    assert negotiate(OUR_INIT, Features()).supports(Feature(bit))


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        ({62}, r"requires option_splice \(bit 62\), which we do not support"),
        ({100}, r"requires feature bit 100, which"),
        ({28, 250}, r"requires option_dual_fund \(bit 28\), feature bit 250"),
    ],
)
def test_negotiate__unknown_even_bit(bits: set[int], words: str) -> None:
    with pytest.raises(PeerFault, match=words) as caught:
        negotiate(OUR_INIT, Features(frozenset(bits)))
    assert caught.value.severity is Severity.DISCONNECT


def test_negotiate__unknown_odd_bit() -> None:
    assert negotiate(OUR_INIT, Features(frozenset({101, 63}))).bits == {0, 8, 12, 14, 44}


def test_negotiate__peer_lacks_what_we_require() -> None:
    ours = Features.of(required=[Feature.OPTION_ANCHORS])
    with pytest.raises(PeerFault, match=r"we require option_anchors \(bit 22\)"):
        negotiate(ours, Features())
    assert negotiate(ours, Features(frozenset({23}))).requires(Feature.OPTION_ANCHORS)


@pytest.mark.parametrize(("feature", "needed"), [(51, "option_scid_alias"), (61, "anysegwit")])
def test_negotiate__dependency_missing(feature: int, needed: str) -> None:
    with pytest.raises(PeerFault, match=needed):
        negotiate(OUR_INIT, Features(frozenset({feature})))


def test_names() -> None:
    assert name_of(17) == "basic_mpp (bit 17)"
    assert name_of(201) == "feature bit 201"
    assert str(Features(frozenset({23, 201}))) == "option_anchors (bit 23), feature bit 201"
