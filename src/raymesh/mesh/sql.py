"""The tables a transform.sql reads, found in the SQL itself.

sqlglot parses. Where it cannot follow the newest DuckDB syntax, DuckDB's own parser is asked before a
transform is refused; it also words and places syntax errors better. Importing this module loads sqlglot
(0.1 s): import it where a transform is really read.
"""

from __future__ import annotations

import itertools
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlglot import TokenType, exp
from sqlglot.dialects import DuckDB
from sqlglot.errors import SqlglotError

from raymesh.errors import Diagnostic, SourceSpan
from raymesh.mesh.reading import Reading, Reference, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlglot import Token

PURE_TABLE_FUNCTIONS = frozenset(
    {
        "range",
        "generate_series",
        "explode",
        "unnest",
        "generate_subscripts",
        "json_each",
        "json_tree",
        "repeat",
        "repeat_row",
    }
)
_SYSTEM_SCHEMAS = frozenset({"information_schema", "pg_catalog", "main", "temp", "system"})
_FIRST_WORDS = frozenset({"SELECT", "WITH", "FROM", "(", "VALUES", "PIVOT", "UNPIVOT", "TABLE"})
_WRITES = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.Command,
    exp.Copy,
    exp.Attach,
    exp.Detach,
    exp.Set,
    exp.Pragma,
)
_SELECT_ONLY = "a transform is one SELECT; rows are written by raymesh, not by the query"


@lru_cache(maxsize=32_768)
def read_sql(text: str, file: str) -> Reading:
    """Tables named by one SELECT, without its CTE names; problems as diagnostics with line and column.

    Never raises: text that is not one SELECT gives a reading with errors.
    """
    place = _Places(text, file)
    try:
        statement = parse(text)
    except (SqlglotError, RecursionError) as problem:
        return _second_opinion(text, place, problem)
    except NotOneSelectError as problem:
        return _refused(problem.code, str(problem), place.at(problem.offset, problem.length), problem.hint)
    references = sorted(_references(statement, place), key=lambda r: (r.span.line, r.span.column))
    return Reading("sql", unique(references), diagnostics=_problems(statement, place))


class NotOneSelectError(Exception):
    """The text is something else than one SELECT; `offset` and `length` say where."""

    def __init__(self, code: str, message: str, token: Token | None = None, hint: str = _SELECT_ONLY) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
        self.offset = token.start if token else 0
        self.length = token.end + 1 - token.start if token else 1


@lru_cache(maxsize=256)
def _parsed(text: str) -> exp.Expr:
    dialect = DuckDB()
    tokens = dialect.tokenize(text)
    _check_tokens(tokens)
    statement: exp.Expr | None = dialect.parser().parse(tokens, text)[0]
    if statement is None:
        raise NotOneSelectError("sql-empty", "the transform holds no statement")
    return statement


def parse(text: str) -> exp.Expr:
    """The syntax tree of one SELECT, a copy the caller may change.

    Raises NotOneSelectError, sqlglot's ParseError or TokenError.
    """
    return _parsed(text).copy()


def _check_tokens(tokens: list[Token]) -> None:
    ends = [i for i, t in enumerate(tokens) if t.token_type == TokenType.SEMICOLON]
    statement = tokens[: ends[0]] if ends else tokens
    if not statement:
        raise NotOneSelectError("sql-empty", "the transform holds no statement")
    if statement[0].text.upper() not in _FIRST_WORDS:
        raise NotOneSelectError(
            "sql-not-select", f"{statement[0].text.upper()} is not a SELECT", statement[0]
        )
    for token in tokens[len(statement) :]:
        if token.token_type != TokenType.SEMICOLON:
            raise NotOneSelectError("sql-statements", "a transform is one statement", token)
    braces = (TokenType.L_BRACE, TokenType.BLOCK_START)
    for token, following in itertools.pairwise(statement):
        if token.token_type in braces and following.token_type in (*braces, TokenType.MOD):
            raise NotOneSelectError("sql-syntax", "templates are not SQL", token, "write plain DuckDB SQL")


class _Places:
    """Turns offsets into lines and columns of one file."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file

    def at(self, offset: int, length: int = 1) -> SourceSpan:
        before = self.text[: max(offset, 0)]
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        return SourceSpan(self.file, line, column, column + max(length, 1))

    def of(self, node: exp.Expr) -> SourceSpan:
        """The place of a node: from its first to its last identifier."""
        metas = [n.meta for n in node.walk() if "start" in n.meta]
        if not metas:
            return self.at(0)
        start = min(m["start"] for m in metas)
        return self.at(start, max(m["end"] for m in metas) + 1 - start)

    def of_table(self, table: exp.Table) -> SourceSpan:
        metas = [p.meta for p in table.parts if "start" in p.meta]
        if not metas:
            return self.of(table)
        return self.at(metas[0]["start"], metas[-1]["end"] + 1 - metas[0]["start"])

    def byte(self, offset: int) -> SourceSpan:
        return self.at(len(self.text.encode()[:offset].decode(errors="ignore")))


def _references(statement: exp.Expr, place: _Places) -> Iterator[Reference]:
    local = {cte.alias.lower() for cte in statement.find_all(exp.CTE)}
    for table in statement.find_all(exp.Table, bfs=False):
        if not isinstance(table.this, exp.Identifier):
            continue
        name = ".".join(p.name.lower() for p in table.parts)
        if name not in local and not _is_file(table):
            yield Reference(name, place.of_table(table))


def _is_file(table: exp.Table) -> bool:
    name = table.name
    return len(table.parts) == 1 and ("." in name or "/" in name or "*" in name)


def _problems(statement: exp.Expr, place: _Places) -> tuple[Diagnostic, ...]:
    found: list[Diagnostic] = []
    for node in statement.find_all(*_WRITES):
        message = f"{node.key.upper()} inside a transform changes something"
        found.append(_problem("sql-not-select", message, place.of(node), _SELECT_ONLY))
    if statement.find(exp.Parameter, exp.Placeholder):
        help_ = "write the value into the query; nothing is bound to parameters"
        span = place.at(_first_parameter(place.text))
        found.append(_problem("sql-parameter", "a transform has no parameters", span, help_))
    for table in statement.find_all(exp.Table):
        problem = _table_problem(table, place)
        if problem:
            found.append(problem)
    return tuple(found)


def _first_parameter(text: str) -> int:
    marks = (TokenType.PARAMETER, TokenType.PLACEHOLDER)
    return next((t.start for t in DuckDB().tokenize(text) if t.token_type in marks), 0)


def _table_problem(table: exp.Table, place: _Places) -> Diagnostic | None:
    if isinstance(table.this, exp.Func):
        return function_problem(_function_name(table.this), place.of(table))
    if _is_file(table):
        return _problem(
            "sql-file",
            f"the transform reads the file '{table.name}' directly",
            place.of_table(table),
            "declare it in sources/<name>.yaml of the domain and read source.<name>",
        )
    schema = table.parts[0].name.lower()
    if len(table.parts) > 1 and schema in _SYSTEM_SCHEMAS:
        message = f"`{schema}.{table.name}` belongs to the engine; it is no input"
        return _problem("sql-system-table", message, place.of_table(table), None)
    return None


def _function_name(function: exp.Func) -> str:
    return (function.name if isinstance(function, exp.Anonymous) else function.sql_name()).lower()


def function_problem(name: str, span: SourceSpan) -> Diagnostic | None:
    """Why a table function may not be used in a transform; None when it only computes."""
    if name in PURE_TABLE_FUNCTIONS:
        return None
    if name in ("query", "query_table"):
        help_ = "name the table directly, so that the mesh can see it"
        return _problem("sql-table-function", f"{name}() hides what the transform reads", span, help_)
    return _problem(
        "sql-table-function",
        f"{name}() reads from outside the mesh",
        span,
        "declare what it reads in sources/<name>.yaml of the domain and read source.<name>",
    )


def _problem(code: str, message: str, span: SourceSpan, help_: str | None) -> Diagnostic:
    return Diagnostic(code, message, span, help=help_)


def _refused(code: str, message: str, span: SourceSpan, help_: str | None) -> Reading:
    return Reading("sql", diagnostics=(_problem(code, message, span, help_),))


# DuckDB's own parser


def _second_opinion(text: str, place: _Places, problem: Exception) -> Reading:
    answer = _duckdb_tree(text)
    if not answer.get("error"):
        return _duckdb_reading(answer["statements"], place)
    if "position" in answer:
        return _refused("sql-syntax", answer["error_message"], place.byte(int(answer["position"])), None)
    return _refused("sql-syntax", _first_line(answer.get("error_message") or str(problem)), place.at(0), None)


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0] if message.strip() else "the SQL cannot be parsed"


def _duckdb_tree(text: str) -> dict[str, Any]:
    import duckdb

    with duckdb.connect() as con:
        row = con.execute("select json_serialize_sql($1)", [text]).fetchall()[0]
    tree: dict[str, Any] = json.loads(row[0])
    return tree


def _duckdb_reading(statements: list[dict[str, Any]], place: _Places) -> Reading:
    if len(statements) != 1:
        return _refused("sql-statements", "a transform is one statement", place.at(0), _SELECT_ONLY)
    nodes = list(_json_nodes(statements[0]))
    local = {e["key"].lower() for n in nodes for e in (n.get("cte_map") or {}).get("map", [])}
    references: list[Reference] = []
    problems: list[Diagnostic] = []
    for node in nodes:
        span = (
            place.byte(node["query_location"])
            if node.get("query_location", 1 << 63) < 1 << 62
            else place.at(0)
        )
        if node.get("type") == "BASE_TABLE":
            path = [node.get("catalog_name"), node.get("schema_name"), node["table_name"]]
            name = ".".join(p.lower() for p in path if p)
            if name not in local:
                references.append(Reference(name, span))
        elif node.get("type") == "TABLE_FUNCTION":
            problem = function_problem(node["function"]["function_name"].lower(), span)
            problems += [problem] if problem else []
        elif str(node.get("type", "")).endswith("_QUERY_NODE"):
            problems.append(_problem("sql-not-select", "the transform changes something", span, _SELECT_ONLY))
    return Reading("sql", unique(references), diagnostics=tuple(problems))


def _json_nodes(tree: Any) -> Iterator[dict[str, Any]]:
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(reversed(list(item.values())))
        elif isinstance(item, list):
            stack.extend(reversed(item))
