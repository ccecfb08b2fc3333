"""The command group: verbs are found by name and imported only when called."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from raymesh.errors import MeshError

# verb -> (module, one line of help). The line stands here so that `--help` imports no verb.
VERBS: dict[str, tuple[str, str]] = {
    "init": ("create", "Start a new mesh in a folder."),
    "demo": ("demo", "Write the retail mesh as ordinary files and build it."),
    "new": ("create", "Add a domain, a source or a product to the mesh."),
    "infer": ("infer", "Propose a contract from data."),
    "validate": ("validate", "Check every document and transform; nothing is read or built."),
    "plan": ("plan", "Show what a run would build, and why."),
    "run": ("run", "Build, check and publish products."),
    "read": ("read", "Print or export a product's rows."),
    "sql": ("sql", "Answer one SELECT over products."),
    "ls": ("inspect", "List domains and products with their state."),
    "show": ("inspect", "Show one product: contract, versions, checks."),
    "lineage": ("lineage", "Show where a product or a column comes from and goes to."),
    "history": ("inspect", "List the versions and runs of a product."),
    "diff": ("inspect", "Compare two versions of a product."),
    "rollback": ("versions", "Serve an older version again."),
    "maintain": ("versions", "Compact files, expire old versions, remove orphans."),
    "schema": ("schema", "Print the JSON Schema of a kind of document."),
    "doctor": ("doctor", "Report versions, extras, storage and database in one block."),
    "completion": ("completion", "Print or install shell completion."),
}


class Verbs(click.Group):
    """A click group whose commands live in `raymesh.cli.<module>`, function `<verb>`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = import_module(f"raymesh.cli.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            from difflib import get_close_matches

            close = get_close_matches(args[0], VERBS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else " See 'raymesh --help'."
            raise click.UsageError(f"No such verb '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"raymesh {version('raymesh')}")
        ctx.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "-C", "--mesh", "folder", metavar="DIR", help="Folder of mesh.yaml; default: here or the nearest above."
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.pass_context
def cli(ctx: click.Context, folder: str | None) -> None:
    """A data mesh that runs: domains own data products as code, contracts decide what is published."""
    ctx.obj = folder


def run(arguments: list[str] | None = None) -> None:
    """Run one command line and exit: 0 fine, 1 failed, 2 usage, 3 documents invalid, 4 checks failed,
    6 access denied, 130 interrupted."""
    try:
        code: Any = cli.main(args=arguments, prog_name="raymesh", standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.Abort:
        code = 130
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        code = 130
    except click.ClickException as wrong:
        wrong.show()
        code = 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except MeshError as error:
        from raymesh.cli.report import show_error

        show_error(error)
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)
