"""docs/reference says what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_reference_pages_are_up_to_date():
    """`make docs` writes them; docs/meanings.py holds the words for keys and codes."""
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_every_verb_document_and_error_has_its_place():
    from raymesh.cli.app import VERBS
    from raymesh.cli.documents import DOCUMENTS
    from raymesh.spec.kinds import KINDS

    cli, documents, json = (
        (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")
        for name in ("cli", "documents", "json")
    )
    assert all(f"## raymesh {verb}\n" in cli for verb in VERBS)
    assert all(f"## {kind}: " in documents for kind in KINDS)
    assert all(f"## raymesh/{name}\n" in json for name in DOCUMENTS)
