"""What decisions depend on where rules meet; a change of any of it would show or hide something else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from policy_world import HOUR, NOW, bundle, column, person, policy, target
from test_attacks_d_policies import OPEN, denial, masks, plan

from raymesh.governance.decide import visible
from raymesh.mesh.plan import EVERY_ROW
from raymesh.spec import expression as e
from raymesh.spec import mask as m

LIFTS: dict[str, Any] = {"approved_by": ("carl", "dora"), "reason": "x", "expires_at": NOW + HOUR}


@pytest.mark.parametrize("what", [{}, {"tags": ["pii"]}], ids=["everywhere", "by tag"])
def test_a_mask_by_name_joins_those_for_all_columns_and_for_tags(what: dict[str, Any]) -> None:
    one = target(column("born", tags=("pii.quasi",)))
    by_name = policy("own", "mask", what={"columns": ["born"]}, mask=m.Truncate("month"))
    for wider, shown in ((m.Truncate("year"), m.Truncate("year")), (m.Token(""), m.Null())):
        assert masks(plan(OPEN, by_name, policy("wide", "mask", what=what, mask=wider), what=one)) == {
            "born": shown
        }


def test_null_by_a_rule_of_its_own_is_no_conflict() -> None:
    one = target(column("email", tags=("pii.direct.email",)))
    token = policy("t", "mask", mask=m.Token(""))
    for what in ({}, {"tags": ["pii"]}, {"columns": ["email"]}):
        found = plan(OPEN, token, policy("n", "mask", what=what, mask=m.Null()), what=one)
        assert (masks(found), found.conflicts) == ({"email": m.Null()}, ())


def test_a_token_is_keyed_by_the_sensitive_one_of_several_tags() -> None:
    one = target(column("email", tags=("public", "confidential.terms", "pii.direct.email")))
    known = {
        "taxonomy": frozenset(("public", "confidential.terms", "pii.direct.email")),
        "sensitive": frozenset(("pii",)),
    }
    token = masks(plan(OPEN, policy("t", "mask", mask=m.Token("")), what=one, **known))["email"]
    assert token == m.Token("raymesh/token/v1|pii.direct.email|reporting|orders")


def test_a_rule_of_a_domain_about_others_is_about_nothing() -> None:
    delegated = policy("d", "delegate")
    own = policy("own", "grant", origin="orders")
    assert plan(own, delegated)
    elsewhere = replace(own, what=replace(own.what, domains=frozenset(("customer",))))
    assert denial(elsewhere, delegated).code == "no-grant"


def test_a_rule_that_names_a_product_twice_counts_once() -> None:
    both = {"products": ["orders.*", "orders.lines"]}
    assert denial(OPEN, policy("never", "deny", what=both)).rules == ("never",)


def test_rules_that_hide_take_a_truth_for_the_number_it_may_stand_for() -> None:
    """An attribute from a token may come as either; a grant does not guess."""
    who = person(attributes={"level": True})
    hides = policy("h", "mask", who={"attributes": {"level": [1]}}, mask=m.Null())
    assert set(masks(plan(OPEN, hides, who=who)).values()) == {m.Null()}
    assert denial(policy("g", "grant", who={"attributes": {"level": [1]}}), who=who).code == "no-grant"


def test_a_delegation_is_no_exception() -> None:
    limit = policy("limit", "restrict", rows="region = 'EU'")
    lifting = policy("d", "delegate", exception_to=("limit",), **LIFTS)
    assert plan(OPEN, limit, lifting).view.rows == e.Compare("=", e.Column(("region",)), e.Value("EU"))


def test_a_column_nobody_classified_is_hidden_beside_one_that_is_alike() -> None:
    one = column("a")
    what = target(one, replace(one, id=2, name="b", classified=False), replace(one, id=3, name="c"))
    assert set(masks(plan(OPEN, what=what))) == {"a", "c"}


def test_what_a_list_shows_is_what_can_be_read() -> None:
    """Listings do not decide column by column where a grant is for everything; what hides all of it still counts."""
    hiding = [
        policy("m", "mask"),  # of no mask, so unsound
        policy("m", "mask", mask=m.Absent()),
        policy("d", "deny", what={"tags": ["public"]}),
    ]
    assert visible(person(), [target()], bundle(OPEN), (), NOW) == (target(),)
    for rule in hiding:
        assert visible(person(), [target()], bundle(OPEN, rule), (), NOW) == ()


def test_a_moment_is_no_date_in_a_condition() -> None:
    rule = policy("g", "grant", rows="born < principal.since")
    assert plan(rule, who=person(attributes={"since": NOW.date()})).view.rows != e.Constant(False)
    assert plan(rule, who=person(attributes={"since": NOW})).view.rows == e.Constant(False)


def test_what_a_condition_says_of_the_reader_alone_is_settled() -> None:
    rule = policy("r", "restrict", rows="not principal.level > 2")
    assert plan(OPEN, rule, who=person(attributes={"level": 1})).view.rows == EVERY_ROW
    assert plan(OPEN, rule, who=person(attributes={"level": 3})).view.rows == e.Constant(False)
    grant = policy("g", "grant", rows="principal.level = 1")
    for level, rows in ((1, True), ((1, 2), True), ((2,), False), ((True,), False), (True, False)):
        assert plan(grant, who=person(attributes={"level": level})).view.rows == e.Constant(rows)
