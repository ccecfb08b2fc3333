"""`raymesh token new`: a token for somebody in governance/users.yaml."""

from __future__ import annotations

from pathlib import Path

import click

from raymesh.cli.report import output_option, put, put_json, say


@click.group()
def token() -> None:
    """Tokens by which users of this mesh are known."""


@token.command()
@click.argument("name")
@output_option
@click.pass_obj
def new(folder: str | None, name: str, output: str) -> int:
    """Make a token for NAME and print it, this once; governance/users.yaml keeps only its digest."""
    from raymesh.actions.identity import new_token
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(Path(folder) if folder else None) as storage:
        made, digest = new_token(storage, name)
    if output == "json":
        put_json("token-new/1", {"name": name, "token": made, "digest": digest})
    else:
        put(made)
        say(f"put this under {name} in governance/users.yaml:\n    token: {digest}")
        say("next: export RAYMESH_TOKEN=… with the token, which is not shown again")
    return 0
