"""Python transforms: every form of rows, batch by batch or whole; every way user code can fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raymesh.errors import (
    CancelledError,
    ConformError,
    TransformError,
    TransformMemoryError,
    TransformTimeoutError,
)
from raymesh.spi.conformance.engine_opened import (
    PYTHON_FILE,
    SQL_FILE,
    OpenedEngine,
    column,
    columns,
    scan,
    short,
    stopping_after,
)

if TYPE_CHECKING:
    from raymesh.spi.conformance.engine_opened import Bench

NUMBERS = "select range::bigint as a, 'n' || range as b from range(5)"

BATCH_FORMS = [
    "import pyarrow as pa\ndef transform(batch: pa.Table) -> pa.Table: return batch.select(['a'])",
    "import pyarrow as pa\ndef transform(batch: pa.RecordBatch): return batch.select(['a'])",
    "def transform(batch): return batch.select(['a'])",
    "def transform(batch: 'pa.Table'): return batch.select(['a'])",
    "from __future__ import annotations\nimport pyarrow as pa\ndef transform(batch: pa.Table): yield batch.select(['a'])",
    "import polars as pl\ndef transform(batch: pl.DataFrame): return batch.select('a')",
    "import pandas as pd\ndef transform(batch: pd.DataFrame): return batch[['a']]",
    "def transform(batch: dict): return {'a': batch['a']}",
    "import numpy as np\ndef transform(batch: dict[str, np.ndarray]): return {'a': batch['a']}",
    "class transform:\n def __init__(self): self.kept = ['a']\n def __call__(self, batch): return batch.select(self.kept)",
]

WHOLE_FORMS = [
    "import duckdb\ndef transform(rows: duckdb.DuckDBPyRelation): return rows.project('a')",
    "import duckdb\ndef transform(rows: duckdb.DuckDBPyRelation): return duckdb.sql('select a from rows')",
    "import pyarrow as pa\ndef transform(rows: pa.Table): return rows.select(['a'])",
    "import polars as pl\ndef transform(rows: pl.LazyFrame): return rows.select('a')",
    "import polars as pl\ndef transform(rows: pl.DataFrame): return rows.select('a')",
    "import pandas as pd\ndef transform(rows: pd.DataFrame): return rows[['a']]",
    "def transform(rows):\n for batch in rows.to_batches(): yield batch.select(['a'])",
]

WRONG_RETURNS = ["None", "5", "'text'", "[1, 2]", "{'a': [1], 'b': [1, 2]}"]


class PythonConformance(OpenedEngine):
    tells_how_processes_end = True
    """Whether the engine is the parent of the processes that run user code, and so knows how they end."""

    @pytest.mark.parametrize("code", BATCH_FORMS, ids=short)
    def test_a_batch_function_gets_the_form_it_asks_for(self, bench: Bench, code: str) -> None:
        staged = bench.python(code, columns(a="bigint"), sql=NUMBERS)
        assert sorted(r["a"] for r in bench.rows(staged)) == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize("code", WHOLE_FORMS, ids=short)
    def test_a_dataset_function_gets_the_form_it_asks_for(self, bench: Bench, code: str) -> None:
        bench.inputs = {"d.a": scan(bench.sql(NUMBERS))}
        staged = bench.python(code, columns(a="bigint"), bindings={"rows": "d.a"})
        assert sorted(r["a"] for r in bench.rows(staged)) == [0, 1, 2, 3, 4]

    def test_a_batch_function_may_read_an_input_directly(self, bench: Bench) -> None:
        bench.inputs = {"d.a": scan(bench.sql(NUMBERS))}
        assert len(bench.rows(bench.python("def transform(batch): return batch"))) == 5

    @pytest.mark.parametrize(
        "code",
        [
            "import pandas as pd\ndef transform(batch: pd.DataFrame): return batch",
            "import polars as pl\ndef transform(batch: pl.DataFrame): return batch",
            "def transform(batch: dict): return batch",
            "def transform(batch): return batch",
        ],
        ids=short,
    )
    def test_large_integers_beside_nulls_survive_every_form(self, bench: Bench, code: str) -> None:
        sql = "select unnest([9007199254740993, null]) as a, unnest([true, null]) as b, unnest(['x', null]) as c"
        staged = bench.python(code, columns(a="bigint", b="boolean", c="varchar"), sql=sql)
        assert bench.rows(staged) == [
            {"a": 9007199254740993, "b": True, "c": "x"},
            {"a": None, "b": None, "c": None},
        ]

    @pytest.mark.parametrize(
        "code", [BATCH_FORMS[0], BATCH_FORMS[5], BATCH_FORMS[6], BATCH_FORMS[7]], ids=short
    )
    def test_no_rows_in_are_no_rows_out(self, bench: Bench, code: str) -> None:
        staged = bench.python(code, columns(a="bigint"), sql=f"from ({NUMBERS}) where a < 0")
        assert staged.files == ()

    def test_modules_beside_the_transform_can_be_imported(self, bench: Bench) -> None:
        plan = bench.python_plan(
            "from ratio import half\ndef transform(batch): return half(batch)",
            columns(a="bigint"),
            sql=NUMBERS,
        )
        beside = (bench.root / PYTHON_FILE).parent / "ratio.py"
        beside.write_text("def half(batch): return batch.select(['a']).slice(0, 2)", encoding="utf-8")
        assert len(bench.rows(bench.run(plan).outputs[0])) == 2

    def test_a_module_of_one_build_is_not_seen_by_the_next(self, bench: Bench) -> None:
        for value in (1, 2):
            plan = bench.python_plan(
                "import one\ndef transform(batch): return {'a': [one.VALUE]}", sql=NUMBERS
            )
            beside = (bench.root / PYTHON_FILE).parent / "one.py"
            beside.write_text(f"VALUE = {value}  #{' ' * value}", encoding="utf-8")
            assert bench.rows(bench.run(plan).outputs[0]) == [{"a": value}]

    def test_what_user_code_prints_disturbs_nothing(self, bench: Bench) -> None:
        code = "import os\ndef transform(batch):\n print('x' * 100_000)\n os.write(1, b'y')\n return batch"
        assert len(bench.rows(bench.python(code, sql=NUMBERS))) == 5

    def test_columns_that_are_not_promised_are_refused(self, bench: Bench) -> None:
        with pytest.raises(ConformError, match="'b'"):
            bench.python("def transform(batch): return batch", columns(a="bigint"), sql=NUMBERS)
        assert bench.staged_files() == []

    def test_nanoseconds_are_taken_when_nothing_is_lost(self, bench: Bench) -> None:
        code = "import pyarrow as pa\ndef transform(batch): return pa.table({{'t': pa.array([{}], pa.timestamp('ns'))}})"
        staged = bench.python(code.format(1000), columns(t="timestamp"), sql=NUMBERS)
        assert bench.rows(staged)[0]["t"].microsecond == 1
        with pytest.raises(ConformError, match="'t'"):
            bench.python(code.format(1001), columns(t="timestamp"), sql=NUMBERS)

    @pytest.mark.parametrize("at", ["first", "last"])
    @pytest.mark.parametrize("promised", [False, True])
    def test_a_column_without_values_in_some_rows_has_the_type_of_the_others(
        self, bench: Bench, at: str, promised: bool
    ) -> None:
        rows = 200_000
        bench.inputs = {"d.a": scan(bench.sql(f"select range::bigint as a from range({rows})"))}
        code = (
            "import pyarrow as pa, pyarrow.compute as pc\n"
            "def transform(batch):\n"
            f"    full = (pc.min(batch['a']).as_py() > 0) == {at == 'first'}\n"
            "    x = pa.array([1] * len(batch), pa.int32()) if full else pa.nulls(len(batch))\n"
            "    return batch.append_column('x', x)\n"
        )
        promises = (*columns(a="bigint"), column("x", logical="integer")) if promised else ()
        staged = bench.python(code, promises)
        assert [(f.name, str(f.type)) for f in staged.schema] == [("a", "long"), ("x", "int")]
        made = sorted(bench.rows(staged), key=lambda r: int(r["a"]))
        assert [r["a"] for r in made] == list(range(rows))
        assert {r["x"] for r in made} == {None, 1}
        left = set(bench.staged_files()) - set(bench.inputs["d.a"].files)
        assert left == {f.path for f in staged.files}

    @pytest.mark.parametrize("at", ["first", "last"])
    @pytest.mark.parametrize("promised", ["nothing", "kinds", "types"])
    def test_members_and_elements_without_values_in_some_rows_have_the_type_of_the_others(
        self, bench: Bench, at: str, promised: str
    ) -> None:
        rows = 200_000
        bench.inputs = {"d.a": scan(bench.sql(f"select range::bigint as a from range({rows})"))}
        code = (
            "import pyarrow as pa, pyarrow.compute as pc\n"
            "def transform(batch):\n"
            f"    full = (pc.min(batch['a']).as_py() > 0) == {at == 'first'}\n"
            "    kinds = [('a', pa.int32()), ('b', pa.list_(pa.null()))] if full else "
            "[('a', pa.null()), ('b', pa.list_(pa.int64()))]\n"
            "    value = {'a': 1, 'b': []} if full else {'a': None, 'b': [2]}\n"
            "    x = pa.array([value] * len(batch), pa.struct(kinds))\n"
            "    tags = pa.array([['t'] if full else []] * len(batch), pa.list_(pa.string() if full else pa.null()))\n"
            "    return batch.append_column('x', x).append_column('tags', tags)\n"
        )
        physical = "struct(a integer, b bigint[])" if promised == "types" else None
        promises = (
            *columns(a="bigint"),
            column("x", physical, logical="object"),
            column("tags", logical="array"),
        )
        staged = bench.python(code, () if promised == "nothing" else promises)
        assert [str(f.type) for f in staged.schema] == [
            "long",
            "struct<a: int, b: list<long>>",
            "list<string>",
        ]
        made = bench.rows(staged)
        assert sorted(r["a"] for r in made) == list(range(rows))
        told = {(r["x"]["a"], *r["x"]["b"], *r["tags"]) for r in made}
        assert told == {(1, "t"), (None, 2)}

    def test_a_member_without_any_value_and_type_is_refused_by_name(self, bench: Bench) -> None:
        bench.inputs = {"d.a": scan(bench.sql("select range::bigint as a from range(200000)"))}
        before = bench.staged_files()
        code = (
            "import pyarrow as pa\n"
            "def transform(batch):\n"
            "    x = pa.array([{'a': 1, 'tags': []}] * len(batch), pa.struct([('a', pa.int32()), ('tags', pa.list_(pa.null()))]))\n"
            "    return batch.append_column('x', x)\n"
        )
        with pytest.raises(
            ConformError, match=r"column 'x.tags\[\]': it has no type because every value here is NULL"
        ):
            bench.python(code)
        assert bench.staged_files() == before

    @pytest.mark.parametrize("rows", [5, 200_000])
    def test_a_column_without_any_value_and_type_is_refused_by_name(self, bench: Bench, rows: int) -> None:
        bench.inputs = {"d.a": scan(bench.sql(f"select range::bigint as a from range({rows})"))}
        before = bench.staged_files()
        code = "import pyarrow as pa\ndef transform(batch): return batch.append_column('x', pa.nulls(len(batch)))"
        with pytest.raises(ConformError, match=r"'x'.*every value here is NULL"):
            bench.python(code)
        assert bench.staged_files() == before

    # failures of user code

    def test_an_exception_comes_with_the_users_frames_and_place(self, bench: Bench) -> None:
        code = "def inner(x):\n    raise ValueError('no ü')\n\ndef transform(batch):\n    print('so far')\n    return inner(batch)\n"
        with pytest.raises(TransformError, match="ValueError: no ü") as caught:
            bench.python(code, sql=NUMBERS)
        error = caught.value
        assert (error.spans[0].file, error.spans[0].line) == (PYTHON_FILE, 2)
        assert "in inner" in error.traceback_text
        assert "raymesh" not in error.traceback_text.replace(str(bench.root), "")
        assert bench.staged_files() == []

    @pytest.mark.parametrize("value", WRONG_RETURNS, ids=short)
    def test_a_wrong_return_value_is_named(self, bench: Bench, value: str) -> None:
        with pytest.raises(TransformError, match="returned") as caught:
            bench.python(f"def transform(batch):\n    return {value}", sql=NUMBERS)
        assert caught.value.spans[0].file == PYTHON_FILE
        assert bench.staged_files() == []

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("import no_such_module_xyz", "no_such_module_xyz"),
            ("def transform(batch:\n    pass", "SyntaxError"),
            ("def transfrom(batch): return batch", "no function or class `transform`"),
            ("def transform(batch: int): return batch", "annotated"),
            ("1 / 0", "ZeroDivisionError"),
            ("import sys\nsys.exit(0)", "SystemExit"),
            ("class transform:\n def __init__(self): raise OSError('no model')", "no model"),
        ],
    )
    def test_a_file_that_cannot_be_used_says_why(self, bench: Bench, code: str, said: str) -> None:
        with pytest.raises(TransformError, match=said) as caught:
            bench.python(code, sql=NUMBERS)
        assert caught.value.spans[0].file == PYTHON_FILE

    def test_an_error_in_the_sql_before_it_is_the_sqls(self, bench: Bench) -> None:
        with pytest.raises(TransformError, match="Could not convert") as caught:
            bench.python(
                "def transform(batch): return batch", sql=f"select cast(b as integer) as a from ({NUMBERS})"
            )
        assert (caught.value.spans[0].file, caught.value.spans[0].column) == (SQL_FILE, 8)

    @pytest.mark.parametrize(
        ("how", "said"),
        [
            ("os._exit(3)", "status 3"),
            ("os.kill(os.getpid(), 9)", "SIGKILL"),
            ("os.abort()", "SIGABRT"),
        ],
    )
    def test_a_process_that_dies_is_reported_and_the_next_build_works(
        self, bench: Bench, how: str, said: str
    ) -> None:
        with pytest.raises(TransformError, match=said if self.tells_how_processes_end else "died") as caught:
            bench.python(f"import os\ndef transform(batch):\n    {how}", sql=NUMBERS)
        assert PYTHON_FILE in caught.value.message
        assert bench.staged_files() == []
        assert len(bench.rows(bench.python("def transform(batch): return batch", sql=NUMBERS))) == 5

    def test_code_that_hangs_ends_at_its_limit_and_is_placed(self, bench: Bench) -> None:
        bench.timeout = 2.0
        with pytest.raises(TransformTimeoutError) as caught:
            bench.python("def transform(batch):\n    x = 1\n    while x:\n        pass\n", sql=NUMBERS)
        assert caught.value.spans[0].file == PYTHON_FILE
        assert caught.value.spans[0].line in (3, 4)
        assert bench.staged_files() == []

    def test_code_that_takes_too_much_memory_is_stopped(self, bench: Bench) -> None:
        bench.memory = 128 << 20
        code = (
            "def transform(batch):\n    kept = []\n    while True:\n        kept.append(bytearray(1 << 20))\n"
        )
        with pytest.raises(TransformMemoryError) as caught:
            bench.python(code, sql=NUMBERS)
        assert caught.value.hint
        assert bench.staged_files() == []

    def test_a_stop_on_request_ends_user_code(self, bench: Bench) -> None:
        plan = bench.python_plan("import time\ndef transform(batch): time.sleep(600)", sql=NUMBERS)
        with pytest.raises(CancelledError):
            bench.run(plan, stopping_after(20))
        assert bench.staged_files() == []
