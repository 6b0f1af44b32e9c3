"""BIP 39: entropy as a phrase of English words, and the seed that phrase and passphrase give.

Thin over the `mnemonic` package; ours are the errors.  They give the position of a wrong word and
never the word: errors end up in logs.
"""

from functools import lru_cache
from typing import Final

from mnemonic import Mnemonic

from wallet.base.errors import DecodeError

WORD_COUNTS: Final = (12, 15, 18, 21, 24)
SEED_SIZE: Final = 64

_ENTROPY_SIZES: Final = tuple(count * 4 // 3 for count in WORD_COUNTS)


@lru_cache(maxsize=1)
def _english() -> Mnemonic:
    return Mnemonic("english")


@lru_cache(maxsize=1)
def _word_set() -> frozenset[str]:
    return frozenset(_english().wordlist)


def word_list() -> tuple[str, ...]:
    """The English list of BIP 39, in its order, which is the alphabet's."""
    return tuple(_english().wordlist)


def is_word(word: str) -> bool:
    """Whether `word` is in the English list of BIP 39."""
    return word in _word_set()


def words_of(phrase: str) -> list[str]:
    """The words of a phrase as a person types it: any case, any white space."""
    return phrase.lower().split()


def phrase_of(entropy: bytes) -> str:
    """The phrase of 16, 20, 24, 28 or 32 bytes of entropy: 12 to 24 words."""
    if len(entropy) not in _ENTROPY_SIZES:
        raise DecodeError(f"a phrase is made of 16 to 32 bytes, not of {len(entropy)}")
    phrase: str = _english().to_mnemonic(entropy)
    return phrase


def entropy_of(phrase: str) -> bytes:
    """The entropy that a phrase was made of; raises `DecodeError` that says what to look at."""
    words = words_of(phrase)
    if len(words) not in WORD_COUNTS:
        raise DecodeError(f"a recovery phrase has 12, 15, 18, 21 or 24 words, not {len(words)}")
    for position, word in enumerate(words, 1):
        if not is_word(word):
            raise DecodeError(f"word {position} is not in the BIP 39 list of words")
    if not _english().check(" ".join(words)):
        raise DecodeError("the words are right but their checksum is not: is the order right?")
    return bytes(_english().to_entropy(words))


def seed_of(phrase: str, passphrase: str = "") -> bytes:
    """The seed of a phrase, 64 bytes. The phrase is not checked: that is `entropy_of`."""
    seed: bytes = Mnemonic.to_seed(" ".join(words_of(phrase)), passphrase)
    return seed
