"""The command group: verbs are found by name and imported only when called."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from importlib import import_module
from typing import Any

import click

from raymesh.cli.interrupt import heard_at_once, was_heard
from raymesh.errors import DiskFullError, InternalError, MeshError, StorageError

# verb -> (module, one line of help). The line stands here so that `--help` imports no verb.
VERBS: dict[str, tuple[str, str]] = {
    "init": ("create", "Start a new mesh in a folder."),
    "demo": ("demo", "Write the retail mesh as ordinary files and build it."),
    "new": ("create", "Add a domain, a source or a product to the mesh."),
    "infer": ("infer", "Propose a contract from data."),
    "validate": ("validate", "Check every document and transform; nothing is read or built."),
    "plan": ("plan", "Show what a run would build, and why."),
    "run": ("run", "Build, check and publish products."),
    "check": ("check", "Judge a published product, or data against a contract, without building."),
    "read": ("read", "Print or export a product's rows."),
    "sql": ("sql", "Answer one SELECT over products."),
    "ls": ("inspect", "List domains and products with their state."),
    "show": ("inspect", "Show one product: contract, versions, checks."),
    "lineage": ("lineage", "Show where a product or a column comes from and goes to."),
    "history": ("inspect", "List the versions and runs of a product."),
    "contract": ("contract", "Compare two contracts for those who read the product."),
    "diff": ("inspect", "Compare two versions of a product."),
    "profile": ("profile", "Tell what is in the columns of a product, and what changed."),
    "quarantine": ("quarantine", "List, show and replay rows that broke a promise and were set aside."),
    "rollback": ("versions", "Serve an older version again."),
    "maintain": ("versions", "Compact files, expire old versions, remove orphans."),
    "access": ("access", "Ask for access to a product, decide, renew, revoke."),
    "audit": ("audit", "Show and prove what was done with the mesh."),
    "policy": ("policy", "Explain, test, compare and list policies."),
    "bundle": ("bundle", "Sign and verify the policies in force."),
    "token": ("token", "Make a token for a user of this mesh."),
    "cluster": ("cluster", "Keep a Ray cluster on this machine, look at the one in use."),
    "classify": ("classify", "Propose, confirm and review the tags of columns."),
    "governance": ("governance", "Report how the mesh keeps to its standards."),
    "facts": ("facts", "Answer one SELECT over what is known about the mesh."),
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

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; an error is told while the context still knows the mesh folder and `--output`."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            _forget_stdout()
            return 0
        except Exception as error:  # the last boundary
            if was_heard():
                raise KeyboardInterrupt from error
            return _told(_as_ours(error), ctx)


def _as_ours(error: Exception) -> MeshError:
    if isinstance(error, MeshError):
        return error
    if isinstance(error, OSError):
        return _file_error(error)
    if isinstance(error, RuntimeError) and str(error) == "Query interrupted":
        raise KeyboardInterrupt from error  # so does DuckDB tell of Ctrl-C during a statement
    return InternalError(f"{type(error).__name__}: {error}", traceback.format_exc())


def _told(error: MeshError, ctx: click.Context) -> int:
    from raymesh.cli.report import put_error, show_error

    show_error(error)
    if ctx.meta.get("raymesh.output") == "json":
        put_error(error)
    return error.exit_code


def _file_error(error: OSError) -> MeshError:
    """What the operating system refused, as a sentence: `out/x.csv: No such file or directory`."""
    named = f"{error.filename}: " if error.filename else ""
    if error.errno == errno.ENOSPC:
        return DiskFullError(f"{named}no space left", hint="make room, then try again; nothing was lost")
    return StorageError(
        f"{named}{error.strerror or error}", hint="does the folder exist, and may you write there?"
    )


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"raymesh {version('raymesh')}")
        ctx.exit()


@click.group(
    cls=Verbs,
    subcommand_metavar="VERB [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
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
    code = _code(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
    sys.exit(code)


def _code(arguments: list[str] | None) -> int:
    try:
        with heard_at_once():
            code: Any = cli.main(args=arguments, prog_name="raymesh", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as wrong:
        wrong.show()
        return 2
    return code if isinstance(code, int) else 0


def _forget_stdout() -> None:
    """Whoever read our output has enough; what is still buffered goes nowhere, silently."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
