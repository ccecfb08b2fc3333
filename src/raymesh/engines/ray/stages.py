"""A staged query as data: what runs where, over what, and why. Picklable, without rows and without Ray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from raymesh.engines.ray.relations import Column

How = Literal["files", "whole", "exchange"]
Runs = Literal["files", "partitions", "one"]


@dataclass(frozen=True, slots=True)
class Read:
    """What a stage sees under the name `alias`.

    `source` is an input, or a stage when `staged`. `how` a task gets it:
    files      a share of its files (of an input) or of the pieces it was made in (of a stage)
    whole      all of it in every task
    exchange   the rows of one partition: those whose `key` columns hash to it
    `columns` are the ones that travel, in their exact types; `file` is the one with the path of the file that a row
    of an input comes from, if any. Rows and bytes are estimates.
    """

    alias: str
    source: str
    staged: bool
    how: How
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    rows: float = 0
    bytes: float = 0
    file: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """One SELECT and the tables it reads.

    `runs`: once per share of files, once per partition, or once, with the resources of a whole node.
    `spread` names reads whose rows of one partition may be dealt out to several tasks when they are too many, the
    others given to each. `places` are (byte of the text, line, column of the user's file) of what may fail there.
    """

    name: str
    sql: str
    reads: tuple[Read, ...]
    runs: Runs
    columns: tuple[Column, ...]
    why: str
    rows: float = 0
    bytes: float = 0
    spread: tuple[str, ...] = ()
    places: tuple[tuple[int, int, int], ...] = ()

    @property
    def exchanged(self) -> tuple[Read, ...]:
        return tuple(r for r in self.reads if r.how == "exchange")


@dataclass(frozen=True, slots=True)
class StagedQuery:
    """Stages in an order in which they can run; the last one makes the rows of the query.

    Without stages the statement runs as it stands, in one task: `why` says why.
    """

    stages: tuple[Stage, ...]
    why: str
    inputs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def last(self) -> Stage:
        return self.stages[-1]

    @property
    def apart(self) -> bool:
        """Whether any of it runs in several tasks."""
        return any(s.runs != "one" for s in self.stages)
