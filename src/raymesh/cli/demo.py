"""`raymesh demo`: a whole mesh on real data in a minute."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from shutil import which

import click

from raymesh.cli.report import output_option, put, say


@click.command()
@click.argument("directory", type=click.Path(file_okay=False), default="retail")
@click.option("--engine", type=click.Choice(["local", "ray"]), help="Where to build; default: local.")
@click.option("--jobs", "-j", type=click.IntRange(1, 64), help="Products built side by side.")
@output_option
def demo(directory: str, engine: str | None, jobs: int | None, output: str) -> int:
    """Write the retail mesh into DIRECTORY as ordinary files, then build it.

    Real data of a grocery chain (1.5 M purchases, 21 M promotions); contact data is synthetic and says so.
    Run again, everything is unchanged. Edit any file and run again to see what follows.
    """
    from raymesh.actions.demo import write_demo
    from raymesh.actions.invocation import RunOptions, default_jobs
    from raymesh.actions.workspace import open_workspace
    from raymesh.cli.run import perform

    root = Path(directory)
    fresh = write_demo(root)
    say(f"{'wrote the retail mesh to' if fresh else 'found the retail mesh in'} {root}/")
    options = RunOptions(engine=engine, jobs=jobs or default_jobs())
    with open_workspace(root) as workspace:
        finished = perform(workspace, workspace.graph.order, options, output=output)
    if output == "text" and finished.exit_code == 0:
        put(NEXT.format(directory=directory, activate=activation()))
    return finished.exit_code


def activation() -> str:
    """The line that puts `raymesh` on the path of a shell that does not have it, or nothing."""
    script = Path(sys.prefix) / "bin" / "activate"
    if which("raymesh") is not None or not script.is_file():
        return ""
    return f"  source {os.path.relpath(script)}\n"


NEXT = """
next:
{activate}  cd {directory}
  raymesh ls                                          # what was published
  raymesh read customer.customer_360 --limit 5        # its rows
  raymesh show customer.customer_360                  # its contract and checks
  raymesh lineage analytics.cross_domain_insights     # where it comes from
  raymesh sql "select customer_tier, count(*) from customer.customer_360 group by all"
  # edit a file under domains/, then:
  raymesh plan && raymesh run"""
