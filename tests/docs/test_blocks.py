"""Commands, links and the tutorial of the documentation work as written."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from meshes import write_domain, write_mesh, write_product, write_source
from pages import PAGES, ROOT, Block, blocks, commands, without_blocks
from raymesh.cli.app import cli as group
from shops import Cli

SHOWN = [pytest.param(b, id=b.place) for page in PAGES for b in blocks(page) if list(commands(b))]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("block", SHOWN)
def test_every_command_shown_is_one_raymesh_understands(block: Block):
    for words in commands(block):
        context = click.Context(group, info_name="raymesh")
        command: click.Command = group
        arguments = words[2:] if words[:1] == ["-C"] else list(words)
        while isinstance(command, click.Group) and arguments[:1] and not arguments[0].startswith("-"):
            name, found, arguments = command.resolve_command(context, arguments)
            assert found is not None
            command, context = found, click.Context(found, info_name=name, parent=context)
        if arguments not in (["--help"], ["-h"], ["--version"]):
            command.make_context(command.name, list(arguments), parent=context.parent)


@pytest.mark.parametrize("page", [pytest.param(p, id=str(p.relative_to(ROOT))) for p in PAGES])
def test_internal_links_lead_somewhere(page: Path):
    broken = []
    for target in LINK.findall(without_blocks(page)):
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as code hosts make them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", without_blocks(page), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", text).replace(" ", "-"))
    return found


# the tutorial from its third section on, in a mesh that has a small orders.baskets


def small_retail(root: Path) -> Path:
    write_mesh(root)
    write_domain(root, "orders")
    lines = [f"{month},2017-{month:02}-15,{month}.50" for month in range(1, 13)]
    (root / "baskets.csv").write_text("\n".join(["id,order_date,sales_value", *lines]), encoding="utf-8")
    write_source(root, "orders.raw", "baskets.csv", "csv")
    columns = {"id": "bigint", "order_date": "date", "sales_value": "decimal(12,2)"}
    sql = "SELECT id, order_date, sales_value::decimal(12,2) AS sales_value FROM source.raw"
    write_product(root, "orders.baskets", columns, sql=sql)
    return root


def sections(page: Path) -> dict[int, list[Block]]:
    """The blocks of each numbered section."""
    text = page.read_text(encoding="utf-8").splitlines()
    starts = {
        int(line.split(".")[0][3:]): n for n, line in enumerate(text, 1) if re.match(r"## \d+\. ", line)
    }
    return {
        number: [
            b for b in blocks(page) if max((s for s in starts.values() if s < b.line), default=0) == start
        ]
        for number, start in starts.items()
    }


def written(root: Path, block: Block) -> None:
    """Put a YAML or SQL block where the text above it says."""
    products = root / "domains/finance/products"
    if block.language == "sql":
        (products / "euro_sales/transform.sql").write_text(block.text, encoding="utf-8")
        return
    keys = yaml.safe_load(block.text)
    named = keys["schema"][0]["name"] if "schema" in keys else ""
    file = products / named / "contract.yaml" if named else root / "domains/finance/sources/rates.yaml"
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump({**document, **keys}, sort_keys=False), encoding="utf-8")


class Reader:
    """Somebody who types the tutorial."""

    def __init__(self, cli: Cli, root: Path) -> None:
        self.cli = cli
        self.root = root

    def play(self, block: Block, *, code: int = 0) -> str:
        """Type every line of a block; what raymesh said. A run ends with `code`."""
        shell = [line for line in block.text.splitlines() if not line.startswith(("raymesh ", "echo"))]
        subprocess.run(["bash", "-ec", "\n".join(shell)], cwd=self.root, check=True)
        said = ""
        for words in commands(block):
            answer = self.cli(*words)
            assert answer.code == (code if words[0] == "run" else 0), (block.place, words, answer)
            said += answer.out + answer.err
        return said

    def follow(self, section: list[Block]) -> str:
        """A whole section: files are written as shown, commands typed."""
        said = ""
        for block in section:
            if block.language in ("yaml", "sql"):
                written(self.root, block)
            else:
                said += self.play(block)
        return said


def test_the_tutorial_does_what_it_says(capsys, tmp_path, monkeypatch):
    root = small_retail(tmp_path / "retail")
    monkeypatch.chdir(root)
    reader = Reader(Cli(capsys), root)
    parts = sections(ROOT / "docs" / "tutorial.md")
    assert reader.cli("run", "--quiet").code == 0
    reader.follow(parts[3])
    assert "1.0614" in reader.follow(parts[4])
    assert "orders.baskets" in reader.follow(parts[5])
    broken, served, repaired = parts[6]
    said = reader.play(broken, code=4)
    assert "✗ finance.exchange_rates: blocked" in said
    assert "finance.euro_sales: skipped" in said
    assert "11.229" in reader.cli("show", "finance.exchange_rates").out
    assert "1.1229" in reader.play(served)
    assert "finance.euro_sales" in reader.play(repaired)
    rates = root / "data/rates.csv"
    rates.write_text(rates.read_text(encoding="utf-8").replace("1.1836", "1.9"), encoding="utf-8")
    assert reader.cli("run", "finance.exchange_rates", "--quiet").code == 0
    assert "the rows of version 1" in reader.follow(parts[7])
    assert "1.1836" in reader.cli("read", "finance.exchange_rates").out
