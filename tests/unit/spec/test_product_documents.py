"""ODPS products, and raymesh's own documents: mesh, domain, source."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_examples import DOMAIN, FIXTURES, MESH, PRODUCT, SOURCE, codes, content, problems

from raymesh.spec.domain import DomainSpec
from raymesh.spec.load import load_product
from raymesh.spec.mesh import MeshSpec
from raymesh.spec.model import is_name, name_like, parse_duration, parse_size
from raymesh.spec.source import Source

POSTGRES = SOURCE.replace("type: parquet", "type: postgres").replace(
    "lines.parquet", "postgresql://db:5432/shop"
)


def test_a_complete_product_is_read_into_a_typed_model() -> None:
    product = load_product(FIXTURES / "complete.odps.yaml", {}).model
    assert product.output_ports[0].input_contracts[0].id == "labels"
    assert product.output_ports[0].context is not None
    assert product.management_ports[0].content == "observability"
    assert product.custom_properties[1].value == {"kind": "spark"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("context: text\n", "wrong-type"),
        ("support: [{channel: x}]\n", "missing-key"),
        ("team: {id: x}\n", "unknown-key"),
        ("team: [{username: x}]\n", "wrong-type"),
        ("inputPorts: [{name: x, description: y}]\n", "unknown-key"),
        ("managementPorts: [{name: x}]\n", "missing-key"),
        ("description: {other: x}\n", "unknown-key"),
        ("deprecated: 2026-01-01\n", "wrong-type"),
    ],
)
def test_what_odcs_allows_and_odps_does_not_is_an_error(tmp_path: Path, text: str, code: str) -> None:
    assert codes(problems(tmp_path, PRODUCT + text)) == [code]


def test_one_name_and_version_is_one_output_port(tmp_path: Path) -> None:
    again = '  - {name: order_lines, contractId: other, version: "1.0.0"}\n'
    assert codes(problems(tmp_path, PRODUCT + again)) == ["duplicate-port"]
    assert problems(tmp_path, PRODUCT + again.replace("1.0.0", "2.0.0")) == []


def test_a_mesh_has_defaults_for_everything_but_its_name() -> None:
    mesh = MeshSpec.model_validate(content(MESH))
    assert (mesh.warehouse, mesh.state.text) == (".raymesh/warehouse", "sqlite:///.raymesh/mesh.db")
    assert (mesh.engines.default, mesh.engines.local.memory) == ("local", None)
    assert (mesh.snapshots.keep, mesh.snapshots.max_age) == (10, 30 * 86400)


def test_a_mesh_says_all_of_it() -> None:
    text = MESH + (
        "engines: {default: auto, local: {memory: 4GB, threads: 2, scratch: .raymesh/scratch}}\n"
        "snapshots: {keep: 3, maxAge: 7d}\n"
        "storage: {s3: {endpointUrl: 'https://s3.example', region: eu, accessKeyId: '${env:K}', secretAccessKey: '${file:s}'}}\n"
    )
    mesh = MeshSpec.model_validate(content(text))
    assert mesh.engines.local.memory == 4_000_000_000
    assert (mesh.snapshots.keep, mesh.snapshots.max_age) == (3, 604_800)
    assert mesh.storage.s3 is not None
    assert mesh.storage.s3.secret_access_key is not None
    assert mesh.storage.s3.secret_access_key.text == "${file:s}"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("engines: {default: spark}\n", "wrong-value"),
        ("engines: {local: {memory: 4}}\n", "wrong-value"),
        ("engines: {local: {memory: lots}}\n", "wrong-value"),
        ("engines: {local: {threads: 0}}\n", "wrong-value"),
        ("engines: {local: {threads: two}}\n", "wrong-type"),
        ("snapshots: {maxAge: 30}\n", "wrong-value"),
        ("snapshots: {keep: true}\n", "wrong-type"),
        ("storage: {gcs: {}}\n", "unknown-key"),
    ],
)
def test_a_wrong_setting_of_the_mesh_is_an_error(tmp_path: Path, text: str, code: str) -> None:
    assert codes(problems(tmp_path, MESH + text)) == [code]


def test_a_domain_names_its_owner_and_limits() -> None:
    text = (
        DOMAIN + "resources: {cpus: 1.5, memory: 2GiB}\nbudget: {monthly: 100, currency: EUR}\ntags: [core]\n"
    )
    domain = DomainSpec.model_validate(content(text))
    assert domain.resources is not None
    assert (domain.resources.cpus, domain.resources.memory) == (1.5, 2 * 2**30)
    assert domain.budget is not None
    assert domain.budget.currency == "EUR"


def test_a_domain_without_owner_or_with_a_bad_currency_is_refused(tmp_path: Path) -> None:
    assert codes(problems(tmp_path, DOMAIN.replace("owner: {team: orders-team}\n", ""))) == ["missing-key"]
    assert codes(problems(tmp_path, DOMAIN + "budget: {monthly: 1, currency: euro}\n")) == ["wrong-value"]


@pytest.mark.parametrize("document", [MESH, DOMAIN, SOURCE])
def test_a_name_outside_the_pattern_suggests_one_inside(tmp_path: Path, document: str) -> None:
    name = content(document)["name"]
    (problem,) = problems(tmp_path, document.replace(f"name: {name}", "name: Order-Lines 2"))
    assert (problem.code, problem.help) == ("wrong-name", "did you mean `order_lines_2`?")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SOURCE + "columns: [{name: a, type: bigint}, {name: b, type: 'decimal(18,2)'}]\n", []),
        (SOURCE + "columns: [{name: a, type: bigit}]\n", ["physical-type"]),
        (SOURCE + "columns: [{name: a, type: int}, {name: A, type: int}]\n", ["duplicate-column"]),
        (SOURCE + "table: x\n", ["source-key"]),
        (SOURCE + "user: ann\n", ["source-key"]),
        (SOURCE + "version: 3\n", ["source-key"]),
        (SOURCE + "options: {header: true}\n", ["source-key"]),
        (
            SOURCE.replace("parquet\n", "csv\n", 1)
            + "options: {delimiter: ';', header: true, nullValues: ['']}\n",
            [],
        ),
        (SOURCE.replace("parquet\n", "csv\n", 1) + "options: {header: 'yes'}\n", ["wrong-type"]),
        (SOURCE.replace("type: parquet", "type: delta") + "version: 3\n", []),
        (SOURCE.replace("type: parquet", "type: iceberg") + "version: '81726'\ntable: a.b\n", []),
        (SOURCE.replace("type: parquet", "type: xml"), ["wrong-value"]),
        (POSTGRES + "table: public.orders\nuser: ann\npassword: '${env:PW}'\n", []),
        (POSTGRES + "query: SELECT 1\n", []),
        (POSTGRES, ["source-key"]),
        (POSTGRES + "table: t\nquery: SELECT 1\n", ["source-key"]),
        (POSTGRES.replace("postgresql://db:5432/shop", "db") + "table: t\n", ["wrong-value"]),
    ],
)
def test_the_type_of_a_source_decides_its_keys(tmp_path: Path, text: str, found: list[str]) -> None:
    assert codes(problems(tmp_path, text)) == found


def test_a_source_keeps_its_secrets_as_references() -> None:
    source = Source.model_validate(content(POSTGRES + "table: t\nuser: ann\npassword: '${env:PW}'\n"))
    assert source.user is not None
    assert source.user.resolve({}) == "ann"
    assert source.password is not None
    assert source.password.resolve({"PW": "x"}) == "x"
    assert source.model_dump(by_alias=True, exclude_none=True, mode="json")["password"] == "${env:PW}"


def test_sizes_and_durations_have_units() -> None:
    assert [parse_size(t) for t in ("1B", "2KB", "2KiB", "128 MB", "1.5GiB", "1TB")] == [
        1, 2000, 2048, 128_000_000, 1_610_612_736, 10**12,
    ]  # fmt: skip
    assert [parse_size(t) for t in ("", "5", "5mb", "MB", "-1MB", "1e3MB", "5 MB x")] == [None] * 7
    assert [parse_duration(t) for t in ("90s", "10m", "2h", "30d", "1w")] == [
        90,
        600,
        7200,
        2_592_000,
        604_800,
    ]
    assert [parse_duration(t) for t in ("", "5", "5 minutes", "-1d", "1.5h")] == [None] * 5


def test_names_are_lower_case_words_joined_by_single_underscores() -> None:
    assert all(is_name(n) for n in ("a", "a1", "order_lines", "a" * 63))
    assert not any(
        is_name(n) for n in ("", "A", "1a", "_a", "a_", "a__b", "a-b", "a.b", "é", "a\n", "a" * 64)
    )
    assert name_like("Customer 360!") == "customer_360"
    assert name_like("  42 -- ") is None
