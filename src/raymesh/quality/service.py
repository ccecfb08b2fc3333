"""Service-level promises: what each means and which evidence decides it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raymesh.quality.model import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raymesh.quality.frame import Frame
    from raymesh.spec.contract import Contract, SlaProperty

EVIDENCE: dict[str, tuple[str, str]] = {
    "availability": ("av", "attempts to read the product, over the period"),
    "throughput": ("th", "sizes and times of runs and reads"),
    "errorRate": ("er", "check results of the versions in the period"),
    "generalAvailability": ("ga", "the date of the first published version"),
    "endOfSupport": ("es", "the calendar"),
    "endOfLife": ("el", "the calendar"),
    "retention": ("re", "the oldest value of the element, and the expiry of snapshots"),
    "frequency": ("fy", "the times at which versions were published"),
    "latency": ("ly", "the newest value of the element against the time of publication"),
    "timeToDetect": ("td", "incidents: occurrence and detection"),
    "timeToNotify": ("tn", "incidents: detection and notification"),
    "timeToRepair": ("tr", "incidents: detection and repair"),
}
"""The standard's twelve properties: short name and the evidence that decides."""

_NAMES = {n.lower(): name for name, (short, _) in EVIDENCE.items() for n in (name, short)}


def service_checks(contract: Contract, frame: Frame) -> Iterator[Check]:
    """One check per entry of `slaProperties`; none is decided by the data of one version."""
    for n, promise in enumerate(contract.sla_properties):
        yield frame.check(_check(promise), ("slaProperties", n))


def _check(promise: SlaProperty) -> Check:
    name = _NAMES.get(promise.property.lower())
    value = " ".join(str(v) for v in (promise.value, promise.value_ext, promise.unit) if v is not None)
    if name:
        reason = f"decided by evidence over time: {EVIDENCE[name][1]}"
    else:
        reason = f"{promise.property!r} is not one of the standard's twelve service levels"
    return Check(
        f"sla.{promise.id or name or promise.property}",
        "sla",
        name or promise.property,
        dimension="timeliness",
        blocking=False,
        description=promise.description or f"{name or promise.property} {value}",
        arguments={"value": promise.value, "unit": promise.unit, "element": promise.element},
        unsupported=reason,
    )
