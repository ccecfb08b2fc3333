"""Attacks with old answers: caches, expiry, clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from policy_world import HOUR, NOW, bundle, grant, person, policy, target

from raymesh.governance.decide import decide
from raymesh.governance.model import Asked, Deny, ReadPlan
from raymesh.spec import mask as m

FOR = Asked(purpose="reporting")
OPEN = policy("open", "grant")


def until(*policies, who=None, grants=(), now=NOW, ttl=300):
    found = decide(who or person(), target(), FOR, bundle(*policies, ttl=ttl), grants, now)
    assert isinstance(found, ReadPlan)
    return found.valid_until


def test_f1_a_plan_names_reader_purpose_bundle_and_snapshot() -> None:
    rules = bundle(OPEN, policy("m", "mask", mask=m.Token("")))
    one = decide(person(), target(), FOR, rules, (), NOW)
    other = decide(person(), target(), Asked(purpose="research"), rules, (), NOW)
    assert isinstance(one, ReadPlan)
    assert isinstance(other, ReadPlan)
    assert (one.purpose, one.bundle, one.target.snapshot_id) == ("reporting", "d", 7)
    assert one.view != other.view


def test_f1_what_was_filed_for_one_bundle_is_never_used_for_another() -> None:
    for _ in range(20):
        assert isinstance(decide(person(), target(), FOR, bundle(OPEN), (), NOW), ReadPlan)
        assert isinstance(decide(person(), target(), FOR, bundle(policy("no", "deny")), (), NOW), Deny)


def test_f2_a_plan_ends_with_whatever_it_rests_on_first() -> None:
    assert until(OPEN) == NOW + timedelta(seconds=300)
    assert until(OPEN, ttl=10) == NOW + timedelta(seconds=10)
    assert until(OPEN, ttl=-5) == NOW
    soon = NOW + timedelta(seconds=20)
    assert until(OPEN, who=person(expires_at=soon)) == soon
    assert until(policy("g", "grant", expires_at=soon)) == soon
    assert until(policy("x", "mask", mask=m.Raw()), grants=[grant(expires_at=soon)]) == soon
    own = policy("own", "grant", origin="orders")
    assert until(own, policy("d", "delegate", expires_at=soon)) == soon
    assert until(policy("own", "grant", origin="orders", expires_at=soon), policy("d", "delegate")) == soon
    assert until(OPEN, policy("later", "deny", not_before=soon)) == soon
    lifted = policy("out", "mask", mask=m.Raw(), exception_to=("floor",), approved_by=("carl", "dora"),
                    reason="migration 7", expires_at=soon)  # fmt: skip
    assert until(OPEN, policy("floor", "mask", mask=m.Null()), lifted) == soon
    assert until(OPEN, policy("other", "deny", not_before=soon, who={"groups": ["others"]})) > soon


def test_f2_expiry_is_absolute_and_the_last_moment_is_outside() -> None:
    held = policy("g", "grant", expires_at=NOW + HOUR)
    rules = bundle(held)
    almost = NOW + HOUR - timedelta(microseconds=1)
    assert isinstance(decide(person(), target(), FOR, rules, (), almost), ReadPlan)
    assert isinstance(decide(person(), target(), FOR, rules, (), NOW + HOUR), Deny)
    who = person(expires_at=NOW + HOUR)
    assert decide(who, target(), FOR, bundle(OPEN), (), NOW + HOUR) == Deny(
        "identity-expired", "the login has expired"
    )


def test_f3_a_plan_carries_the_bundle_it_was_made_under() -> None:
    before = decide(person(), target(), FOR, bundle(OPEN), (), NOW)
    rules = replace(bundle(OPEN, policy("m", "mask", mask=m.Null())), digest="e")
    after = decide(person(), target(), FOR, rules, (), NOW)
    assert isinstance(before, ReadPlan)
    assert isinstance(after, ReadPlan)
    assert before.bundle != after.bundle


@pytest.mark.parametrize("now", [NOW.replace(tzinfo=None), "2026-01-01", None])
def test_f7_a_time_that_is_none_or_has_no_zone_denies(now) -> None:
    assert isinstance(decide(person(), target(), FOR, bundle(OPEN), (), now), Deny)
