"""Looking at the package and at heads must not load what only staging needs."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def loaded(code: str, tmp_path) -> set[str]:
    """The heavy modules a fresh process has loaded after `code`."""
    heavy = ("sqlalchemy", "pyarrow", "pyiceberg", "duckdb", "raymesh.adapters.iceberg.store")
    script = textwrap.dedent(code) + f"\nimport sys\nprint([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60
    )
    return set(eval(done.stdout.strip().splitlines()[-1]))


def test_importing_the_package_loads_nothing(tmp_path):
    assert loaded("import raymesh.adapters.iceberg", tmp_path) == set()


def test_heads_need_only_the_database(tmp_path):
    code = """
    from raymesh.adapters.iceberg import IcebergTables
    from raymesh.adapters.state import SqlStateStore
    state = SqlStateStore("sqlite:///mesh.db", root=".")
    state.migrate()
    tables = IcebergTables(warehouse="warehouse", root=".", state=state)
    assert tables.heads(["a.b"]) == {}
    tables.location("a.b")
    """
    assert loaded(code, tmp_path) == {"sqlalchemy", "raymesh.adapters.iceberg.store"}


def test_an_unknown_name_is_an_attribute_error():
    import pytest

    import raymesh.adapters.iceberg as package

    with pytest.raises(AttributeError, match="Nonsense"):
        package.Nonsense  # noqa: B018
