"""How hard a password is to guess, roughly: a word for a person who is choosing one."""

from typing import Final

_BITS: Final = (
    (str.islower, 2.5),
    (str.isdigit, 2.5),
    (str.isupper, 3.5),
)
"""People choose words and years: a letter of theirs is worth about half of a random one."""
_OTHER_BITS: Final = 4.0
_REPEATED_BITS: Final = 0.5
_GRADES: Final = ((40, "weak"), (60, "fair"))


def bits(password: str) -> float:
    """A rough count."""
    found, before = 0.0, ""
    for char in password:
        if char == before:
            found += _REPEATED_BITS
        else:
            found += next((worth for fits, worth in _BITS if fits(char)), _OTHER_BITS)
        before = char
    return found


def grade(password: str) -> str:
    """`weak`, `fair` or `strong`."""
    worth = bits(password)
    return next((word for most, word in _GRADES if worth < most), "strong")
