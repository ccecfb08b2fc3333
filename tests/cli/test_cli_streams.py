"""Help, usage, streams: what every verb has in common."""

from __future__ import annotations

import re
import subprocess
import sys

import click
import pytest

from raymesh.cli.app import VERBS
from raymesh.cli.app import cli as group

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(cli, empty, verb):
    answer = cli(verb, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"Usage: raymesh {verb}")
    command = group.get_command(click.Context(group), verb)
    undescribed = [
        p.opts[-1]
        for p in command.params
        if isinstance(p, click.Option) and not p.help and p.opts[-1] not in ("--limit", "--type", "--format")
    ]
    assert not undescribed


def test_help_names_every_verb(cli):
    out = cli("--help").out
    assert "Usage: raymesh [OPTIONS] VERB [ARGS]..." in out
    assert all(re.search(rf"^  {verb} ", out, re.MULTILINE) for verb in VERBS)
    assert cli("-h").out == out


def test_no_verb_at_all_shows_the_help_and_is_wrong_usage(cli):
    answer = cli()
    assert answer.code == 2
    assert "Verbs:" in answer.out + answer.err


def test_version_is_the_packages(cli):
    from importlib.metadata import version

    assert cli("--version").out == f"raymesh {version('raymesh')}\n"


@pytest.mark.parametrize(
    ("typed", "meant"), [("red", "read"), ("lineag", "lineage"), ("rollbak", "rollback")]
)
def test_a_misspelled_verb_asks_what_was_meant(cli, typed, meant):
    answer = cli(typed)
    assert answer.code == 2
    assert f"Did you mean '{meant}'?" in answer.err


def test_a_misspelled_option_asks_what_was_meant(cli, built):
    answer = cli("read", "shop.orders", "--colums", "id")
    assert answer.code == 2
    assert "--columns" in answer.err


def test_output_elsewhere_than_on_a_terminal_has_no_control_characters(cli, built):
    for words in (
        ("ls",),
        ("show", "shop.orders"),
        ("history", "shop.orders"),
        ("plan",),
        ("read", "shop.x"),
    ):
        answer = cli(*words)
        assert not CONTROL.search(answer.out + answer.err), words


class Terminal:
    """A stream that says it is a terminal."""

    def __init__(self, stream):
        self._stream = stream

    def isatty(self):
        return True

    def __getattr__(self, name):
        return getattr(self._stream, name)


def test_errors_are_coloured_on_terminals_unless_no_color_is_set(capsys, built, monkeypatch):
    from raymesh.cli.report import show_error
    from raymesh.errors import NotFoundError

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stderr", Terminal(sys.stderr))
    show_error(NotFoundError("x"))
    assert "\x1b[" in capsys.readouterr().err
    monkeypatch.setenv("NO_COLOR", "1")
    show_error(NotFoundError("x"))
    assert "\x1b" not in capsys.readouterr().err


def test_binary_forms_are_kept_from_terminals(cli, built, monkeypatch):
    monkeypatch.setattr("sys.stdout", Terminal(sys.stdout))
    answer = cli("read", "shop.orders", "--format", "parquet")
    assert answer.code == 2
    assert "--to FILE" in answer.err


def test_a_file_that_cannot_be_written_is_an_error_not_a_trace(cli, built):
    answer = cli("read", "shop.orders", "--format", "csv", "--to", "/proc/x.csv")
    assert answer.code == 1
    assert answer.err.startswith("error[storage]: /proc/")
    assert "Traceback" not in answer.err


def test_a_fault_of_ours_is_told_as_one(cli, built, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("oops")

    monkeypatch.setattr("raymesh.actions.inspect.listing", broken)
    answer = cli("ls")
    assert answer.code == 1
    assert "error[internal]: RuntimeError: oops" in answer.err
    assert "please report it" in answer.err


@pytest.mark.parametrize("words", [("read", "shop.orders", "--format", "csv"), ("ls",), ("schema", "Mesh")])
def test_a_reader_that_has_enough_is_no_error(built, words):
    """The other end of the pipe is closed before anything is written."""
    process = subprocess.Popen(
        [sys.executable, "-m", "raymesh", *words],
        cwd=built,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), said) == (0, "")
