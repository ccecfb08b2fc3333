"""Who may read at all, compared with Cedar: an independent engine given the same rules in its own words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_world import NOW, WHO, bundle, named, person, policy, rarely, target

from raymesh.governance.decide import decide
from raymesh.governance.model import Asked, Policy, Principal, ReadPlan

cedarpy = pytest.importorskip("cedarpy")

WHAT = st.fixed_dictionaries(
    {},
    optional={
        "domains": st.sampled_from((("orders",), ("customer",), ("orders", "customer"))),
        "products": st.sampled_from((("orders.*",), ("orders.lines",), ("orders.others",))),
    },
)
RULES = st.lists(
    st.builds(
        lambda effect, who, what: policy("r", effect, who=who, what=what),
        st.sampled_from(("grant", "grant", "deny")),
        WHO,
        rarely(WHAT),
    ),
    min_size=1,
    max_size=5,
)
READERS = st.builds(
    person,
    name=st.sampled_from(("anna", "bert")),
    groups=st.sampled_from((("analysts",), ("support",), ())),
    attributes=st.fixed_dictionaries(
        {}, optional={"region": st.sampled_from(("EU", "US")), "level": st.sampled_from((1, 7))}
    ),
)
PURPOSES = st.sampled_from((None, "reporting", "research"))


def in_cedar(rule: Policy) -> str:
    """The rule as a Cedar policy. A missing attribute is an error there, so it is asked for first."""
    hides = rule.effect == "deny"
    who, what = rule.who, rule.what
    tests = []
    if who.groups:
        tests.append(any_of(f'principal in Group::"{g}"' for g in sorted(who.groups)))
    if who.principals:
        tests.append(any_of(f'principal == User::"{p}"' for p in sorted(who.principals)))
    if who.purposes:
        tests.append(known("context", "purpose", sorted(who.purposes), hides=hides))
    for name, values in sorted(who.attributes.items()):
        tests.append(known("principal", name, sorted(values), hides=hides))
    if what.domains:
        tests.append(any_of(f'resource.domain == "{d}"' for d in sorted(what.domains)))
    if what.products:
        places = [
            f'resource.domain == "{p[:-2]}"' if p.endswith(".*") else f'resource == Product::"{p}"'
            for p in sorted(what.products)
        ]
        tests.append(any_of(places))
    effect = "forbid" if hides else "permit"
    return f"{effect} (principal, action, resource) when {{ {' && '.join(tests) or 'true'} }};"


def any_of(tests: Any) -> str:
    return f"({' || '.join(tests)})"


def known(owner: str, name: str, values: list[Any], *, hides: bool) -> str:
    listed = f"{json.dumps(values)}.contains({owner}.{name})"
    return f"(!({owner} has {name}) || {listed})" if hides else f"({owner} has {name} && {listed})"


def cedar_allows(rules: tuple[Policy, ...], who: Principal, purpose: str | None) -> bool:
    groups = [{"type": "Group", "id": g} for g in sorted(who.groups)]
    entities = [
        {"uid": {"type": "User", "id": who.id}, "attrs": dict(who.attributes), "parents": groups},
        {"uid": {"type": "Product", "id": "orders.lines"}, "attrs": {"domain": "orders"}, "parents": []},
        *({"uid": group, "attrs": {}, "parents": []} for group in groups),
    ]
    request = {
        "principal": f'User::"{who.id}"',
        "action": 'Action::"read"',
        "resource": 'Product::"orders.lines"',
        "context": {} if purpose is None else {"purpose": purpose},
    }
    found = cedarpy.is_authorized(request, "\n".join(in_cedar(r) for r in rules), entities)
    assert not found.diagnostics.errors
    return bool(found.allowed)


@settings(max_examples=150, deadline=None)
@given(RULES, READERS, PURPOSES)
def test_whoever_may_read_at_all_may_in_cedar_and_nobody_else(
    drawn: list[Policy], who: Principal, purpose: str | None
) -> None:
    rules = named(drawn)
    ours = decide(who, target(), Asked(purpose=purpose), bundle(*rules), (), NOW)
    assert isinstance(ours, ReadPlan) is cedar_allows(rules, who, purpose)
