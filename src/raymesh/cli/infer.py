"""`raymesh infer`: a contract from data."""

from __future__ import annotations

from pathlib import Path

import click

from raymesh.cli.completion import complete_target
from raymesh.cli.report import output_option, put, put_json, say


@click.command()
@click.argument("target", shell_complete=complete_target)
@click.option("--id", "identifier", help="Id of the contract; default: the name of the data.")
@click.option(
    "--sample", type=click.IntRange(1), default=100_000, show_default=True, help="Rows looked at for formats."
)
@click.option("--to", type=click.Path(dir_okay=False), help="Write to a file, which must not exist yet.")
@output_option
@click.pass_obj
def infer(
    folder: str | None, target: str, identifier: str | None, sample: int, to: str | None, output: str
) -> int:
    """Propose a contract from data: types, keys, ranges, formats, tags.

    TARGET is a source (domain.name), a published product, or a file (Parquet, CSV, JSON).
    """
    from raymesh.actions.infer import infer as act
    from raymesh.spec.write import to_yaml

    if to is not None and Path(to).exists():
        raise click.UsageError(f"{to} exists already; nothing was written.")
    contract = act(target, Path(folder) if folder else None, identifier=identifier, sample_rows=sample)
    if to is not None:
        _write(Path(to), to_yaml(contract))
    if output == "json":
        put_json("infer/1", {"contract": contract, "file": to})
    elif to is None:
        put(to_yaml(contract).rstrip())
    return 0


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as sink:
            sink.write(text)
    except FileExistsError:
        raise click.UsageError(f"{file} exists already; nothing was written.") from None
    say(f"wrote {file}; read it, complete the descriptions, then raymesh validate")
