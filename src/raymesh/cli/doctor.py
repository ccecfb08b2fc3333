"""`raymesh doctor`: what a person needs to know before asking for help, in one block."""

from __future__ import annotations

from pathlib import Path

import click

from raymesh.cli.report import output_option, put, put_json


@click.command()
@output_option
@click.pass_obj
def doctor(folder: str | None, output: str) -> int:
    """Report versions, extras, machine, storage and database. Exit code 1 when something does not work."""
    from raymesh.actions.doctor import examine

    findings = examine(Path(folder) if folder else None)
    if output == "json":
        put_json("doctor/1", {"findings": [{"topic": f.topic, "ok": f.ok, "text": f.text} for f in findings]})
    else:
        for f in findings:
            put(f"{'ok ' if f.ok else 'BAD'}  {f.topic:<12} {f.text}")
    return 0 if all(f.ok for f in findings) else 1
