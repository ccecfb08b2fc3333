from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs import graph, shaped
from raymesh.errors import NotFoundError, UsageError
from raymesh.mesh.selection import Atom, parse, select

#   raw.a   raw.b ──────┐
#     └─ mid.c ─ mid.d ─┴─ top.e      top.f (alone)
SHAPE = {
    "raw.a": [],
    "raw.b": [],
    "mid.c": ["raw.a"],
    "mid.d": ["mid.c"],
    "top.e": ["mid.d", "raw.b"],
    "top.f": [],
}
TAGS = {"raw.a": ["pii.direct.email", "public"], "mid.c": ["pii.quasi"], "top.f": ["piid"]}
MESH = shaped(SHAPE, TAGS)


def names(*selectors, **given_):
    return set(select(MESH, selectors, **given_))


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ([], set(SHAPE)),
        (["*"], set(SHAPE)),
        (["mid.c"], {"mid.c"}),
        (["c"], {"mid.c"}),
        (["+mid.c"], {"raw.a", "mid.c"}),
        (["mid.c+"], {"mid.c", "mid.d", "top.e"}),
        (["+d+"], {"raw.a", "mid.c", "mid.d", "top.e"}),
        (["1+top.e"], {"top.e", "mid.d", "raw.b"}),
        (["2+top.e"], {"top.e", "mid.d", "raw.b", "mid.c"}),
        (["raw.a+2"], {"raw.a", "mid.c", "mid.d"}),
        (["1+mid.d+1"], {"mid.c", "mid.d", "top.e"}),
        (["domain:mid"], {"mid.c", "mid.d"}),
        (["domain:mid+"], {"mid.c", "mid.d", "top.e"}),
        (["mid.*"], {"mid.c", "mid.d"}),
        (["[cd]"], {"mid.c", "mid.d"}),
        (["tag:pii"], {"raw.a", "mid.c"}),
        (["tag:pii.direct"], {"raw.a"}),
        (["tag:public+"], {"raw.a", "mid.c", "mid.d", "top.e"}),
        (["raw.a", "top.f"], {"raw.a", "top.f"}),
        (["raw.a top.f"], {"raw.a", "top.f"}),
        (["domain:mid,tag:pii"], {"mid.c"}),
        (["domain:mid,tag:pii top.f"], {"mid.c", "top.f"}),
        (["domain:mid,!tag:pii"], {"mid.d"}),
        (["!domain:mid"], {"raw.a", "raw.b", "top.e", "top.f"}),
        (["+top.e", "!raw.*"], {"mid.c", "mid.d", "top.e"}),
        (["raw.a,raw.b"], set()),
    ],
)
def test_a_selection_names_products(selectors, expected):
    assert names(*selectors) == expected


def test_the_answer_is_in_build_order():
    assert select(MESH, ["top.e", "mid.*", "raw.a"]) == ("raw.a", "mid.c", "mid.d", "top.e")


def test_exclude_takes_away_what_it_selects():
    assert names("+top.e", exclude=["domain:raw", "c"]) == {"mid.d", "top.e"}


def test_a_state_is_a_set_of_names_or_a_question_about_a_name():
    states = {"changed": frozenset({"mid.c"}), "old": lambda name: name.startswith("raw.")}
    assert names("state:changed+", states=states) == {"mid.c", "mid.d", "top.e"}
    assert names("state:old,!raw.a", states=states) == {"raw.b"}
    with pytest.raises(UsageError, match="no state `change`") as unknown:
        names("state:change", states=states)
    assert unknown.value.hint == "did you mean `changed`?"


def test_products_are_selected_by_the_source_they_read(tmp_path):
    found = graph(
        tmp_path,
        {
            "shop.a": {"source": "events"},
            "shop.b": "select * from shop.a",
            "crm.c": "select * from source.events",
        },
        {"shop.events": None, "crm.events": None},
    )
    assert set(select(found, ["source:events"])) == {"shop.a", "crm.c"}
    assert set(select(found, ["source:shop.events+"])) == {"shop.a", "shop.b"}
    with pytest.raises(NotFoundError) as unknown:
        select(found, ["source:event"])
    assert unknown.value.hint == "did you mean `events`?"


@pytest.mark.parametrize(
    ("selector", "error", "hint"),
    [
        ("mid.cc", NotFoundError, "did you mean `mid.c`"),
        ("nowhere.*", NotFoundError, "raymesh ls"),
        ("domain:midd", NotFoundError, "did you mean `mid`?"),
        ("tag:pii.indirect", NotFoundError, "did you mean"),
        ("tag:pi", NotFoundError, "did you mean"),
        ("source:x", NotFoundError, "there are no sources"),
        ("domian:mid", UsageError, "did you mean `domain`?"),
        ("domain:", UsageError, "domain:…"),
        ("+", UsageError, "such as"),
        ("a,,b", UsageError, "such as"),
        ("++a", UsageError, "such as"),
        ("a+b", UsageError, "such as"),
        ("!", UsageError, "such as"),
    ],
)
def test_what_cannot_be_selected_is_an_error_with_advice(selector, error, hint):
    with pytest.raises(error) as raised:
        names(selector)
    assert hint in raised.value.hint


# the grammar

STEPS = st.none() | st.integers(0, 3)
ATOMS = st.builds(
    Atom, st.just("name"), st.sampled_from(sorted(SHAPE)), STEPS, STEPS, st.booleans()
) | st.builds(Atom, st.just("domain"), st.sampled_from(["raw", "mid", "top"]), STEPS, STEPS, st.booleans())
UNIONS = st.lists(st.lists(ATOMS, min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple)


def written(union):
    return [",".join(map(str, term)) for term in union]


@given(UNIONS)
def test_what_is_written_is_read_back(union):
    assert parse(written(union)) == union
    assert parse([" ".join(written(union))]) == union


def meaning(atom):
    """Products an atom names, the slow and obvious way."""
    found = {n for n in SHAPE if (n if atom.method == "name" else n.split(".")[0]) == atom.value}
    downstream = {n: [r for r, o in SHAPE.items() if n in o] for n in SHAPE}
    out = set(found)
    for neighbours, steps in ((SHAPE, atom.up), (downstream, atom.down)):
        near = set(found)
        for _ in range(len(SHAPE) if steps is None else steps):
            near |= {m for n in near for m in neighbours[n]}
        out |= near
    return out


@given(UNIONS)
def test_a_selection_means_unions_of_intersections_less_what_is_negated(union):
    everything = set(SHAPE)
    chosen, taken, positive = set(), set(), False
    for term in union:
        if len(term) == 1 and term[0].negated:
            taken |= meaning(term[0])
            continue
        positive = True
        parts = [everything - meaning(a) if a.negated else meaning(a) for a in term]
        chosen |= set.intersection(*parts)
    assert names(*written(union)) == (chosen if positive else everything) - taken
