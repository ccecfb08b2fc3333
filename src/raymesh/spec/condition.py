"""Row predicates of policies, from text to data: `region = principal.region and deleted is null`.

A grammar of its own, closed and small: no functions, no sub-queries, no casts, no statements, so there is
nothing to inject and nothing to outwit. Names are not looked up here: a policy may concern many products, and
its predicate is fitted to the columns of each when it is decided (governance.predicate).

    condition  =  all { or all }          all  =  one { and one }          one  =  [not] test | ( condition )
    test       =  thing (= <> != < <= > >=) thing | thing [not] between thing and thing
               |  thing [not] in ( literal, … ) | thing [not] in principal.NAME | thing is [not] null  |  true  |  false
    thing      =  column[.member…] | principal.NAME | literal
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from raymesh.spec.expression import (
    And,
    Attribute,
    Column,
    Compare,
    Constant,
    Expression,
    In,
    IsNull,
    Not,
    Operand,
    Or,
    Value,
)

MAX_LENGTH = 4000
MAX_DEPTH = 32
MAX_TERMS = 500
MAX_VALUES = 1000
MAX_DIGITS = 37

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*')
    | (?P<name>"(?:[^"]|"")+"|[^\W\d]\w*)
    | (?P<number>-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<sign><>|!=|<=|>=|[=<>(),.])
    | (?P<end>$)
    )""",
    re.VERBOSE,
)
_SIGNS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_WORDS = frozenset(("and", "or", "not", "in", "is", "null", "between", "true", "false"))


class ConditionError(ValueError):
    """A text that is no condition: `message` says what is wrong, `position` where (a character, from 0)."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


def parse(text: str) -> Expression:
    """The condition as data, columns and attributes as they are named. Raises ConditionError."""
    if len(text) > MAX_LENGTH:
        raise ConditionError(f"a condition has at most {MAX_LENGTH} characters", MAX_LENGTH)
    parser = _Parser(_tokens(text))
    found = parser.condition(0)
    parser.finish()
    return found


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int

    @property
    def word(self) -> str:
        """The keyword it is, lower case; empty for everything else."""
        low = self.text.lower()
        return low if self.kind == "name" and low in _WORDS else ""


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    position = 0
    while not found or found[-1].kind != "end":
        match = _TOKEN.match(text, position)
        if match is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise ConditionError(_foreign(text[start]), start)
        kind = str(match.lastgroup)
        found.append(_Token(kind, match[kind], match.start(kind)))
        position = match.end()
    return found


def _foreign(sign: str) -> str:
    if sign == "'":
        return "a text that begins here has no end: another `'` is missing"
    return (
        f"`{sign}` has no meaning in a condition" if sign.isprintable() else "this character has no meaning"
    )


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.terms = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def finish(self) -> None:
        if self.token.kind != "end":
            raise self._unexpected("the end, `and` or `or`")

    def condition(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise ConditionError(f"a condition has at most {MAX_DEPTH} levels", self.token.position)
        terms = [self._all(depth)]
        while self._takes("or"):
            terms.append(self._all(depth))
        return Or(tuple(terms)) if len(terms) > 1 else terms[0]

    def _all(self, depth: int) -> Expression:
        terms = [self._one(depth)]
        while self._takes("and"):
            terms.append(self._one(depth))
        return And(tuple(terms)) if len(terms) > 1 else terms[0]

    def _one(self, depth: int) -> Expression:
        if self._takes("not"):
            if depth > MAX_DEPTH:
                raise ConditionError(f"a condition has at most {MAX_DEPTH} levels", self.token.position)
            return Not(self._one(depth + 1))
        if self._sign("("):
            inner = self.condition(depth + 1)
            self._needs(")")
            return inner
        return self._test()

    def _test(self) -> Expression:
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise ConditionError(f"a condition has at most {MAX_TERMS} tests", self.token.position)
        word, following = self.token.word, self.tokens[self.at + 1] if self.token.word else self.token
        if word in ("true", "false") and following.text not in _SIGNS:
            self.at += 1
            return Constant(word == "true")
        left = self._thing()
        if self.token.text in _SIGNS and self.token.kind == "sign":
            operator: Any = _SIGNS[self._next().text]
            return Compare(operator, left, self._thing())
        if self._takes("is"):
            negated = self._takes("not")
            if not self._takes("null"):
                raise self._unexpected("`null`")
            return Not(IsNull(left)) if negated else IsNull(left)
        negated = self._takes("not")
        found = self._range_or_list(left)
        return Not(found) if negated else found

    def _range_or_list(self, left: Operand) -> Expression:
        if self._takes("between"):
            low = self._thing()
            if not self._takes("and"):
                raise self._unexpected("`and`")
            return And((Compare(">=", left, low), Compare("<=", left, self._thing())))
        if self._takes("in"):
            return self._membership(left)
        raise self._unexpected("a comparison, `in`, `between` or `is null`")

    def _membership(self, left: Operand) -> Expression:
        if not self._sign("("):
            thing = self._thing()
            if not isinstance(thing, Attribute):
                raise self._unexpected("`(` and a list, or principal.NAME")
            return Compare("=", left, thing)
        values = [self._literal()]
        while self._sign(","):
            values.append(self._literal())
            if len(values) > MAX_VALUES:
                raise ConditionError(f"a list has at most {MAX_VALUES} values", self.token.position)
        self._needs(")")
        return In(left, tuple(values))

    def _thing(self) -> Operand:
        if self.token.kind == "name" and not self.token.word:
            return self._path()
        return Value(self._literal())

    def _path(self) -> Operand:
        first = self.token
        path = [_unquoted(self._next().text)]
        while self._sign("."):
            if self.token.kind != "name":
                raise self._unexpected("a name")
            path.append(_unquoted(self._next().text))
        if self.token.text == "(":
            raise ConditionError(f"`{first.text}(…)`: a condition calls no functions", first.position)
        if first.text.lower() == "principal":
            if len(path) != 2:
                raise ConditionError("an attribute is principal.NAME", first.position)
            return Attribute(path[1])
        return Column(tuple(path))

    def _literal(self) -> Any:
        token = self.token
        if token.kind == "text":
            self.at += 1
            return token.text[1:-1].replace("''", "'")
        if token.kind == "number":
            self.at += 1
            return _number(token)
        if token.word in ("true", "false"):
            self.at += 1
            return token.word == "true"
        if token.word == "null":
            raise ConditionError("nothing equals null: write `is null` or `is not null`", token.position)
        raise self._unexpected("a value such as 'EU', 10 or true")

    def _next(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def _takes(self, word: str) -> bool:
        if self.token.word != word:
            return False
        self.at += 1
        return True

    def _sign(self, sign: str) -> bool:
        if self.token.kind != "sign" or self.token.text != sign:
            return False
        self.at += 1
        return True

    def _needs(self, sign: Literal[")"]) -> None:
        if not self._sign(sign):
            raise self._unexpected(f"`{sign}`")

    def _unexpected(self, wanted: str) -> ConditionError:
        token = self.token
        found = f"`{token.text}`" if token.kind != "end" else "the end"
        return ConditionError(f"{wanted} should stand where {found} is", token.position)


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _number(token: _Token) -> int | float | Decimal:
    text = token.text
    if len(text) > MAX_DIGITS:
        raise ConditionError("the number has too many digits", token.position)
    if "e" in text.lower():
        return float(text)
    return Decimal(text) if "." in text else int(text)
