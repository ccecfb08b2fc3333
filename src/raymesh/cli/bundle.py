"""`raymesh bundle`: the policies in force, their number, and who signed them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from raymesh.cli.report import output_option, put, put_json, put_table, say


@click.group()
def bundle() -> None:
    """Policies and standards as one signed whole.

    With `governance.bundleKeys` in mesh.yaml only policies signed by one of the keys come into force, and never
    ones older than those that were.
    """


@bundle.command()
@click.argument("file", type=click.Path(path_type=Path))
def key(file: Path) -> int:
    """Make a signing key in FILE, or tell the public key of the one that is there."""
    from raymesh.actions.bundle_keys import public_key

    put(public_key(file))
    say("next: put it under governance.bundleKeys in mesh.yaml, then raymesh bundle sign --key FILE")
    return 0


@bundle.command()
@click.option(
    "--key", "file", type=click.Path(path_type=Path), required=True, help="File of the signing key."
)
@click.option("--version", type=click.IntRange(1), help="Number of the bundle; default: the next.")
@output_option
@click.pass_obj
def sign(folder: str | None, file: Path, version: int | None, output: str) -> int:
    """Sign the policies and standards as they are here."""
    from raymesh.actions.bundle_keys import sign as act
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(Path(folder) if folder else None) as storage:
        signed = act(storage, file, version)
    if output == "json":
        put_json(
            "bundle-sign/1", {"version": signed.version, "digest": signed.digest, "signer": signed.signer}
        )
    else:
        put(f"bundle {signed.version}, {signed.digest}, signed by {signed.signer}")
        say("next: raymesh bundle verify")
    return 0


@bundle.command()
@output_option
@click.pass_obj
def verify(folder: str | None, output: str) -> int:
    """Say whether the policies here may come into force; ends with 4 when not."""
    from raymesh.actions.bundle_keys import verify as act
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(Path(folder) if folder else None) as storage:
        problem, version, digest = act(storage, datetime.now(UTC))
    if output == "json":
        put_json(
            "bundle-verify/1",
            {"valid": problem is None, "version": version, "digest": digest, "problem": problem},
        )
    elif problem is None:
        put(f"✓ bundle {version}, {digest}")
    else:
        put(f"✗ {problem}")
    return 0 if problem is None else 4


@bundle.command()
@output_option
@click.pass_obj
def show(folder: str | None, output: str) -> int:
    """List the bundles that were in force, the newest first."""
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(Path(folder) if folder else None) as storage:
        found = storage.state.bundles.history()
    if output == "json":
        rows = [
            {"version": b.version, "digest": b.digest, "since": b.at.isoformat(), "signer": b.signer or None}
            for b in found
        ]
        put_json("bundle-show/1", {"bundles": rows})
    elif found:
        table = [(b.version, f"{b.at:%Y-%m-%d %H:%M:%S}", b.digest[:16], b.signer[:16] or "–") for b in found]
        put_table(("bundle", "since", "digest", "signed by"), table, right=(0,))
    else:
        say("no policies were in force yet; governance/policies holds them")
    return 0
