"""What a change of policies means for people: gains, losses, and what cannot be called either."""

from __future__ import annotations

import pytest
from policy_world import NOW, bundle, column, person, policy, target

from raymesh.governance.comparing import Difference, Side, differences
from raymesh.governance.model import Policy
from raymesh.spec import mask as m

WHAT = target(column("region"), column("email", tags=("pii",)))
OPEN = policy("open", "grant")


def found(before: list[Policy], after: list[Policy]) -> list[Difference]:
    sides = (Side(bundle(*p), {"orders.lines": WHAT}, (person(groups=()),)) for p in (before, after))
    return list(differences(*sides, NOW))


def senses(
    before: list[Policy], after: list[Policy], column: str = "email", purpose: str | None = "reporting"
):
    return {d.sense for d in found(before, after) if (d.column, d.purpose) == (column, purpose)}


def mask(name: str, kind: m.Mask) -> Policy:
    return policy(name, "mask", what={"columns": ["email"]}, mask=kind)


@pytest.mark.parametrize(
    ("before", "after", "sense"),
    [
        ([OPEN], [OPEN, mask("m", m.Null())], {"loses"}),
        ([OPEN, mask("m", m.Partial(0, 2))], [OPEN, mask("m", m.Partial(0, 4))], {"gains"}),
        ([OPEN, mask("m", m.Partial(0, 2))], [OPEN, mask("m", m.Token(""))], {"differs"}),
        ([OPEN], [policy("g", "grant", rows="region = 'EU'")], {"loses"}),
        ([policy("g", "grant", rows="region = 'EU'")], [OPEN], {"gains"}),
        (
            [policy("g", "grant", rows="region = 'EU'")],
            [policy("g", "grant", rows="region = 'EU'"), policy("h", "grant", rows="region = 'US'")],
            {"gains"},
        ),
        (
            [policy("g", "grant", rows="region = 'EU'")],
            [policy("g", "grant", rows="region = 'EU' and email is null")],
            {"loses"},
        ),
        (
            [policy("g", "grant", rows="region = 'EU'")],
            [policy("g", "grant", rows="region = 'US'")],
            {"differs"},
        ),
        ([OPEN], [OPEN, policy("no", "deny")], {"loses"}),
        ([], [OPEN], {"gains"}),
        ([OPEN], [OPEN], set()),
    ],
)
def test_every_change_has_a_sense(before: list[Policy], after: list[Policy], sense: set[str]) -> None:
    assert senses(before, after) == sense


def test_without_a_purpose_personal_data_is_absent_before_and_after() -> None:
    assert senses([OPEN], [OPEN, mask("m", m.Null())], purpose=None) == set()


def test_a_group_that_only_a_policy_names_is_asked_for_too() -> None:
    after = [policy("g", "grant", who={"groups": ["auditors"]})]
    assert {d.principal for d in found([policy("x", "mask", mask=m.Null())], after)} == {"group|auditors"}


def test_people_and_products_that_come_or_go_gain_and_lose() -> None:
    old = Side(bundle(OPEN), {"orders.lines": WHAT}, (person("anna", ()),))
    new = Side(bundle(OPEN), {"orders.more": WHAT}, (person("bert", ()),))
    senses_of = {(d.principal, d.table): d.sense for d in differences(old, new, NOW)}
    assert senses_of == {("anna", "orders.lines"): "loses", ("bert", "orders.more"): "gains"}
    assert list(differences(Side(None, {}), Side(None, {}), NOW)) == []
