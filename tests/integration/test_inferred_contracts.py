from __future__ import annotations

import duckdb
import pytest

from meshes import write_mesh
from raymesh.actions.infer import infer, infer_contract, infer_source
from raymesh.engines.local import LocalEngine
from raymesh.errors import NotFoundError
from raymesh.mesh.plan import Scan
from raymesh.quality.compile import compile_checks
from raymesh.quality.judge import judge
from raymesh.spec.load import load_contract
from raymesh.spec.types import Field, TableSchema
from raymesh.spec.write import to_yaml
from raymesh.spi.scan_sql import fields_of

ROWS = """select range as order_id, 'u' || range || '@example.com' as email, uuid()::varchar as token,
  ['open', 'paid', null][1 + range % 3] as state, (range * 1.25)::decimal(10,2) as amount, range % 12 + 1 as month,
  '10.1.' || range % 256 || '.7' as ip, 'http://example.com/a?b=' || range as link, (range / 7)::double as ratio,
  ['DE89370400440532013000', 'GB82WEST12345698765432'][1 + range % 2] as iban,
  '+4930' || (1000000 + range) as phone, lpad(range::varchar, 6, '0') as article,
  (date '2024-01-01' + range::integer % 300)::varchar as day_text, timestamptz '2024-01-01 00:00:00+00' as at,
  repeat('ä', 1 + range::integer % 40) as remark, range % 2 = 0 as flag, if(range % 9 = 0, null, range) as other_id
from range(400)"""


def test_the_data_a_contract_was_inferred_from_keeps_all_its_promises(tmp_path):
    """Every rule is understood by the gate as it was meant, none is left unexecuted."""
    with duckdb.connect() as con:
        con.execute(f"create table t as {ROWS}")
        relation = con.sql("select * from t")
        contract = infer_contract(con, relation, name="orders", identifier="shop.orders")
        plain = fields_of(relation.columns, relation.types)
        schema = TableSchema(tuple(Field(f.name, f.type, i) for i, f in enumerate(plain, 1)), len(plain))
        ids = ", ".join(f'"{f.name}": {f.id}' for f in schema)
        con.execute(f"copy t to '{tmp_path}/t.parquet' (format parquet, field_ids {{{ids}}})")
    (tmp_path / "contract.yaml").write_text(to_yaml(contract), encoding="utf-8")
    document = load_contract(tmp_path / "contract.yaml", {})
    checks = compile_checks(document.model, table="shop.orders")
    assert [c.id for c in checks if c.unsupported] == []
    assert {"email.format", "iban.pattern", "article.minLength", "month.maximum", "order_id.required"} <= {
        c.id for c in checks
    }
    engine = LocalEngine()
    verdict = judge(checks, engine.measure(Scan(schema, (str(tmp_path / "t.parquet"),), 400), checks))
    engine.close()
    assert [(r.check.id, r.status, r.message) for r in verdict.results if r.status != "pass"] == []


def test_a_source_of_a_mesh_is_inferred_even_while_the_mesh_is_not_valid(tmp_path):
    root = write_mesh(tmp_path / "mesh")
    folder = root / "domains/shop/sources"
    folder.mkdir(parents=True)
    (root / "domains/shop/products/orders").mkdir(parents=True)
    (root / "domains/shop/products/orders/product.yaml").write_text("kind: nonsense\n")
    (root / "in.csv").write_text("id,email\n" + "".join(f"{i},a{i}@example.com\n" for i in range(60)))
    (folder / "raw.yaml").write_text(
        "apiVersion: raymesh/v1\nkind: Source\nname: raw\ntype: csv\nlocation: in.csv\n"
    )
    contract = infer_source(root, "shop.raw", identifier="shop.orders")
    assert (contract["id"], contract["schema"][0]["name"]) == ("shop.orders", "orders")
    assert contract["schema"][0]["properties"][1]["tags"] == ["pii.direct.email"]
    assert infer("shop.raw", root)["id"] == "shop.raw"
    with pytest.raises(NotFoundError, match=r"no source shop\.none"):
        infer_source(root, "shop.none")
