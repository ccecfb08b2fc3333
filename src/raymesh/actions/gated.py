"""A version that is about to be published, and whether it may be where nobody has set standards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from raymesh.quality.measured import measured
from raymesh.spi.state import Run, Version

if TYPE_CHECKING:
    from raymesh.actions.build import Judged
    from raymesh.actions.planning import Decision
    from raymesh.errors import GovernanceError


@dataclass(frozen=True, slots=True)
class Gated:
    """What is recorded with each port's version, and why nothing may be published (None: it may)."""

    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    error: GovernanceError | None = None
    failing: tuple[str, ...] = ()


class Gate(Protocol):
    """What judges versions before they are published."""

    def documents(self, product: str) -> GovernanceError | None:
        """Why the documents of a product keep it from being published, whatever is built; None when they do not."""
        ...

    def judge(self, decision: Decision, judged: Sequence[Judged], run: Run) -> Gated:
        """What is said of the outputs of a run; `measured` evidence is recorded in any case."""
        ...

    def close(self) -> None: ...


class OpenGate:
    """The gate of a mesh that is not governed. It lets everything pass, and loads no standards to find that out."""

    def documents(self, product: str) -> GovernanceError | None:  # noqa: ARG002  # as every gate
        return None

    def judge(self, decision: Decision, judged: Sequence[Judged], run: Run) -> Gated:
        versions = [would_be(j, decision, run) for j in judged]
        return Gated({v.port: dict(v.governance) for v in versions})

    def close(self) -> None:
        """Nothing is open."""


def would_be(judged: Judged, decision: Decision, run: Run) -> Version:
    """The version as far as facts look at it; it has no table and no snapshot yet."""
    output, staged = judged.output, judged.staged
    current = decision.current.get(output.port)
    kept = output.kept
    aside = output.quarantine.kept if output.quarantine else None
    set_aside = (aside.rows if aside else 0) + (
        sum(f.rows for f in staged.quarantine.files) if staged.quarantine else 0
    )
    found = measured(staged.measurements.files.values(), judged.verdict.results, set_aside)
    return Version(
        product=decision.product,
        port=output.port,
        number=current.number + 1 if current else 1,
        kind="publish",
        table=output.table,
        run_id=run.run_id,
        snapshot_id=0,
        metadata_location="",
        schema=staged.schema.to_json(),
        contract=decision.contracts[output.port].document,
        contract_version=decision.contracts[output.port].version,
        rows=(kept.rows if kept else 0) + sum(f.rows for f in staged.files),
        bytes=(kept.bytes if kept else 0) + sum(f.bytes for f in staged.files),
        fingerprint=run.fingerprint,
        published_at=datetime.now(UTC),  # replaced by the moment of judging
        quality_score=judged.verdict.score,
        governance=found.to_json(),
    )
