"""How Python values become columns: moments as microseconds, everything else as canonical JSON text.

JSON alone would turn a Decimal into a float and lose dates, so values it lacks are written as an object
with one key that starts with `$`: `{"$decimal": "1.50"}`. Objects of the user that look like that, or whose
keys are not strings, are written as `{"$map": [[key, value], …]}`. What is read back is equal in value and type;
tuples become lists.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from raymesh.errors import UsageError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC. Raises UsageError for a datetime without a zone: it names no moment."""
    if moment.tzinfo is None:
        raise UsageError(
            f"{moment.isoformat()} has no time zone", hint="pass an aware datetime, such as now(UTC)"
        )
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The moment, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def dumps(value: Any) -> str:
    """`value` as canonical JSON: sorted keys, ASCII, no NaN. Raises TypeError for a type it cannot keep."""
    return json.dumps(_tagged(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def loads(text: str) -> Any:
    """The value that `dumps` wrote."""
    return json.loads(text, object_hook=_untagged) if '"$' in text else json.loads(text)


def _tagged(value: Any) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Mapping):
        return _tagged_mapping(value)
    if isinstance(value, list | tuple):
        return [_tagged(item) for item in value]
    return _tagged_scalar(value)


def _tagged_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    ambiguous = len(value) == 1 and str(next(iter(value))).startswith("$")
    if ambiguous or not all(type(key) is str for key in value):
        if any(isinstance(key, tuple) for key in value):
            raise TypeError("a mapping with tuples for keys cannot be kept in the state store")
        return {"$map": [[_tagged(key), _tagged(item)] for key, item in value.items()]}
    return {key: _tagged(item) for key, item in value.items()}


def _tagged_scalar(value: Any) -> Any:
    for kind, tag, write in _WRITERS:
        if isinstance(value, kind):
            return {tag: write(value)}
    if type(value).__module__ == "numpy" and value.ndim == 0 and value.dtype.kind in "biuf":
        return _tagged(value.item())
    raise TypeError(f"a {type(value).__name__} cannot be kept in the state store")


def _zone_name(moment: datetime) -> str | None:
    name = getattr(moment.tzinfo, "key", None) or getattr(moment.tzinfo, "zone", None)
    return name if isinstance(name, str) else None


def _moment(content: list[str | None]) -> datetime:
    text, zone = content
    moment = datetime.fromisoformat(text or "")
    if zone is None:
        return moment
    try:
        return moment.astimezone(ZoneInfo(zone))
    except (
        KeyError,
        ValueError,
        OSError,
    ):  # this machine does not know the zone: the same instant, by offset
        return moment


_WRITERS: Final[Sequence[tuple[Any, str, Callable[[Any], Any]]]] = (
    (Decimal, "$decimal", str),
    (datetime, "$datetime", lambda moment: [moment.isoformat(), _zone_name(moment)]),  # a date, so before it
    (date, "$date", date.isoformat),
    (time, "$time", time.isoformat),
    (timedelta, "$microseconds", lambda span: span // _MICROSECOND),
    (UUID, "$uuid", str),
    ((bytes, bytearray, memoryview), "$bytes", lambda content: content.hex()),
)
_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "$float": float,
    "$decimal": Decimal,
    "$datetime": _moment,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$microseconds": lambda n: timedelta(microseconds=n),
    "$bytes": bytes.fromhex,
    "$uuid": UUID,
    "$map": dict,
}


def _untagged(value: dict[str, Any]) -> Any:
    if len(value) == 1:
        ((key, content),) = value.items()
        reader = _READERS.get(key)
        if reader is not None:
            return reader(content)
    return value


def clean(text: str) -> str:
    """Text for people, without what a database cannot keep: NUL and lone surrogates are shown escaped."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


class JsonObject(Mapping[str, Any]):
    """A JSON object that is parsed when it is first looked into; equal to the dict it holds, pickled as that dict.

    Plans look at the current versions of ten thousand products and into the contracts of a few.
    """

    __slots__ = ("_content",)

    def __init__(self, text: str) -> None:
        self._content: str | dict[str, Any] = text

    def _parsed(self) -> dict[str, Any]:
        if isinstance(self._content, str):
            self._content = loads(self._content)
        return cast("dict[str, Any]", self._content)

    def __getitem__(self, key: str) -> Any:
        return self._parsed()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parsed())

    def __len__(self) -> int:
        return len(self._parsed())

    def __repr__(self) -> str:
        return repr(self._parsed())

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self._parsed(),)
