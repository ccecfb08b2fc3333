"""What actions tell while they work. Renderers match the kinds they know and ignore the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from raymesh.errors import MeshError
from raymesh.spi.engine import Progress

STATUSES = ("pass", "fail", "warn", "error", "skip", "not_executed")
ProductStatus = Literal["published", "unchanged", "blocked", "failed", "skipped", "interrupted"]


@dataclass(frozen=True, slots=True)
class ProductReport:
    """How one product ended. `rows` and `bytes` are those of the version that serves now (of this build
    when published), `seconds` is wall time, `failing` names the blocking checks that did not pass,
    `quarantined` counts the rows that this build set aside."""

    product: str
    status: ProductStatus
    engine: str | None = None
    rows: int | None = None
    bytes: int | None = None
    seconds: float = 0.0
    quality_score: float | None = None
    checks: Mapping[str, int] = field(default_factory=dict)
    snapshot_id: int | None = None
    version: int | None = None
    reason: str = ""
    run_id: str | None = None
    failing: tuple[str, ...] = ()
    error: MeshError | None = None
    quarantined: int = 0

    def to_json(self) -> dict[str, Any]:
        """The public record of `raymesh/run/1`."""
        return {
            "product": self.product,
            "status": self.status,
            "engine": self.engine,
            "rows": self.rows,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "quality_score": self.quality_score,
            "checks": {name: self.checks.get(name, 0) for name in STATUSES},
            "snapshot_id": self.snapshot_id,
            "version": self.version,
            "reason": self.reason,
            "run_id": self.run_id,
            "failing": list(self.failing),
            "quarantined": self.quarantined,
            "error": None if self.error is None else _error_json(self.error),
        }


def _error_json(error: MeshError) -> dict[str, Any]:
    places = [str(s) for s in error.spans]
    return {"code": error.code, "message": error.message, "hint": error.hint, "places": places}


@dataclass(frozen=True, slots=True)
class RunStarted:
    invocation: str
    products: tuple[str, ...]
    jobs: int


@dataclass(frozen=True, slots=True)
class ProductStarted:
    """`because` says why this engine, empty when somebody named it."""

    product: str
    engine: str
    reason: str
    because: str = ""


@dataclass(frozen=True, slots=True)
class ProductWaiting:
    """Another process builds the product; this one waits for it."""

    product: str
    holder: str


@dataclass(frozen=True, slots=True)
class ProductFinished:
    report: ProductReport


@dataclass(frozen=True, slots=True)
class RunFinished:
    invocation: str
    reports: tuple[ProductReport, ...]
    seconds: float

    @property
    def exit_code(self) -> int:
        """0 when all is published or unchanged, 1 when a build failed, 4 when checks blocked one."""
        statuses = {r.status for r in self.reports}
        if "interrupted" in statuses:
            return 130
        if "failed" in statuses:
            return 1
        return 4 if "blocked" in statuses else 0


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth saying that is neither progress nor result."""

    message: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes while builds go on; renderers refresh, callers may stop the run."""


Event: TypeAlias = (
    RunStarted | ProductStarted | ProductWaiting | Progress | ProductFinished | RunFinished | Note | Tick
)
