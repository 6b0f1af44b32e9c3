"""BIP 84 and BIP 86: one phrase, its first addresses of both kinds."""

from tests.support.published import tally
from wallet.base.bitcoin.address import decode_address, encode_address
from wallet.base.bitcoin.chains import MAINNET
from wallet.base.bitcoin.script import p2tr, p2wpkh
from wallet.base.bitcoin.taproot import output_key, output_secret, x_only
from wallet.base.crypto.base58 import decode_base58check
from wallet.base.crypto.curve import point_of
from wallet.base.crypto.hd import ExtendedKey, parse_path
from wallet.base.crypto.mnemonic import seed_of

PHRASE = (
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
)
ROOT = ExtendedKey.from_seed(seed_of(PHRASE))
ZPRV, ZPUB = 0x04B2430C, 0x04B24746  # SLIP 132, which BIP 84 uses

# BIP 84, test vectors: path, private key (WIF), public key, address
BIP84 = (
    (
        "m/84'/0'/0'/0/0",
        "KyZpNDKnfs94vbrwhJneDi77V6jF64PWPF8x5cdJb8ifgg2DUc9d",
        "0330d54fd0dd420a6e5f8d3624f5f3482cae350f79d5f0753bf5beef9c2d91af3c",
        "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
    ),
    (
        "m/84'/0'/0'/0/1",
        "Kxpf5b8p3qX56DKEe5NqWbNUP9MnqoRFzZwHRtsFqhzuvUJsYZCy",
        "03e775fd51f0dfb8cd865d9ff1cca2a158cf651fe997fdc9fee9c1d3b5e995ea77",
        "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g",
    ),
    (
        "m/84'/0'/0'/1/0",
        "KxuoxufJL5csa1Wieb2kp29VNdn92Us8CoaUG3aGtPtcF3AzeXvF",
        "03025324888e429ab8e3dbaf1f7802648b9cd01e9b418485c5fa4c1b9b5700e1a6",
        "bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el",
    ),
)
# BIP 84: path, zprv, zpub
BIP84_EXTENDED = (
    (
        "m",
        "zprvAWgYBBk7JR8Gjrh4UJQ2uJdG1r3WNRRfURiABBE3RvMXYSrRJL62XuezvGdPvG6GFBZduosCc1YP5wixPox7zhZLfiUm8aunE96BBa4Kei5",
        "zpub6jftahH18ngZxLmXaKw3GSZzZsszmt9WqedkyZdezFtWRFBZqsQH5hyUmb4pCEeZGmVfQuP5bedXTB8is6fTv19U1GQRyQUKQGUTzyHACMF",
    ),
    (
        "m/84'/0'/0'",
        "zprvAdG4iTXWBoARxkkzNpNh8r6Qag3irQB8PzEMkAFeTRXxHpbF9z4QgEvBRmfvqWvGp42t42nvgGpNgYSJA9iefm1yYNZKEm7z6qUWCroSQnE",
        "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs",
    ),
)
# BIP 86, test vectors: path, xprv, xpub
BIP86_EXTENDED = (
    (
        "m",
        "xprv9s21ZrQH143K3GJpoapnV8SFfukcVBSfeCficPSGfubmSFDxo1kuHnLisriDvSnRRuL2Qrg5ggqHKNVpxR86QEC8w35uxmGoggxtQTPvfUu",
        "xpub661MyMwAqRbcFkPHucMnrGNzDwb6teAX1RbKQmqtEF8kK3Z7LZ59qafCjB9eCRLiTVG3uxBxgKvRgbubRhqSKXnGGb1aoaqLrpMBDrVxga8",
    ),
    (
        "m/86'/0'/0'",
        "xprv9xgqHN7yz9MwCkxsBPN5qetuNdQSUttZNKw1dcYTV4mkaAFiBVGQziHs3NRSWMkCzvgjEe3n9xV8oYywvM8at9yRqyaZVz6TYYhX98VjsUk",
        "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ",
    ),
    (
        "m/86'/0'/0'/0/0",
        "xprvA449goEeU9okwCzzZaxiy475EQGQzBkc65su82nXEvcwzfSskb2hAt2WymrjyRL6kpbVTGL3cKtp9herYXSjjQ1j4stsXXiRF7kXkCacK3T",
        "xpub6H3W6JmYJXN49h5TfcVjLC3onS6uPeUTTJoVvRC8oG9vsTn2J8LwigLzq5tHbrwAzH9DGo6ThGUdWsqce8dGfwHVBxSbixjDADGGdzF7t2B",
    ),
    (
        "m/86'/0'/0'/0/1",
        "xprvA449goEeU9okyiF1LmKiDaTgeXvmh87DVyRd35VPbsSop8n8uALpbtrUhUXByPFKK7C2yuqrB1FrhiDkEMC4RGmA5KTwsE1aB5jRu9zHsuQ",
        "xpub6H3W6JmYJXN4CCKUSnriaiQRCZmG6aq4sCMDqTu1ACyngw7HShf59hAxYjXgKDuuHThVEUzdHrc3aXCr9kfvQvZPit5dnD3K9xVRBzjK3rX",
    ),
    (
        "m/86'/0'/0'/1/0",
        "xprvA3Ln3Gt3aphvUgzgEDT8vE2cYqb4PjFfpmbiFKphxLg1FjXQpkAk5M1ZKDY15bmCAHA35jTiawbFuwGtbDZogKF1WfjwxML4gK7WfYW5JRP",
        "xpub6GL8SnQwRCGDhB59LEz9HMyM6sRYoByXBzXK3iEKWgCz8XrZNHUzd9L3AUBELW5NzA7dEFvMas1F84TuPH3xqdUA5tumaGWFgihJzWytXe3",
    ),
)
# BIP 86: path, internal key, output key, address
BIP86 = (
    (
        "m/86'/0'/0'/0/0",
        "cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115",
        "a60869f0dbcf1dc659c9cecbaf8050135ea9e8cdc487053f1dc6880949dc684c",
        "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
    ),
    (
        "m/86'/0'/0'/0/1",
        "83dfe85a3151d2517290da461fe2815591ef69f2b18a2ce63f01697a8b313145",
        "a82f29944d65b86ae6b5e5cc75e294ead6c59391a1edc5e016e3498c67fc7bbb",
        "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh",
    ),
    (
        "m/86'/0'/0'/1/0",
        "399f1b2f4393f29a18c937859c5dd8a77350103157eb880f02e8c08214277cef",
        "882d74e5d0572d5a816cef0041a96b6c1de832f6f9676d9605c44d5e9a97d3dc",
        "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7",
    ),
)


def test_bip84() -> None:
    outcomes = []
    for path, wif, public_key, address in BIP84:
        key = ROOT.derive(parse_path(path))
        holds = decode_base58check(wif)[1:33] == key.secret
        holds &= key.point.hex() == public_key
        holds &= encode_address(p2wpkh(key.point), MAINNET) == address
        outcomes.append((path, holds))
    for path, private, public in BIP84_EXTENDED:
        key = ROOT.derive(parse_path(path))
        holds = key.encode(ZPRV) == private and key.neuter().encode(ZPUB) == public
        outcomes.append((path, holds))
    tally("BIP 84", 5, outcomes)


def test_bip86() -> None:
    outcomes = []
    for path, internal_key, tweaked, address in BIP86:
        key = ROOT.derive(parse_path(path))
        holds = x_only(key.point).hex() == internal_key
        found, _ = output_key(x_only(key.point))
        holds &= found.hex() == tweaked and decode_address(address, MAINNET) == p2tr(found)
        holds &= encode_address(p2tr(found), MAINNET) == address
        holds &= x_only(point_of(output_secret(key.secret))) == found
        outcomes.append((path, holds))
    for path, private, public in BIP86_EXTENDED:
        key = ROOT.derive(parse_path(path))
        outcomes.append((path, key.encode() == private and key.neuter().encode() == public))
    tally("BIP 86", 8, outcomes)
