"""Finding the transform, its decorators and parameters in the syntax tree of a module."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def find_transform(module: ast.Module) -> Definition | None:
    """The function or class `transform` at the top of the module; the last one counts, as in Python."""
    found = [n for n in module.body if isinstance(n, Definition) and n.name == "transform"]
    return found[-1] if found else None


def imported_names(module: ast.Module) -> dict[str, str]:
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


def called(node: ast.expr) -> ast.expr:
    """What a decorator calls: itself without its arguments."""
    return node.func if isinstance(node, ast.Call) else node


def raymesh_name(decorator: ast.expr, imported: dict[str, str]) -> str | None:
    """The name of the decorator in raymesh (`batch`, `product`), None when it is somebody else's."""
    target = called(decorator)
    if isinstance(target, ast.Name) and imported.get(target.id, "").startswith("raymesh."):
        return imported[target.id].removeprefix("raymesh.")
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        return target.attr if imported.get(target.value.id) == "raymesh" else None
    return None


def parameters_of(target: Definition) -> list[ast.arg] | None:
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


def annotation(parameter: ast.arg) -> str:
    """The annotation as written, also when it is written in quotes; empty without one."""
    node = parameter.annotation
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.strip()
    return ast.unparse(node) if node is not None else ""
