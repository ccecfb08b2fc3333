"""A diagnostic as text: the sentence, the place, the line itself, what to do."""

import re
import unicodedata
from collections.abc import Callable

from raymesh.errors import Diagnostic, SourceSpan
from raymesh.spec.yaml_syntax import source_lines

_COLORS = {"error": "31", "warning": "33", "info": "36"}
_WIDTH = 120
_SECRET = re.compile(
    r"""(?i)(?:password|passwd|secret\w*|token)["']?\s*[:=]\s*(?!["']?\$\{)([^\s,}][^,}]*)|://[^/\s:@]*:(?!\$\{)([^@\s/]+)(?=@)"""
)


def format_diagnostic(diagnostic: Diagnostic, source_text: str | None = None, *, color: bool = False) -> str:
    """The diagnostic as lines without a final line end; with `source_text`, an excerpt with a caret.

    Text from documents is shown without control characters, secrets in plain text are not shown.
    """
    paint = _painter(color, _COLORS[diagnostic.severity])
    lines = [f"{paint(f'{diagnostic.severity}[{diagnostic.code}]')}: {_printable(diagnostic.message)}"]
    span = diagnostic.span
    margin = " " * (len(str(span.line)) if span else 2)
    if span:
        lines.append(f"{margin}--> {_printable(str(span))}")
        source = source_lines(source_text) if source_text is not None else []
        if 0 < span.line <= len(source):
            text = _without_secrets(source[span.line - 1])
            if diagnostic.code == "plain-secret":
                text = _masked(text, span)
            lines += _excerpt(text, span, margin, paint)
    if diagnostic.help:
        lines.append(f"{margin} = help: {_printable(diagnostic.help)}")
    return "\n".join(lines)


def _excerpt(text: str, span: SourceSpan, margin: str, paint: Callable[[str], str]) -> list[str]:
    start = min(span.column - 1, len(text))
    end = min(span.end_column - 1, len(text)) if span.end_column else max(len(text.rstrip()), start + 1)
    if start > _WIDTH // 2 and len(text) > _WIDTH:
        cut = start - _WIDTH // 4
        text, start, end = "…" + text[cut + 1 :], start - cut, end - cut
    if len(text) > _WIDTH:
        text = text[: _WIDTH - 1] + "…"
    end = max(min(end, len(text)), start + 1)
    before, marked = _printable(text[:start]), _printable(text[start:end])
    carets = " " * _columns(before) + paint("^" * max(_columns(marked), 1))
    return [f"{margin} |", f"{span.line} | {_printable(text)}", f"{margin} | {carets}"]


def _without_secrets(text: str) -> str:
    for start, end in [match.span(match.lastindex or 0) for match in _SECRET.finditer(text)]:
        text = text[:start] + "•" * (end - start) + text[end:]
    return text


def _masked(text: str, span: SourceSpan) -> str:
    end = span.end_column - 1 if span.end_column else len(text)
    return text[: span.column - 1] + "•" * (end - span.column + 1) + text[end:]


def _columns(text: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _painter(color: bool, code: str) -> Callable[[str], str]:
    return (lambda text: f"\x1b[1;{code}m{text}\x1b[0m") if color else (lambda text: text)
