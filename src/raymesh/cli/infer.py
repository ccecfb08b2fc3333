"""`raymesh infer`: a contract from data."""

from __future__ import annotations

from pathlib import Path

import click

from raymesh.cli.report import put, say


@click.command()
@click.argument("target")
@click.option("--id", "identifier", help="Id of the contract; default: the name of the data.")
@click.option(
    "--sample", type=click.IntRange(1), default=100_000, show_default=True, help="Rows looked at for formats."
)
@click.option("--to", type=click.Path(dir_okay=False), help="Write to a file, which must not exist yet.")
@click.pass_obj
def infer(folder: str | None, target: str, identifier: str | None, sample: int, to: str | None) -> int:
    """Propose a contract from data: types, keys, ranges, formats, tags.

    TARGET is a source (domain.name), a published product, or a file (Parquet, CSV, JSON).
    """
    from raymesh.actions.infer import infer as act
    from raymesh.spec.write import to_yaml

    text = to_yaml(act(target, Path(folder) if folder else None, identifier=identifier, sample_rows=sample))
    if to is None:
        put(text.rstrip())
        return 0
    try:
        with Path(to).open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.UsageError(f"{to} exists already; nothing was written.") from None
    say(f"wrote {to}; read it, complete the descriptions, then raymesh validate")
    return 0
