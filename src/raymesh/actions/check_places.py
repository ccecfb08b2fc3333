"""Where the data of a contract is: its `servers` entry, or a path, as source documents; one per schema object.

Credentials come from the environment only, under the names their own tools use: AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION for S3, PGUSER and PGPASSWORD for PostgreSQL,
PYICEBERG_CATALOG__<NAME>__TOKEN or __CREDENTIAL for an Iceberg catalog.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.errors import UsageError
from raymesh.spec.secrets import SecretRef

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from raymesh.errors import SourceSpan
    from raymesh.spec.contract import Contract
    from raymesh.spec.contract_schema import SchemaObject
    from raymesh.spec.contract_servers import Server
    from raymesh.spec.documents import Document

Spec = dict[str, Any]

_FORMATS = {
    "parquet": "parquet",
    "csv": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "delta": "delta",
    "iceberg": "iceberg",
}
_ENDINGS = {".parquet": "parquet", ".parq": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv"}
_ENDINGS |= dict.fromkeys((".json", ".jsonl", ".ndjson"), "json")
_NAMED = re.compile(r"\{(?:model|object|table|schema)\}")
"""Stands for the name of the schema object in a location."""


def places(document: Document[Contract], server: str | None, data: str | None) -> dict[str, Spec]:
    """A source document for every schema object of the contract, by the object's name.

    `data` is a path that takes the place of the server's; relative ones start at the working directory, those
    of the contract at its folder. Raises UsageError when the contract does not say where the data is.
    """
    contract = document.model
    chosen = _server(document, server) if data is None or server is not None else None
    if data is not None:
        return _named(contract, lambda o, sole: _path(data, o, sole, chosen))
    if chosen is None:
        raise UsageError(
            f"{document.path} names no server",
            hint="--data PATH names the data; servers: in the contract does so for good",
        )
    make = _SERVERS.get(chosen.type)
    if make is None:
        raise UsageError(
            f"a server of type {chosen.type} cannot be checked from here",
            hint=f"types that can: {', '.join(sorted(_SERVERS))}; --data PATH checks an export of it",
            spans=(_span(document, chosen),),
        )
    folder = str(Path(document.path).parent)
    return _named(contract, lambda o, sole: make(chosen, o, sole, folder))


def _named(contract: Contract, make: Callable[[SchemaObject, bool], Spec]) -> dict[str, Spec]:
    sole = len(contract.objects) == 1
    return {o.name: {"name": o.name, **make(o, sole)} for o in contract.objects}


def _server(document: Document[Contract], name: str | None) -> Server | None:
    servers = document.model.servers
    known = ", ".join(s.server for s in servers)
    if name is not None:
        found = next((s for s in servers if s.server == name), None)
        if found is None:
            raise UsageError(f"the contract has no server {name}", hint=f"servers: {known or 'none'}")
        return found
    if len(servers) > 1:
        raise UsageError(
            "the contract has several servers", hint=f"--server NAME says which: {known}; or --data PATH"
        )
    return servers[0] if servers else None


def _span(document: Document[Contract], server: Server) -> SourceSpan:
    at = document.model.servers.index(server)
    return document.span("servers", at, "type")


def _path(data: str, table: SchemaObject, sole: bool, server: Server | None) -> Spec:
    place = data if "://" in data else str(Path(data).absolute())
    return _files(place, table, sole, server)


def _local(server: Server, table: SchemaObject, sole: bool, folder: str) -> Spec:
    path = (server.path or "").removeprefix("file://")
    return _files(os.path.normpath(Path(folder).absolute() / Path(path).expanduser()), table, sole, server)


def _s3(server: Server, table: SchemaObject, sole: bool, _: str) -> Spec:
    return _files(server.location or "", table, sole, server)


def _files(place: str, table: SchemaObject, sole: bool, server: Server | None) -> Spec:
    """Files, or the folder of a table format, of one schema object."""
    location = _location(place, table, sole)
    kind = _kind(location, server)
    spec: Spec = {"type": kind, "location": location}
    if location.startswith("s3://"):
        spec["storage"] = _storage(server)
    options = _options(location, kind, server)
    return {**spec, "options": options} if options else spec


def _location(place: str, table: SchemaObject, sole: bool) -> str:
    if _NAMED.search(place):
        return _NAMED.sub(lambda _: table.name, place)
    if sole:
        return place
    if "://" in place:
        return f"{place.rstrip('/')}/{table.name}"
    names = [n for n in (table.name, table.physical_name) if n]
    found = [p for n in names for p in (Path(place) / n, *sorted(Path(place).glob(f"{n}.*"))) if p.exists()]
    if not found:
        raise UsageError(
            f"{place} holds nothing called {' or '.join(names)}",
            hint="a contract of several tables needs a folder with one file or folder per table, "
            "or {model} in the path",
        )
    return str(found[0])


def _kind(location: str, server: Server | None) -> str:
    """By the ending, else by what lies in the folder, else by the server's `format`."""
    plain = location.rstrip("/").removesuffix(".gz").removesuffix(".zst")
    kind = _ENDINGS.get(Path(plain).suffix.lower())
    said = ((server.format if server else None) or "").lower()
    if said in _FORMATS:
        return _FORMATS[said]
    folder = Path(location)
    if kind is None and folder.is_dir():
        if (folder / "_delta_log").is_dir():
            return "delta"
        if any((folder / "metadata").glob("*.metadata.json")):
            return "iceberg"
        inside = (_ENDINGS.get(p.suffix.lower()) for p in sorted(folder.rglob("*")))
        kind = next((k for k in inside if k), None)
    if kind is None:
        raise UsageError(
            f"nothing says in which format {location} is" + (f" ({said} is none)" if said else ""),
            hint=f"format: of the server is one of {', '.join(sorted(set(_FORMATS.values())))}",
        )
    return kind


def _options(location: str, kind: str, server: Server | None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if server is not None and server.encoding and kind == "csv":
        options["encoding"] = server.encoding
    delimiter = (server.delimiter if server else None) or ""
    if kind == "json" and delimiter in ("new_line", "array"):
        options["recordFormat"] = "lines" if delimiter == "new_line" else "array"
    elif kind == "csv" and delimiter not in ("", "new_line"):
        options["delimiter"] = delimiter
    elif kind == "csv" and ".tsv" in Path(location).suffixes:
        options["delimiter"] = "\t"
    return options


def _storage(server: Server | None) -> dict[str, Any]:
    """How to reach the bucket; what is not set here is found by the S3 client itself."""
    found: dict[str, Any] = {
        "accessKeyId": _env("AWS_ACCESS_KEY_ID"),
        "secretAccessKey": _env("AWS_SECRET_ACCESS_KEY"),
        "sessionToken": _env("AWS_SESSION_TOKEN"),
        "region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        "endpointUrl": (server.endpoint_url if server else None) or os.environ.get("AWS_ENDPOINT_URL"),
    }
    return {key: value for key, value in found.items() if value}


def _postgres(server: Server, table: SchemaObject, _sole: bool, _folder: str) -> Spec:
    spec: Spec = {
        "type": "postgres",
        "location": f"postgresql://{server.host}:{server.port}/{server.database}",
        "table": f"{server.schema_name or 'public'}.{table.physical_name or table.name}",
        "user": _env("PGUSER"),
        "password": _env("PGPASSWORD"),
    }
    return {key: value for key, value in spec.items() if value is not None}


def _iceberg(server: Server, table: SchemaObject, _sole: bool, _folder: str) -> Spec:
    name = table.physical_name or table.name
    catalog = {"name": server.catalog, "warehouse": server.warehouse}
    return {
        "type": "iceberg",
        "location": server.catalog_url,
        "table": f"{server.namespace}.{name}" if server.namespace else name,
        "catalog": {key: value for key, value in catalog.items() if value},
        "storage": _storage(None),
    }


def _env(name: str) -> SecretRef | None:
    return SecretRef(f"${{env:{name}}}") if os.environ.get(name) else None


_SERVERS: Mapping[str, Callable[[Server, SchemaObject, bool, str], Spec]] = {
    "local": _local,
    "s3": _s3,
    "postgres": _postgres,
    "postgresql": _postgres,
    "iceberg": _iceberg,
}
