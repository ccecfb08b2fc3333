"""`@batch` and `@product`: what a transform.py says about itself.

They change nothing about what they decorate and import nothing: the mesh reads their arguments from the
syntax tree, engines read them from the plan. At run time they only keep what was said, for people and tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

T = TypeVar("T", bound=Callable[..., Any])

ATTRIBUTE = "__raymesh__"
"""Where a decorated function or class keeps its declaration."""


def batch(
    *,
    input: str | None = None,  # noqa: A002 - the word users read
    size: int | None = None,
    cpus: float | None = None,
    gpus: float | None = None,
    memory: str | None = None,
    concurrency: int | None = None,
) -> Callable[[T], T]:
    """Declare `transform` as row-local: it is called with one batch at a time and returns its rows.

    `input` is the product or source it reads (`"customer.households"`); leave it out when a transform.sql
    beside the file makes the rows. `size` is rows per batch (default 65,536). `cpus`, `gpus`, `memory`
    (`"2GB"`) and `concurrency` are what each call needs on the ray engine. The annotation of the parameter
    chooses the form: pa.Table, pa.RecordBatch, pl.DataFrame, pd.DataFrame, dict of NumPy arrays. A class is
    instantiated once per worker and then called.

    Example:
        >>> @batch(input="customer.households", size=10_000)
        ... def transform(batch):
        ...     return batch
    """
    said = {
        "input": input,
        "size": size,
        "cpus": cpus,
        "gpus": gpus,
        "memory": memory,
        "concurrency": concurrency,
    }
    return _keep("batch", said)


def product(
    *,
    inputs: Mapping[str, str],
    cpus: float | None = None,
    gpus: float | None = None,
    memory: str | None = None,
) -> Callable[[T], T]:
    """Declare `transform` as taking whole inputs: `inputs` binds each parameter to a product or source.

    Annotations choose the form: duckdb.DuckDBPyRelation and pl.LazyFrame leave the data on disk, pa.Table,
    pl.DataFrame and pd.DataFrame load it, ray.data.Dataset needs the ray engine.

    Example:
        >>> @product(inputs={"lines": "orders.order_lines"})
        ... def transform(lines):
        ...     return lines
    """
    return _keep("dataset", {"inputs": dict(inputs), "cpus": cpus, "gpus": gpus, "memory": memory})


def declared(transform: Any) -> dict[str, Any] | None:
    """What a decorator said about `transform` (`kind` and its arguments), None without one."""
    found: dict[str, Any] | None = getattr(transform, ATTRIBUTE, None)
    return found


def _keep(kind: Literal["batch", "dataset"], said: Mapping[str, Any]) -> Callable[[T], T]:
    def decorate(transform: T) -> T:
        setattr(transform, ATTRIBUTE, {"kind": kind, **{k: v for k, v in said.items() if v is not None}})
        return transform

    return decorate
