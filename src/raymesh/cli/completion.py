"""`raymesh completion`: shell completion scripts."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> int:
    """Print the completion script for SHELL.

    bash: raymesh completion bash > ~/.local/share/bash-completion/completions/raymesh
    """
    from click.shell_completion import get_completion_class

    from raymesh.cli.app import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(cli, {}, "raymesh", "_RAYMESH_COMPLETE").source())
    return 0
