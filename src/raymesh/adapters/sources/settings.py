"""A source document as an adapter needs it: defaults filled in, secret references resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.errors import SourceError
from raymesh.spec.secrets import SecretRef
from raymesh.spi.secrets import variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raymesh.mesh.plan import SourceScan


@dataclass(frozen=True, slots=True)
class S3Settings:
    """How to reach a bucket; empty keys mean: what the environment offers. Keys never show in a repr."""

    endpoint: str | None = None
    region: str | None = None
    key: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TextSettings:
    """How text files are written. `escape` equals `quote` when quotes are doubled; formats are strptime.

    Texts of the columns `spoken` are JSON strings: a number is none of them.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    header: bool = True
    encoding: str = "utf-8"
    nulls: tuple[str, ...] = ("",)
    timestamp_format: str | None = None
    date_format: str | None = None
    records: str | None = None
    spoken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """One source. `columns` are the declared names with their types as written."""

    name: str
    kind: str
    location: str
    table: str | None = None
    query: str | None = None
    version: Any = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    s3: S3Settings = field(default_factory=S3Settings)
    text: TextSettings = field(default_factory=TextSettings)
    catalog: Mapping[str, str] = field(default_factory=dict, repr=False)
    columns: tuple[tuple[str, str], ...] = ()

    def error(self, problem: str, hint: str | None = None) -> SourceError:
        """A SourceError that names this source."""
        return SourceError(f"source {self.name}: {problem}", hint=hint)


def read_settings(spec: Mapping[str, Any], root: str) -> Settings:
    """Settings of a source document's content (keys as in YAML); `root` is the mesh folder.

    Raises NotFoundError for a secret that is not there.
    """
    reveal = _Reveal(Path(root))
    return Settings(
        name=str(spec.get("name") or "source"),
        kind=str(spec.get("type")),
        location=reveal(spec.get("location")) or "",
        table=spec.get("table"),
        query=spec.get("query"),
        version=spec.get("version"),
        user=reveal(spec.get("user")),
        password=reveal(spec.get("password")),
        s3=_s3(spec.get("storage") or {}, reveal),
        text=_text(spec.get("options") or {}),
        catalog={k: reveal(v) or "" for k, v in (spec.get("catalog") or {}).items()},
        columns=tuple((str(c["name"]), str(c["type"])) for c in spec.get("columns") or ()),
    )


def settings_of(scan: SourceScan, root: str) -> Settings:
    """Settings of a planned source; transforms name it `source.<name>`."""
    return read_settings({**scan.spec, "name": scan.name.removeprefix("source."), "type": scan.type}, root)


@dataclass(frozen=True, slots=True)
class _Reveal:
    """Text of a setting, the secrets it refers to in place."""

    root: Path

    def __call__(self, value: Any) -> str | None:
        if isinstance(value, SecretRef):
            return value.resolve(variables(), self.root)
        return None if value is None else str(value)


def _s3(storage: Mapping[str, Any], reveal: _Reveal) -> S3Settings:
    keys = ("endpointUrl", "region", "accessKeyId", "secretAccessKey", "sessionToken")
    return S3Settings(*(reveal(storage.get(key)) for key in keys))


def _text(options: Mapping[str, Any]) -> TextSettings:
    quote = options.get("quote") or '"'
    nulls = options.get("nullValues")
    header = options.get("header")
    return TextSettings(
        delimiter=options.get("delimiter") or ",",
        quote=quote,
        escape=options.get("escape") or quote,
        header=True if header is None else bool(header),
        encoding=(options.get("encoding") or "utf-8").lower().replace("_", "-"),
        nulls=("",) if nulls is None else tuple(nulls),
        timestamp_format=options.get("timestampFormat"),
        date_format=options.get("dateFormat"),
        records=options.get("recordFormat"),
        spoken=tuple(options.get("spokenColumns") or ()),
    )
