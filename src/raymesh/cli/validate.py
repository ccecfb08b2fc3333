"""`raymesh validate`: every document and transform, all problems at once."""

from __future__ import annotations

from pathlib import Path

import click

from raymesh.cli.report import output_option, put, put_json, say, show_diagnostics


@click.command()
@output_option
@click.pass_obj
def validate(folder: str | None, output: str) -> int:
    """Check every document and transform of the mesh; no data is read and nothing is built.

    Exit code 3 when something is wrong; all problems are shown at once, with file, line and column.
    """
    from raymesh.actions.validate import validate as act
    from raymesh.actions.workspace import find_root

    root = find_root(Path(folder) if folder else None)
    found = act(root)
    errors = sum(d.severity == "error" for d in found.diagnostics)
    if output == "json":
        put_json(
            "validate/1",
            {
                "valid": not errors,
                "domains": found.domains,
                "products": found.products,
                "diagnostics": [d_json(d) for d in found.diagnostics],
            },
        )
    else:
        show_diagnostics(found.diagnostics)
        told = f"{found.domains} domains, {found.products} products"
        if errors:
            say(f"{errors} error{'s' if errors != 1 else ''} in {told}")
        else:
            put(f"{told}: all documents and transforms are valid")
    return 3 if errors else 0


def d_json(diagnostic: object) -> dict[str, object]:
    """A diagnostic as the JSON documents show it."""
    from raymesh.errors import Diagnostic

    assert isinstance(diagnostic, Diagnostic)  # noqa: S101  # keeps the import lazy
    span = diagnostic.span
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "file": span.file if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "help": diagnostic.help,
    }
