"""Fenced blocks of the documentation."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *sorted(p for p in ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("src/raymesh/demo/**/*.md")),
]
_FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=fence)[ ]*$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text and the line it begins in."""

    page: Path
    language: str
    text: str
    line: int

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        yield Block(page, match["language"], match["text"], text.count("\n", 0, match.start()) + 1)


def without_blocks(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def commands(block: Block) -> Iterator[list[str]]:
    """The `raymesh` commands of a shell block as words; a command may go over several lines."""
    if block.language not in ("", "sh", "bash", "console", "shell"):
        return
    pending = ""
    for line in block.text.splitlines():
        text = line.removeprefix("$ ").strip()
        if not pending and not text.startswith("raymesh "):
            continue
        pending = f"{pending}\n{text}" if pending else text
        try:
            words = shlex.split(pending.rstrip("\\"), comments=True)
        except ValueError:
            continue  # a quote is still open
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        pending = ""
        yield from _simple(words)


def _simple(words: list[str]) -> Iterator[list[str]]:
    """The commands of `a && b | c > d`."""
    current: list[str] = []
    for word in [*words, "&&"]:
        if word in ("&&", "|", ">", ";", "||"):
            if current[:1] == ["raymesh"]:
                yield current[1:]
            current = []
        else:
            current.append(word)
