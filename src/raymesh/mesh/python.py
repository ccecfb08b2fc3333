"""What a transform.py reads and how it is called, found in its syntax tree; user code is never imported."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from raymesh.errors import Diagnostic, SourceSpan
from raymesh.mesh.reading import Form, Reading, Reference, did_you_mean, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH_OPTIONS = frozenset({"input", "size", "cpus", "gpus", "memory", "concurrency"})
PRODUCT_OPTIONS = frozenset({"inputs", "cpus", "gpus", "memory"})
_OPTIONS = {"batch": BATCH_OPTIONS, "product": PRODUCT_OPTIONS}
_DATASET_TYPES = ("Dataset", "DuckDBPyRelation", "LazyFrame")
_EXAMPLE = '@batch(input="domain.product") or @product(inputs={"rows": "domain.product"})'
_Callable = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


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
        return Reading("batch", diagnostics=(Diagnostic("python-syntax", problem.msg, span),))
    except ValueError as problem:  # a null byte
        return Reading("batch", diagnostics=(Diagnostic("python-syntax", str(problem), SourceSpan(file)),))
    return _Reader(file, after_sql).read(module)


@dataclass(slots=True)
class _Reader:
    """Collects what one module says; `problems` grows as it is read."""

    file: str
    after_sql: bool
    problems: list[Diagnostic] = field(default_factory=list)

    def read(self, module: ast.Module) -> Reading:
        target = _find_transform(module)
        if target is None:
            self._missing(module)
            return Reading("batch", diagnostics=tuple(self.problems))
        if isinstance(target, ast.AsyncFunctionDef):
            self._report("python-async", "`transform` must not be async", target)
        decorator = self._decorator(target, _imported(module))
        parameters = _parameters(target)
        if parameters is None:
            self._report("python-call", f"the class `{target.name}` has no __call__(self, batch)", target)
            parameters = []
        return self._reading(target, decorator, parameters)

    def _reading(
        self, target: _Callable, decorator: tuple[str, ast.expr] | None, parameters: list[ast.arg]
    ) -> Reading:
        form = _form(decorator, parameters, after_sql=self.after_sql)
        node = decorator[1] if decorator else None
        arguments = self._arguments(form if decorator else None, node)
        references, bindings = self._inputs(form, arguments, parameters, node or target)
        options = {k: self._literal(v, k) for k, v in arguments.items() if k not in ("input", "inputs")}
        needs_ray = any(_annotation(p).endswith(("ray.data.Dataset", "data.Dataset")) for p in parameters)
        needs_ray = needs_ray or any(_annotation(p) == "Dataset" for p in parameters)
        return Reading(form, unique(references), bindings, options, needs_ray, tuple(self.problems))

    def _report(self, code: str, message: str, node: ast.AST, help_: str | None = None) -> None:
        self.problems.append(Diagnostic(code, message, self._span(node), help=help_))

    def _span(self, node: ast.AST) -> SourceSpan:
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        if isinstance(node, _Callable):
            column += len("class " if isinstance(node, ast.ClassDef) else "def ")
            return SourceSpan(self.file, line, column + 1, column + 1 + len(node.name))
        end = node.end_col_offset if getattr(node, "end_lineno", None) == line else None  # type: ignore[attr-defined]
        return SourceSpan(self.file, line, column + 1, end + 1 if end is not None else None)

    def _missing(self, module: ast.Module) -> None:
        names = [n.name for n in module.body if isinstance(n, _Callable)]
        help_ = did_you_mean("transform", names, otherwise="def transform(batch: pa.Table) -> pa.Table: …")
        if help_ and help_.startswith("did you mean"):
            help_ = f"`{next(n for n in names if n in help_)}` must be called `transform`"
        self._report("python-transform-missing", "the file defines no `transform`", module, help_)

    # decorators

    def _decorator(self, target: _Callable, imported: dict[str, str]) -> tuple[str, ast.expr] | None:
        found = [(kind, d) for d in target.decorator_list if (kind := _raymesh_name(d, imported))]
        ours = [(kind, d) for kind, d in found if kind in _OPTIONS]
        for kind, node in found:
            if kind not in _OPTIONS:
                help_ = did_you_mean(kind, _OPTIONS, otherwise=_EXAMPLE)
                self._report("python-decorator", f"raymesh has no decorator `{kind}`", node, help_)
        if len(ours) > 1:
            self._report("python-decorator", "`transform` has two raymesh decorators", ours[1][1], "keep one")
        for node in target.decorator_list:
            if isinstance(_called(node), ast.Name) and _called(node).id in _OPTIONS and not found:  # type: ignore[attr-defined]
                name = _called(node).id  # type: ignore[attr-defined]
                self._report(
                    "python-decorator",
                    f"`{name}` is not imported from raymesh",
                    node,
                    f"from raymesh import {name}",
                )
                return name, node
        return ours[0] if ours else None

    def _arguments(self, form: Form | None, node: ast.expr | None) -> dict[str, ast.expr]:
        if form is None or not isinstance(node, ast.Call):
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

    def _literal(self, node: ast.expr, name: str) -> Any:
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            help_ = "the mesh is read without running your code"
            self._report("python-literal", f"`{name}` must be a literal", node, help_)
            return None

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


def _find_transform(module: ast.Module) -> _Callable | None:
    found = [n for n in module.body if isinstance(n, _Callable) and n.name == "transform"]
    return found[-1] if found else None


def _imported(module: ast.Module) -> dict[str, str]:
    """Local name → dotted name, for everything imported from raymesh."""
    out: dict[str, str] = {}
    for node in ast.walk(module):
        if (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").split(".")[0] == "raymesh"
            and not node.level
        ):
            out |= {a.asname or a.name: f"raymesh.{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            out |= {a.asname or "raymesh": "raymesh" for a in node.names if a.name.split(".")[0] == "raymesh"}
    return out


def _called(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _raymesh_name(decorator: ast.expr, imported: dict[str, str]) -> str | None:
    target = _called(decorator)
    if isinstance(target, ast.Name) and imported.get(target.id, "").startswith("raymesh."):
        return imported[target.id].removeprefix("raymesh.")
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        return target.attr if imported.get(target.value.id) == "raymesh" else None
    return None


def _parameters(target: _Callable) -> list[ast.arg] | None:
    """Parameters a caller must bind, `self` left out; None for a class that cannot be called."""
    if not isinstance(target, ast.ClassDef):
        return list(_bindable(target.args))
    for node in target.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "__call__":
            return list(_bindable(node.args))[1:]
    return None


def _bindable(arguments: ast.arguments) -> Iterator[ast.arg]:
    positional = [*arguments.posonlyargs, *arguments.args]
    yield from positional[: len(positional) - len(arguments.defaults)]
    for parameter, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is None:
            yield parameter


def _annotation(parameter: ast.arg) -> str:
    node = parameter.annotation
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.strip()
    return ast.unparse(node) if node is not None else ""


def _form(decorator: tuple[str, ast.expr] | None, parameters: list[ast.arg], *, after_sql: bool) -> Form:
    if decorator is not None:
        return "batch" if decorator[0] == "batch" else "dataset"
    whole = any(_annotation(p).rsplit(".", 1)[-1] in _DATASET_TYPES for p in parameters)
    return "dataset" if (whole or len(parameters) != 1) and not after_sql else "batch"
