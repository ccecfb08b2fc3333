"""Words of messages: suggestions, kinds of values, names of objects."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

_PREFIX = re.compile(r"^(?:Contract|Product)(?=[A-Z])|Spec$")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def suggestion(word: str, options: Iterable[str]) -> str | None:
    """The option most probably meant by `word`: the same but for case and signs, or a close one."""
    known = list(options)
    same = {_folded(option): option for option in known}
    if _folded(word) in same:
        return same[_folded(word)]
    lower = {option.lower(): option for option in known}
    close = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    return lower[close[0]] if close else None


def did_you_mean(word: str, options: Iterable[str]) -> str | None:
    """The question as the help of a diagnostic, or None when nothing is close."""
    found = suggestion(word, options)
    return f"did you mean `{found}`?" if found else None


def listed(options: Iterable[str]) -> str:
    """`a, b or c`."""
    *first, last = [str(option) for option in options]
    return f"{', '.join(first)} or {last}" if first else last


def described(value: Any) -> str:
    """What a value is, for `must be …, not …`."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text `{shortened(value)}`"
    if isinstance(value, int | float):
        return f"the number {shortened(str(value))}"
    return "a list" if isinstance(value, list | tuple) else "a mapping"


def shortened(text: str, length: int = 60) -> str:
    """One printable line of at most `length` characters."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= length else line[: length - 1] + "…"


def noun(model: type) -> str:
    """`a schema object` for the class SchemaObject."""
    words = _CAPITAL.sub(" ", _PREFIX.sub("", model.__name__)).lower()
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _folded(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
