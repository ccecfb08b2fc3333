"""Agreements as a function of their events: who may ask, who may decide, what holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raymesh.errors import AccessDeniedError, GovernanceError, MeshError, UsageError
from raymesh.governance.access import (
    AUTOMATIC,
    AccessRules,
    AutoApproval,
    Case,
    Subject,
    approve,
    deny,
    expire,
    renew,
    request,
    revoke,
)
from raymesh.governance.agreements import (
    Agreement,
    AgreementEvent,
    Terms,
    fold,
    grant_of,
    unused_columns,
)
from raymesh.governance.model import Principal, Who

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAY = 86_400
ANNA = Principal("local", "anna", frozenset({"analysts"}), purposes=frozenset({"reporting"}))
BEA = Principal("local", "bea", frozenset({"shop-team"}), purposes=frozenset({"reporting"}))
CARL = Principal("local", "carl", frozenset({"shop-team", "analysts"}))
DORA = Principal("local", "dora")
BOT = Principal("local", "bot", frozenset({"shop-team"}), purposes=frozenset({"reporting"}), kind="service")
RULES = AccessRules(Who(groups=frozenset({"shop-team"})), 90 * DAY)
SUBJECT = Subject(
    "shop.sales",
    1,
    {"id": frozenset(), "email": frozenset({"pii.direct.email"}), "city": frozenset({"internal"})},
    frozenset({"pii"}),
)
PLAIN = Terms("reporting", "the monthly report", 30 * DAY, ("anna",), columns=("id", "city"))
SENSITIVE = replace(PLAIN, columns=("id", "email"))


def case(after: timedelta = timedelta(), **changes: Any) -> Case:
    return replace(Case(SUBJECT, RULES, NOW + after), **changes)


def asked(terms: Terms = PLAIN, who: Principal = ANNA, **changes: Any) -> list[AgreementEvent]:
    return request("ag-1", who, terms, case(**changes))


def granted(terms: Terms = PLAIN) -> list[AgreementEvent]:
    events = asked(terms)
    for approver in (BEA, CARL):
        if fold(events).waiting is not None:
            events += approve(fold(events), approver, "fine", case())
    return events


def kinds(events: list[AgreementEvent]) -> list[str]:
    return [e.kind for e in events]


# requests
def test_a_request_waits_for_the_domain():
    agreement = fold(asked())
    assert agreement.status(NOW) == "requested"
    assert agreement.waiting == PLAIN
    assert grant_of(agreement, (0, 0), None) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"principals": ("bea",)}, "asks for bea"),
        ({"principals": ("anna", "bea")}, "asks for bea"),
        ({"principals": (), "groups": ("admins",)}, "asks for admins"),
        ({"purpose": "fraud"}, "not approved for the purpose"),
    ],
)
def test_nobody_asks_for_others_or_for_purposes_of_others(change, said):
    with pytest.raises(AccessDeniedError, match=said):
        asked(replace(PLAIN, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"principals": ()},
        {"purpose": ""},
        {"justification": " "},
        {"seconds": 0},
        {"seconds": 91 * DAY},
        {"columns": ("id", "nothing")},
        {"columns": ()},
        {"max_rows": 0},
        {"max_queries": -1},
    ],
)
def test_terms_that_cannot_be_granted_are_refused(change):
    with pytest.raises(UsageError):
        asked(replace(PLAIN, **change))


def test_a_service_neither_asks_nor_decides():
    with pytest.raises(AccessDeniedError, match="service"):
        asked(replace(PLAIN, principals=("bot",)), BOT)
    with pytest.raises(AccessDeniedError, match="service"):
        approve(fold(asked()), BOT, "fine", case())


def test_a_member_asks_for_the_group():
    terms = replace(PLAIN, principals=(), groups=("analysts",))
    events = [*asked(terms)]
    events += approve(fold(events), BEA, "fine", case())
    grant = grant_of(fold(events), (0, 0), None)
    assert grant.groups == {"analysts"}
    assert grant.principals == frozenset()


# decisions
def test_an_approval_of_the_domain_grants_plain_columns():
    events = granted()
    assert kinds(events) == ["request", "approval", "grant"]
    agreement = fold(events)
    assert agreement.status(NOW) == "granted"
    grant = grant_of(agreement, (0, 0), None)
    assert (grant.product, grant.port, grant.major) == ("shop.sales", "default", 1)
    assert grant.principals == {"anna"}
    assert grant.columns == {"id", "city"}
    assert grant.tags == {"internal"}
    assert grant.expires_at - grant.not_before == timedelta(days=30)
    assert agreement.granted.approvers == ("bea",)


def test_sensitive_columns_need_two_people():
    events = asked(SENSITIVE)
    events += approve(fold(events), BEA, "fine", case())
    assert fold(events).status(NOW) == "requested"
    with pytest.raises(AccessDeniedError, match="already"):
        approve(fold(events), BEA, "again", case())
    events += approve(fold(events), CARL, "fine", case())
    assert fold(events).granted.approvers == ("bea", "carl")
    assert fold(events).granted.tags == {"pii.direct.email"}


def test_all_columns_are_sensitive_when_one_is():
    events = asked(replace(PLAIN, columns=None))
    events += approve(fold(events), BEA, "fine", case())
    assert fold(events).status(NOW) == "requested"


def test_d12_nobody_approves_their_own_request_even_as_the_owner():
    events = asked(replace(PLAIN, principals=("bea",)), BEA)
    with pytest.raises(AccessDeniedError, match="asked for this"):
        approve(fold(events), BEA, "fine", case())


def test_d12_nobody_approves_what_they_would_use():
    events = asked(replace(PLAIN, principals=(), groups=("analysts",)))
    with pytest.raises(AccessDeniedError, match="would use"):
        approve(fold(events), CARL, "fine", case())


@pytest.mark.parametrize(
    "decide", [lambda a: approve(a, DORA, "x", case()), lambda a: deny(a, DORA, RULES, "x", NOW)]
)
def test_only_the_domain_decides(decide):
    with pytest.raises(AccessDeniedError, match="does not decide"):
        decide(fold(asked()))


def test_a_denial_ends_a_request():
    events = asked()
    events += deny(fold(events), BEA, RULES, "no need", NOW)
    assert fold(events).status(NOW) == "denied"
    with pytest.raises(GovernanceError, match="nothing"):
        approve(fold(events), BEA, "after all", case())


def test_d15_an_approval_says_nothing_about_what_changed_since():
    """The first approval saw other tags than there are when the second one comes."""
    events = asked(SENSITIVE)
    events += approve(fold(events), BEA, "fine", case())
    more = replace(
        SUBJECT, columns={**SUBJECT.columns, "email": frozenset({"pii.direct.email", "pii.health"})}
    )
    events += approve(fold(events), CARL, "fine", case(subject=more))
    assert fold(events).status(NOW) == "requested"
    events += approve(fold(events), BEA, "seen", case(subject=more))
    assert fold(events).granted.tags == {"pii.direct.email", "pii.health"}


def test_d15_an_approval_of_an_older_major_version_does_not_count():
    events = asked(SENSITIVE)
    events += approve(fold(events), BEA, "fine", case())
    second = replace(SUBJECT, major=2)
    events += approve(fold(events), CARL, "fine", case(subject=second))
    assert fold(events).granted is None
    events += approve(fold(events), BEA, "seen", case(subject=second))
    assert fold(events).granted.major == 2


# rules that approve
AUTO = replace(
    RULES,
    automatic=(
        AutoApproval(frozenset({"reporting"}), frozenset({"analysts"}), frozenset({"shop.*"}), 30 * DAY),
    ),
)


def test_a_rule_of_the_domain_grants_at_once():
    events = asked(rules=AUTO)
    assert kinds(events) == ["request", "approval", "grant"]
    assert fold(events).granted.approvers == (AUTOMATIC,)


@pytest.mark.parametrize(
    ("terms", "who"),
    [
        (SENSITIVE, ANNA),
        (replace(PLAIN, columns=None), ANNA),
        (replace(PLAIN, seconds=31 * DAY), ANNA),
        (replace(PLAIN, principals=("bea",)), BEA),
    ],
)
def test_a_rule_grants_only_what_it_means_and_nothing_sensitive(terms, who):
    assert kinds(asked(terms, who, rules=AUTO)) == ["request"]


def test_a_rule_for_other_products_or_purposes_grants_nothing():
    for rule in (AutoApproval(products=frozenset({"other.*"})), AutoApproval(purposes=frozenset({"fraud"}))):
        assert kinds(asked(rules=replace(RULES, automatic=(rule,)))) == ["request"]


def test_a_rule_does_not_grant_to_a_group_it_does_not_name():
    terms = replace(PLAIN, principals=(), groups=("analysts",))
    assert kinds(asked(terms, rules=replace(RULES, automatic=(AutoApproval(),)))) == ["request"]
    assert kinds(asked(terms, rules=AUTO)) == ["request", "approval", "grant"]


# the end of grants
def test_a_grant_ends_by_itself_and_that_is_noted_once():
    events = granted()
    end = NOW + timedelta(days=30)
    assert fold(events).status(end - timedelta(microseconds=1)) == "granted"
    assert fold(events).status(end) == "expired"
    assert expire(fold(events), end - timedelta(seconds=1)) == []
    noted = expire(fold(events), end)
    assert kinds(noted) == ["expiry"]
    assert expire(fold([*events, *noted]), end) == []
    assert fold([*events, *noted]).status(end) == "expired"


@pytest.mark.parametrize("who", [ANNA, BEA])
def test_a_revocation_holds_at_once(who):
    events = granted()
    events += revoke(fold(events), who, RULES, "not needed", NOW)
    assert fold(events).status(NOW) == "revoked"
    assert grant_of(fold(events), (0, 0), None) is None
    with pytest.raises(GovernanceError):
        revoke(fold(events), who, RULES, "again", NOW)
    with pytest.raises(GovernanceError, match="no grant to renew"):
        renew(fold(events), ANNA, case(), seconds=DAY, reason="more")


def test_others_do_not_revoke():
    with pytest.raises(AccessDeniedError):
        revoke(fold(granted()), DORA, RULES, "x", NOW)


def test_a_request_is_withdrawn_by_whoever_made_it():
    events = asked()
    events += revoke(fold(events), ANNA, RULES, "not needed", NOW)
    assert kinds(events)[-1] == "withdrawal"
    assert fold(events).status(NOW) == "withdrawn"


# renewal
def test_a_renewal_is_decided_like_a_request_and_keeps_the_old_grant_meanwhile():
    events = granted(SENSITIVE)
    later = timedelta(days=29)
    events += renew(fold(events), ANNA, case(later), seconds=30 * DAY, reason="still needed")
    assert fold(events).status(NOW + later) == "granted"
    assert fold(events).status(NOW + timedelta(days=31)) == "requested"
    with pytest.raises(GovernanceError, match="waits"):
        renew(fold(events), ANNA, case(later), seconds=DAY, reason="twice")
    events += approve(fold(events), BEA, "fine", case(later))
    assert fold(events).granted.expires_at == NOW + timedelta(days=30)
    events += approve(fold(events), CARL, "fine", case(later))
    agreement = fold(events)
    assert agreement.granted.expires_at == NOW + timedelta(days=59)
    assert agreement.granted.number != fold(granted(SENSITIVE)).granted.number


def test_d12_who_asks_for_a_renewal_does_not_approve_it():
    terms = replace(PLAIN, principals=(), groups=("shop-team",))
    events = [
        *request(
            "ag-1",
            CARL.__class__("local", "carl", CARL.groups, purposes=frozenset({"reporting"})),
            terms,
            case(),
        )
    ]
    assert kinds(events) == ["request"]
    with pytest.raises(AccessDeniedError, match="would use"):
        approve(fold(events), BEA, "fine", case())


def test_a_renewal_that_is_denied_leaves_the_grant():
    events = granted()
    events += renew(fold(events), ANNA, case(), seconds=40 * DAY, reason="more")
    events += deny(fold(events), BEA, RULES, "no", NOW)
    assert fold(events).status(NOW) == "granted"
    assert fold(events).waiting is None


def test_a_renewal_ends_later_or_says_that_it_does_not():
    before = fold(granted())
    for seconds in (1, DAY, 30 * DAY):
        with pytest.raises(UsageError, match="already"):
            renew(before, ANNA, case(), seconds=seconds, reason="more")
    assert kinds(renew(before, ANNA, case(), seconds=30 * DAY + 1, reason="more")) == ["renewal"]
    assert kinds(renew(before, ANNA, case(), seconds=DAY, reason="less", shorten=True)) == ["renewal"]


def test_i12_a_renewal_is_bound_to_what_is_published_then():
    events = granted()
    second = replace(SUBJECT, major=2, columns={**SUBJECT.columns, "city": frozenset({"pii.quasi.city"})})
    events += renew(fold(events), ANNA, case(subject=second), seconds=40 * DAY, reason="more")
    events += approve(fold(events), BEA, "fine", case(subject=second))
    assert fold(events).granted.major == 1, "the column is sensitive now, so one is not enough"
    events += approve(fold(events), CARL, "fine", case(subject=second))
    assert fold(events).granted.major == 2
    assert fold(events).granted.tags == {"pii.quasi.city"}


# what decisions get
def test_budgets_are_what_is_left():
    events = granted(replace(PLAIN, max_rows=100, max_queries=3))
    grant = grant_of(fold(events), (60, 1), None)
    assert (grant.rows_left, grant.queries_left) == (40, 2)
    grant = grant_of(fold(events), (130, 9), None)
    assert (grant.rows_left, grant.queries_left) == (0, 0)


def test_columns_nobody_read_are_named():
    g = fold(granted()).granted
    assert unused_columns(g, ("id", "email", "city"), ("id",)) == ("city",)
    everything = replace(g, terms=replace(g.terms, columns=None))
    assert unused_columns(everything, ("id", "email"), ("id",)) == ("email",)


def test_events_that_begin_with_anything_else_are_no_agreement():
    with pytest.raises(UsageError):
        fold([])
    with pytest.raises(UsageError):
        fold(granted()[1:])


ACTS = ("approve", "deny", "revoke", "renew", "expire")
PEOPLE = (ANNA, BEA, CARL, DORA, BOT)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ACTS), st.sampled_from(PEOPLE), st.integers(0, 40)), max_size=12))
def test_d12_whatever_happens_nobody_gets_access_without_two_others_who_may_grant_it(steps):
    """Any sequence of acts by anybody: a sensitive grant has two approvers of the domain, neither of them in it."""
    events, days = asked(SENSITIVE), 0
    for act, who, wait in steps:
        days += wait
        try:
            events += _act(act, fold(events), who, timedelta(days=days))
        except MeshError:
            continue
    agreement = fold(events)
    assert [e.number for e in events] == list(range(1, len(events) + 1))
    now = NOW + timedelta(days=days)
    if agreement.granted is not None:
        approvers = set(agreement.granted.approvers)
        assert len(approvers) == 2
        assert approvers <= {"bea", "carl"}
        assert agreement.granted.expires_at - agreement.granted.not_before <= timedelta(days=90)
    if agreement.status(now) == "granted":
        assert agreement.granted.not_before <= now < agreement.granted.expires_at
        assert kinds(events).count("grant") >= 1


def _act(act: str, agreement: Agreement, who: Principal, after: timedelta) -> list[AgreementEvent]:
    now = case(after)
    if act == "approve":
        return approve(agreement, who, "r", now)
    if act == "deny":
        return deny(agreement, who, RULES, "r", now.now)
    if act == "revoke":
        return revoke(agreement, who, RULES, "r", now.now)
    if act == "renew":
        return renew(agreement, who, now, seconds=30 * DAY, reason="r")
    return expire(agreement, now.now)


# values without masks
CLEAR = replace(PLAIN, clear=True, seconds=3600)


def test_values_without_masks_need_two_people_whatever_they_are_tagged():
    events = asked(CLEAR, rules=AUTO)
    assert kinds(events) == ["request"]
    events += approve(fold(events), BEA, "incident 9", case())
    assert fold(events).granted is None
    events += approve(fold(events), CARL, "incident 9", case())
    assert grant_of(fold(events), (0, 0), None).action == "read_clear"


@pytest.mark.parametrize("change", [{"seconds": 86_401}, {"columns": None}])
def test_values_without_masks_are_for_a_day_and_named_columns(change):
    with pytest.raises(UsageError, match="without masks"):
        asked(replace(CLEAR, **change))


def test_a_grant_of_masked_values_does_not_become_one_of_clear_values():
    assert grant_of(fold(granted(SENSITIVE)), (0, 0), None).action == "read"
