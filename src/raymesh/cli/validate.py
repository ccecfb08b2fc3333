"""`raymesh validate`: every document and transform, all problems at once."""

from __future__ import annotations

from pathlib import Path

import click

from raymesh.cli.report import count, diagnostic_json, output_option, put, put_json, say, show_diagnostics


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
                "diagnostics": [diagnostic_json(d) for d in found.diagnostics],
            },
        )
        return 3 if errors else 0
    show_diagnostics(found.diagnostics)
    told = f"{count(found.domains, 'domain')}, {count(found.products, 'product')}"
    if errors:
        say(f"{count(errors, 'error')} in {told}")
        return 3
    put(f"{told}: all documents and transforms are valid")
    say("next: raymesh plan" if found.products else "next: raymesh new domain NAME")
    return 0
