"""Core Lightning's `filter`: a request names the fields it wants, the answer holds no others.

`{"id": true, "channels": [{"state": true}]}` keeps `id` and each channel's `state`.  `true` keeps
all below it.  A filter that wants an object where the answer has an array (or the reverse) gets
that part whole, and a `warning_parameter_filter` in the answer.
"""

from dataclasses import dataclass, field

from wallet.base.errors import Refused
from wallet.faces.rpc.errors import Code


@dataclass(slots=True)
class _Trimmer:
    warnings: list[str] = field(default_factory=list)

    def trim(self, value: object, wanted: object, place: str) -> object:
        match wanted, value:
            case True, _:
                return value
            case dict(), dict():
                return {
                    k: self.trim(v, wanted[k], f"{place}.{k}")
                    for k, v in value.items()
                    if wanted.get(k) is not None
                }
            case [item], list():
                return [self.trim(v, item, f"{place}[]") for v in value]
            case dict(), list():
                self.warnings.append(f"{place} is an array, not an object")
            case list(), dict():
                self.warnings.append(f"{place} is an object, not an array")
            case _:
                pass
        return value


def check_filter(wanted: object) -> None:
    """Raises `Refused` (-32602) unless it is an object of objects, one-item arrays and `true`."""
    if not isinstance(wanted, dict):
        raise Refused("filter: should be an object", Code.INVALID_PARAMS)
    pending: list[object] = [wanted]
    while pending:
        match pending.pop():
            case True:
                pass
            case dict() as fields:
                pending.extend(fields.values())
            case [item]:
                pending.append(item)
            case _:
                raise Refused(
                    "filter: each field should be true, an object or an array of one",
                    Code.INVALID_PARAMS,
                )


def apply_filter(answer: dict[str, object], wanted: dict[str, object]) -> dict[str, object]:
    """The part of `answer` that a checked filter wants."""
    trimmer = _Trimmer()
    trimmed = {
        k: trimmer.trim(v, wanted[k], k) for k, v in answer.items() if wanted.get(k) is not None
    }
    if trimmer.warnings:
        trimmed["warning_parameter_filter"] = "; ".join(trimmer.warnings[:5])
    return trimmed
