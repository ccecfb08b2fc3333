"""Shell completion: the scripts, and the names of what a mesh holds, found by looking at its folders only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from click.shell_completion import CompletionItem

SHELLS = ("bash", "zsh", "fish")
HOMES = {
    "bash": "~/.local/share/bash-completion/completions/raymesh",
    "zsh": "~/.zfunc/_raymesh",
    "fish": "~/.config/fish/completions/raymesh.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.option("--install", is_flag=True, help="Write it where the shell looks for it, instead of printing.")
def completion(shell: str, install: bool) -> int:
    """Print the completion script for SHELL, or install it.

    It completes verbs, options, products (domain.product), domains, sources and selections.
    """
    from click.shell_completion import get_completion_class

    from raymesh.cli.app import cli
    from raymesh.cli.report import put, say

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    text = kind(cli, {}, "raymesh", "_RAYMESH_COMPLETE").source()
    if not install:
        put(text)
        return 0
    home = Path(HOMES[shell]).expanduser()
    home.parent.mkdir(parents=True, exist_ok=True)
    home.write_text(text + "\n", encoding="utf-8")
    put(f"wrote {home}")
    if shell == "zsh":
        say("~/.zshrc needs, before compinit: fpath+=~/.zfunc")
    say("it works in the next shell you open")
    return 0


def complete_product(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Products as `domain.product`."""
    from raymesh.spec.folders import product_names

    root = _root(ctx)
    return _items(product_names(root) if root else (), incomplete)


def complete_selection(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Products, also behind `+`, and the methods of selections with their values."""
    from raymesh.spec.folders import domain_names, product_names, source_names

    root = _root(ctx)
    if root is None:
        return []
    kept, comma, last = incomplete.rpartition(",")
    word = last.lstrip("+!")
    lead = f"{kept}{comma}{last[: len(last) - len(word)]}"
    names = [
        *product_names(root),
        *(f"domain:{domain}" for domain in domain_names(root)),
        *(f"source:{source}" for source in source_names(root)),
        "state:changed",
        "state:new",
        "tag:",
    ]
    return _items((lead + name for name in names), incomplete)


def complete_target(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Sources and products, and files, which the shell completes."""
    from click.shell_completion import CompletionItem

    from raymesh.spec.folders import source_names

    root = _root(ctx)
    found = _items(source_names(root) if root else (), incomplete)
    return [*found, *complete_product(ctx, parameter, incomplete), CompletionItem(incomplete, type="file")]


def complete_domain_of(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Domains with the dot after which a new name follows."""
    from raymesh.spec.folders import domain_names

    root = _root(ctx)
    return _items((f"{name}." for name in domain_names(root)) if root else (), incomplete)


def _items(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _root(ctx: click.Context) -> Path | None:
    """The mesh of `-C`, which is parsed but not carried out while completing, or the one around here."""
    from raymesh.spec.folders import nearest_mesh

    named = ctx.find_root().params.get("folder")
    if named:
        folder = Path(os.path.expanduser(named))  # noqa: PTH111  # as the shell would have written it
        return folder if (folder / "mesh.yaml").is_file() else None
    return nearest_mesh(Path())
