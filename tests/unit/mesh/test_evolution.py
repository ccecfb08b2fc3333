from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raymesh.errors import ConformError
from raymesh.mesh.evolution import evolve
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, TableSchema

INT, LONG, TEXT = Primitive("int"), Primitive("long"), Primitive("string")
FLOAT, DOUBLE = Primitive("float"), Primitive("double")


def columns(**types):
    return [Field(name, type_) for name, type_ in types.items()]


def ids(schema):
    return {f.name: f.id for f in schema}


def kinds(evolution):
    return {(c.kind, c.column) for c in evolution.changes}


def every_id(type_):
    match type_:
        case Struct(fields):
            return [i for f in fields for i in (f.id, *every_id(f.type))]
        case List(element, element_id):
            return [element_id, *every_id(element)]
        case Map(key, value, key_id, value_id):
            return [key_id, value_id, *every_id(key), *every_id(value)]
    return []


def paths(type_, path=()):
    """Every field id under its path of names."""
    match type_:
        case Struct(fields):
            out = {}
            for f in fields:
                out |= {(*path, f.name): (f.id, f.type)} | paths(f.type, (*path, f.name))
            return out
        case List(element, element_id):
            return {(*path, "element"): (element_id, element)} | paths(element, (*path, "element"))
        case Map(key, value, key_id, value_id):
            return (
                {(*path, "key"): (key_id, key), (*path, "value"): (value_id, value)}
                | paths(key, (*path, "key"))
                | paths(value, (*path, "value"))
            )
    return {}


# ── new tables ────────────────────────────────────────────────────────────────────────────────


def test_a_new_table_counts_one_level_before_the_next():
    point = Struct((Field("x", INT), Field("y", INT)))
    made = evolve(None, columns(a=INT, p=point, tags=List(TEXT), m=Map(TEXT, point), b=INT))
    assert ids(made.schema) == {"a": 1, "p": 2, "tags": 3, "m": 4, "b": 5}
    assert [f.id for f in made.schema.find("p").type.fields] == [6, 7]
    assert made.schema.find("tags").type.element_id == 8
    assert (made.schema.find("m").type.key_id, made.schema.find("m").type.value_id) == (9, 10)
    assert made.schema.last_id == 12
    assert made.changes == ()


def test_ids_given_in_the_columns_are_not_believed():
    assert ids(evolve(None, [Field("a", INT, id=77)]).schema) == {"a": 1}


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(ConformError, match=r"p\.x"):
        evolve(None, columns(p=Struct((Field("x", INT), Field("x", TEXT)))))


# ── one change at a time ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def before():
    return evolve(None, columns(a=INT, b=TEXT, c=Decimal(10, 2))).schema


def test_an_added_column_gets_an_id_never_used_and_breaks_nobody(before):
    after = evolve(before, columns(z=INT, a=INT, b=TEXT, c=Decimal(10, 2)))
    assert ids(after.schema) == {"z": 4, "a": 1, "b": 2, "c": 3}
    assert kinds(after) == {("added", "z")}
    assert after.breaking == ()


def test_a_dropped_column_breaks_and_its_id_does_not_come_back(before):
    gone = evolve(before, columns(a=INT, b=TEXT))
    assert kinds(gone) == {("dropped", "c")}
    assert [c.column for c in gone.breaking] == ["c"]
    again = evolve(gone.schema, columns(a=INT, b=TEXT, c=Decimal(10, 2)))
    assert again.schema.find("c").id == 4


def test_a_renamed_column_keeps_its_id(before):
    after = evolve(before, columns(a=INT, text=TEXT, c=Decimal(10, 2)), {"text": "b"})
    assert ids(after.schema) == {"a": 1, "text": 2, "c": 3}
    assert kinds(after) == {("renamed", "text")}
    assert after.breaking == ()
    assert "was called b" in after.changes[0].message


def test_a_rename_that_has_happened_is_ignored(before):
    renamed = evolve(before, columns(a=INT, text=TEXT, c=Decimal(10, 2)), {"text": "b"})
    again = evolve(renamed.schema, columns(a=INT, text=TEXT, c=Decimal(10, 2)), {"text": "b"})
    assert again.schema == renamed.schema
    assert again.changes == ()


def test_a_rename_does_not_steal_a_name_that_is_still_in_use(before):
    after = evolve(before, columns(a=INT, b=TEXT, copy=TEXT, c=Decimal(10, 2)), {"copy": "b"})
    assert ids(after.schema) == {"a": 1, "b": 2, "copy": 4, "c": 3}
    assert kinds(after) == {("added", "copy")}


def test_only_one_column_inherits_a_name(before):
    after = evolve(before, columns(a=INT, x=TEXT, y=TEXT, c=Decimal(10, 2)), {"x": "b", "y": "b"})
    assert (after.schema.find("x").id, after.schema.find("y").id) == (2, 4)


@pytest.mark.parametrize(
    ("old", "new"),
    [(INT, LONG), (FLOAT, DOUBLE), (Decimal(10, 2), Decimal(18, 2))],
)
def test_widening_keeps_the_id_and_narrowing_back_does_not(old, new):
    start = evolve(None, columns(a=old)).schema
    wide = evolve(start, columns(a=new))
    assert (wide.schema.find("a").id, kinds(wide), wide.breaking) == (1, {("widened", "a")}, ())
    narrow = evolve(wide.schema, columns(a=old))
    assert narrow.schema.find("a").id == 2
    assert [(c.kind, c.column) for c in narrow.breaking] == [("narrowed", "a")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (LONG, TEXT),
        (INT, DOUBLE),
        (Decimal(10, 2), Decimal(12, 3)),
        (Primitive("date"), Primitive("timestamp")),
        (Primitive("timestamp"), Primitive("timestamptz")),
        (List(INT), List(TEXT)),
        (TEXT, Struct((Field("x", INT),))),
        (Map(INT, TEXT), Map(LONG, TEXT)),
    ],
)
def test_another_type_is_another_column(old, new):
    after = evolve(evolve(None, columns(keep=INT, a=old)).schema, columns(keep=INT, a=new))
    assert [(c.kind, c.column) for c in after.changes] == [("retyped", "a")]
    assert after.breaking
    fresh = {i for _, (i, _) in paths(Struct(after.schema.fields)).items()} - {1}
    assert min(fresh) > evolve(None, columns(keep=INT, a=old)).schema.last_id


def test_a_list_narrows_as_its_element_does():
    start = evolve(None, columns(a=List(LONG))).schema
    assert kinds(evolve(start, columns(a=List(INT)))) == {("narrowed", "a")}


def test_another_order_is_told_and_breaks_nobody(before):
    after = evolve(before, columns(c=Decimal(10, 2), a=INT, b=TEXT))
    assert after.schema.names == ("c", "a", "b")
    assert kinds(after) == {("reordered", "")}
    assert after.breaking == ()


def test_a_new_description_is_no_change(before):
    after = evolve(before, [replace(f, doc="said better") for f in before])
    assert after.changes == ()
    assert after.schema.find("a").doc == "said better"


# ── inside columns ────────────────────────────────────────────────────────────────────────────


def nested(*members):
    return Struct(tuple(Field(n, t) for n, t in members))


def test_members_evolve_like_columns_at_any_depth():
    start = evolve(None, columns(lines=List(nested(("sku", TEXT), ("price", FLOAT), ("qty", INT))))).schema
    after = evolve(
        start,
        columns(lines=List(nested(("article", TEXT), ("price", DOUBLE), ("note", TEXT)))),
        {"lines.element.article": "sku"},
    )
    assert kinds(after) == {
        ("renamed", "lines.element.article"),
        ("widened", "lines.element.price"),
        ("added", "lines.element.note"),
        ("dropped", "lines.element.qty"),
    }
    was, now = paths(Struct(start.fields)), paths(Struct(after.schema.fields))
    assert now["lines",] == (1, now["lines",][1])
    assert now["lines", "element"][0] == was["lines", "element"][0]
    assert now["lines", "element", "article"][0] == was["lines", "element", "sku"][0]
    assert now["lines", "element", "note"][0] == start.last_id + 1


def test_a_retyped_member_leaves_its_struct_alone():
    start = evolve(None, columns(p=nested(("x", TEXT), ("y", TEXT)))).schema
    after = evolve(start, columns(p=nested(("x", INT), ("y", TEXT))))
    assert kinds(after) == {("retyped", "p.x")}
    now = paths(Struct(after.schema.fields))
    assert (now["p",][0], now["p", "y"][0], now["p", "x"][0]) == (1, 3, 4)


def test_the_value_of_a_map_evolves_and_its_key_does_not():
    start = evolve(None, columns(m=Map(TEXT, nested(("x", INT))))).schema
    more = evolve(start, columns(m=Map(TEXT, nested(("x", LONG), ("y", INT)))))
    assert kinds(more) == {("widened", "m.value.x"), ("added", "m.value.y")}
    keyed = evolve(None, columns(m=Map(nested(("x", INT)), TEXT))).schema
    assert kinds(evolve(keyed, columns(m=Map(nested(("x", INT), ("y", INT)), TEXT)))) == {("retyped", "m")}


# ── properties ────────────────────────────────────────────────────────────────────────────────

NAMES = st.sampled_from("abcdef")
LEAVES = st.sampled_from([INT, LONG, FLOAT, DOUBLE, TEXT, Decimal(8, 2), Decimal(12, 2), Decimal(12, 3)])


def field_lists(types):
    return st.dictionaries(NAMES, types, min_size=1, max_size=4).map(
        lambda d: tuple(Field(n, t) for n, t in d.items())
    )


TYPES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        field_lists(inner).map(Struct), inner.map(List), st.builds(Map, st.sampled_from([INT, TEXT]), inner)
    ),
    max_leaves=6,
)
STEPS = st.lists(
    st.tuples(field_lists(TYPES), st.dictionaries(NAMES, NAMES, max_size=2)), min_size=2, max_size=6
)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_an_id_means_one_thing_for_ever(steps):
    schema: TableSchema | None = None
    retired: set[int] = set()
    for fields, renames in steps:
        evolution = evolve(schema, fields, renames)
        now = every_id(Struct(evolution.schema.fields))
        assert 0 not in now
        assert len(now) == len(set(now)), "an id is used twice"
        assert max(now) <= evolution.schema.last_id
        assert evolution.schema.names == tuple(f.name for f in fields)
        assert not retired & set(now), "a retired id came back"
        if schema is not None:
            was = every_id(Struct(schema.fields))
            assert evolution.schema.last_id >= schema.last_id
            assert all(i > schema.last_id for i in set(now) - set(was)), "a new id is not new"
            retired |= set(was) - set(now)
            _kept_ids_keep_their_kind(schema, evolution.schema)
            unchanged = evolve(evolution.schema, fields, renames)
            assert unchanged.schema == evolution.schema
            assert unchanged.changes == ()
        schema = evolution.schema


def _kept_ids_keep_their_kind(before, after):
    types = dict(paths(Struct(before.fields)).values())
    for i, now in paths(Struct(after.fields)).values():
        if i in types and isinstance(types[i], Primitive):
            assert (types[i], now) in {(INT, LONG), (FLOAT, DOUBLE)} or types[i] == now


@given(field_lists(TYPES))
@settings(max_examples=100, deadline=None)
def test_saying_the_same_again_changes_nothing(fields):
    first = evolve(None, fields).schema
    assert evolve(first, fields).schema == first
    assert evolve(first, first.fields).schema == first


@given(field_lists(TYPES), field_lists(TYPES))
@settings(max_examples=100, deadline=None)
def test_columns_of_the_same_name_and_type_keep_their_ids(old, new):
    first = evolve(None, old).schema
    second = evolve(first, new).schema
    for f in old:
        if f in new:
            assert second.find(f.name) == first.find(f.name)
