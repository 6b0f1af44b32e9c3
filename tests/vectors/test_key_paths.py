"""Key paths, frozen: the phrase of BIP 84 and BIP 86, on mainnet and on regtest.

The mainnet addresses are the published ones of BIP 84 and BIP 86; every other figure was written
down with the first commit of `key_paths.py`.  If a test here fails, money is lost: never change a
figure, and never add a path without adding its figures.
"""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wallet.base.bitcoin.address import encode_address
from wallet.base.bitcoin.chains import CHAINS, MAINNET, REGTEST, Chain
from wallet.base.crypto.curve import ORDER, point_of
from wallet.base.crypto.mnemonic import seed_of
from wallet.base.errors import InvariantBroken
from wallet.base.values.ids import KeysId
from wallet.machines.signing import DeriveChannel, ReleaseSecret
from wallet.services.vault.key_paths import KeyTree
from wallet.services.vault.signer import LocalSigner

PHRASE = "abandon " * 11 + "about"
SEED = seed_of(PHRASE)
CHAIN_BY_NAME = {chain.name: chain for chain in CHAINS}

NODE_IDS = (
    ("bitcoin", "03a15d96cf8975672c41406e4385949593ada11abdda6a66989ac539ee44978e9d"),
    ("regtest", "02f453c4d7ab22b7044c0ac7bff3fcd39bdeba17828c15500c945fb5f998b2e942"),
)
# (chain, purpose, change, index, address)
ADDRESSES = (
    ("bitcoin", 84, 0, 0, "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"),
    ("bitcoin", 84, 0, 1, "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g"),
    ("bitcoin", 84, 1, 0, "bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el"),
    ("bitcoin", 86, 0, 0, "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"),
    ("bitcoin", 86, 0, 1, "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh"),
    ("bitcoin", 86, 1, 0, "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7"),
    ("regtest", 84, 0, 0, "bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk"),
    ("regtest", 84, 0, 1, "bcrt1qd7spv5q28348xl4myc8zmh983w5jx32cs707jh"),
    ("regtest", 84, 1, 0, "bcrt1q9u62588spffmq4dzjxsr5l297znf3z6jkgnhsw"),
    ("regtest", 86, 0, 0, "bcrt1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqjeprhg"),
    ("regtest", 86, 0, 1, "bcrt1p90h6z3p36n9hrzy7580h5l429uwchyg8uc9sz4jwzhdtuhqdl5eqkcyx0f"),
    ("regtest", 86, 1, 0, "bcrt1p6uav7en8k7zsumsqugdmg5j6930zmzy4dg7jcddshsr0fvxlqx7qnc7l22"),
)
# (chain, index, payment_basepoint)
PAYMENT_POINTS = (
    ("bitcoin", 0, "025886f3c9929c63805366d63e779844907733b63b6040c15d60bc0c296274e5f3"),
    ("bitcoin", 1, "02a4375af1254c023fd4a7eb2053a49695d369c0f4fb99f702920c48dab966caa5"),
    ("bitcoin", 999, "023a2bc4644f24f465045494fd949b18af88494e27c4cd66e59faeffb51a4170dd"),
    ("regtest", 0, "0301d5d4e166e2429511fc564c6b59d699de27b61a8051e6856676bc8f19e31ca6"),
    ("regtest", 1, "0249138040d093bbd780c4529e01bab02de967c57574ea7b04745ecab93c146172"),
    ("regtest", 999, "038aaeb68ac8d1e706d94fbd281a51076608f3fe0b26676ed586dcc5caea807b5b"),
)
# (chain, keys_id, name, secret)
CHANNEL_SECRETS = (
    (
        "bitcoin",
        "00000000000000000000000000000000",
        "revocation",
        "ac2290829480049e22449b764792f0f54a28b85a761f4637618bf42f7d728867",
    ),
    (
        "bitcoin",
        "000102030405060708090a0b0c0d0e0f",
        "funding/1",
        "306c5cbe66eba0811c0698da8bcd36f04b3b7ab5bf8de67c4a4d7730c3d185ad",
    ),
    (
        "regtest",
        "00000000000000000000000000000000",
        "shachain",
        "b8bd31130a1fa1f79deeaf44cb946623ce08b952a8ef03756b21e4ebd6db61cf",
    ),
    (
        "regtest",
        "000102030405060708090a0b0c0d0e0f",
        "revocation",
        "13a37889a2b1dfdaa77283bf93ba71981e8aa21504eb29587da0d6454d6f2b1d",
    ),
    (
        "regtest",
        "000102030405060708090a0b0c0d0e0f",
        "delayed_payment",
        "fd7a88a107385bf48b1d1f6cf9281126592a840f15aab574e91116734a3984db",
    ),
    (
        "regtest",
        "000102030405060708090a0b0c0d0e0f",
        "htlc",
        "d94d27402c78beb876a8f4bf01e371dfb3423db17e9a9126e0d6048f24c3a32c",
    ),
    (
        "regtest",
        "000102030405060708090a0b0c0d0e0f",
        "shachain",
        "efc69a81769c24dbaca37fd10e8904e040e605473451a186a7fc3d7295ae0dd9",
    ),
    (
        "regtest",
        "000102030405060708090a0b0c0d0e0f",
        "funding/0",
        "3f8225c81a0298ffe06e9f203f31c06409c732fd796fd23a978970f420041c57",
    ),
    (
        "regtest",
        "000102030405060708090a0b0c0d0e0f",
        "funding/1",
        "9c64a18aa4cb7c1fe223895a1b28eef9ec9de74f6537d3d7d4be4e8c40d1f5a4",
    ),
)
# (keys_id, number, per_commitment_secret of number, per_commitment_point of number + 2), regtest
RELEASED = (
    (
        "00000000000000000000000000000000",
        7,
        "fb80fcad645ad8869f49c3191bfaacd5e4c07b0ce737172443731823d35c7a1d",
        "03f3171793558004086264769069d72e1fde6a58307e3ddbde40947357e2d1bd76",
    ),
)


def test_counts() -> None:
    tables = (NODE_IDS, ADDRESSES, PAYMENT_POINTS, CHANNEL_SECRETS, RELEASED)
    assert [len(table) for table in tables] == [2, 12, 6, 9, 1]
    print("key paths: 30/30")


@pytest.mark.parametrize(("chain", "expected"), NODE_IDS)
def test_node_id(chain: str, expected: str) -> None:
    assert LocalSigner(SEED, CHAIN_BY_NAME[chain]).node_id.hex() == expected


@pytest.mark.parametrize(("chain", "purpose", "change", "index", "expected"), ADDRESSES)
def test_address(chain: str, purpose: int, change: int, index: int, expected: str) -> None:
    named = CHAIN_BY_NAME[chain]
    script_pubkey = LocalSigner(SEED, named).wallet_script(purpose, change, index)
    assert encode_address(script_pubkey, named) == expected


@pytest.mark.parametrize(("chain", "index", "expected"), PAYMENT_POINTS)
def test_payment_point(chain: str, index: int, expected: str) -> None:
    assert LocalSigner(SEED, CHAIN_BY_NAME[chain]).payment_point(index).hex() == expected


@pytest.mark.parametrize(("chain", "keys_id", "name", "expected"), CHANNEL_SECRETS)
def test_channel_secret(chain: str, keys_id: str, name: str, expected: str) -> None:
    tree, channel = KeyTree(SEED, CHAIN_BY_NAME[chain]), KeysId(bytes.fromhex(keys_id))
    secrets = tree.channel_secrets(channel)
    table = {
        "revocation": secrets.revocation,
        "delayed_payment": secrets.delayed_payment,
        "htlc": secrets.htlc,
        "shachain": secrets.shachain_seed,
        "funding/0": tree.funding_secret(channel, 0),
        "funding/1": tree.funding_secret(channel, 1),
    }
    assert table[name].hex() == expected


@pytest.mark.parametrize(("keys_id", "number", "secret", "point"), RELEASED)
def test_released_secret(keys_id: str, number: int, secret: str, point: str) -> None:
    request = ReleaseSecret(KeysId(bytes.fromhex(keys_id)), number)
    (released,) = LocalSigner(SEED, REGTEST).answer([request])
    assert (released.secret.hex(), released.next_point.hex()) == (secret, point)  # type: ignore[union-attr]


def _hardened(seed: bytes, *path: int) -> tuple[bytes, bytes]:
    """BIP 32 once more, from the standard library alone: (secret, chain code)."""
    digest = hmac.digest(b"Bitcoin seed", seed, "sha512")
    for index in path:
        data = b"\x00" + digest[:32] + (index | 1 << 31).to_bytes(4, "big")
        child = hmac.digest(digest[32:], data, "sha512")
        total = (int.from_bytes(child[:32], "big") + int.from_bytes(digest[:32], "big")) % ORDER
        digest = total.to_bytes(32, "big") + child[32:]
    return digest[:32], digest[32:]


@pytest.mark.parametrize("chain", [MAINNET, REGTEST])
def test_paths__as_documented(chain: Chain) -> None:
    """The documentation of `key_paths` alone leads to the same keys."""
    coin = 0 if chain == MAINNET else 1
    signer, tree = LocalSigner(SEED, chain), KeyTree(SEED, chain)
    assert signer.node_id == point_of(_hardened(SEED, 9735, coin, 0)[0])
    assert tree.payment_secret(42) == _hardened(SEED, 9735, coin, 1, 42)[0]
    root = _hardened(SEED, 9735, coin, 2)[0]
    keys_id = KeysId(hashlib.sha256(b"any").digest()[:16])

    def key(info: bytes) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=b"leyden/channel/1", info=info).derive(root)

    secrets = tree.channel_secrets(keys_id)
    assert secrets.revocation == key(b"revocation/" + keys_id)
    assert secrets.delayed_payment == key(b"delayed_payment/" + keys_id)
    assert secrets.htlc == key(b"htlc/" + keys_id)
    assert secrets.shachain_seed == key(b"shachain/" + keys_id)
    assert tree.funding_secret(keys_id, 258) == key(b"funding/" + keys_id + b"\x00\x00\x01\x02")


def test_paths__outside_their_range() -> None:
    tree = KeyTree(SEED, REGTEST)
    for refused in (
        lambda: tree.payment_secret(1_000),
        lambda: tree.payment_secret(-1),
        lambda: tree.wallet_branch(44, 0),
        lambda: tree.wallet_branch(84, 2),
        lambda: tree.channel_secrets(KeysId(bytes(15))),
    ):
        with pytest.raises(InvariantBroken):
            refused()


def test_channels__share_no_key() -> None:
    """Two `keys_id`s, two fundings, two payment indexes: no point appears twice."""
    signer = LocalSigner(SEED, REGTEST)
    points: list[bytes] = [signer.node_id]
    for n in range(2):
        (keys,) = signer.answer([DeriveChannel(KeysId(bytes([n]) * 16), n)])
        b = keys.basepoints  # type: ignore[union-attr]
        points += [b.revocation, b.payment, b.delayed_payment, b.htlc]
        points += [keys.funding_pubkey, *keys.first_points]  # type: ignore[union-attr]
    assert len(set(points)) == len(points) == 15
