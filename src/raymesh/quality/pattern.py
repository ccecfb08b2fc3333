"""Regular expressions of contracts (ECMA-262) as RE2 patterns with the same meaning.

RE2 runs in time linear in the text, whatever the pattern. What it cannot do (looking around, referring
back) is refused here by name; where both dialects accept a text but mean something else, the text is
rewritten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_REPEATS = 1000
_SPACES = r"\t\n\v\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
_NOT_LINE_END = r"[^\n\r\x{2028}\x{2029}]"
_SAME = frozenset("dDwWtnrvfbB")
_META = frozenset("^$\\.*+?()[]{}|-")
_HEX = {"x": 2, "u": 4}
_GROUPS = {
    "(?=": "looking ahead (?=…)",
    "(?!": "looking ahead (?!…)",
    "(?<=": "looking back (?<=…)",
    "(?<!": "looking back (?<!…)",
    "(?>": "atomic groups (?>…)",
    "(?(": "conditions (?(…)…)",
    "(?#": "comments (?#…)",
    "(?R": "recursion (?R)",
    "(?&": "recursion (?&…)",
}
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")


class PatternError(ValueError):
    """The pattern uses what RE2 cannot do; the message names it."""


def re2_pattern(pattern: str) -> str:
    """`pattern` for RE2; raises PatternError with the reason when there is no equivalent."""
    return _Reader(pattern).whole()


@dataclass(slots=True)
class _Reader:
    text: str
    at: int = 0

    def whole(self) -> str:
        out: list[str] = []
        depth = 0
        while self.at < len(self.text):
            char = self.text[self.at]
            depth += (char == "(") - (char == ")")
            if depth < 0:
                raise PatternError("a closing ) without its (")
            out.append(self._step(char))
        if depth:
            raise PatternError("an opening ( without its )")
        return "".join(out)

    def _step(self, char: str) -> str:
        match char:
            case "\\":
                return self._escape(in_class=False)
            case "[":
                return self._class()
            case "(":
                return self._group()
            case "{":
                return self._repeat()
            case "*" | "+" | "?":
                return self._quantifier(char)
        self.at += 1
        return _NOT_LINE_END if char == "." else char

    def _quantifier(self, char: str) -> str:
        self.at += 1
        if self.text[self.at : self.at + 1] == "+":
            raise PatternError(f"possessive repetition {char}+")
        return char

    def _group(self) -> str:
        for opening, words in sorted(_GROUPS.items(), key=lambda kv: -len(kv[0])):
            if self.text.startswith(opening, self.at):
                raise PatternError(words)
        if self.text.startswith("(?<", self.at):
            self.at += 3
            return "(?P<"
        self.at += 1
        return "("

    def _repeat(self) -> str:
        found = _REPEAT.match(self.text, self.at)
        if found is None:
            self.at += 1
            return r"\{"
        if any(n and int(n) > MOST_REPEATS for n in found.groups()):
            raise PatternError(f"more than {MOST_REPEATS} repetitions {found[0]}")
        self.at = found.end()
        return found[0]

    def _class(self) -> str:
        negated = self.text.startswith("[^", self.at)
        self.at += 2 if negated else 1
        body: list[str] = []
        while self.at < len(self.text) and self.text[self.at] != "]":
            body.append(self._class_step())
        if self.at >= len(self.text):
            raise PatternError("an opening [ without its ]")
        self.at += 1
        if not body:
            return r"[\x{0}-\x{10ffff}]" if negated else r"[^\x{0}-\x{10ffff}]"
        return ("[^" if negated else "[") + "".join(body) + "]"

    def _class_step(self) -> str:
        char = self.text[self.at]
        if char == "\\":
            return self._escape(in_class=True)
        self.at += 1
        return r"\[" if char == "[" else char

    def _escape(self, *, in_class: bool) -> str:
        char = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        if char in _HEX or char == "c":
            return self._code(char)
        if char in ("s", "S"):
            return self._spaces(char, in_class)
        if char in ("p", "P"):
            return self._property(char)
        return self._one(char, in_class)

    def _one(self, char: str, in_class: bool) -> str:
        if char == "b" and in_class:
            return r"\x08"
        if char == "0" and not self.text[self.at : self.at + 1].isdigit():
            return r"\x00"
        if char in _META or char in _SAME:
            return "\\" + char
        if char and not char.isalnum():
            return char
        raise PatternError(_refusal(char))

    def _spaces(self, char: str, in_class: bool) -> str:
        if not in_class:
            return f"[{_SPACES}]" if char == "s" else f"[^{_SPACES}]"
        if char == "S":
            raise PatternError(r"\S inside [ ]")
        return _SPACES

    def _code(self, kind: str) -> str:
        if kind == "c":
            letter = self.text[self.at : self.at + 1]
            self.at += 1
            if not (letter.isascii() and letter.isalpha()):
                raise PatternError(r"\c without a letter")
            return f"\\x{{{ord(letter) % 32:x}}}"
        braced = re.compile(r"\{([0-9A-Fa-f]{1,6})\}").match(self.text, self.at)
        if braced:
            self.at = braced.end()
            return f"\\x{{{braced[1]}}}"
        digits = self.text[self.at : self.at + _HEX[kind]]
        if not re.fullmatch(f"[0-9A-Fa-f]{{{_HEX[kind]}}}", digits):
            raise PatternError(f"\\{kind} without {_HEX[kind]} hexadecimal digits")
        if kind == "u" and 0xD800 <= int(digits, 16) <= 0xDFFF:
            raise PatternError(f"half of a surrogate pair \\u{digits}; write the character itself")
        self.at += _HEX[kind]
        return f"\\x{{{digits}}}"

    def _property(self, kind: str) -> str:
        found = re.compile(r"\{(?:(?:Script|sc|General_Category|gc)=)?(\w+)\}").match(self.text, self.at)
        if found is None:
            raise PatternError(f"\\{kind} without a name in braces")
        self.at = found.end()
        return f"\\{kind}{{{found[1]}}}"


def _refusal(char: str) -> str:
    if char.isdigit() or char == "k":
        return f"referring back \\{char}"
    return (
        f"the escape \\{char}, which the standard's dialect does not have"
        if char
        else r"a single \ at the end"
    )
