"""Completion of verbs, products and selections from folders alone."""

from __future__ import annotations

import pytest
from click.shell_completion import ShellComplete

from raymesh.cli.app import cli as group


def completed(*words: str) -> list[str]:
    """What the shell offers after these words, of which the last is being typed."""
    *before, incomplete = words
    items = ShellComplete(group, {}, "raymesh", "_RAYMESH_COMPLETE").get_completions(list(before), incomplete)
    return [item.value for item in items if item.type == "plain"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("val",), ["validate"]),
        (("read", "shop.o"), ["shop.orders"]),
        (("show", "shop.t"), ["shop.totals"]),
        (("run", "+shop.l"), ["+shop.large"]),
        (("run", "dom"), ["domain:shop"]),
        (("run", "shop.orders", "shop.t"), ["shop.totals"]),
        (("run", "domain:shop,!shop.l"), ["domain:shop,!shop.large"]),
        (("run", "sta"), ["state:changed", "state:new"]),
        (("infer", "shop.r"), ["shop.raw_orders"]),
        (("new", "product", "sh"), ["shop."]),
        (("read", "nothing"), []),
    ],
)
def test_names_are_completed(shop, words, offered):
    assert completed(*words) == offered


def test_the_mesh_of_the_option_is_looked_at(shop, monkeypatch):
    monkeypatch.chdir(shop.parent)
    assert completed("read", "shop.o") == []
    assert completed("-C", "shop", "read", "shop.o") == ["shop.orders"]


def test_documents_need_not_be_readable(shop):
    (shop / "mesh.yaml").write_text("{[", encoding="utf-8")
    assert completed("read", "shop.o") == ["shop.orders"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed_or_installed(cli, empty, monkeypatch, shell):
    monkeypatch.setenv("HOME", str(empty))
    script = cli("completion", shell).out
    assert "_RAYMESH_COMPLETE" in script
    answer = cli("completion", shell, "--install")
    assert answer.code == 0
    written = answer.out.split()[1]
    assert written.startswith(str(empty))
    with open(written, encoding="utf-8") as file:
        assert file.read() == script


def test_an_unknown_shell_is_refused(cli, empty):
    assert cli("completion", "tcsh").code == 2
