"""Filters of an Arrow scan as predicates of ours, where nothing can be lost on the way.

Arrow expressions cannot be taken apart, only printed. What was read off the print is put together again and
must equal the expression; where it does not, there is no predicate, and nothing is pushed down.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from raymesh.spec.expression import And, Column, Compare, Expression, IsNull, Not, Or, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(r'\(|\)|"[^"\\\n]*"|[^\s()",]+|,')
_OPERATORS = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_DEEPEST = 40


def predicate_of(expression: pc.Expression, schema: pa.Schema) -> Expression | None:
    """Comparisons of columns with whole numbers, texts and dates, tests for NULL, and `and`/`or` of these."""
    words = _TOKEN.findall(str(expression))
    reader = _Reader(words, schema)
    try:
        found = reader.term(0)
        rebuilt = _arrow(found, schema)
    except (_UnknownError, pa.ArrowException):
        return None
    return found if reader.at == len(words) and rebuilt.equals(expression) else None


class _UnknownError(Exception):
    """The print says something else."""


class _Reader:
    def __init__(self, words: list[str], schema: pa.Schema) -> None:
        self.words = words
        self.schema = schema
        self.at = 0

    def take(self) -> str:
        if self.at >= len(self.words):
            raise _UnknownError
        self.at += 1
        return self.words[self.at - 1]

    def expect(self, *words: str) -> None:
        for word in words:
            if self.take() != word:
                raise _UnknownError

    def term(self, depth: int) -> Expression:
        if depth > _DEEPEST:
            raise _UnknownError
        word = self.take()
        if word == "is_valid":
            self.expect("(")
            name = self.take()
            self.expect(")")
            return Not(IsNull(self.column(name)))
        if word == "is_null":
            self.expect("(")
            name = self.take()
            self.expect(",", "{nan_is_null=false}", ")")
            return IsNull(self.column(name))
        if word != "(":
            raise _UnknownError
        return self.pair(depth)

    def pair(self, depth: int) -> Expression:
        if self.words[self.at : self.at + 1] in (["("], ["is_valid"], ["is_null"]):
            left = self.term(depth + 1)
            joint = self.take()
            right = self.term(depth + 1)
            self.expect(")")
            if joint not in ("and", "or"):
                raise _UnknownError
            return And((left, right)) if joint == "and" else Or((left, right))
        name, operator, constant = self.take(), self.take(), self.take()
        self.expect(")")
        if operator not in _OPERATORS:
            raise _UnknownError
        column = self.column(name)
        value = _constant(constant, self.schema.field(name).type)
        return Compare(_OPERATORS[operator], column, Value(value))  # type: ignore[arg-type]

    def column(self, name: str) -> Column:
        if self.schema.get_field_index(name) < 0:
            raise _UnknownError
        return Column((name,))


def _constant(word: str, kind: pa.DataType) -> Any:
    try:
        if pa.types.is_string(kind) and word[0] == '"':
            return word[1:-1]
        if pa.types.is_integer(kind):
            return int(word)
        if pa.types.is_date32(kind):
            return date.fromisoformat(word)
    except ValueError:
        pass
    raise _UnknownError


def _arrow(e: Expression, schema: pa.Schema) -> pc.Expression:
    match e:
        case And((left, right)):
            return _arrow(left, schema) & _arrow(right, schema)
        case Or((left, right)):
            return _arrow(left, schema) | _arrow(right, schema)
        case IsNull(Column((name,))):
            return pc.field(name).is_null()
        case Not(IsNull(Column((name,)))):
            return pc.field(name).is_valid()
        case Compare(operator, Column((name,)), Value(value)):
            constant = pc.scalar(pa.scalar(value, schema.field(name).type))
            return _compared(operator, pc.field(name), constant)
    raise _UnknownError


def _compared(operator: str, left: pc.Expression, right: pc.Expression) -> pc.Expression:
    answers = {
        "=": lambda: left == right,
        "<>": lambda: left != right,
        "<": lambda: left < right,
        "<=": lambda: left <= right,
        ">": lambda: left > right,
        ">=": lambda: left >= right,
    }
    return answers[operator]()


def terms_of(e: Expression | None) -> Iterator[Expression]:
    """The terms that must all hold."""
    if isinstance(e, And):
        for term in e.terms:
            yield from terms_of(term)
    elif e is not None:
        yield e
