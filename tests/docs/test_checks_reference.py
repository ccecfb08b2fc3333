"""docs/reference/checks.md says what the code does, and leaves no promise of the standard out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from promises import elements
from raymesh.spec.contract_quality import METRICS, OPERATORS
from raymesh.spec.type_rules import OPTIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "checks.md"
WRITE = (
    "import sys; sys.path.insert(0, 'docs'); import generate; sys.stdout.write(generate.pages()['checks.md'])"
)


def test_the_page_of_checks_is_up_to_date():
    made = subprocess.run([sys.executable, "-c", WRITE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert PAGE.read_text(encoding="utf-8") == made.stdout, "make docs"


def test_every_promise_has_its_line():
    lines = [
        line.split(" | ")[0].removeprefix("| ") for line in PAGE.read_text(encoding="utf-8").splitlines()
    ]
    missing = [e for e in elements() if f"`{e}`" not in lines]
    assert not missing


def test_the_list_of_promises_is_that_of_the_standard():
    """Written here once more, by hand from the standard, so that a promise cannot vanish from both lists."""
    bounds = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    assert {name: set(options) for name, options in OPTIONS.items()} == {
        "string": {"minLength", "maxLength", "pattern", "format"},
        "date": {*bounds, "format"},
        "timestamp": {*bounds, "format", "timezone", "defaultTimezone"},
        "time": {*bounds, "format", "timezone", "defaultTimezone"},
        "integer": {*bounds, "multipleOf", "format"},
        "number": {*bounds, "multipleOf", "format"},
        "object": {"minProperties", "maxProperties", "required"},
        "array": {"minItems", "maxItems", "uniqueItems"},
        "vector": {
            "dimensions", "elementType", "distanceMetric", "embeddingModel", "embeddingModelVersion", "normalized",
        },
    }  # fmt: skip
    assert set(METRICS) == {"nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"}
    assert len(OPERATORS) == 8
    assert sum(e.startswith("slaProperties: ") for e in elements()) == 12


def test_the_tests_that_the_page_names_exist():
    sys.path.insert(0, str(ROOT / "docs"))
    from generate_checks import edges

    for element, (file, test) in edges().items():
        assert element in set(elements())
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), test
