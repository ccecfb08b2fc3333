from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs import graph, problems, shaped, write
from raymesh.errors import DocumentsInvalidError, NotFoundError
from raymesh.mesh.graph import build_graph
from raymesh.mesh.order import reach, reverse, topological
from raymesh.mesh.selection import select
from raymesh.spec.load import load_mesh

BATCH = 'from raymesh import batch\n@batch(input="shop.orders")\ndef transform(batch): ...\n'


def test_inputs_of_sql_python_and_ingest_are_resolved(tmp_path):
    found = graph(
        tmp_path,
        {
            "shop.orders": {"source": "orders"},
            "shop.lines": "select * from shop.orders o join source.orders s using (id)",
            "crm.scores": {"python": BATCH},
            "crm.tiers": {"sql": "select * from crm.scores", "python": "def transform(batch): ..."},
        },
        {"shop.orders": {"id": "bigint"}},
    )
    kinds = {p.name: p.port().kind for p in found.products.values()}
    assert kinds == {
        "shop.orders": "ingest",
        "shop.lines": "sql",
        "crm.scores": "batch",
        "crm.tiers": "batch",
    }
    assert found.order == ("shop.orders", "crm.scores", "shop.lines", "crm.tiers")
    assert found.upstream["shop.lines"] == ("shop.orders",)
    assert found.downstream["shop.orders"] == ("crm.scores", "shop.lines")
    edges = {(e.name, e.kind, e.origin) for e in found.product("shop.lines").inputs}
    assert edges == {
        ("shop.orders", "product", "shop.orders"),
        ("source.orders", "source", "shop.source.orders"),
    }
    assert found.port("crm.scores").bindings == {"batch": "shop.orders"}
    assert found.sources["shop.source.orders"].columns == {"id": "bigint"}
    assert found.diagnostics == ()


def test_a_product_is_found_by_its_short_name_when_only_one_domain_has_it(tmp_path):
    found = graph(
        tmp_path, {"shop.orders": "select 1 as id", "crm.orders": "select 1 as id", "crm.x": "select 1 as id"}
    )
    assert found.product("x").name == "crm.x"
    with pytest.raises(NotFoundError, match="several") as several:
        found.product("orders")
    assert "crm.orders, shop.orders" in several.value.hint
    with pytest.raises(NotFoundError) as misspelt:
        found.product("shop.order")
    assert misspelt.value.hint.startswith("did you mean")


@pytest.mark.parametrize(
    ("sql", "code", "help_"),
    [
        ("select * from shop.ordrs", "input-unknown", "did you mean `shop.orders`?"),
        ("select * from orders", "input-unqualified", "did you mean `shop.orders`?"),
        ("select * from events", "input-unqualified", "did you mean `source.events`?"),
        ("select * from people", "input-unqualified", "did you mean `crm.people`?"),
        ("select * from source.event", "source-unknown", "did you mean `source.events`?"),
        ("select * from source.contacts", "source-unknown", "sources/contacts.yaml"),
        ("select * from lake.shop.orders", "input-unknown", "did you mean `shop.orders`?"),
        ("select * from crm.source.contacts", "input-unknown", "only the own domain's sources"),
        ("select * from shop.orders__daily", "input-unknown", "did you mean `shop.orders`?"),
        ("select * from shop.broken", "input-self", "mode: append"),
    ],
)
def test_a_name_that_leads_nowhere_is_an_error_with_its_place_and_a_suggestion(tmp_path, sql, code, help_):
    (found,) = problems(
        tmp_path,
        {"shop.orders": "select 1 as id", "crm.people": "select 1 as id", "shop.broken": sql},
        {"shop.events": None, "crm.contacts": None},
    )
    assert found.code == code
    assert str(found.span) == "domains/shop/products/broken/transform.sql:1:15"
    assert help_ in found.help


def test_all_problems_are_reported_at_once(tmp_path):
    root = write(
        tmp_path,
        {
            "shop.a": "select * from shop.b, shop.nothing",
            "shop.b": "select * from shop.a where",
            "shop.c": {"python": "def transform(: ..."},
            "shop.d": {"python": BATCH.replace("orders", "missing")},
        },
    )
    with pytest.raises(DocumentsInvalidError) as invalid:
        build_graph(load_mesh(root, {}))
    assert [d.code for d in invalid.value.diagnostics] == [
        "input-unknown",
        "sql-syntax",
        "python-syntax",
        "input-unknown",
    ]


def test_a_circle_is_shown_as_a_path_at_the_place_that_closes_it(tmp_path):
    (found,) = problems(
        tmp_path,
        {
            "shop.c": "select * from shop.a",
            "shop.a": "select *\nfrom shop.b",
            "shop.b": "select * from shop.c",
            "shop.d": "select * from shop.a",
        },
    )
    assert found.code == "input-cycle"
    assert "shop.a → shop.b → shop.c → shop.a" in found.message
    assert str(found.span) == "domains/shop/products/a/transform.sql:2:6"


def test_separate_circles_are_separate_problems(tmp_path):
    found = problems(
        tmp_path,
        {f"shop.{a}": f"select * from shop.{b}" for a, b in (("a", "b"), ("b", "a"), ("x", "y"), ("y", "x"))},
    )
    assert [d.code for d in found] == ["input-cycle", "input-cycle"]


def test_a_product_that_nothing_makes_is_an_error(tmp_path):
    (found,) = problems(tmp_path, {"shop.orders": {}})
    assert found.code == "transform-missing"
    assert "domains/shop/products/orders/transform.sql" in found.help


def test_a_transform_and_a_source_setting_exclude_each_other(tmp_path):
    (found,) = problems(
        tmp_path, {"shop.orders": {"sql": "select 1 as id", "source": "events"}}, {"shop.events": None}
    )
    assert (found.code, found.span.file) == (
        "transform-and-source",
        "domains/shop/products/orders/product.yaml",
    )
    assert found.span.line > 1


def test_a_ray_dataset_on_the_local_engine_is_an_error(tmp_path):
    python = (
        "import ray\nfrom raymesh import product\n"
        "@product(inputs={'x': 'shop.orders'})\ndef transform(x: ray.data.Dataset): ...\n"
    )
    products = {"shop.orders": "select 1 as id", "shop.big": {"python": python, "engine": "local"}}
    (found,) = problems(tmp_path, products)
    assert found.code == "engine-ray"


def test_declared_input_ports_must_agree_with_the_transform(tmp_path):
    root = write(
        tmp_path,
        {"shop.a": "select 1 as id", "shop.b": "select 1 as id", "shop.c": "select * from shop.a"},
    )
    file = root / "domains/shop/products/c/product.yaml"
    document = json.loads(file.read_text())
    document["inputPorts"] = [{"name": "bees", "version": "1.0.0", "contractId": "shop.b"}]
    file.write_text(json.dumps(document, indent=1))
    with pytest.raises(DocumentsInvalidError) as invalid:
        build_graph(load_mesh(root, {}))
    assert [(d.code, d.severity) for d in invalid.value.diagnostics] == [
        ("input-unused", "warning"),
        ("input-undeclared", "error"),
    ]
    document["inputPorts"] = [{"name": "shop.a", "version": "1.0.0", "contractId": "shop.a"}]
    file.write_text(json.dumps(document, indent=1))
    assert build_graph(load_mesh(root, {})).diagnostics == ()


def test_ports_are_tables_that_can_be_read_by_name(tmp_path):
    root = write(tmp_path, {"shop.a": "select 1 as id", "shop.b": "select * from shop.a__daily"})
    folder = root / "domains/shop/products/a"
    contract = json.loads((folder / "contract.yaml").read_text())
    contract |= {"id": "shop.a.daily"}
    (folder / "contracts").mkdir()
    (folder / "transforms").mkdir()
    (folder / "contracts/daily.yaml").write_text(json.dumps(contract))
    (folder / "transforms/daily.sql").write_text("select 1 as id")
    product = json.loads((folder / "product.yaml").read_text())
    product["outputPorts"].append({"name": "daily", "version": "1.0.0", "contractId": "shop.a.daily"})
    (folder / "product.yaml").write_text(json.dumps(product))
    found = build_graph(load_mesh(root, {}))
    (edge,) = found.product("shop.b").inputs
    assert (edge.name, edge.origin, edge.origin_port) == ("shop.a__daily", "shop.a", "daily")
    assert found.port("shop.a__daily").name == "daily"
    assert found.order == ("shop.a", "shop.b")
    with pytest.raises(NotFoundError, match="no port"):
        found.port("shop.a__weekly")


# order and reach of any shape

NODES = st.integers(1, 12)


@st.composite
def graphs(draw, cyclic=True):
    count = draw(NODES)
    names = [f"n{i:02}" for i in range(count)]
    return {
        name: draw(st.lists(st.sampled_from(names if cyclic else names[:i] or [name]), unique=True))
        if cyclic or i
        else []
        for i, name in enumerate(names)
    }


@given(graphs(cyclic=False))
def test_every_node_comes_after_what_it_reads(upstream):
    upstream = {n: [o for o in origins if o != n] for n, origins in upstream.items()}
    order, cycles = topological(upstream)
    at = {n: i for i, n in enumerate(order)}
    assert sorted(order) == sorted(upstream)
    assert not cycles
    assert all(at[o] < at[n] for n, origins in upstream.items() for o in origins)


@given(graphs())
def test_circles_are_real_and_without_them_none_is_left(upstream):
    order, cycles = topological(upstream)
    assert sorted(order) == sorted(upstream)
    for cycle in cycles:
        assert all(b in upstream[a] for a, b in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
    on_cycles = {n for c in cycles for n in c}
    rest = {
        n: [o for o in origins if o not in on_cycles] for n, origins in upstream.items() if n not in on_cycles
    }
    assert topological(rest)[1] == ()
    can_reach_itself = any(n in reach(upstream, upstream[n]) for n in upstream)
    assert bool(cycles) == can_reach_itself


@given(graphs(), st.integers(0, 4))
def test_reach_is_the_closure_of_single_steps(upstream, hops):
    start = next(iter(upstream))
    expected = {start}
    for _ in range(hops):
        expected |= {o for n in expected for o in upstream[n]}
    assert reach(upstream, [start], hops).keys() == expected
    assert all(start in reach(reverse(upstream), [n]) for n in reach(upstream, [start]))


def test_ten_thousand_products_are_ordered_and_selected():
    upstream = {
        f"d{i % 20}.p{i}": sorted(
            {f"d{j % 20}.p{j}" for j in (i - 1, i - 7, i // 2, i // 3, i - 100) if 0 <= j < i}
        )
        for i in range(10_000)
    }
    found = shaped(upstream)
    assert len(found.products) == 10_000
    assert sum(map(len, found.upstream.values())) > 45_000
    at = {n: i for i, n in enumerate(found.order)}
    assert all(at[o] < at[n] for n, origins in upstream.items() for o in origins)
    assert len(select(found, ["+d19.p9999"])) == 10_000
    assert select(found, ["domain:d3,1+d4.p4"]) == ("d3.p3",)
