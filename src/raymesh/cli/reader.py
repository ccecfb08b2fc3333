"""`--as` and `--purpose`: who reads, and what for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from raymesh.actions.governed import Claim

_Command = TypeVar("_Command", bound=Callable[..., Any])


def reader_options(command: _Command) -> _Command:
    """Adds `--as` and `--purpose`, the parameters `as_` and `purpose`."""
    purpose = click.option("--purpose", metavar="PURPOSE", help="What the rows are for, in a governed mesh.")
    name = click.option(
        "--as",
        "as_",
        metavar="NAME",
        help="Who reads, in a governed mesh; default: $RAYMESH_AS, then identity.default of mesh.yaml.",
    )
    return name(purpose(command))


def claim_of(name: str | None, purpose: str | None, *, clear: bool = False) -> Claim:
    """What the options say."""
    from raymesh.actions.governed import Claim

    return Claim(name, purpose, clear=clear)
