"""A version that is about to be published, and whether it may be where nobody has set standards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from raymesh.actions.evidence import version
from raymesh.quality.measured import measured

if TYPE_CHECKING:
    from raymesh.actions.build import Judged
    from raymesh.actions.planning import Decision
    from raymesh.errors import GovernanceError
    from raymesh.spi.state import Run, Version


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
    staged, aside = judged.staged.quarantine, judged.output.quarantine
    kept = aside.kept.rows if aside and aside.kept else 0
    set_aside = kept + (sum(f.rows for f in staged.files) if staged else 0)
    found = measured(judged.staged.measurements.files.values(), judged.verdict.results, set_aside)
    return replace(version(judged, None, decision, run), governance=found.to_json())
