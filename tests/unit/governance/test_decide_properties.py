"""What holds of every decision: it equals the naive evaluator, never grows by a restriction, never fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from policy_world import (
    ASKED,
    BUNDLES,
    DATA,
    GRANTS,
    NOW,
    PRINCIPALS,
    TARGETS,
    TAXONOMY,
    Matrix,
    a_policy,
    bundle,
    naive,
    named,
    seen,
)

from raymesh.governance.decide import decide, explain, visible
from raymesh.governance.model import Asked, Bundle, Deny, Grant, Principal, ReadPlan, Target
from raymesh.spec import mask as m

World = tuple[Principal, Target, Asked, Bundle, list[Grant]]
WORLDS = st.tuples(PRINCIPALS, TARGETS, ASKED, BUNDLES, GRANTS)


def blank(found: Matrix) -> list[dict[str, Any] | None]:
    """Without the contexts of tokens, which the naive evaluator does not know."""
    return [
        None if row is None else {n: "token" if isinstance(k, m.Token) else k for n, k in row.items()}
        for row in found
    ]


@settings(max_examples=400, deadline=None)
@given(WORLDS, DATA)
def test_every_cell_is_as_the_naive_evaluator_says(world: World, rows: list[dict[str, Any]]) -> None:
    assert blank(seen(decide(*world, NOW), rows)) == blank(naive(*world, rows))


def shows_no_more(after: Matrix, before: Matrix) -> bool:
    for new, old in zip(after, before, strict=True):
        if new is None:
            continue
        if old is None:
            return False
        for name, mask in new.items():
            was = old.get(name, m.Absent())
            same = isinstance(mask, m.Token) and isinstance(was, m.Token)
            if not same and m.join(was, mask) != mask:
                return False
    return True


@settings(max_examples=300, deadline=None)
@given(WORLDS, DATA, st.lists(a_policy(("restrict", "mask", "deny")), min_size=1, max_size=3))
def test_another_restriction_mask_or_denial_never_shows_more(
    world: World, rows: list[dict[str, Any]], added: list[Any]
) -> None:
    who, what, asked, rules, grants = world
    more = named([replace(p, exception_to=()) for p in added], "added")
    after = bundle(*rules.policies, *more)
    before = seen(decide(who, what, replace(asked, columns=None), rules, grants, NOW), rows)
    assert shows_no_more(
        seen(decide(who, what, replace(asked, columns=None), after, grants, NOW), rows), before
    )


@settings(max_examples=300, deadline=None)
@given(WORLDS, DATA, st.data())
def test_another_tag_never_shows_more(world: World, rows: list[dict[str, Any]], data: st.DataObject) -> None:
    who, what, asked, rules, grants = world
    asked = replace(asked, columns=None)
    number = data.draw(st.integers(0, len(what.columns) - 1))
    tag = data.draw(st.sampled_from([*sorted(TAXONOMY), "unheard"]))
    columns = list(what.columns)
    columns[number] = replace(columns[number], tags=columns[number].tags | {tag})
    tagged = replace(what, columns=tuple(columns))
    before = seen(decide(who, what, asked, rules, grants, NOW), rows)
    assert shows_no_more(seen(decide(who, tagged, asked, rules, grants, NOW), rows), before)


@settings(max_examples=200, deadline=None)
@given(WORLDS, st.randoms(use_true_random=False))
def test_the_order_of_policies_and_agreements_never_matters(world: World, random: Any) -> None:
    who, what, asked, rules, grants = world
    shuffled = list(rules.policies)
    random.shuffle(shuffled)
    one = decide(*world, NOW)
    other = decide(who, what, asked, bundle(*shuffled), grants[::-1], NOW)
    if isinstance(one, ReadPlan):
        assert isinstance(other, ReadPlan)
        assert (one.view, one.valid_until, one.columns) == (other.view, other.valid_until, other.columns)
        assert (one.grants, one.row_rules, one.conflicts) == (other.grants, other.row_rules, other.conflicts)
    else:
        assert isinstance(other, Deny)
        assert (one.code, one.reason, sorted(one.rules)) == (other.code, other.reason, sorted(other.rules))


GARBAGE: Any = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=3),
    st.just(object()),
    st.just(()),
    st.just({}),
    st.just(float("nan")),
)


@settings(max_examples=200, deadline=None)
@given(WORLDS, st.integers(0, 5), GARBAGE)
def test_garbage_in_any_place_is_a_denial_and_never_an_error(world: World, place: int, garbage: Any) -> None:
    arguments: list[Any] = [*world, NOW]
    arguments[place] = garbage
    found = decide(*arguments)
    assert isinstance(found, Deny) or (place == 4 and garbage in ((), "", {}))
    assert isinstance(explain(*arguments).decision, Deny | ReadPlan)
    who, what, asked, rules, grants, now = arguments
    assert isinstance(visible(who, [what], rules, grants, now, asked), tuple)


@settings(max_examples=200, deadline=None)
@given(WORLDS, st.sampled_from(("groups", "attributes", "purposes", "expires_at")), GARBAGE)
def test_a_garbled_principal_is_a_denial_or_shows_no_more(world: World, name: str, garbage: Any) -> None:
    who = replace(world[0], **{name: garbage})
    assert isinstance(decide(who, *world[1:], NOW), Deny | ReadPlan)


@settings(max_examples=300, deadline=None)
@given(WORLDS)
def test_what_is_listed_is_what_can_be_read(world: World) -> None:
    who, what, asked, rules, grants = world
    asked = replace(asked, columns=None)
    listed = visible(who, [what, what], rules, grants, NOW, asked)
    assert listed == (
        (what, what) if isinstance(decide(who, what, asked, rules, grants, NOW), ReadPlan) else ()
    )


@settings(max_examples=200, deadline=None)
@given(WORLDS)
def test_a_plan_never_outlives_what_it_rests_on(world: World) -> None:
    who, what, asked, rules, grants = world
    plan = decide(*world, NOW)
    if isinstance(plan, Deny):
        return
    assert plan.valid_until >= NOW
    later = decide(who, what, asked, rules, grants, _just_before(plan.valid_until))
    assert isinstance(later, ReadPlan)
    assert (later.view, later.grants) == (plan.view, plan.grants)


def _just_before(moment: datetime) -> datetime:
    from datetime import timedelta

    return max(NOW, moment - timedelta(microseconds=1))
