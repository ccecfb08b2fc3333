"""The command line: `raymesh VERB`. Nothing heavy is imported before a verb is chosen."""

from __future__ import annotations


def main() -> None:
    """Entry point of the `raymesh` command; never returns normally, exits with a documented code."""
    import gc

    from raymesh.cli.app import run

    # Loading libraries makes a million objects and next to no garbage, so it is looked for less often.
    gc.set_threshold(20_000, 10, 10)
    run()
