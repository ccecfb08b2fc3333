"""`python -m benchmarks [SUITE …]`: measure and write benchmarks/README.md."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version

from benchmarks import (
    audit,
    contract,
    contract_append,
    customer_360,
    documents,
    governance_decide,
    governed_read,
    memory,
    ray_customer_360,
    ray_map,
    ray_scaling,
)
from benchmarks.measure import HERE, Figure, machine

SUITES: dict[str, tuple[str, Callable[..., Iterator[Figure]]]] = {
    "customer_360": ("A governed product, TPC-H scale 1", customer_360.run),
    "ray_customer_360": ("SQL on a Ray cluster, TPC-H", ray_customer_360.run),
    "ray_scaling": ("More processors than this machine has: a model", ray_scaling.run),
    "ray_map": ("A Python batch product on a Ray cluster", ray_map.run),
    "memory": ("More data than memory", memory.run),
    "contract": ("A contract over 20 million rows", contract.run),
    "contract_append": ("Judging an append", contract_append.run),
    "audit": ("The audit log", audit.run),
    "governance_decide": ("Decisions about access", governance_decide.run),
    "governed_read": ("Reading through policies", governed_read.run),
    "documents": ("Everyday commands", documents.run),
}

HEAD = """# Benchmarks

`make bench` measures everything below in one run on one machine and writes this page. The machines are noisy: trust
the ratios, which are medians of pairs measured in turn, more than the seconds. `python -m benchmarks SUITE` runs one
suite and prints it.

"""


def main(names: list[str]) -> None:
    chosen = names or list(SUITES)
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine()}, duckdb {version('duckdb')}, pyarrow {version('pyarrow')}.\n"
    ]
    for name in chosen:
        title, suite = SUITES[name]
        lines += [f"## {title}\n", "| what | measured | bar | met |", "|---|---|---|---|"]
        notes = []
        for figure in suite():
            met = {True: "yes", False: "**no**", None: ""}[figure.met]
            lines.append(f"| {figure.what} | {figure.value} | {figure.bar} | {met} |")
            print(f"{figure.what}: {figure.value} (bar {figure.bar or 'none'}, met {met or '-'})", flush=True)
            if figure.note:
                notes.append(f"- {figure.what}: {figure.note}.")
        lines += ["", *notes, ""]
    if not names:
        (HERE / "README.md").write_text(HEAD + "\n".join(lines).rstrip() + "\n")


main(sys.argv[1:])
