"""BIP 39: the 24 English vectors that the BIP points to, all with the passphrase TREZOR."""

from tests.support.published import load, tally
from wallet.base.crypto.hd import ExtendedKey
from wallet.base.crypto.mnemonic import entropy_of, phrase_of, seed_of

DATA = load("bip39.json")


def test_english_vectors() -> None:
    outcomes = []
    for entropy, phrase, seed, root in DATA["vectors"]:
        holds = phrase_of(bytes.fromhex(entropy)) == phrase
        holds &= entropy_of(phrase).hex() == entropy
        made = seed_of(phrase, DATA["passphrase"])
        holds &= made.hex() == seed
        holds &= ExtendedKey.from_seed(made).encode() == root
        outcomes.append((entropy, holds))
    tally("BIP 39 English", 24, outcomes)
