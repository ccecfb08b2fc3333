"""What the YAML parser complains about, in sentences, with the place that helps to repair it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raymesh.errors import Diagnostic, SourceSpan

if TYPE_CHECKING:
    import yaml

_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

_FRIENDLY = (
    ("cannot start any token", "text cannot begin with this character", "put the text in quotes"),
    ("mapping values are not allowed", "there is a second `: ` in one value", "put text that holds a colon in quotes"),
    ("could not find expected ':'", "a `:` is missing after the key above", "write `key: value`, one per line"),
    ("did not find expected key", "this does not fit what stands above it", "align the keys of a mapping; close every quote"),
    ("did not find expected '-' indicator", "this does not fit the list above it", "align every `-` of one list"),
    ("did not find expected ',' or ", "this bracket is not closed", "close `[` with `]` and `{` with `}`, commas between"),
    ("unexpected end of stream", "this quote is not closed", "close the text with the quote it starts with"),
    ("unknown escape character", "this escape is not known", "use single quotes, in which `\\` stands for itself"),
    ("sequence entries are not allowed", "a list cannot start here", "start it on the next line, or put the text in quotes"),
    ("control characters are not allowed", "a control character is not allowed", "remove it, or write an escape in double quotes"),
)  # fmt: skip
_OPENING = ("did not find expected ',' or ", "unexpected end of stream")


def source_lines(text: str) -> list[str]:
    """The lines of a document as the parser counts them."""
    return _LINE_END.split(text)


def syntax_diagnostic(error: yaml.YAMLError, file: str, text: str) -> Diagnostic:
    """The parser's complaint as a sentence with its place."""
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read")
    what, way = next(((what, way) for words, what, way in _FRIENDLY if words in problem), (problem, None))
    place = _place(error, problem, file, text)
    if what == _FRIENDLY[0][1] and source_lines(text)[place.line - 1][place.column - 1 :].startswith("\t"):
        what, way = "a tab indents this line", "indent with spaces"
    return Diagnostic("yaml-syntax", f"this is not YAML: {what}", place, help=way)


def _place(error: yaml.YAMLError, problem: str, file: str, text: str) -> SourceSpan:
    opened = getattr(error, "context_mark", None) if any(words in problem for words in _OPENING) else None
    mark = opened or getattr(error, "problem_mark", None)
    if mark is not None:
        return SourceSpan(file, mark.line + 1, mark.column + 1)
    position = getattr(error, "position", None)
    if not isinstance(position, int):
        return SourceSpan(file)
    lines = source_lines(text.encode()[:position].decode("utf-8", "replace"))
    return SourceSpan(file, len(lines), len(lines[-1]) + 1)
