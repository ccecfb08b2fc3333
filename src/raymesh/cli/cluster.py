"""`raymesh cluster`: keep a Ray cluster on this machine, look at the configured one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from raymesh.cli.report import output_option, put, put_json, put_table, say, size

if TYPE_CHECKING:
    from raymesh.spi.clusters import ClusterStatus, KeptCluster


@click.group()
def cluster() -> None:
    """Keep a Ray cluster on this machine, so that builds attach to it instead of starting one."""


@cluster.command()
@output_option
@click.pass_obj
def start(folder: str | None, output: str) -> int:
    """Keep a cluster on this machine until `raymesh cluster stop`.

    It has what mesh.yaml says under engines.ray, asks for a token that only you can read, and belongs to you:
    whoever may use it may do what you may do.
    """
    from raymesh.actions.cluster import start as act

    kept = act(Path(folder) if folder else None)
    if output == "json":
        put_json("cluster-start/1", _kept_json(kept))
        return 0
    put(f"a cluster {'runs already' if kept.already else 'runs'} at {kept.address}")
    say("next: raymesh run --engine ray; raymesh cluster stop ends it")
    return 0


@cluster.command()
@output_option
@click.pass_obj
def status(folder: str | None, output: str) -> int:
    """Show the cluster that builds use: how it is found, its nodes, what is free. Nothing is started.

    Exit code: 0 it answers or none is configured, 1 it does not answer or refuses us.
    """
    from raymesh.actions.cluster import status as act

    found = act(Path(folder) if folder else None)
    if output == "json":
        put_json("cluster-status/1", {"cluster": asdict(found) if found else None})
    elif found is None:
        put("no cluster is configured or kept: every command starts its own")
        say("next: raymesh cluster start keeps one")
    else:
        _put_status(found)
    return 0


@cluster.command()
@output_option
def stop(output: str) -> int:
    """Stop the cluster kept on this machine, with every job on it. Other clusters are left alone."""
    from raymesh.actions.cluster import stop as act

    kept = act()
    if output == "json":
        put_json("cluster-stop/1", {"stopped": kept is not None, "address": kept.address if kept else None})
    else:
        put(f"stopped the cluster at {kept.address}" if kept else "no cluster is kept on this machine")
    return 0


def _kept_json(kept: KeptCluster) -> dict[str, object]:
    return {"address": kept.address, "pid": kept.pid, "log": kept.log, "already": kept.already}


def _put_status(found: ClusterStatus) -> None:
    guarded = "asks for a token" if found.token else "asks for NO token: everybody in its network may use it"
    put(f"{found.address} ({found.origin}), Ray {found.version}, {guarded}")
    rows = [
        (n.name, _amounts(n.total), _amounts(n.free), ", ".join(f"{k}={v}" for k, v in n.labels.items()))
        for n in found.nodes
    ]
    put_table(("node", "has", "free", "labels"), rows)


def _amounts(amounts: Mapping[str, float]) -> str:
    words = {"CPU": "cpus", "GPU": "gpus", "object_store_memory": "object store"}
    return ", ".join(
        f"{size(int(v))} {words.get(k, k)}" if "memory" in k else f"{v:g} {words.get(k, k)}"
        for k, v in amounts.items()
    )
