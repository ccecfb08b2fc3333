from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import graph, shaped
from raymesh.errors import NotFoundError
from raymesh.mesh.lineage import Trace, TraceEdge, trace
from raymesh.render.layout import GAP_Y, place
from raymesh.render.lineage import mermaid, neighbourhood, svg, text, to_json
from raymesh.render.lineage_svg import MAX_BYTES

SVG = "{http://www.w3.org/2000/svg}"
SHAPE = {
    "raw.a": [],
    "raw.b": [],
    "mid.c": ["raw.a"],
    "mid.d": ["mid.c", "raw.a"],
    "top.e": ["mid.d", "raw.b"],
}
NASTY = '<script>alert("1")</script>&\'\u0000\n'


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    columns = {"id": "bigint", "mail": "varchar"}
    return graph(
        tmp_path_factory.mktemp("mesh"),
        {
            "s.a": {"source": "e", "columns": columns},
            "s.b": {"sql": "select id, mail from s.a where mail > ''", "columns": columns},
            "s.c": {
                "python": "from raymesh import batch\n@batch(input='s.b')\ndef transform(rows): ...\n",
                "columns": {"score": "double"},
            },
        },
        {"s.e": dict(columns)},
    )


# what is near


def test_a_neighbourhood_is_what_lies_within_so_many_steps():
    mesh = shaped(SHAPE)
    near = neighbourhood(mesh, "mid.d", 1)
    assert {n.id: n.distance for n in near.nodes} == {"mid.d": 0, "mid.c": -1, "raw.a": -1, "top.e": 1}
    assert set(near.edges) == {("mid.c", "mid.d"), ("raw.a", "mid.c"), ("raw.a", "mid.d"), ("mid.d", "top.e")}
    assert [n.id for n in neighbourhood(mesh, "mid.d", 0).nodes] == ["mid.d"]
    with pytest.raises(NotFoundError):
        neighbourhood(mesh, "mid.x")


def test_sources_are_neighbours_too(mesh):
    near = neighbourhood(mesh, "s.b", 2)
    assert {(n.id, n.kind, n.distance) for n in near.nodes} == {
        ("s.b", "product", 0),
        ("s.a", "product", -1),
        ("s.source.e", "source", -2),
        ("s.c", "product", 1),
    }
    assert not any(n.kind == "source" for n in neighbourhood(mesh, "s.b", 1).nodes)


# text


def test_a_product_is_shown_as_a_tree_with_every_branch_once():
    assert text(neighbourhood(shaped(SHAPE), "top.e", 3)) == "\n".join(
        [
            "top.e",
            "made from",
            "├─ mid.d",
            "│  ├─ mid.c",
            "│  │  └─ raw.a",
            "│  └─ raw.a",
            "└─ raw.b",
        ]
    )
    again = text(neighbourhood(shaped({**SHAPE, "top.e": ["mid.c", "mid.d"]}), "top.e", 3))
    assert "│  └─ raw.a\n└─ mid.d\n   ├─ mid.c  (see above)\n   └─ raw.a" in again


def test_text_can_do_without_unicode(mesh):
    shown = text(trace(mesh, "s.c", "score"), unicode=False)
    assert shown.isascii()
    assert shown.splitlines() == [
        "s.c.score",
        "|- s.b.id  (may come from it)",
        "|  `- s.a.id",
        "|     `- s.source.e.id",
        "`- s.b.mail  (may come from it)",
        "   `- s.a.mail",
        "      `- s.source.e.mail",
    ]


def test_something_alone_says_so(mesh):
    assert "nothing is known around it" in text(neighbourhood(shaped({"a.b": []}), "a.b"))
    assert "goes into no column" in text(trace(mesh, "s.c", "score", "down"))


# mermaid and JSON


def test_mermaid_quotes_every_name():
    hostile = Trace("s.t", NASTY, "up", (TraceEdge("s.t", NASTY, "s.a", 'x"] --> y', "opaque"),))
    drawn = mermaid(hostile)
    assert drawn.startswith("flowchart LR\n")
    labels = re.findall(r'\["(.*?)"\]', drawn)
    assert len(labels) == 4
    assert not any(set(label) & set('<>"[]{}|\n') for label in labels)
    assert "  n1r0 -. ? .-> n0r0" in drawn


def test_json_holds_the_same_as_the_picture(mesh):
    found = to_json(neighbourhood(mesh, "s.b", 1))
    assert found["edges"] == [{"source": "s.a", "target": "s.b"}, {"source": "s.b", "target": "s.c"}]
    assert found["nodes"][0] == {"id": "s.b", "kind": "product", "distance": 0}
    assert to_json(trace(mesh, "s.b", "id"))["edges"][0] == {
        "table": "s.b",
        "column": "id",
        "source": "s.a",
        "source_column": "id",
        "kind": "direct",
    }


# SVG


def test_the_svg_names_everything_for_people_who_listen(mesh):
    root = ET.fromstring(svg(neighbourhood(mesh, "s.b", 2)))
    assert (root.get("role"), root.get("aria-label")) == ("group", "Lineage of s.b")
    named = [g.get("aria-label") for g in root.iter(f"{SVG}g")]
    assert named == [
        "source s.source.e",
        "product s.a, made from s.source.e",
        "product s.b, made from s.a",
        "product s.c, made from s.b",
    ]
    assert all(g.get("role") == "img" for g in root.iter(f"{SVG}g"))


def test_links_are_made_only_where_asked_for(mesh):
    near = neighbourhood(mesh, "s.b", 1)
    assert "<a " not in svg(near)
    root = ET.fromstring(svg(near, link=lambda name: f'/p/{name}?a=1&b="' if name != "s.c" else None))
    links = {a.get("href"): a.get("aria-label") for a in root.iter(f"{SVG}a")}
    assert list(links) == ['/p/s.a?a=1&b="', '/p/s.b?a=1&b="']
    assert all(links.values())


def test_the_svg_is_static_and_asks_nobody(mesh):
    for found in (neighbourhood(mesh, "s.b", 2), trace(mesh, "s.c", "score")):
        drawn = svg(found)
        assert not re.search(r"<script|\bon\w+=|javascript:|@import|url\(|<image|<use|foreignObject", drawn)
        assert re.findall(r"https?://[^\"]+", drawn) == ["http://www.w3.org/2000/svg"]
        assert "prefers-color-scheme:dark" in drawn


def test_hostile_names_stay_text():
    edges = (TraceEdge("s.t", NASTY, "s.a", NASTY * 50, "direct"),)
    root = ET.fromstring(svg(Trace("s.t", NASTY, "up", edges)))
    assert not list(root.iter(f"{SVG}script"))
    assert any("<script>" in (t.text or "") for t in root.iter(f"{SVG}text"))


def test_every_kind_of_line_looks_different_and_has_a_key(mesh):
    drawn = svg(trace(mesh, "s.b", "id", kinds=("direct", "indirect", "opaque")))
    root = ET.fromstring(drawn)
    classes = {p.get("class") for p in root.iter(f"{SVG}path")}
    assert classes == {"rm-direct", "rm-indirect"}
    said = {t.text for t in root.iter(f"{SVG}text")}
    assert {"computed from", "decides the rows"} <= said


def test_python_that_takes_everything_is_one_line_and_not_hundreds():
    edges = [TraceEdge("s.u", "x", "s.t", f"k{i}", "direct") for i in range(12)]
    edges += [TraceEdge("s.t", f"k{i}", "s.a", f"c{j}", "opaque") for i in range(12) for j in range(12)]
    root = ET.fromstring(svg(Trace("s.u", "x", "up", tuple(edges))))
    shapes = {
        p.get("class"): p.get("d").count("M") for p in root.iter(f"{SVG}path") if "h28" not in p.get("d")
    }
    assert shapes == {"rm-direct": 12, "rm-opaque": 1}


def test_a_crowd_is_folded_into_fifty_kilobytes():
    crowd = {f"raw.origin_with_a_rather_long_name_{i}": [] for i in range(400)}
    crowd["mid.center"] = list(crowd)
    crowd |= {f"top.reader_with_a_rather_long_name_{i}": ["mid.center"] for i in range(400)}
    drawn = svg(neighbourhood(shaped(crowd), "mid.center"))
    assert len(drawn.encode()) <= MAX_BYTES
    said = [t.text for t in ET.fromstring(drawn).iter(f"{SVG}text")]
    folded = sum(int(t.split()[0]) for t in said if t and t.endswith(" more"))
    shown = sum(1 for t in said if t and "rather_long_name" in t)
    assert folded + shown == 800
    wide = tuple(TraceEdge("s.t", "x", f"s.a{i % 90}", f"ünïcödé_{i}" * 9, "direct") for i in range(2000))
    assert len(svg(Trace("s.t", "x", "up", wide)).encode()) <= MAX_BYTES


# layout


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 14))
    sizes = {f"n{i}": (draw(st.integers(10, 90)), draw(st.integers(10, 60))) for i in range(count)}
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    return sizes, [(f"n{a}", f"n{b}") for a, b in draw(st.lists(pairs, max_size=30))]


@given(graphs())
@settings(max_examples=60)
def test_boxes_never_overlap_and_links_lead_to_the_right(drawn):
    sizes, links = drawn
    placed = place(sizes, links)
    boxes = list(placed.boxes.values())
    assert placed.boxes.keys() == sizes.keys()
    for i, one in enumerate(boxes):
        assert one.x >= -1e-6
        assert one.y >= -1e-6
        assert one.x + one.width <= placed.width + 1e-6
        assert one.y + one.height <= placed.height + 1e-6
        for other in boxes[:i]:
            apart_x = one.x + one.width <= other.x + 1e-6 or other.x + other.width <= one.x + 1e-6
            apart_y = (
                one.y + one.height + GAP_Y <= other.y + 1e-6 or other.y + other.height + GAP_Y <= one.y + 1e-6
            )
            assert apart_x or apart_y
    for (start, end), bends in placed.bends.items():
        xs = [placed.boxes[start].x + placed.boxes[start].width, *(x for x, _ in bends), placed.boxes[end].x]
        assert xs == sorted(xs)


@given(graphs())
@settings(max_examples=30)
def test_every_link_of_a_graph_without_circles_is_drawn(drawn):
    sizes, links = drawn
    forward = [(a, b) for a, b in links if int(a[1:]) < int(b[1:])]
    assert place(sizes, forward).bends.keys() == set(forward)
    assert place(sizes, forward) == place(sizes, forward)


def test_lines_are_untangled():
    sizes = {f"{side}{i}": (10, 10) for side in "ab" for i in range(6)}
    placed = place(sizes, [(f"a{i}", f"b{5 - i}") for i in range(6)])
    left = sorted((placed.boxes[f"a{i}"].y, i) for i in range(6))
    right = sorted((placed.boxes[f"b{i}"].y, 5 - i) for i in range(6))
    assert [i for _, i in left] == [i for _, i in right]
