"""Results of runs as text and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raymesh.cli.progress import MARKS
from raymesh.cli.report import amount, put, put_json, put_table, say, show_error, size

if TYPE_CHECKING:
    from raymesh.actions.events import ProductReport, RunFinished


def put_run(finished: RunFinished, *, output: str) -> None:
    """The result of a run: the `raymesh/run/1` document, or a table with the errors before it."""
    if output == "json":
        put_json(
            "run/1",
            {
                "invocation": finished.invocation,
                "seconds": round(finished.seconds, 3),
                "products": [r.to_json() for r in finished.reports],
            },
        )
        return
    for report in finished.reports:
        if report.error is not None:
            say(f"\n{report.product}:")
            show_error(report.error)
    if finished.reports:
        _table(finished.reports)
    put(_summary(finished))
    say(f"next: {_following(finished.reports)}")


def _table(reports: tuple[ProductReport, ...]) -> None:
    rows = [
        (
            f"{MARKS[r.status]} {r.product}",
            r.status,
            amount(r.rows),
            size(r.bytes),
            f"{r.seconds:.1f}" if r.status not in ("skipped", "unchanged") else "",
            "" if r.quality_score is None else f"{r.quality_score:.3f}",
            _checks(r),
            "" if r.status in ("published", "unchanged") else r.reason,
        )
        for r in reports
    ]
    put_table(
        ("product", "status", "rows", "size", "seconds", "quality", "checks", "reason"),
        rows,
        right=(2, 3, 4, 5),
    )


def _checks(report: ProductReport) -> str:
    named = [f"{n} {name.replace('_', ' ')}" for name, n in report.checks.items() if n]
    return ", ".join(named)


def _summary(finished: RunFinished) -> str:
    counts: dict[str, int] = {}
    for report in finished.reports:
        counts[report.status] = counts.get(report.status, 0) + 1
    told = ", ".join(f"{n} {status}" for status, n in counts.items()) or "nothing to do"
    return f"{told} in {finished.seconds:.1f} s"


def _following(reports: tuple[ProductReport, ...]) -> str:
    """What to type next, after the worst that happened."""
    first: dict[str, ProductReport] = {}
    for report in reports:
        first.setdefault(report.status, report)
    if "interrupted" in first:
        return "raymesh run goes on where this one stopped"
    if "blocked" in first:
        name = first["blocked"].product
        return f"raymesh show {name} shows what was broken, with sample rows"
    if "failed" in first:
        return f"repair it, then raymesh run {first['failed'].product}+"
    aside = next((r.product for r in reports if r.quarantined), None)
    if aside is not None:
        return f"raymesh quarantine show {aside} shows the rows that were set aside"
    if "published" in first:
        return f"raymesh read {_last(reports, 'published')}"
    return "raymesh ls" if reports else "raymesh new product DOMAIN.NAME"


def _last(reports: tuple[ProductReport, ...], status: str) -> str:
    return [r.product for r in reports if r.status == status][-1]
