"""Attacks on the policies themselves, by their numbers in docs/security/attack-catalogue.md."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from policy_world import (
    HOUR,
    NOW,
    bundle,
    column,
    grant,
    person,
    policy,
    schema_of,
    seen,
    target,
)

from raymesh.governance.bundle import plain
from raymesh.governance.decide import decide, explain, visible
from raymesh.governance.model import Asked, Deny, ReadPlan
from raymesh.mesh.plan import EVERY_ROW, Scan
from raymesh.spec import expression as e
from raymesh.spec import mask as m
from raymesh.spec.condition import ConditionError, parse

FOR = Asked(purpose="reporting")
OPEN = policy("open", "grant")


def plan(*policies, who=None, what=None, asked=FOR, grants=(), now=NOW, **said) -> ReadPlan:
    found = decide(who or person(), what or target(), asked, bundle(*policies, **said), grants, now)
    assert isinstance(found, ReadPlan), found
    return found


def denial(*policies, who=None, what=None, asked=FOR, grants=(), now=NOW, **said) -> Deny:
    found = decide(who or person(), what or target(), asked, bundle(*policies, **said), grants, now)
    assert isinstance(found, Deny), found
    return found


def masks(found: ReadPlan) -> dict[str, m.Mask]:
    return {c.name: c.mask for c in found.view.columns}


def test_d1_an_attribute_is_a_value_and_never_text_of_a_filter() -> None:
    hostile = person(attributes={"region": "a' or '1'='1"})
    found = plan(policy("g", "grant", rows="region = principal.region"), who=hostile)
    assert found.view.rows == e.Compare("=", e.Column(("region",)), e.Value("a' or '1'='1"))
    assert seen(found, [{"region": "EU"}]) == [None]


@pytest.mark.parametrize(
    "text",
    [
        "region = 'EU'; drop table x",
        "region in (select region from secrets)",
        "exists (select 1)",
        "read_csv('/etc/passwd') is not null",
        "my_function(region) = 1",
        "region = getenv('KEY')",
        "region = 'EU' union select 1",
        "region = $$EU$$",
    ],
)
def test_d2_a_condition_is_of_a_closed_grammar(text: str) -> None:
    with pytest.raises(ConditionError):
        parse(text)


@pytest.mark.parametrize("effect", ["deny", "restrict", "mask"])
def test_d3_a_rule_that_cannot_be_evaluated_hides(effect: str) -> None:
    said = {"restrict": {"rows": "regoin = 'EU'"}, "mask": {"mask": m.Absent()}}.get(effect, {})
    rule = policy("r", effect, who={"attributes": {"clearance": ["low"]}}, **said)  # type: ignore[arg-type]
    found = decide(person(), target(), FOR, bundle(OPEN, rule), (), NOW)
    assert seen(found, [{"region": "EU"}]) == [None]


@pytest.mark.parametrize("condition", ["regoin = 'EU'", "region > 3", "region = principal.regoin"])
def test_d3_a_restriction_or_grant_that_does_not_fit_shows_no_row(condition: str) -> None:
    restricted = plan(OPEN, policy("r", "restrict", rows=condition))
    granted = plan(policy("g", "grant", rows=condition))
    assert restricted.view.rows == granted.view.rows == e.Constant(False)


def test_d3_a_rule_without_what_its_effect_needs_denies() -> None:
    assert denial(OPEN, policy("r", "mask")).code == "undecidable"
    assert denial(OPEN, policy("r", "restrict")).code == "undecidable"
    assert denial(OPEN, policy("r", "obfuscate")).code == "undecidable"  # type: ignore[arg-type]


@pytest.mark.parametrize("tag", ["PII ", "ріі", "pii.dirct", "pi"])  # Cyrillic on purpose
def test_d4_a_rule_about_an_unknown_tag_denies_instead_of_missing_its_columns(tag: str) -> None:
    assert denial(OPEN, policy("r", "mask", what={"tags": [tag]}, mask=m.Null())).code == "undecidable"


def test_d4_case_and_composition_of_tags_do_not_matter() -> None:
    what = target(column("email", tags=("PII.Direct.Email",)), column("region"))
    found = plan(OPEN, policy("r", "mask", what={"tags": ["Pii.DIRECT"]}, mask=m.Null()), what=what)
    assert masks(found) == {"email": m.Null(), "region": m.Raw()}


def test_d4_a_column_with_an_unknown_tag_is_not_there() -> None:
    what = target(column("email", tags=("pii.direct.emial",)), column("region"))
    assert masks(plan(OPEN, what=what)) == {"region": m.Raw()}


def test_d5_a_weaker_mask_on_a_deeper_tag_does_not_win() -> None:
    what = target(column("email", tags=("pii.direct.email",)))
    strict = policy("floor", "mask", what={"tags": ["pii"]}, mask=m.Null())
    weak = policy("weak", "mask", origin="orders", what={"tags": ["pii.direct.email"]}, mask=m.Partial(3, 3))
    assert masks(plan(OPEN, strict, weak, what=what)) == {"email": m.Null()}
    assert masks(plan(OPEN, weak, strict, what=what)) == {"email": m.Null()}


def test_d5_masks_with_nothing_in_common_show_null_and_say_so() -> None:
    one, other = policy("a", "mask", mask=m.Token("")), policy("b", "mask", mask=m.Partial(0, 4))
    found = plan(OPEN, one, other, what=target(column("email")))
    assert masks(found) == {"email": m.Null()}
    assert found.conflicts == ("email",)
    assert found.columns[0].rules == ("a", "b")


def test_d6_two_grants_do_not_make_a_cross_product() -> None:
    what = target(column("region"), column("amount"), column("email"))
    eu = policy("eu", "grant", what={"columns": ["region", "amount"]}, rows="region = 'EU'")
    us = policy("us", "grant", what={"columns": ["region", "email"]}, rows="region = 'US'")
    rows = [{"region": r, "amount": 1, "email": "x"} for r in ("EU", "US", "APAC")]
    raw, null = m.Raw(), m.Null()
    assert seen(plan(eu, us, what=what), rows) == [
        {"region": raw, "amount": raw, "email": null},
        {"region": raw, "amount": null, "email": raw},
        None,
    ]
    assert plan(eu, us, what=what).view.columns[0].visible == EVERY_ROW


def test_d6_a_row_that_only_a_hidden_column_is_granted_in_is_hidden() -> None:
    what = target(column("region"), column("email", tags=("pii",)))
    by_name = policy("a", "grant", what={"columns": ["region"]}, rows="region = 'EU'")
    by_mail = policy("b", "grant", what={"columns": ["email"]}, rows="region = 'US'")
    found = plan(by_name, by_mail, what=what, asked=Asked())
    assert seen(found, [{"region": "EU"}, {"region": "US"}]) == [{"region": m.Raw()}, None]


def test_d7_a_domain_cannot_lift_a_global_rule() -> None:
    floor = policy("floor", "mask", mask=m.Null())
    lifting = policy(
        "own",
        "mask",
        origin="orders",
        mask=m.Raw(),
        exception_to=("floor",),
        approved_by=("a", "b"),
        reason="x",
        expires_at=NOW + HOUR,
    )
    assert set(masks(plan(OPEN, floor, lifting)).values()) == {m.Null()}


def test_d7_a_domain_grants_nothing_that_is_not_delegated() -> None:
    own = policy("own", "grant", origin="orders")
    assert denial(own).code == "no-grant"
    assert denial(own, policy("d", "delegate", what={"domains": ["customer"]})).code == "no-grant"
    assert denial(own, policy("d", "delegate", origin="orders")).code == "no-grant"
    what = target(column("region"), column("email", tags=("pii.direct.email", "public")))
    delegated = policy("d", "delegate", what={"domains": ["orders"], "tags": ["pii"]})
    assert set(masks(plan(own, delegated, what=what))) == {"region"}


def test_d7_a_delegation_withholds_columns_by_name_and_clear_data() -> None:
    own = policy("own", "grant", origin="orders")
    withheld = policy("d", "delegate", what={"columns": ["email"]})
    assert set(masks(plan(own, withheld))) == set(masks(plan(OPEN))) - {"email"}
    clear, asked = policy("own", "grant", origin="orders", **CLEAR), Asked("read_clear", purpose="reporting")
    assert denial(clear, policy("d", "delegate"), asked=asked).code == "no-grant"
    assert masks(plan(clear, policy("d", "delegate", action="read_clear"), asked=asked))


def test_d7_a_domains_rules_end_at_its_border() -> None:
    foreign = policy("theirs", "deny", origin="customer")
    assert masks(plan(OPEN, foreign))
    there = policy("theirs", "grant", origin="customer", what={"products": ["orders.lines"]})
    assert denial(there, policy("d", "delegate")).code == "no-grant"


def test_d9_nothing_is_never_everything() -> None:
    assert decide(person(), target(), FOR, None, (), NOW) == denial()
    assert denial().code == "no-policy"
    assert denial(policy("m", "mask", mask=m.Null())).code == "no-grant"
    assert denial(OPEN, what=replace(target(), columns=())).code == "no-grant"
    assert plan(OPEN).view.rows == EVERY_ROW


def test_d11_principals_are_ids_and_a_group_of_that_name_is_somebody_else() -> None:
    only = policy("g", "grant", who={"principals": ["anna"]})
    assert masks(plan(only))
    other = replace(person("anna"), issuer="https://elsewhere")
    assert other.id == "https://elsewhere|anna"
    assert denial(only, who=other).code == "no-grant"
    assert denial(only, who=person("bert", groups=("anna",))).code == "no-grant"


@pytest.mark.parametrize(
    "changed",
    [
        {"approved_by": ("carl",)},
        {"approved_by": ("carl", "carl")},
        {"approved_by": ("anna", "carl")},
        {"reason": " "},
        {"expires_at": None},
        {"expires_at": NOW},
        {"not_before": NOW + HOUR},
        {"origin": "orders"},
    ],
)
def test_d12_an_exception_needs_two_others_a_reason_and_an_end(changed) -> None:
    floor = policy("floor", "mask", mask=m.Null())
    sound = policy(
        "out",
        "mask",
        who={"principals": ["anna"]},
        mask=m.Raw(),
        exception_to=("floor",),
        approved_by=("carl", "dora"),
        reason="migration 7",
        expires_at=NOW + HOUR,
    )
    found = plan(OPEN, floor, sound)
    assert set(masks(found).values()) == {m.Raw()}
    assert found.valid_until <= NOW + HOUR
    assert set(masks(plan(OPEN, floor, replace(sound, **changed))).values()) == {m.Null()}


UNSOUND = [
    {"approved_by": ("carl",)},
    {"reason": ""},
    {"expires_at": None},
    {"approved_by": ("anna", "carl")},
]


@pytest.mark.parametrize("changed", UNSOUND)
def test_d12_a_grant_by_an_exception_that_is_not_sound_is_none(changed) -> None:
    floor = policy("floor", "mask", mask=m.Null())
    said = {
        "exception_to": ("floor",),
        "approved_by": ("carl", "dora"),
        "reason": "x",
        "expires_at": NOW + HOUR,
    }
    assert plan(policy("out", "grant", **said), floor)
    assert denial(policy("out", "grant", **(said | changed)), floor).code == "no-grant"


@pytest.mark.parametrize("who", [{"purposes": ["research"]}, {"attributes": {"level": ["high"]}}])
def test_d12_an_exception_for_a_purpose_or_an_attribute_is_for_those_who_have_it(who) -> None:
    """Rules that hide are read generously; what lifts them is not, though it is a mask too."""
    floor = policy("floor", "mask", mask=m.Null())
    out = policy("out", "mask", who=who, mask=m.Raw(), exception_to=("floor",), approved_by=("carl", "dora"),
                 reason="x", expires_at=NOW + HOUR)  # fmt: skip
    assert set(masks(plan(OPEN, floor, out, asked=Asked())).values()) == {m.Null()}
    has = replace(person(attributes={"level": "high"}), purposes=frozenset(("research",)))
    assert set(masks(plan(OPEN, floor, out, who=has, asked=Asked(purpose="research"))).values()) == {m.Raw()}


def test_d12_an_exception_for_a_tag_leaves_columns_that_have_another_one_too() -> None:
    what = target(column("a", tags=("pii",)), column("b", tags=("pii", "confidential")))
    floor = policy("floor", "mask", mask=m.Null())
    out = policy("out", "mask", mask=m.Raw(), what={"tags": ["pii"]}, exception_to=("floor",),
                 approved_by=("carl", "dora"), reason="x", expires_at=NOW + HOUR)  # fmt: skip
    assert masks(plan(OPEN, floor, out, what=what)) == {"a": m.Raw(), "b": m.Null()}


def test_d12_the_last_policy_gone_leaves_a_closed_mesh() -> None:
    assert denial().code == "no-policy"
    assert visible(person(), [target()], bundle(), (), NOW) == ()


def test_d13_a_predicate_of_any_depth_is_decided() -> None:
    deep: e.Expression = e.IsNull(e.Column(("region",)))
    for _ in range(5000):
        deep = e.Not(deep)
    rule = replace(policy("g", "grant"), rows=deep)
    assert isinstance(decide(person(), target(), FOR, bundle(rule), (), NOW), Deny)


def test_d13_there_are_no_regular_expressions_to_be_slow() -> None:
    for text in ("region like '%a%'", "region ~ '(a+)+$'", "regexp_matches(region, 'x')"):
        with pytest.raises(ConditionError):
            parse(text)


def test_d14_owners_and_members_of_the_team_get_no_clear_data_by_being_that() -> None:
    what = target(column("email", tags=("pii",)), owner="analysts")
    masked = policy("m", "mask", what={"tags": ["pii"]}, mask=m.Null())
    assert denial(masked, what=what).code == "no-grant"
    assert masks(plan(OPEN, masked, what=what)) == {"email": m.Null()}


def test_d14_only_the_building_service_itself_sees_unclassified_columns() -> None:
    what = target(column("region"), column("fresh", tags=(), classified=False))
    own = replace(person("raymesh:orders.lines", groups=(), purposes=frozenset()), kind="service")
    assert set(masks(plan(OPEN, what=what, who=own, asked=Asked()))) == {"region", "fresh"}
    others = [
        replace(own, subject="raymesh:orders.others"),
        replace(own, kind="person"),
        replace(own, issuer="https://elsewhere"),
    ]
    for other in others:
        assert set(masks(plan(OPEN, what=what, who=other, asked=Asked()))) == {"region"}
    assert denial(OPEN, policy("no", "deny"), what=what, who=own, asked=Asked()).code == "denied"


CLEAR = {
    "action": "read_clear",
    "who": {"purposes": ["reporting"]},
    "reason": "incident 12",
    "not_before": NOW,
    "expires_at": NOW + timedelta(hours=24),
}


@pytest.mark.parametrize(
    "changed",
    [
        {"who": {}},
        {"reason": ""},
        {"not_before": None},
        {"expires_at": None},
        {"expires_at": NOW + timedelta(hours=25)},
        {"action": "read"},
    ],
)
def test_clear_data_takes_purpose_reason_and_a_short_time(changed) -> None:
    masked = policy("m", "mask", mask=m.Null())
    asked = Asked("read_clear", purpose="reporting")
    found = plan(policy("g", "grant", **CLEAR), masked, asked=asked)
    assert set(masks(found).values()) == {m.Raw()}
    assert denial(policy("g", "grant", **(CLEAR | changed)), masked, OPEN, asked=asked).code == "no-grant"


def test_an_action_that_is_none_is_denied_whatever_was_agreed() -> None:
    short = NOW + timedelta(hours=8)
    for agreed in (grant(), grant(action="read_clear", not_before=NOW, expires_at=short)):
        for action in ("write", "READ", ""):
            asked = Asked(action, purpose="reporting")
            assert denial(OPEN, asked=asked, grants=[agreed]).code == "unknown-action"


def test_clear_data_by_agreement_takes_an_agreement_about_it_and_a_short_one() -> None:
    asked, nothing = Asked("read_clear", purpose="reporting"), policy("x", "mask", mask=m.Null())
    day = {"action": "read_clear", "not_before": NOW, "expires_at": NOW + timedelta(hours=24)}
    assert set(masks(plan(nothing, asked=asked, grants=[grant(**day)])).values()) == {m.Raw()}
    longer = day | {"expires_at": NOW + timedelta(hours=25)}
    for other in (grant(**longer), grant()):
        assert denial(nothing, asked=asked, grants=[other]).code == "no-grant"


def test_an_agreement_for_a_group_is_for_its_members() -> None:
    nothing = policy("x", "mask", mask=m.Raw())
    agreed = grant(principals=frozenset(), groups=frozenset(("analysts",)))
    assert plan(nothing, who=person("bert", groups=("analysts",)), grants=[agreed])
    assert denial(nothing, who=person("bert", groups=("others",)), grants=[agreed]).code == "no-grant"


def test_columns_that_are_alike_keep_masks_of_their_own() -> None:
    """Answers are shared between columns with the same tags and type, except where a rule names one of them."""
    one = column("a")
    what = target(one, replace(one, id=2, name="b"), replace(one, id=3, name="c"))
    for name in "abc":
        named = policy("m", "mask", what={"columns": [name]}, mask=m.Null())
        assert masks(plan(OPEN, named, what=what)) == {n: m.Null() if n == name else m.Raw() for n in "abc"}
    bare = column("a", tags=(), classified=True)
    untagged = target(bare, replace(bare, id=2, name="b"))
    tokens = masks(plan(OPEN, policy("m", "mask", mask=m.Token("")), what=untagged))
    assert tokens["a"] != tokens["b"]


def test_an_agreement_shows_the_rows_that_were_agreed() -> None:
    found = plan(policy("x", "mask", mask=m.Raw()), grants=[grant(rows="region = 'EU'")])
    assert found.view.rows == e.Compare("=", e.Column(("region",)), e.Value("EU"))


def test_of_two_agreements_the_smaller_budget_is_what_is_left() -> None:
    both = [grant(id="a", rows_left=9), grant(id="b", rows_left=4), grant(id="c")]
    assert plan(policy("x", "mask", mask=m.Raw()), grants=both).rows_left == 4


def test_asking_for_no_column_is_not_asking_for_all() -> None:
    assert denial(OPEN, asked=Asked(columns=(), purpose="reporting")).code == "column"


def test_groups_or_purposes_that_are_not_known_are_not_none() -> None:
    for unknown in ({"groups": None}, {"groups": "analysts"}, {"purposes": None}):
        assert denial(OPEN, who=replace(person(), **unknown)).code == "identity"


def test_clear_data_still_keeps_to_restrictions_denials_and_absent_columns() -> None:
    clear, asked = policy("g", "grant", **CLEAR), Asked("read_clear", purpose="reporting")
    limited = plan(clear, policy("r", "restrict", rows="region = 'EU'"), asked=asked)
    assert limited.view.rows == e.Compare("=", e.Column(("region",)), e.Value("EU"))
    assert "email" not in masks(
        plan(clear, policy("m", "mask", what={"columns": ["email"]}, mask=m.Absent()), asked=asked)
    )
    assert denial(clear, policy("no", "deny"), asked=asked).code == "denied"


def test_a_denial_beats_every_grant_and_names_its_rules_for_the_audit_only() -> None:
    found = denial(OPEN, policy("never", "deny", what={"tags": ["public"]}))
    assert (found.code, found.rules) == ("denied", ("never",))
    assert "never" not in found.reason
    assert masks(plan(OPEN, policy("never", "deny", what={"tags": ["pii"]})))


@pytest.mark.parametrize("asked", ["email", "nothing", "EMAIL", "e mail"])
def test_a_hidden_column_and_one_that_does_not_exist_are_refused_alike(asked: str) -> None:
    what = target(column("region"), column("email", tags=("pii",)))
    found = denial(OPEN, what=what, asked=Asked(columns=("region", asked)))
    assert (found.code, found.rules) == ("column", ())
    assert found.reason.replace(asked, "X") == "orders.lines has no column X that may be read"


def test_purposes_are_claimed_approved_allowed_and_consented() -> None:
    what = target(column("region"), column("email", tags=("pii",)), column("flag"))
    assert set(masks(plan(OPEN, what=what, asked=Asked()))) == {"region", "flag"}
    assert set(masks(plan(OPEN, what=what))) == {"region", "flag", "email"}
    assert denial(OPEN, what=what, asked=Asked(purpose="sale")).code == "purpose"
    assert denial(OPEN, what=what, purposes=frozenset(("research",))).code == "purpose"
    limited = replace(what, purposes=frozenset(("research",)))
    assert denial(OPEN, what=limited).code == denial(OPEN, what=limited, asked=Asked()).code == "purpose"
    for asked in (FOR, Asked()):
        assert denial(OPEN, what=replace(what, purposes=frozenset()), asked=asked).code == "purpose"
    consent = replace(what, consent={"reporting": "flag"})
    rows = [{"region": "EU", "flag": f} for f in (True, False, None)]
    assert [row is not None for row in seen(plan(OPEN, what=consent), rows)] == [True, False, False]
    for wrong in ("region", "nothing"):
        found = plan(OPEN, what=replace(what, consent={"reporting": wrong}))
        assert found.view.rows == e.Constant(False)


def test_i11_an_old_version_is_not_shown_by_what_it_says_of_consent() -> None:
    what = target(column("region"), column("flag"), column("other", "boolean"))
    old = replace(what, consent={"reporting": "FLAG"}, current=False)
    by_consent = policy("g", "grant", rows="region = 'EU' and flag = true")
    other = policy("o", "grant", what={"columns": ["other"]}, rows="other = true")
    agreed, nobody = grant(rows="flag is not null"), policy("n", "grant", who={"groups": ["others"]})
    assert denial(OPEN, what=old).code == "consent"  # the contract's own rule for this purpose
    old = replace(old, consent={"sale": "FLAG"})
    assert denial(by_consent, what=old).code == denial(nobody, what=old, grants=[agreed]).code == "consent"
    found = denial(OPEN, policy("r", "restrict", rows="not flag = false"), what=old)
    assert (found.code, found.rules) == ("consent", ("r",))
    assert found.reason.startswith("version 1 of orders.lines does not say who still consents; ")
    found = plan(by_consent, other, what=old, grants=[agreed])
    assert (found.grants, set(masks(found))) == (("o",), {"other"})
    assert plan(OPEN, what=old).view.rows == EVERY_ROW
    for now in (replace(old, current=True), replace(old, consent={})):
        assert plan(by_consent, what=now).view.rows != EVERY_ROW


def test_who_names_no_purpose_is_treated_as_having_every_restricted_one() -> None:
    rule = policy("m", "mask", who={"purposes": ["research"]}, mask=m.Null())
    assert set(masks(plan(OPEN, rule, asked=Asked())).values()) == {m.Null()}
    assert set(masks(plan(OPEN, rule)).values()) == {m.Raw()}
    only = policy("g", "grant", who={"purposes": ["research"]})
    assert denial(only, asked=Asked()).code == "no-grant"


def test_a_grant_for_tags_covers_columns_that_have_no_others() -> None:
    what = target(column("region"), column("email", tags=("public", "pii.direct.email")))
    assert set(masks(plan(policy("g", "grant", what={"tags": ["public"]}), what=what))) == {"region"}


def test_tokens_are_the_columns_own_whoever_asks_for_them() -> None:
    what = target(column("email", tags=("pii.direct.email",)), column("region"))
    a = policy("a", "mask", what={"tags": ["pii"]}, mask=m.Token(""))
    b = policy("b", "mask", origin="orders", what={"columns": ["email", "region"]}, mask=m.Token(""))
    assert masks(plan(OPEN, a, b, what=what)) == {
        "email": m.Token("raymesh/token/v1|pii.direct.email|reporting|orders"),
        "region": m.Token("raymesh/token/v1|public|reporting|orders"),
    }
    odd = replace(person(), purposes=frozenset(("a|b",)))
    found = plan(OPEN, a, what=what, who=odd, asked=Asked(purpose="a|b"))
    assert masks(found)["email"] == m.Token("raymesh/token/v1|pii.direct.email|a%7Cb|orders")


def test_what_explains_a_decision_names_hidden_columns_with_their_reasons() -> None:
    what = target(
        column("region"),
        column("email", tags=("pii",)),
        column("fresh", tags=(), classified=False),
        column("amount"),
    )
    rules = bundle(policy("g", "grant", what={"columns": ["region", "email", "fresh"]}))
    found = explain(person(), what, Asked(), rules, (), NOW)
    assert {c.name: (c.mask, c.rules) for c in found.columns} == {
        "region": (m.Raw(), ("g",)),
        "email": (m.Absent(), ("no purpose",)),
        "fresh": (m.Absent(), ("unclassified",)),
        "amount": (m.Absent(), ("no grant",)),
    }


def test_i12_a_new_sensitive_tag_or_major_version_needs_a_new_agreement() -> None:
    what = target(column("region"), column("email", tags=("pii.direct.email",)))
    agreed = grant(tags=frozenset(("pii.direct.email",)))
    found = plan(policy("none", "mask", mask=m.Raw()), what=what, grants=[agreed])
    assert (set(masks(found)), found.grants) == ({"region", "email"}, ("agreement:g1",))
    more = target(column("region"), column("email", tags=("pii.direct.email", "confidential")))
    for terms in (agreed, replace(agreed, columns=frozenset(("region", "email")))):
        assert set(masks(plan(policy("x", "mask", mask=m.Raw()), what=more, grants=[terms]))) == {"region"}
    next_major = replace(what, major=2)
    assert denial(policy("x", "mask", mask=m.Raw()), what=next_major, grants=[agreed]).code == "no-grant"


@pytest.mark.parametrize(
    "changed",
    [
        {"expires_at": NOW},
        {"not_before": NOW + HOUR},
        {"rows_left": 0},
        {"queries_left": 0},
        {"principals": frozenset(("bert",))},
        {"purpose": "research"},
        {"port": "daily"},
        {"product": "orders.others"},
        {"columns": frozenset()},
        {"action": "write"},
    ],
)
def test_an_agreement_counts_only_as_agreed(changed) -> None:
    nothing = policy("x", "mask", mask=m.Raw())
    assert plan(nothing, grants=[grant(rows_left=5)]).rows_left == 5
    assert denial(nothing, grants=[grant(**changed)]).code == "no-grant"


def test_e11_two_columns_that_differ_by_case_deny() -> None:
    assert denial(OPEN, what=target(column("SSN"), column("ssn"))).code == "undecidable"


def test_e10_a_mask_that_does_not_fit_the_type_shows_null() -> None:
    what = target(column("email"), column("born"))
    found = plan(OPEN, policy("m", "mask", mask=m.Truncate("month")), what=what)
    assert masks(found) == {"email": m.Null(), "born": m.Truncate("month")}


def test_d10_what_an_engine_gets_has_no_way_around_the_view() -> None:
    what = target(column("region"), column("email", tags=("pii",)), column("born"))
    found = plan(OPEN, policy("m", "mask", what={"tags": ["pii"]}, mask=m.Absent()), what=what)
    scan = Scan(schema_of(what), ("a.parquet",), view=found.view)
    assert scan.shown.names == ("region", "born")


def test_d15_approvals_are_part_of_what_is_hashed() -> None:
    out = policy("out", "mask", mask=m.Raw(), exception_to=("m",), approved_by=("carl", "dora"), reason="x")
    for changed in ({"approved_by": ("carl", "eva")}, {"reason": "y"}, {"exception_to": ("n",)}):
        assert plain(out) != plain(replace(out, **changed))


EXCEPTION = {"approved_by": ("carl", "anna"), "reason": "audit", "expires_at": NOW + HOUR}


def test_d12_who_approved_an_exception_for_a_group_does_not_benefit_from_it() -> None:
    floor = policy("floor", "mask", mask=m.Null())
    out = policy(
        "out", "mask", who={"groups": ["analysts"]}, mask=m.Raw(), exception_to=("floor",), **EXCEPTION
    )
    assert set(masks(plan(OPEN, floor, out, who=person("anna"))).values()) == {m.Null()}
    assert set(masks(plan(OPEN, floor, out, who=person("bert"))).values()) == {m.Raw()}


def test_an_exception_for_some_columns_leaves_rules_about_the_others() -> None:
    what = target(column("region"), column("email", tags=("pii",)))
    said = {"exception_to": ("limit", "never"), **EXCEPTION, "what": {"columns": ["email"]}}
    out = policy("out", "mask", mask=m.Raw(), **said)
    bert = person("bert")
    limit = policy("limit", "restrict", rows="region = 'EU'")
    assert plan(OPEN, limit, out, what=what, who=bert).row_rules == ("limit",)
    about = policy("limit", "restrict", rows="region = 'EU'", what={"tags": ["pii"]})
    assert plan(OPEN, about, out, what=what, who=bert).view.rows == EVERY_ROW
    assert denial(OPEN, policy("never", "deny"), out, what=what, who=bert).code == "denied"
    assert plan(OPEN, policy("never", "deny", what={"tags": ["pii"]}), out, what=what, who=bert)


def test_d11_one_is_not_true() -> None:
    who = {"attributes": {"level": [True]}}
    assert masks(plan(policy("g", "grant", who=who), who=person(attributes={"level": True})))
    assert denial(policy("g", "grant", who=who), who=person(attributes={"level": 1})).code == "no-grant"


def test_d12_an_exception_that_names_an_approver_is_none_for_anybody() -> None:
    floor = policy("floor", "mask", mask=m.Null())
    said = {**EXCEPTION, "approved_by": ("carl", "dora"), "mask": m.Raw(), "exception_to": ("floor",)}
    bert = person("bert")
    sound = policy("out", "mask", who={"principals": ["bert"]}, **said)
    assert set(masks(plan(OPEN, floor, sound, who=bert)).values()) == {m.Raw()}
    self_serving = policy("out", "mask", who={"principals": ["bert", "carl"]}, **said)
    assert set(masks(plan(OPEN, floor, self_serving, who=bert)).values()) == {m.Null()}


def test_d3_two_rules_of_one_name_are_not_relied_on() -> None:
    assert denial(OPEN, policy("same", "grant"), policy("same", "mask", mask=m.Null())).code == "undecidable"


def test_a_mask_for_tags_and_names_means_columns_with_both() -> None:
    what = target(column("a", tags=("pii",)), column("b", tags=("pii",)), column("c"))
    both = policy("m", "mask", what={"tags": ["pii"], "columns": ["a", "c"]}, mask=m.Null())
    assert masks(plan(OPEN, both, what=what)) == {"a": m.Null(), "b": m.Raw(), "c": m.Raw()}
