"""What only a process of its own can show: imports, Ctrl-C, the installed command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

import raymesh
from meshes import write_mesh, write_product, write_source
from shops import process, write_shop

HEAVY = (
    "duckdb",
    "pyarrow",
    "sqlalchemy",
    "pydantic",
    "sqlglot",
    "rich",
    "pyiceberg",
    "pandas",
    "polars",
    "ray",
)
SPY = """
import sys
from raymesh.cli.app import run
try:
    run({words!r})
finally:
    print("loaded:", *sorted(set({heavy!r}) & set(sys.modules)), file=sys.stderr)
"""


UNUSED = (
    "pyiceberg.catalog",
    "raymesh.actions.contracts",
    "raymesh.adapters.sources.csv_files",
    "raymesh.adapters.sources.json_files",
    "raymesh.adapters.state.agreements",
    "raymesh.engines.kernel.stream",
    "raymesh.governance.standards",
    "sqlalchemy.dialects.postgresql",
)


def loaded(cwd: Path, *words: str, heavy: tuple[str, ...] = HEAVY) -> set[str]:
    """Packages of `heavy` that a command imports."""
    code = SPY.format(words=list(words), heavy=heavy)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"loaded: ?(.*)", done.stderr)[0].split())


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("read", "--help"), ("--version",)])
def test_help_imports_nothing_heavy(tmp_path, words):
    assert loaded(tmp_path, *words) == set()


def test_read_imports_only_what_reading_needs(built):
    found = loaded(built, "read", "shop.orders")
    assert not found & {"pyiceberg", "sqlglot", "rich", "pandas", "polars", "ray"}
    assert "sqlglot" in loaded(built, "read", "shop.orders", "--where", "id > 1")


def test_a_first_build_imports_only_what_it_uses(tmp_path):
    root = write_mesh(tmp_path / "mesh")
    write_parquet(root / "numbers.parquet")
    write_source(root, "shop.numbers", "numbers.parquet", "parquet")
    write_product(root, "shop.large", {"i": "bigint"}, sql="SELECT i FROM source.numbers WHERE i > 3")
    assert loaded(root, "run", "--quiet", heavy=UNUSED) == set()
    assert loaded(root, "run", "--quiet", "--refresh", heavy=UNUSED) == {"raymesh.actions.contracts"}


def write_parquet(path: Path) -> None:
    duckdb.sql("SELECT i FROM range(10) t(i)").write_parquet(str(path))


@pytest.mark.parametrize(
    "words", [("run", "--quiet"), ("read", "shop.orders"), ("sql", "SELECT 1 AS one")], ids=" ".join
)
def test_a_command_ends_without_words_of_its_libraries(request, words):
    place = request.getfixturevalue("shop" if words[0] == "run" else "built")
    done = process(*words, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "leaked" not in done.stdout + done.stderr


def test_completing_a_product_imports_nothing_heavy(built):
    code = f"import sys; from raymesh.cli import main\ntry: main()\nfinally: print(set({HEAVY!r}) & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=built,
        env={
            **os.environ,
            "_RAYMESH_COMPLETE": "bash_complete",
            "COMP_WORDS": "raymesh read shop.",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["plain,shop.large", "plain,shop.orders", "plain,shop.totals", "set()"]


def test_importing_raymesh_is_cheap(tmp_path):
    code = f"import sys, raymesh; print(set({HEAVY!r}) & set(sys.modules), 'raymesh.api' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["set()", "False"]


SLOW = """
import time
from pathlib import Path
from raymesh import product

@product(inputs={"orders": "shop.orders"})
def transform(orders):
    Path(HERE).touch()
    time.sleep(60)
    return orders.project("id")
"""


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_with_130_and_publishes_nothing_half(tmp_path, asked):
    root = write_shop(tmp_path / "shop")
    began = tmp_path / "began"
    write_product(root, "shop.slow", {"id": "bigint"}, python=SLOW.replace("HERE", repr(str(began))))
    write_product(root, "shop.after", {"id": "bigint"}, sql="SELECT id FROM shop.slow")
    running = subprocess.Popen(
        [sys.executable, "-m", "raymesh", "run", "shop.orders", "shop.slow+"],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not began.exists() and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert began.exists(), running.communicate(timeout=5)
        running.send_signal(asked)
        out, err = running.communicate(timeout=30)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 130, err
    assert "stopping; what is published stays" in err
    assert "1 published, 2 interrupted" in out
    assert "raymesh run goes on where this one stopped" in err
    with raymesh.Mesh.load(root) as mesh:
        assert mesh.product("shop.orders").version == 1
        assert mesh.product("shop.slow").version is None
    assert not list((root / ".raymesh" / "warehouse").glob("**/slow/**/*.parquet"))
    write_product(root, "shop.slow", {"id": "bigint"}, sql="SELECT id FROM shop.orders")
    assert process("run", "shop.slow+", cwd=root).returncode == 0


def test_the_module_is_the_command(tmp_path):
    done = process("--version", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("raymesh ")
