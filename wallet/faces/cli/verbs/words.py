"""A verb's own words: its flags, and what is left."""

from collections.abc import Mapping

from wallet.faces.cli.arguments import Options, UsageError

Flags = Mapping[str, bool]
"""Each flag of a verb by its spelling, and whether a value follows."""


def split_words(
    words: list[str], flags: Flags, options: Options
) -> tuple[list[str], dict[str, str]]:
    """What stands alone, in order, and the flags that were given ("" where none follows).

    The options that every call takes may stand between them.  Raises `UsageError`.
    """
    alone: list[str] = []
    given: dict[str, str] = {}
    pending = list(words)
    while pending:
        if pending[0] == "--":
            return alone + pending[1:], given
        name, equals, value = pending[0].partition("=")
        if name in flags and bool(equals) <= flags[name]:
            del pending[0]
            if name in given:
                raise UsageError(f"{name} is given twice")
            if flags[name] and not equals:
                if not pending:
                    raise UsageError(f"{name} needs a value")
                value = pending.pop(0)
            given[name] = value
        elif not options.take(pending):
            alone.append(pending.pop(0))
    return alone, given
