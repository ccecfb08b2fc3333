"""A folder becomes a mesh, or every problem of every file is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_examples import (
    CONTRACT,
    DOMAIN,
    MESH,
    PRODUCT,
    SOURCE,
    codes,
    loaded,
    refused,
    settings,
    write_mesh,
)

from raymesh.errors import DocumentsInvalidError
from raymesh.spec.documents import DEFAULT_PORT
from raymesh.spec.load import load_contract, load_mesh
from raymesh.spec.mesh_file import load_mesh_document
from raymesh.spec.settings import DEFAULT_FILE_SIZE, renamed_from, rule_on_violation

P = "domains/orders/products/order_lines"
SECOND_PORT = '  - {name: daily, contractId: daily, version: "2.0.0"}\n'
SECOND_CONTRACT = CONTRACT.replace("id: order-lines", "id: daily").replace("1.0.0", "2.0.0")


def test_a_mesh_is_read_into_values(tmp_path: Path) -> None:
    mesh = loaded(tmp_path)
    assert mesh.diagnostics == ()
    (domain,) = mesh.domains
    assert (domain.name, domain.directory, domain.sources[0].model.name) == (
        "orders",
        "domains/orders",
        "lines",
    )
    (product,) = mesh.products
    assert (product.id, product.directory, product.table()) == ("orders.order_lines", P, "orders.order_lines")
    (port,) = product.ports
    assert (port.name, port.contract.path) == (DEFAULT_PORT, f"{P}/contract.yaml")
    assert port.transform is not None
    assert (port.transform.sql_path, port.transform.sql) == (
        f"{P}/transform.sql",
        "SELECT * FROM source.lines",
    )
    assert (port.transform.python_path, port.transform.python) == (None, None)


def test_sql_and_python_stand_beside_each_other(tmp_path: Path) -> None:
    transform = loaded(tmp_path, {f"{P}/transform.py": "x = 1\n"}).products[0].ports[0].transform
    assert transform is not None
    assert (transform.sql is None, transform.python) == (False, "x = 1\n")


def test_a_second_port_has_its_own_contract_transform_and_table(tmp_path: Path) -> None:
    files = {
        f"{P}/product.yaml": PRODUCT + SECOND_PORT,
        f"{P}/contracts/daily.yaml": SECOND_CONTRACT + settings("sortBy: [day]"),
        f"{P}/transforms/daily.sql": "SELECT 1",
    }
    product = loaded(tmp_path, files).products[0]
    assert [p.name for p in product.ports] == [DEFAULT_PORT, "daily"]
    daily = product.port("daily")
    assert daily is not None
    assert daily.transform is not None
    assert (daily.transform.sql, product.table("daily")) == ("SELECT 1", "orders.order_lines__daily")
    assert (daily.settings.sort_by, product.ports[0].settings.sort_by) == (("day",), ())
    assert product.port("weekly") is None


def test_the_problems_of_every_file_come_together(tmp_path: Path) -> None:
    found = refused(
        tmp_path,
        {
            "mesh.yaml": MESH + "x: 1\n",
            "domains/orders/domain.yaml": DOMAIN + "x: 1\n",
            "domains/orders/sources/lines.yaml": SOURCE + "x: 1\n",
            f"{P}/product.yaml": PRODUCT + "x: 1\n",
            f"{P}/contract.yaml": CONTRACT.replace("bigint", "boolean") + "x: [\n",
        },
    )
    assert sorted(codes(found)) == ["unknown-key"] * 4 + ["yaml-syntax"]
    assert len({d.span.file for d in found if d.span}) == 5


@pytest.mark.parametrize(
    ("files", "code", "file"),
    [
        ({"mesh.yaml": None}, "missing-document", "mesh.yaml"),
        ({"domains/orders/domain.yaml": None}, "missing-document", "domains/orders/domain.yaml"),
        ({f"{P}/product.yaml": None}, "missing-document", f"{P}/product.yaml"),
        ({f"{P}/contract.yaml": None}, "missing-document", f"{P}/product.yaml"),
        (
            {"domains/orders/domain.yaml": DOMAIN.replace("name: orders", "name: sales")},
            "name-mismatch",
            "domains/orders/domain.yaml",
        ),
        (
            {"domains/orders/sources/lines.yaml": SOURCE.replace("name: lines", "name: rows")},
            "name-mismatch",
            "domains/orders/sources/lines.yaml",
        ),
        (
            {f"{P}/product.yaml": PRODUCT.replace("name: order_lines\n", "name: lines\n")},
            "name-mismatch",
            f"{P}/product.yaml",
        ),
        (
            {f"{P}/product.yaml": PRODUCT.replace("domain: orders", "domain: sales")},
            "name-mismatch",
            f"{P}/product.yaml",
        ),
        ({f"{P}/contract.yaml": CONTRACT + "domain: sales\n"}, "name-mismatch", f"{P}/contract.yaml"),
        (
            {f"{P}/product.yaml": PRODUCT.replace("contractId: order-lines", "contractId: others")},
            "contract-mismatch",
            f"{P}/product.yaml",
        ),
        ({f"{P}/product.yaml": PRODUCT.replace("1.0.0", "1.0.1")}, "contract-mismatch", f"{P}/product.yaml"),
        (
            {f"{P}/product.yaml": PRODUCT.replace(', version: "1.0.0"', "")},
            "missing-key",
            f"{P}/product.yaml",
        ),
        ({f"{P}/product.yaml": PRODUCT + SECOND_PORT}, "port-contract", f"{P}/product.yaml"),
        ({f"{P}/contracts/daily.yaml": SECOND_CONTRACT}, "port-contract", f"{P}/product.yaml"),
        ({f"{P}/product.yaml": PRODUCT.partition("outputPorts")[0]}, "port-contract", f"{P}/product.yaml"),
        ({f"{P}/contract.yaml": CONTRACT.partition("schema:")[0]}, "no-table", f"{P}/contract.yaml"),
        ({f"{P}/contract.yaml": CONTRACT + "  - {name: more}\n"}, "several-tables", f"{P}/contract.yaml"),
        (
            {f"{P}/contract.yaml": CONTRACT + "      - {name: Day}\n"},
            "duplicate-column",
            f"{P}/contract.yaml",
        ),
        ({f"{P}/contract.yaml": CONTRACT + "      - {name: ' '}\n"}, "wrong-name", f"{P}/contract.yaml"),
        ({f"{P}/product.yaml": PRODUCT + settings("sortBy: [dai]")}, "unknown-column", f"{P}/product.yaml"),
        (
            {f"{P}/product.yaml": PRODUCT + settings("partitionBy: [day, nope]")},
            "unknown-column",
            f"{P}/product.yaml",
        ),
        (
            {f"{P}/product.yaml": PRODUCT + settings("mode: append", "incrementalColumn: nope")},
            "unknown-column",
            f"{P}/product.yaml",
        ),
        (
            {f"{P}/contract.yaml": CONTRACT + settings("sortBy: [nope]")},
            "unknown-column",
            f"{P}/contract.yaml",
        ),
        ({f"{P}/product.yaml": PRODUCT + settings("mode: append")}, "append-column", f"{P}/product.yaml"),
        ({f"{P}/product.yaml": PRODUCT + settings("source: rows")}, "unknown-source", f"{P}/product.yaml"),
        ({f"{P}/transform.sql": "\udcff"}, "not-utf8", f"{P}/transform.sql"),
    ],
)
def test_documents_that_do_not_fit_each_other_are_refused(
    tmp_path: Path, files: dict[str, str | None], code: str, file: str
) -> None:
    if files.get(f"{P}/transform.sql") == "\udcff":
        write_mesh(tmp_path)
        (tmp_path / P / "transform.sql").write_bytes(b"\xff")
        files = {f"{P}/transform.sql": None}
    found = refused(tmp_path, files)
    assert codes(found) == [code]
    assert found[0].span is not None
    assert found[0].span.file == file
    assert found[0].help or code in ("not-utf8", "duplicate-column", "wrong-name")


def test_a_mismatch_points_at_the_value_and_says_what_to_write(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, {f"{P}/product.yaml": PRODUCT.replace("1.0.0", "1.0.1")})
    assert str(problem.span) == f"{P}/product.yaml:7:59"
    assert problem.help == 'write `version: "1.0.0"`'


def test_ids_are_unique_in_the_mesh(tmp_path: Path) -> None:
    other = "domains/orders/products/more"
    found = refused(
        tmp_path,
        {
            f"{other}/product.yaml": PRODUCT.replace("name: order_lines\n", "name: more\n"),
            f"{other}/contract.yaml": CONTRACT,
        },
    )
    assert codes(found) == ["duplicate-id", "duplicate-id"]


def test_two_versions_of_one_contract_stand_side_by_side(tmp_path: Path) -> None:
    files = {
        f"{P}/product.yaml": PRODUCT + '  - {name: v2, contractId: order-lines, version: "2.0.0"}\n',
        f"{P}/contracts/v2.yaml": CONTRACT.replace("1.0.0", "2.0.0"),
    }
    assert [p.name for p in loaded(tmp_path, files).products[0].ports] == [DEFAULT_PORT, "v2"]


@pytest.mark.parametrize("name", ["Daily", "a__b", "daily-v2", "quarantine", "default"])
def test_a_port_is_named_like_a_product_and_not_like_our_own_tables(tmp_path: Path, name: str) -> None:
    files = {
        f"{P}/product.yaml": PRODUCT + SECOND_PORT.replace("name: daily", f"name: {name}"),
        f"{P}/contracts/{name}.yaml": SECOND_CONTRACT,
    }
    assert "wrong-name" in codes(refused(tmp_path, files))


def test_folders_are_named_like_domains_and_products(tmp_path: Path) -> None:
    files = {
        path.replace("orders", "Orders-1"): text
        for path, text in {"domains/orders/domain.yaml": DOMAIN}.items()
    }
    assert "name-mismatch" in codes(refused(tmp_path / "a", files))
    product = {
        "domains/orders/products/My-Lines/product.yaml": PRODUCT,
        "domains/orders/products/My-Lines/contract.yaml": CONTRACT,
    }
    assert "wrong-name" in codes(refused(tmp_path / "b", product))
    assert "wrong-name" in codes(
        refused(tmp_path / "c", {"domains/source/domain.yaml": DOMAIN.replace("orders\n", "source\n", 1)})
    )


def test_a_document_of_another_kind_is_one_problem(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, {f"{P}/contract.yaml": PRODUCT})
    assert (problem.code, str(problem.span)) == ("wrong-value", f"{P}/contract.yaml:2:7")
    assert "must be DataContract, not the text `DataProduct`" in problem.message


def test_a_display_name_that_reads_like_the_folder_is_fine(tmp_path: Path) -> None:
    files = {f"{P}/product.yaml": PRODUCT.replace("name: order_lines\n", "name: Order Lines\n")}
    assert loaded(tmp_path, files).diagnostics == ()


def test_an_empty_mesh_is_fine_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(MESH)
    mesh = load_mesh(tmp_path, {})
    assert (codes(mesh.diagnostics), mesh.products) == (["no-domains"], ())
    (tmp_path / "domains/orders").mkdir(parents=True)
    (tmp_path / "domains/orders/domain.yaml").write_text(DOMAIN)
    assert codes(load_mesh(tmp_path, {}).diagnostics) == ["no-products"]


@pytest.mark.parametrize(
    ("path", "help_"),
    [
        ("domains/orders/sources/more.yml", "documents end in .yaml"),
        (f"{P}/transfrom.sql", "did you mean `transform.sql`?"),
        (f"{P}/transforms.py", "did you mean `transform.py`?"),
        (f"{P}/contracts/daily.yml", "documents end in .yaml"),
        (f"{P}/contract/x.txt", "did you mean `contracts`?"),
        (f"{P}/transforms/daily.sql", f"the port `daily` needs {P}/contracts/daily.yaml"),
        ("domains/loose.yaml", "documents end in .yaml"),
    ],
)
def test_files_that_nobody_reads_are_warned_about(tmp_path: Path, path: str, help_: str) -> None:
    (warning,) = loaded(tmp_path, {path: "x"}).diagnostics
    assert (warning.code, warning.severity, warning.help) == ("stray-file", "warning", help_)


@pytest.mark.parametrize(
    "path",
    [f"{P}/README.md", f"{P}/helpers.py", f"{P}/model.bin", f"{P}/.hidden.yaml", f"{P}/__pycache__/x.sql"],
)
def test_files_that_belong_to_a_product_are_no_strays(tmp_path: Path, path: str) -> None:
    assert loaded(tmp_path, {path: "x"}).diagnostics == ()


def test_settings_are_read_with_units(tmp_path: Path) -> None:
    text = PRODUCT + settings(
        "engine: ray", "mode: append", "incrementalColumn: day", "lookback: 3d", "onViolation: quarantine", "partitionBy: [day]",
        "sortBy: [LINE_ID]", "targetFileSize: 64MiB", "resources: {cpus: 2, memory: 4GB, gpus: 1}", "timeout: 10m",
        "minimumQuality: 0.95", "snapshots: {keep: 3, maxAge: 30d}", "refresh: 0 6 * * *",
    )  # fmt: skip
    found = loaded(tmp_path, {f"{P}/product.yaml": text}).products[0].settings
    assert (found.engine, found.mode, found.incremental_column, found.lookback) == (
        "ray",
        "append",
        "day",
        259_200,
    )
    assert (found.on_violation, found.partition_by, found.sort_by) == ("quarantine", ("day",), ("LINE_ID",))
    assert (found.target_file_size, found.timeout, found.minimum_quality) == (64 * 2**20, 600, 0.95)
    assert found.resources is not None
    assert (found.resources.cpus, found.resources.memory, found.resources.gpus) == (2, 4_000_000_000, 1)
    assert found.snapshots is not None
    assert (found.snapshots.keep, found.snapshots.max_age) == (3, 2_592_000)


def test_without_settings_there_are_defaults(tmp_path: Path) -> None:
    found = loaded(tmp_path).products[0].settings
    assert (found.mode, found.on_violation, found.target_file_size) == ("full", "fail", DEFAULT_FILE_SIZE)
    assert (found.engine, found.timeout, found.source, found.sort_by) == (None, None, None, ())


@pytest.mark.parametrize(
    ("setting", "code", "column"),
    [
        ("engin: local", "unknown-setting", 16),
        ("engine: spark", "wrong-value", 31),
        ("timeout: 10", "wrong-value", 32),
        ("targetFileSize: big", "wrong-value", 39),
        ("minimumQuality: 95", "wrong-value", 39),
        ("sortBy: day", "wrong-type", 31),
        ("resources: {cpu: 1}", "unknown-key", 35),
        ("lookback: -1", "wrong-value", 33),
        ("refresh: sometimes", "wrong-value", 32),
    ],
)
def test_a_wrong_setting_is_an_error_at_its_place(
    tmp_path: Path, setting: str, code: str, column: int
) -> None:
    (problem,) = refused(tmp_path, {f"{P}/product.yaml": PRODUCT + settings(setting)})
    assert problem.code == code
    assert problem.span is not None
    assert (problem.span.line, problem.span.column) == (9, column)


def test_a_misspelt_setting_suggests_the_right_one_and_other_vendors_are_left_alone(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, {f"{P}/product.yaml": PRODUCT + settings("sortby: [day]")})
    assert problem.help == "did you mean `sortBy`?"
    other = "customProperties: [{property: sortby, value: [day], vendor: them}, {property: engine, value: {a: 1}}]\n"
    assert loaded(tmp_path, {f"{P}/product.yaml": PRODUCT + other}).diagnostics == ()


def test_the_same_setting_twice_is_an_error(tmp_path: Path) -> None:
    found = refused(tmp_path, {f"{P}/product.yaml": PRODUCT + settings("engine: ray", "engine: local")})
    assert codes(found) == ["duplicate-key"]


def test_settings_of_columns_and_rules_are_read_and_checked(tmp_path: Path) -> None:
    ours = "customProperties: [{{property: {}, value: {}, vendor: raymesh}}]"
    rule = f"{{metric: nullValues, mustBe: 0, {ours.format('onViolation', 'warn')}}}"
    column = f"      - {{name: x, quality: [{rule}], {ours.format('renamedFrom', 'y')}}}\n"
    table = (
        loaded(tmp_path, {f"{P}/contract.yaml": CONTRACT + column})
        .products[0]
        .ports[0]
        .contract.model.objects[0]
    )
    assert renamed_from(table.properties[2]) == "y"
    assert renamed_from(table.properties[0]) is None
    assert rule_on_violation(table.properties[2].quality[0]) == "warn"
    wrong = column.replace("renamedFrom", "renamedfrom").replace("value: warn", "value: ignore")
    found = refused(tmp_path, {f"{P}/contract.yaml": CONTRACT + wrong})
    assert sorted(codes(found)) == ["unknown-setting", "wrong-value"]
    elsewhere = CONTRACT + f"roles: [{{role: r, {ours.format('engine', 'ray')}}}]\n"
    assert codes(refused(tmp_path, {f"{P}/contract.yaml": elsewhere})) == ["unknown-setting"]


def test_an_incremental_column_without_append_and_an_unknown_sla_element_are_warnings(tmp_path: Path) -> None:
    files = {
        f"{P}/product.yaml": PRODUCT + settings("incrementalColumn: day"),
        f"{P}/contract.yaml": CONTRACT
        + "slaProperties: [{property: latency, value: 1, element: 'order_lines.dai, day'}]\n",
    }
    found = loaded(tmp_path, files).diagnostics
    assert sorted(codes(found)) == ["append-column", "unknown-column"]
    assert {d.severity for d in found} == {"warning"}


def test_one_document_can_be_read_alone(tmp_path: Path) -> None:
    write_mesh(tmp_path, {f"{P}/product.yaml": "broken: [", f"{P}/contract.yaml": CONTRACT})
    assert load_mesh_document(tmp_path, {}).model.name == "retail"
    assert load_contract(tmp_path / P / "contract.yaml", {}).model.id == "order-lines"
    with pytest.raises(DocumentsInvalidError) as caught:
        load_contract(tmp_path / "nowhere.yaml", {})
    assert codes(caught.value.diagnostics) == ["unreadable-file"]


def test_values_know_their_places(tmp_path: Path) -> None:
    contract = loaded(tmp_path).products[0].ports[0].contract
    assert str(contract.span("schema", 0, "properties", 1, "name")) == f"{P}/contract.yaml:9:16"
