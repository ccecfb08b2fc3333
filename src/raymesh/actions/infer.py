"""Proposes a contract from data: types, keys, limits, formats, tags, each with what was seen."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.actions.infer_profile import profile
from raymesh.actions.infer_rules import contract_of
from raymesh.errors import NotFoundError, SourceError
from raymesh.mesh.plan import SourceScan
from raymesh.mesh.reading import did_you_mean
from raymesh.spi import registry
from raymesh.spi.scan_sql import scan_sql
from raymesh.spi.statements import stoppable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

    from raymesh.actions.governed import Claim
    from raymesh.actions.read import Pinned
    from raymesh.actions.workspace import Storage

MINIMUM_ROWS = 50
"""A rule is proposed only when at least so many values support it."""
_SUFFIXES = {
    ".parquet": "parquet",
    ".parq": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}


def infer(
    target: str,
    folder: Path | None = None,
    *,
    identifier: str | None = None,
    sample_rows: int = 100_000,
    claim: Claim | None = None,
) -> dict[str, Any]:
    """A contract for `target`: a file, folder or `s3://` address of files, a source `domain.name`, or a product.

    `folder` is the mesh's, needed for sources and products. Of a product in a governed mesh it is made from what
    `claim`'s reader may see. Raises NotFoundError, SourceError, AccessDeniedError.
    """
    spec = _file_spec(target)
    if spec is not None:
        return _of_source(spec, Path.cwd(), identifier or spec["name"], sample_rows)
    from raymesh.actions.workspace import find_root
    from raymesh.spec.folders import product_names, source_names

    root = find_root(folder)
    if target.partition("__")[0] not in (known := [*source_names(root), *product_names(root)]):
        otherwise = "a file that ends in .parquet, .csv or .json, or domain.name of a source or product"
        hint = did_you_mean(target, known, otherwise=otherwise)
        raise NotFoundError(f"there is no file, source or product {target}", hint=hint)
    if _source_file(root, target).is_file():
        return infer_source(root, target, identifier=identifier or target, sample_rows=sample_rows)
    return _of_product(root, target, identifier or target, sample_rows, claim)


def infer_source(
    root: Path, name: str, *, identifier: str | None = None, sample_rows: int = 100_000, declared: bool = True
) -> dict[str, Any]:
    """A contract for the source `domain.name` of the mesh in `root`; its table is called as `identifier` ends.

    Without `declared` the source is looked at as it is, whatever columns its document declares.
    Raises NotFoundError without the source, SourceError when it cannot be read, DocumentsInvalidError.
    """
    from raymesh.actions.workspace import environment
    from raymesh.spec.folders import source_names
    from raymesh.spec.load import load_source
    from raymesh.spec.mesh_file import load_mesh_document

    file = _source_file(root, name)
    if not file.is_file():
        otherwise = f"raymesh new source {name} --location FILE"
        hint = did_you_mean(name, source_names(root), otherwise=otherwise)
        raise NotFoundError(f"there is no source {name}", hint=hint)
    env = environment(root)
    spec = load_source(file, env).model.model_dump(by_alias=True, exclude_none=True)
    s3 = load_mesh_document(root, env).model.storage.s3
    if "storage" not in spec and s3 is not None:
        spec["storage"] = s3.model_dump(by_alias=True, exclude_none=True)
    if not declared:
        spec.pop("columns", None)
    return _of_source(spec, root, identifier or name, sample_rows)


def infer_contract(
    con: duckdb.DuckDBPyConnection,
    relation: duckdb.DuckDBPyRelation,
    *,
    name: str,
    identifier: str,
    sample_rows: int = 100_000,
    minimum_rows: int = MINIMUM_ROWS,
) -> dict[str, Any]:
    """A contract for a table `name` with the rows of `relation` (of `con`), as an ODCS 3.2 document.

    The same rows give the same contract, in whatever order they come. Formats of text are looked for in about
    `sample_rows` rows; rules are proposed only when at least `minimum_rows` values support them.
    """
    con.execute("SET TimeZone = 'UTC'")
    found = profile(relation, sample_rows, minimum_rows)
    return contract_of(found, name=name, identifier=identifier, minimum_rows=minimum_rows)


def _of_source(spec: Mapping[str, Any], root: Path, identifier: str, sample_rows: int) -> dict[str, Any]:
    import duckdb

    adapter = registry.load("sources", spec["type"])()
    scan = SourceScan(spec["name"], spec["type"], spec, adapter.pin(spec, str(root)))
    with _connection() as con:
        try:
            relation = adapter.relation(con, scan, str(root))
            contract = infer_contract(
                con, relation, name=_short(identifier), identifier=identifier, sample_rows=sample_rows
            )
        except duckdb.Error as error:
            adapter.verify(scan, str(root), error)
            raise SourceError(f"source {spec['name']}: {str(error).splitlines()[0]}") from None
        adapter.verify(scan, str(root))
        return contract


def _of_product(
    root: Path, name: str, identifier: str, sample_rows: int, claim: Claim | None
) -> dict[str, Any]:
    from raymesh.actions.read import allowed, pin
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(root) as storage:
        pinned, _ = allowed(storage, name, pin(storage, name), claim, surface="infer")
        with _connection() as con:
            relation = _published(con, pinned, storage)
            return infer_contract(
                con, relation, name=_short(identifier), identifier=identifier, sample_rows=sample_rows
            )


def _published(con: duckdb.DuckDBPyConnection, pinned: Pinned, storage: Storage) -> duckdb.DuckDBPyRelation:
    """The rows of a version: its files where they are local and all may be seen, a copy of rows otherwise."""
    from raymesh.actions.read import open_engine, rows_of

    scan = pinned.scan
    if scan.view is None and not any("://" in file for file in scan.files):
        return con.sql(scan_sql(scan))
    engine = open_engine(storage)
    try:
        con.register("published", rows_of(engine, pinned))
        con.execute("CREATE TABLE copied AS SELECT * FROM published")
    finally:
        engine.close()
    return con.sql("SELECT * FROM copied")


@contextmanager
def _connection() -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    with tempfile.TemporaryDirectory(prefix="raymesh-infer-") as scratch:
        settings: dict[str, Any] = {
            "temp_directory": scratch,
            "preserve_insertion_order": False,
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
        }
        con = stoppable(duckdb.connect(config=settings))
        try:
            yield con
        finally:
            con.close()


def _file_spec(target: str) -> dict[str, Any] | None:
    """A source document for a path that names files; None for the name of a source or product."""
    plain = target.rstrip("/")
    path = Path(plain.removesuffix(".gz").removesuffix(".zst"))
    ending = path.suffix.lower()
    kind = _SUFFIXES.get(ending)
    if kind is None and Path(target).is_dir():
        kind = _kind_inside(Path(target))
    if kind is None:
        return None
    words = "".join(c if c.isalnum() else "_" for c in path.stem.lower()).strip("_")
    options = {"options": {"delimiter": "\t"}} if ending == ".tsv" else {}
    return {"type": kind, "name": words or "data", "location": target, **options}


def _kind_inside(folder: Path) -> str | None:
    kinds = (_SUFFIXES.get(p.suffix.lower()) for p in sorted(folder.rglob("*")))
    return next((kind for kind in kinds if kind), None)


def _source_file(root: Path, name: str) -> Path:
    domain, _, short = name.partition(".")
    return root / "domains" / domain / "sources" / f"{short}.yaml"


def _short(identifier: str) -> str:
    return identifier.rpartition(".")[2]
