from __future__ import annotations

import pytest

from raymesh.mesh.python import read_python


def read(text, **given):
    return read_python(text, "t.py", **given)


def problems(text, **given):
    return [(d.code, str(d.span).removeprefix("t.py:")) for d in read(text, **given).diagnostics]


def test_a_batch_transform_reads_its_input():
    reading = read(
        "from raymesh import batch\n"
        '@batch(input="Customer.households", size=4096, gpus=0.5)\n'
        "def transform(rows: 'pa.Table', scale=2): ...\n"
    )
    assert reading.form == "batch"
    assert [(r.name, str(r.span)) for r in reading.references] == [("customer.households", "t.py:2:14")]
    assert reading.bindings == {"rows": "customer.households"}
    assert reading.options == {"size": 4096, "gpus": 0.5}
    assert not reading.diagnostics


def test_a_dataset_transform_binds_every_parameter():
    reading = read(
        "import raymesh as mesh\n"
        '@mesh.product(inputs={"lines": "orders.lines", "rates": "source.rates"})\n'
        "def transform(lines, *, rates): ...\n"
    )
    assert reading.form == "dataset"
    assert reading.bindings == {"lines": "orders.lines", "rates": "source.rates"}
    assert [r.name for r in reading.references] == ["orders.lines", "source.rates"]
    assert not reading.diagnostics


@pytest.mark.parametrize(
    "head",
    [
        "from raymesh import batch\n@batch",
        "from raymesh import batch as b\n@b",
        "import raymesh\n@raymesh.batch",
        "import raymesh.mesh\n@raymesh.batch",
        "from raymesh.mesh.decorators import batch\n@batch",
    ],
)
def test_the_decorator_may_be_imported_in_every_way_python_has(head):
    reading = read(f'{head}(input="a.b")\ndef transform(x): ...')
    assert [r.name for r in reading.references] == ["a.b"]
    assert not reading.diagnostics


def test_a_class_is_a_transform_when_it_can_be_called():
    text = "from raymesh import batch\n@batch(input='a.b')\nclass transform:\n"
    whole = read(text + "  def __init__(self): ...\n  def __call__(self, rows): ...\n")
    assert whole.bindings == {"rows": "a.b"}
    assert not whole.diagnostics
    assert problems(text + "  pass\n")[0] == ("python-call", "3:7")


def test_after_sql_a_plain_function_is_a_batch_transform_without_inputs():
    reading = read("def transform(batch): ...", after_sql=True)
    assert (reading.form, reading.references, reading.diagnostics) == ("batch", (), ())
    assert problems(
        "from raymesh import batch\n@batch(input='a.b')\ndef transform(x): ...", after_sql=True
    ) == [("python-input", "2:14")]
    assert problems(
        "from raymesh import product\n@product(inputs={'x': 'a.b'})\ndef transform(x): ...", after_sql=True
    ) == [("python-input", "2:2")]


@pytest.mark.parametrize(
    ("annotation", "imports"),
    [
        ("ray.data.Dataset", "import ray"),
        ("Dataset", "from ray.data import Dataset"),
        ("data.Dataset", "from ray import data"),
    ],
)
def test_a_ray_dataset_needs_ray(annotation, imports):
    text = f"{imports}\nfrom raymesh import product\n@product(inputs={{'x': 'a.b'}})\ndef transform(x: {annotation}): ..."
    assert read(text).needs_ray
    assert not read(text.replace(annotation, "pl.LazyFrame")).needs_ray


def test_whole_table_annotations_make_a_dataset_transform_that_must_name_its_inputs():
    reading = read("def transform(lines: duckdb.DuckDBPyRelation): ...")
    assert reading.form == "dataset"
    (found,) = reading.diagnostics
    assert (found.code, str(found.span)) == ("python-parameters", "t.py:1:15")
    assert '@product(inputs={"lines"' in found.help


def test_a_product_may_read_nothing():
    reading = read("def transform(): ...")
    assert (reading.form, reading.references, reading.diagnostics) == ("dataset", (), ())


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("def transform(:", "python-syntax", "1:15"),
        ("x = '\0'", "python-syntax", "1:1"),
        ("from raymesh import batch\n@batch\ndef transform(x): ...", "python-decorator", "2:2"),
        ("from raymesh import product\n@product()\ndef transform(): ...", "python-input", "2:2"),
        (
            "from raymesh import batch\n@batch(input='a.b', size=0)\ndef transform(x): ...",
            "python-argument",
            "2:26",
        ),
        (
            "from raymesh import batch\n@batch(input='a.b', memory=2)\ndef transform(x): ...",
            "python-argument",
            "2:28",
        ),
        (
            "from raymesh import batch\nä = 1; é = 2\n@batch(input='ä', sise=3)\ndef transform(x): ...",
            "python-argument",
            "3:19",
        ),
        ("def other(): ...", "python-transform-missing", "1:1"),
        ("def transform(batch): ...", "python-input", "1:5"),
        ("@batch(input='a.b')\ndef transform(x): ...", "python-decorator", "1:2"),
        ("import raymesh\n@raymesh.bacth(input='a.b')\ndef transform(x): ...", "python-decorator", "2:2"),
        ("from raymesh import batch\n@batch(input=NAME)\ndef transform(x): ...", "python-literal", "2:14"),
        ("from raymesh import batch\n@batch('a.b')\ndef transform(x): ...", "python-argument", "2:8"),
        ("from raymesh import batch\n@batch(**X)\ndef transform(x): ...", "python-literal", "2:10"),
        (
            "from raymesh import batch\n@batch(input='a.b', sise=3)\ndef transform(x): ...",
            "python-argument",
            "2:21",
        ),
        (
            "from raymesh import batch\n@batch(input='a.b', size=n())\ndef transform(x): ...",
            "python-literal",
            "2:26",
        ),
        (
            "from raymesh import batch\n@batch(input='a.b')\ndef transform(x, y): ...",
            "python-parameters",
            "2:2",
        ),
        ("from raymesh import product\n@product(inputs=X)\ndef transform(): ...", "python-literal", "2:17"),
        (
            "from raymesh import product\n@product(inputs={K: 'a.b'})\ndef transform(): ...",
            "python-literal",
            "2:18",
        ),
        (
            "from raymesh import product\n@product(inputs={'x': 'a.b', 'y': 'c.d'})\ndef transform(x): ...",
            "python-parameters",
            "2:30",
        ),
        (
            "from raymesh import batch\n@batch(input='a.b')\nasync def transform(x): ...",
            "python-async",
            "3:11",
        ),
    ],
)
def test_every_mistake_has_a_code_and_a_place(text, code, place):
    assert (code, place) in problems(text)


def test_a_misspelt_transform_is_recognised():
    (found,) = read("def transfrom(batch): ...").diagnostics
    assert found.help == "`transfrom` must be called `transform`"


def test_user_code_is_never_run():
    read("raise SystemExit('run')\nimport os; os._exit(3)\ndef transform(x): ...")
