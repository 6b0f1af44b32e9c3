"""A column's value, as its declaration says; raises `DecodeError` when it holds something else."""

from wallet.base.errors import DecodeError
from wallet.services.store.tables import Value


def as_text(value: Value) -> str:
    """Text."""
    if not isinstance(value, str):
        raise DecodeError("a column of text holds something else")
    return value


def as_bytes(value: Value) -> bytes:
    """Bytes."""
    if not isinstance(value, bytes):
        raise DecodeError("a column of bytes holds something else")
    return value


def as_number(value: Value) -> int:
    """A number."""
    if not isinstance(value, int):
        raise DecodeError("a column of numbers holds something else")
    return value


def as_optional(value: Value) -> int | None:
    """A number, or nothing."""
    return None if value is None else as_number(value)
