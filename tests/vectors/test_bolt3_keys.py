"""BOLT 3, appendix E: key derivation."""

from typing import Final

from wallet.base.channel_tx.keys import (
    derive_pubkey,
    derive_revocation_pubkey,
    derive_revocation_secret,
    derive_secret,
)
from wallet.base.crypto.curve import point_of
from wallet.base.values.ids import Secret

BASE_SECRET: Final = Secret(bytes(range(32)))
PER_COMMITMENT_SECRET: Final = Secret(bytes(range(31, -1, -1)))
BASE_POINT: Final = point_of(BASE_SECRET)
PER_COMMITMENT_POINT: Final = point_of(PER_COMMITMENT_SECRET)

VECTORS: Final = (
    (BASE_POINT, "036d6caac248af96f6afa7f904f550253a0f3ef3f5aa2fe6838a95b216691468e2"),
    (PER_COMMITMENT_POINT, "025f7117a78150fe2ef97db7cfc83bd57b2e2c0d0dd25eaf467a4a1c2a45ce1486"),
    (
        derive_pubkey(BASE_POINT, PER_COMMITMENT_POINT),
        "0235f2dbfaa89b57ec7b055afe29849ef7ddfeb1cefdb9ebdc43f5494984db29e5",
    ),
    (
        derive_secret(BASE_SECRET, PER_COMMITMENT_POINT),
        "cbced912d3b21bf196a766651e436aff192362621ce317704ea2f75d87e7be0f",
    ),
    (
        derive_revocation_pubkey(BASE_POINT, PER_COMMITMENT_POINT),
        "02916e326636d19c33f13e8c0c3a03dd157f332f3e99c317c141dd865eb01f8ff0",
    ),
    (
        derive_revocation_secret(BASE_SECRET, PER_COMMITMENT_SECRET),
        "d09ffff62ddb2297ab000cc85bcb4283fdeb6aa052affbc9dddcf33b61078110",
    ),
)


def test_appendix_e() -> None:
    matching = sum(derived.hex() == published for derived, published in VECTORS)
    print(f"BOLT 3 appendix E {matching}/{len(VECTORS)}")
    assert matching == len(VECTORS) == 6
