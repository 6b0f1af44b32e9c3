"""One codec between the values of the house and JSON: states in the database, events in a tape.

The form follows from the declarations, so a class needs no code of its own:

* a dataclass is an object, by field name in the order of declaration;
* `bytes` and its kin are hexadecimal, an `Enum` is its *name*, a tuple or frozenset (ascending) is
  a list, a `Mapping` is a list of pairs in its own order;
* `X | None` is X or null; in a wider union each member says its name: a dataclass in the key
  "type" beside its fields, anything else as {"type": …, "value": …};
* a class may say its own form once, beside its definition (`register_leaf`): transactions and
  messages are the hexadecimal of their encoding, a `CommitmentFormat` is its name, a `Txid` is in
  the order that people write;
* the whole starts with {"v": 1, "type": …}, so that a row explains itself.

For ever: a field or a class is never renamed, and a new field has a default, so that a later
version reads the rows of an earlier one.  A field that goes needs a migration: an unknown one is
refused here, because what we do not understand may be money.

Declarations are read at run time and values are of any type: this is one of the two pages of the
house where `Any` is at home.
"""

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import (
    Any,
    Final,
    NewType,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from wallet.base.errors import DecodeError, InvariantBroken
from wallet.base.values.ids import Txid

VERSION: Final = 1
"""Of the rules above. A row of a higher one is refused."""

_Write = Callable[[Any], Any]
_Read = Callable[[Any], Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Codec:
    """Both ways between values of one declared type and what `json` knows."""

    write: _Write
    read: _Read
    runtime: type
    """What `type(value)` is, or is derived from."""
    fields: frozenset[str] | None = None
    """Names, if the JSON is an object of fields: a tag may then stand among them."""


_LEAVES: Final[dict[type, _Codec]] = {}
"""Filled when the classes are defined, constant afterwards."""


def register_leaf(kind: type[T], encode: Callable[[T], str], decode: Callable[[str], T]) -> None:
    """Say how values of `kind`, and of classes derived from it, are written as one text.

    Call it where `kind` is defined: then there is no moment at which its values are written
    otherwise.  `decode` raises `DecodeError` and nothing else.
    """
    if kind in _LEAVES:
        raise InvariantBroken(f"two forms for {kind.__name__}")
    _LEAVES[kind] = _Codec(encode, lambda item: decode(_text(item)), kind)


def to_json(value: object) -> str:
    """A dataclass or leaf value as compact JSON; equal values in equal order give equal text.

    Fields are trusted to hold what they declare (mypy sees to that); a choice that holds none of
    its members, and a declaration that has no form, raise `InvariantBroken`.
    """
    return _ENCODER.encode({"v": VERSION, **_union((type(value),)).write(value)})


@overload
def from_json(kind: type[T], text: str) -> T: ...
@overload
def from_json(kind: object, text: str) -> Any: ...


def from_json(kind: Any, text: str) -> Any:
    """The value of type `kind` (a class, or a union of classes) that `to_json` wrote.

    Raises `DecodeError`, with the path to the field that is wrong, and nothing else.
    """
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        raise DecodeError("not JSON") from None
    if type(whole) is not dict or type(version := whole.pop("v", None)) is not int:
        raise DecodeError("a stored value without its version")
    if not 1 <= version <= VERSION:
        raise DecodeError(f"a stored value of version {version}; this leyden knows {VERSION}")
    return _union(_members(kind)).read(whole)


_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)


# --- from a declaration to its codec ------------------------------------------------------------


@cache
def _codec(hint: Any) -> _Codec:
    """The codec of a declared type, worked out once."""
    if isinstance(hint, NewType):
        return _codec(hint.__supertype__)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _optional(_members(hint)) if type(None) in arguments else _union(_members(hint))
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return _sequence(_codec(arguments[0]))
        return _fixed_tuple(tuple(_codec(argument) for argument in arguments))
    if origin is frozenset:
        return _frozenset(_codec(arguments[0]))
    if origin in (dict, Mapping):
        return _mapping(_codec(arguments[0]), _codec(arguments[1]))
    if not isinstance(hint, type):
        raise InvariantBroken(f"no stored form for {hint!r}")
    return _class(hint)


def _class(kind: type) -> _Codec:
    """The codec of a plain class: a leaf, an enum, bytes, a dataclass, or what JSON has itself."""
    for base in kind.__mro__:
        if base in _LEAVES:
            return _leaf(_LEAVES[base], kind)
    if issubclass(kind, Enum):
        return _enum(kind)
    if issubclass(kind, bytes):
        return _Codec(bytes.hex, lambda item: kind(unhex(item)), kind)
    if is_dataclass(kind):
        return _dataclass(kind)
    if kind in (int, bool, str):
        return _plain(kind)
    raise InvariantBroken(f"no stored form for {kind.__name__}")


def _leaf(leaf: _Codec, kind: type) -> _Codec:
    if kind is leaf.runtime:
        return leaf

    def read(item: Any) -> Any:
        value = leaf.read(item)
        if not isinstance(value, kind):
            raise DecodeError(f"{type(value).__name__} is not {kind.__name__}")
        return value

    return _Codec(leaf.write, read, kind)


def _plain(kind: type) -> _Codec:
    # `is`: true is an int for isinstance, and 1 is not a bool for anybody.
    def check(item: Any) -> Any:
        if type(item) is not kind:
            raise DecodeError(f"{_shown(item)} is not {kind.__name__}")
        return item

    return _Codec(lambda value: value, check, kind)


def _enum(kind: type[Enum]) -> _Codec:
    names = dict(kind.__members__)

    def read(item: Any) -> Any:
        if (value := names.get(_text(item))) is None:
            raise DecodeError(f"{kind.__name__} has no {_shown(item)}")
        return value

    return _Codec(lambda value: value.name, read, kind)


def _sequence(element: _Codec) -> _Codec:
    write, read = element.write, element.read
    return _Codec(
        lambda value: [write(v) for v in value],
        lambda item: tuple([read(i) for i in _list(item)]),
        tuple,
    )


def _fixed_tuple(elements: tuple[_Codec, ...]) -> _Codec:
    def write(value: Any) -> Any:
        return [codec.write(v) for codec, v in zip(elements, value, strict=True)]

    def read(item: Any) -> Any:
        if len(_list(item)) != len(elements):
            raise DecodeError(f"{len(item)} values where {len(elements)} belong")
        return tuple([codec.read(i) for codec, i in zip(elements, item, strict=True)])

    return _Codec(write, read, tuple)


def _frozenset(element: _Codec) -> _Codec:
    def read(item: Any) -> Any:
        value = frozenset([element.read(i) for i in _list(item)])
        if len(value) != len(item):
            raise DecodeError("a value twice in a set")
        return value

    return _Codec(lambda value: [element.write(v) for v in sorted(value)], read, frozenset)


def _mapping(key: _Codec, element: _Codec) -> _Codec:
    def read(item: Any) -> Any:
        value = {}
        for pair in _list(item):
            if len(_list(pair)) != 2:
                raise DecodeError("not a pair of key and value")
            value[key.read(pair[0])] = element.read(pair[1])
        if len(value) != len(item):
            raise DecodeError("a key twice")
        return value

    return _Codec(
        lambda value: [[key.write(k), element.write(v)] for k, v in value.items()], read, dict
    )


def _dataclass(kind: type) -> _Codec:
    hints = get_type_hints(kind)
    declared: tuple[Field[Any], ...] = fields(kind)
    if not all(f.init for f in declared):
        raise InvariantBroken(f"{kind.__name__} has a field that its constructor does not take")
    codecs = {f.name: _codec(hints[f.name]) for f in declared}
    writers = tuple((name, codec.write) for name, codec in codecs.items())
    readers = {name: codec.read for name, codec in codecs.items()}
    needed = frozenset(
        f.name for f in declared if f.default is MISSING and f.default_factory is MISSING
    )
    known = frozenset(readers)

    def write(value: Any) -> Any:
        return {name: write_field(getattr(value, name)) for name, write_field in writers}

    def read(item: Any) -> Any:
        if type(item) is not dict:
            raise DecodeError(f"{_shown(item)} is not {kind.__name__}")
        if not needed <= item.keys() <= known:
            raise DecodeError(_misfit(kind.__name__, needed - item.keys(), item.keys() - known))
        given = {}
        name = ""
        try:
            for name, value in item.items():
                given[name] = readers[name](value)
        except DecodeError as error:
            raise DecodeError(f"{kind.__name__}.{name}: {error}") from None
        return kind(**given)

    return _Codec(write, read, kind, known)


def _optional(members: tuple[Any, ...]) -> _Codec:
    inner = _codec(members[0]) if len(members) == 1 else _union(members)
    write, read = inner.write, inner.read
    return _Codec(
        lambda value: None if value is None else write(value),
        lambda item: None if item is None else read(item),
        object,
    )


@cache
def _union(members: tuple[Any, ...]) -> _Codec:
    """A choice: each member is written with its name."""
    readers: dict[str, _Read] = {}
    writers: dict[type, _Write] = {}
    chosen: dict[type, _Codec] = {}
    for codec in map(_codec, members):
        tag = codec.runtime.__name__
        if chosen.get(codec.runtime) is codec:
            continue  # two names of the same bytes
        if codec.runtime is object or tag in readers:
            raise InvariantBroken(f"a choice in which {tag} is not plain")
        chosen[codec.runtime] = codec
        writers[codec.runtime], readers[tag] = _tagged(codec, tag)

    def write(value: Any) -> Any:
        for kind in type(value).__mro__:
            if kind in writers:
                return writers[kind](value)
        raise InvariantBroken(f"{type(value).__name__} is not one of {', '.join(readers)}")

    def read(item: Any) -> Any:
        tag = item.get("type") if type(item) is dict else None
        if type(tag) is not str or tag not in readers:
            raise DecodeError(f"{_shown(tag)} is not one of {', '.join(readers)}")
        return readers[tag]({name: value for name, value in item.items() if name != "type"})

    return _Codec(write, read, object)


def _tagged(codec: _Codec, tag: str) -> tuple[_Write, _Read]:
    write, read = codec.write, codec.read
    if codec.fields is not None:
        if codec.fields & {"type", "v"}:
            raise InvariantBroken(f"{tag} has a field with a name that the codec needs")
        return lambda value: {"type": tag, **write(value)}, read

    def read_value(item: Any) -> Any:
        if item.keys() != {"value"}:
            raise DecodeError(f"{tag} without a value of its own")
        return read(item["value"])

    return lambda value: {"type": tag, "value": write(value)}, read_value


def _members(hint: Any) -> tuple[Any, ...]:
    """The types of a union without None; a single type is a union of one."""
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(m for m in get_args(hint) if m is not type(None))
    return (hint,)


# --- JSON values of one kind --------------------------------------------------------------------


def _list(item: Any) -> list[Any]:
    if type(item) is not list:
        raise DecodeError(f"{_shown(item)} is not a list")
    return item


def _text(item: Any) -> str:
    if type(item) is not str:
        raise DecodeError(f"{_shown(item)} is not a text")
    return item


def unhex(item: Any) -> bytes:
    """Bytes from their hexadecimal form, without blanks; raises `DecodeError`."""
    try:
        value = bytes.fromhex(_text(item))
    except ValueError:
        raise DecodeError(f"not hexadecimal: {_shown(item)}") from None
    if len(value) * 2 != len(item):
        raise DecodeError(f"blanks in {_shown(item)}")
    return value


def _shown(item: Any) -> str:
    """A glimpse of a wrong value: enough to find it, never enough to leak one."""
    if isinstance(item, str | list | dict):
        return f"a {type(item).__name__} of {len(item)}"
    return f"a {type(item).__name__}"


def _misfit(name: str, missing: frozenset[str], unknown: set[str]) -> str:
    if missing:
        return f"{name} without {', '.join(sorted(missing))}"
    return f"{name} with {', '.join(sorted(u[:40] for u in unknown))}, which nobody knows"


register_leaf(Txid, str, Txid.from_display)
