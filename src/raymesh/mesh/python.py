"""What a transform.py reads and how it is called, found in its syntax tree; user code is never imported."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from raymesh.errors import Diagnostic, SourceSpan
from raymesh.mesh.python_syntax import (
    Definition,
    annotation,
    called,
    find_transform,
    imported_names,
    parameters_of,
    raymesh_name,
)
from raymesh.mesh.reading import Form, Reading, Reference, did_you_mean, unique
from raymesh.spec.model import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH_OPTIONS = frozenset({"input", "size", "cpus", "gpus", "memory", "concurrency"})
PRODUCT_OPTIONS = frozenset({"inputs", "cpus", "gpus", "memory"})
_OPTIONS = {"batch": BATCH_OPTIONS, "product": PRODUCT_OPTIONS}
_VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "size": ("a number of rows from 1", lambda v: type(v) is int and v > 0),
    "concurrency": ("a whole number from 1", lambda v: type(v) is int and v > 0),
    "cpus": ("a number from 0", lambda v: type(v) in (int, float) and v >= 0),
    "gpus": ("a number from 0", lambda v: type(v) in (int, float) and v >= 0),
    "memory": ("a size such as 2GB", lambda v: isinstance(v, str) and parse_size(v) is not None),
}
_RAY_TYPES = ("data.Dataset", "Dataset")
_DATASET_TYPES = ("Dataset", "DuckDBPyRelation", "LazyFrame")
_EXAMPLE = '@batch(input="domain.product") or @product(inputs={"rows": "domain.product"})'


@lru_cache(maxsize=32_768)
def read_python(text: str, file: str, *, after_sql: bool = False) -> Reading:
    """Inputs, form and options that the decorators of `transform` declare.

    `after_sql` says that a transform.sql beside the file makes the rows, so no input is expected here.
    Never raises: a file that cannot be understood gives a reading with errors.
    """
    try:
        module = ast.parse(text, filename=file)
    except SyntaxError as problem:
        span = SourceSpan(file, problem.lineno or 1, problem.offset or 1, problem.end_offset)
        return _unreadable(problem.msg, span)
    except (ValueError, RecursionError, MemoryError) as problem:  # a null byte; nested too deeply
        return _unreadable(str(problem) or "the code is nested too deeply", SourceSpan(file))
    return _Reader(file, text.splitlines(), after_sql).read(module)


def _unreadable(message: str, span: SourceSpan) -> Reading:
    return Reading("batch", diagnostics=(Diagnostic("python-syntax", message, span),))


@dataclass(slots=True)
class _Reader:
    """Collects what one module says; `problems` grows as it is read."""

    file: str
    lines: list[str]
    after_sql: bool
    problems: list[Diagnostic] = field(default_factory=list)

    def read(self, module: ast.Module) -> Reading:
        target = find_transform(module)
        if target is None:
            self._missing(module)
            return Reading("batch", diagnostics=tuple(self.problems))
        if isinstance(target, ast.AsyncFunctionDef):
            self._report("python-async", "`transform` must not be async", target)
        decorator = self._decorator(target, imported_names(module))
        parameters = parameters_of(target)
        if parameters is None:
            self._report("python-call", f"the class `{target.name}` has no __call__(self, batch)", target)
            parameters = []
        return self._reading(target, decorator, parameters)

    def _reading(
        self, target: Definition, decorator: tuple[str, ast.expr] | None, parameters: list[ast.arg]
    ) -> Reading:
        form = _form(decorator, parameters, after_sql=self.after_sql)
        node = decorator[1] if decorator else None
        arguments = self._arguments(form, node)
        references, bindings = self._inputs(form, arguments, parameters, node or target)
        options = {k: self._option(k, v) for k, v in arguments.items() if k not in ("input", "inputs")}
        needs_ray = any(annotation(p).endswith(_RAY_TYPES) for p in parameters)
        return Reading(form, unique(references), bindings, options, needs_ray, tuple(self.problems))

    def _report(self, code: str, message: str, node: ast.AST, help_: str | None = None) -> None:
        self.problems.append(Diagnostic(code, message, self._span(node), help=help_))

    def _span(self, node: ast.AST) -> SourceSpan:
        line = getattr(node, "lineno", 1)
        column = self._column(line, getattr(node, "col_offset", 0))
        if isinstance(node, Definition):
            column = self.lines[line - 1].index(node.name, column)
            return SourceSpan(self.file, line, column + 1, column + 1 + len(node.name))
        last, end = getattr(node, "end_lineno", None), getattr(node, "end_col_offset", None)
        end_column = self._column(line, end) + 1 if last == line and end is not None else None
        return SourceSpan(self.file, line, column + 1, end_column)

    def _column(self, line: int, offset: int) -> int:
        """Characters before an offset, which Python counts in bytes."""
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        return len(text.encode()[:offset].decode(errors="ignore"))

    def _missing(self, module: ast.Module) -> None:
        names = [n.name for n in module.body if isinstance(n, Definition)]
        help_ = did_you_mean("transform", names, otherwise="def transform(batch: pa.Table) -> pa.Table: …")
        if help_ and help_.startswith("did you mean"):
            help_ = f"`{next(n for n in names if n in help_)}` must be called `transform`"
        self._report("python-transform-missing", "the file defines no `transform`", module, help_)

    # decorators

    def _decorator(self, target: Definition, imported: dict[str, str]) -> tuple[str, ast.expr] | None:
        found = [(kind, d) for d in target.decorator_list if (kind := raymesh_name(d, imported))]
        for kind, node in found:
            if kind not in _OPTIONS:
                help_ = did_you_mean(kind, _OPTIONS, otherwise=_EXAMPLE)
                self._report("python-decorator", f"raymesh has no decorator `{kind}`", node, help_)
        ours = [(kind, d) for kind, d in found if kind in _OPTIONS] or self._not_imported(target, imported)
        if len(ours) > 1:
            self._report("python-decorator", "`transform` has two raymesh decorators", ours[1][1], "keep one")
        if ours and not isinstance(ours[0][1], ast.Call):
            kind, node = ours[0]
            self._report("python-decorator", f"@{kind} needs parentheses", node, f"write @{kind}(…)")
        return ours[0] if ours else None

    def _not_imported(self, target: Definition, imported: dict[str, str]) -> list[tuple[str, ast.expr]]:
        """A decorator that can only mean ours, of which the import was forgotten."""
        out: list[tuple[str, ast.expr]] = []
        for node in target.decorator_list:
            name = called(node)
            if isinstance(name, ast.Name) and name.id in _OPTIONS and name.id not in imported:
                message = f"`{name.id}` is not imported from raymesh"
                self._report("python-decorator", message, node, f"from raymesh import {name.id}")
                out.append((name.id, node))
        return out

    def _arguments(self, form: Form, node: ast.expr | None) -> dict[str, ast.expr]:
        if not isinstance(node, ast.Call):
            return {}
        kind = "batch" if form == "batch" else "product"
        known = _OPTIONS[kind]
        out: dict[str, ast.expr] = {}
        for argument in node.args:
            self._report(
                "python-argument", f"@{kind} takes named arguments only", argument, f"@{kind}({min(known)}=…)"
            )
        for keyword in node.keywords:
            if keyword.arg is None:
                self._report("python-literal", f"the arguments of @{kind} must be written out", keyword.value)
            elif keyword.arg not in known:
                help_ = did_you_mean(keyword.arg, known, otherwise="it takes " + ", ".join(sorted(known)))
                self._report("python-argument", f"@{kind} has no argument `{keyword.arg}`", keyword, help_)
            else:
                out[keyword.arg] = keyword.value
        return out

    def _option(self, name: str, node: ast.expr) -> Any:
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            help_ = "the mesh is read without running your code"
            self._report("python-literal", f"`{name}` must be a literal", node, help_)
            return None
        wanted, fits = _VALUES[name]
        if value is not None and not fits(value):
            self._report("python-argument", f"`{name}` must be {wanted}", node)
        return value

    # inputs

    def _inputs(
        self, form: Form, arguments: dict[str, ast.expr], parameters: list[ast.arg], place: ast.AST
    ) -> tuple[list[Reference], dict[str, str]]:
        if form == "batch":
            return self._batch_input(arguments.get("input"), parameters, place)
        return self._dataset_inputs(arguments.get("inputs"), parameters, place)

    def _batch_input(
        self, node: ast.expr | None, parameters: list[ast.arg], place: ast.AST
    ) -> tuple[list[Reference], dict[str, str]]:
        required = [p for p in parameters if p.arg]
        if len(required) != 1:
            self._report("python-parameters", "a batch transform takes one parameter, the batch", place)
        if self.after_sql:
            if node is not None:
                help_ = "remove input=, or remove transform.sql"
                self._report("python-input", "transform.sql already makes the rows", node, help_)
            return [], {}
        if node is None:
            self._report("python-input", "`transform` does not say what it reads", place, _EXAMPLE)
            return [], {}
        reference = self._reference(node, "input")
        if reference is None or not required:
            return [], {}
        return [reference], {required[0].arg: reference.name}

    def _dataset_inputs(
        self, node: ast.expr | None, parameters: list[ast.arg], place: ast.AST
    ) -> tuple[list[Reference], dict[str, str]]:
        if self.after_sql:
            help_ = "read it through @product(inputs=…) or make the function a batch transform"
            self._report(
                "python-input", "a whole-table transform cannot follow a transform.sql", place, help_
            )
        if node is None and isinstance(place, ast.Call):
            help_ = "without inputs, leave the decorator out"
            self._report("python-input", "@product does not say what `transform` reads", place, help_)
        entries = self._entries(node)
        self._check_bindings(entries, parameters)
        names = [p.arg for p in parameters]
        references = {k: r for k, (_, r) in entries.items() if r is not None}
        return list(references.values()), {k: r.name for k, r in references.items() if k in names}

    def _check_bindings(
        self, entries: dict[str, tuple[ast.expr, Reference | None]], parameters: list[ast.arg]
    ) -> None:
        names = [p.arg for p in parameters]
        for parameter in parameters:
            name = parameter.arg
            if name not in entries:
                example = f'@product(inputs={{"{name}": "domain.product"}})'
                message = f"no input is bound to the parameter `{name}`"
                self._report(
                    "python-parameters", message, parameter, did_you_mean(name, entries, otherwise=example)
                )
        for name, (key, _) in entries.items():
            if name not in names:
                message = f"`transform` has no parameter `{name}`"
                help_ = did_you_mean(name, names, otherwise="remove it, or add the parameter")
                self._report("python-parameters", message, key, help_)

    def _entries(self, node: ast.expr | None) -> dict[str, tuple[ast.expr, Reference | None]]:
        if node is None:
            return {}
        if not isinstance(node, ast.Dict):
            self._report(
                "python-literal",
                "`inputs` must be a dict written out",
                node,
                'inputs={"rows": "domain.product"}',
            )
            return {}
        out: dict[str, tuple[ast.expr, Reference | None]] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                out[key.value] = (key, self._reference(value, f'inputs["{key.value}"]'))
            else:
                self._report("python-literal", "a key of `inputs` must be a string", key or node)
        return out

    def _reference(self, node: ast.expr, name: str) -> Reference | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return Reference(node.value.strip().lower(), self._span(node))
        help_ = 'write the name of the input, such as "orders.order_lines"'
        self._report("python-literal", f"`{name}` must be a string literal", node, help_)
        return None


def _form(decorator: tuple[str, ast.expr] | None, parameters: list[ast.arg], *, after_sql: bool) -> Form:
    if decorator is not None:
        return "batch" if decorator[0] == "batch" else "dataset"
    whole = any(annotation(p).rsplit(".", 1)[-1] in _DATASET_TYPES for p in parameters)
    return "dataset" if (whole or len(parameters) != 1) and not after_sql else "batch"
