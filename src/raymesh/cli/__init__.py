"""The command line: `raymesh VERB`. Nothing heavy is imported before a verb is chosen."""

from __future__ import annotations


def main() -> None:
    """Entry point of the `raymesh` command; never returns normally, exits with a documented code."""
    from raymesh.cli.app import run

    run()
