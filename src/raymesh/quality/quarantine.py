"""Which rows a build sets aside instead of refusing all of them, and what its verdict says about that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from raymesh.quality.judge import judge
from raymesh.quality.model import CheckResult, Measurements, Verdict
from raymesh.quality.state import total
from raymesh.spec.expression import Expression, Or

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from raymesh.quality.model import Check


def quarantining(checks: Sequence[Check]) -> tuple[Check, ...]:
    """The executable row checks whose violating rows go to the quarantine table."""
    return tuple(
        c
        for c in checks
        if c.on_violation == "quarantine" and c.violates is not None and c.unsupported is None
    )


def demanding(checks: Sequence[Check]) -> tuple[Check, ...]:
    """The executable row checks that decide whether a row set aside may come back."""
    wanted = {c.id for c in quarantining(checks)}
    return tuple(
        c
        for c in checks
        if c.kind == "row"
        and c.violates is not None
        and c.unsupported is None
        and (c.blocking or c.id in wanted)
    )


def violating(checks: Sequence[Check]) -> Expression | None:
    """True for the rows to set aside, None when no check asks for it. Unknown does not set aside."""
    terms = tuple(c.violates for c in quarantining(checks) if c.violates is not None)
    return Or(terms) if terms else None


def broken(checks: Sequence[Check], measured: Measurements, new: Iterable[str]) -> tuple[Check, ...]:
    """The quarantining checks that do not pass and that rows of the `new` files violate."""
    mine = quarantining(checks)
    if not mine:
        return ()
    counted = total(measured.files[path] for path in new if path in measured.files).violations
    found = judge(mine, measured).results
    bad = {r.check.id for r in found if r.status in ("fail", "warn") and counted.get(r.check.id)}
    return tuple(c for c in mine if c.id in bad)


def with_set_aside(verdict: Verdict, aside: Measurements | None, *, published: bool = True) -> Verdict:
    """The verdict on the rows that stay, saying of each check how many of the others it set aside, or would have
    when nothing was published."""
    if aside is None:
        return verdict
    counted = total(aside.files.values()).violations
    said = "set aside" if published else "break it; nothing was published, so they were not set aside"
    return replace(
        verdict, results=tuple(_said(r, aside, counted.get(r.check.id, 0), said) for r in verdict.results)
    )


def only(measured: Measurements, checks: Iterable[Check]) -> Measurements:
    """What was counted and sampled for `checks`, and nothing about others."""
    wanted = {c.id for c in checks}
    files = {
        path: replace(state, violations={k: n for k, n in state.violations.items() if k in wanted})
        for path, state in measured.files.items()
    }
    samples = {k: rows for k, rows in measured.samples.items() if k in wanted}
    return Measurements(files=files, samples=samples)


def _said(result: CheckResult, aside: Measurements, rows: int, said: str) -> CheckResult:
    if not rows or result.status != "pass":
        return result
    words = f"{result.check.description}: {rows:,} {'rows' if rows > 1 else 'row'} {said}"
    return replace(
        result, status="warn", value=rows, message=words, sample=aside.samples.get(result.check.id, ())
    )
