"""What decorators keep, and that they change nothing else."""

from __future__ import annotations

import subprocess
import sys

from raymesh.mesh.decorators import batch, declared, product


def test_a_decorated_function_is_the_same_function() -> None:
    def transform(rows):
        return rows

    assert batch(input="d.a", size=10)(transform) is transform
    assert declared(transform) == {"kind": "batch", "input": "d.a", "size": 10}


def test_a_class_can_be_decorated() -> None:
    @product(inputs={"rows": "d.a"}, gpus=0.5)
    class transform:
        def __call__(self, rows):
            return rows

    assert declared(transform) == {"kind": "dataset", "inputs": {"rows": "d.a"}, "gpus": 0.5}
    assert transform()(3) == 3


def test_an_undecorated_function_declares_nothing() -> None:
    assert declared(lambda rows: rows) is None


def test_decorators_import_no_library() -> None:
    code = "import sys, raymesh.mesh.decorators; print(*(m for m in ('duckdb', 'pyarrow', 'pydantic') if m in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
