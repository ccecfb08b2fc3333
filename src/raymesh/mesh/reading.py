"""What can be read off a transform without running it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raymesh.errors import Diagnostic, SourceSpan

Form = Literal["sql", "batch", "dataset"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A table as a transform names it, lower case (`orders.order_lines`, `source.transactions`), and where."""

    name: str
    span: SourceSpan


@dataclass(frozen=True, slots=True)
class Reading:
    """The tables a transform names (each once, at its first place) and how it wants to be called.

    `bindings` maps parameters to inputs, `options` are the decorator's literal settings (`size`, `cpus` …),
    `needs_ray` tells that a parameter is a Ray Dataset. `diagnostics` hold every problem found; a reading
    with errors may be incomplete.
    """

    form: Form
    references: tuple[Reference, ...] = ()
    bindings: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    needs_ray: bool = False
    diagnostics: tuple[Diagnostic, ...] = ()


def unique(references: Iterable[Reference]) -> tuple[Reference, ...]:
    """Each name once, at the first place it is used, in order of first use."""
    first: dict[str, Reference] = {}
    for reference in references:
        first.setdefault(reference.name, reference)
    return tuple(first.values())


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str | None = None) -> str | None:
    """A sentence that names up to three close spellings among `known`, or `otherwise`."""
    candidates = sorted(set(known))
    last = name.rsplit(".", 1)[-1]
    close = [c for c in difflib.get_close_matches(name, candidates, n=6, cutoff=0.6) if _alike(last, c)][:3]
    if not close:
        close = [c for c in candidates if c.rsplit(".", 1)[-1] == last][:3]
    if not close:
        return otherwise
    return "did you mean " + " or ".join(f"`{c}`" for c in close) + "?"


def _alike(last: str, candidate: str) -> bool:
    """Whether the last parts are close too: a common domain alone makes no two names similar."""
    return difflib.SequenceMatcher(None, last, candidate.rsplit(".", 1)[-1]).ratio() >= 0.5
