"""The profile of a published version, and how it differs from another one. No data is read: files told at publish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raymesh.actions.read import Pinned, pin
from raymesh.errors import AccessDeniedError, NotFoundError
from raymesh.quality.drift import Shift, drift
from raymesh.quality.part import is_sensitive_words
from raymesh.quality.profile import Profile, described
from raymesh.quality.sketch import TableSketch, table_from_json
from raymesh.quality.sketch import total as merged
from raymesh.quality.state import file_state_from_json, total

if TYPE_CHECKING:
    from raymesh.actions.governed import Claim
    from raymesh.actions.workspace import Storage


@dataclass(frozen=True, slots=True)
class Profiled:
    """The profile of one version; with `against`, that of another and what changed from it."""

    name: str
    version: int
    profile: Profile
    against: int | None = None
    shifts: tuple[Shift, ...] = ()
    told: Mapping[str, Any] | None = None


def profile(
    storage: Storage,
    name: str,
    *,
    number: int | None = None,
    against: int | None = None,
    claim: Claim | None = None,
) -> Profiled:
    """What is known about the values of `domain.product` (`domain.product__port`), by default of its current version.

    In a governed mesh a profile tells of all rows, so the reader must be one who may see them all; columns not
    shown as they are tell counts only. Raises NotFoundError, AccessDeniedError.
    """
    from raymesh.actions.governed import NOBODY, enter

    pinned = pin(storage, name, number)
    other = pin(storage, name, against) if against is not None else None
    access = enter(storage, {name: pinned}, claim or NOBODY, surface="profile")
    if not access.whole(name):
        raise AccessDeniedError(f"a profile tells of all rows of {name}, and some of them may not be seen")
    shown = access.raw(name)
    tagged = _tagged(pinned) | _tagged(pin(storage, name)) | (_tagged(other) if other else set())
    hidden = {c for c in pinned.scan.schema.names if c in tagged or (shown is not None and c not in shown)}
    found, sketch = _of(storage, pinned, hidden)
    if other is None:
        return Profiled(name, pinned.version.number, found, told=access.told())
    earlier, before = _of(storage, other, hidden | tagged)
    shifts = drift(earlier, found, (before, sketch))
    return Profiled(name, pinned.version.number, found, other.version.number, shifts, access.told())


def _of(storage: Storage, pinned: Pinned, hidden: set[str]) -> tuple[Profile, TableSketch]:
    """The profile of a version. Where a file has none (it is older than profiles), no column is told."""
    if pinned.foreign:
        raise NotFoundError(
            f"{pinned.version.product} was changed by another program; nothing was measured of what it wrote",
            hint=f"raymesh run {pinned.version.product} publishes it anew",
        )
    records = storage.state.files(pinned.version)
    known = storage.state.profiles(pinned.version)
    sketches = [table_from_json(known[f.path]) for f in records if f.path in known]
    told = [s for s in sketches if s is not None]
    rows = sum(f.rows for f in records)
    if len(told) < len(records):
        return Profile(rows, (), len(told), len(records)), TableSketch(rows)
    table = merged(told)
    states = [file_state_from_json(f.state) for f in records]
    limits = total(s for s in states if s is not None).columns if None not in states else {}
    order = pinned.scan.schema.names
    columns = sorted(
        described(table, limits, hidden), key=lambda c: order.index(c.name) if c.name in order else 0
    )
    return Profile(rows, tuple(columns), len(told), len(records)), table


def _tagged(pinned: Pinned) -> set[str]:
    """Columns that the version's contract says are sensitive, or a part of which is."""
    objects = pinned.version.contract.get("schema") or [{}]
    return {str(p.get("name")) for p in objects[0].get("properties") or () if _is_tagged(p)}


def _is_tagged(item: Any) -> bool:
    if isinstance(item, list):
        return any(_is_tagged(i) for i in item)
    if not isinstance(item, dict):
        return False
    words = [*(item.get("tags") or ()), item.get("classification") or ""]
    inner = (item.get(key) for key in ("properties", "items", "map", "key", "value"))
    return is_sensitive_words(words) or any(_is_tagged(i) for i in inner if isinstance(i, dict | list))
