"""What one decision over many policies costs, and listing what somebody may see among many products."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from statistics import median

from benchmarks.measure import Figure
from raymesh.governance.decide import decide, visible
from raymesh.governance.model import (
    GLOBAL,
    Asked,
    Bundle,
    GovernedColumn,
    Policy,
    Principal,
    ReadPlan,
    Target,
    What,
    Who,
)
from raymesh.spec.condition import parse
from raymesh.spec.mask import Partial, Token, Truncate
from raymesh.spec.types import Primitive

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DOMAINS = tuple(f"d{n}" for n in range(20))
TAGS = ("public", *(f"pii.t{n}" for n in range(60)))
REGION, AMOUNT = parse("region = principal.region"), parse("amount > 0")
ASKED = Asked(purpose="reporting")
ANNA = Principal(
    "local", "anna", frozenset(("analysts", "g1", "g2")), {"region": "EU"}, frozenset(("reporting",))
)


def run(rounds: int = 51) -> Iterator[Figure]:
    """Figures in processor time: decisions are pure computation."""
    rules = bundle(1000)
    wide = target("d1.p1", 500)
    assert isinstance(decide(ANNA, wide, ASKED, rules, (), NOW), ReadPlan)
    one = _median(lambda: decide(ANNA, wide, ASKED, rules, (), NOW), rounds)
    yield Figure(
        "a decision, 1,000 policies and 500 columns",
        f"{one * 1000:.2f} ms",
        "≤ 2 ms",
        one <= 0.002,
        "all 500 columns are shown, under the masks of a hundred policies that concern the reader",
    )
    many = [target(f"{DOMAINS[n % 20]}.p{n}", 12, first=n) for n in range(10_000)]
    listed = _median(lambda: visible(ANNA, many, rules, (), NOW, ASKED), 5)
    yield Figure(
        "listing what somebody may see among 10,000 products, 1,000 policies",
        f"{listed * 1000:.0f} ms",
        "≤ 100 ms",
        listed <= 0.1,
    )


def _median(act: Callable[[], object], rounds: int) -> float:
    took = []
    for _ in range(rounds):
        began = time.process_time()
        act()
        took.append(time.process_time() - began)
    return median(took)


def bundle(count: int) -> Bundle:
    """Policies of every effect; about a third are for one domain or product, most for one of 37 groups."""
    chance = random.Random(7)  # the same policies every time
    policies = tuple(_policy(n, chance) for n in range(count))
    return Bundle(policies, frozenset((*TAGS, "pii")), frozenset(("pii",)), 1, "benchmark")


def _policy(number: int, chance: random.Random) -> Policy:
    group = frozenset((f"g{number % 37}",))
    what, kind = What(), number % 10
    if kind < 3:
        what = What(domains=frozenset((chance.choice(DOMAINS),)))
    elif kind < 5:
        what = What(products=frozenset((f"{chance.choice(DOMAINS)}.p{chance.randrange(500)}",)))
    name = f"policy-{number}"
    if kind == 9:
        who = Who(groups=group | {"analysts"} if number % 20 == 9 else group)
        return Policy(name, GLOBAL, "grant", who, what, rows=REGION)
    if kind == 8:
        return Policy(name, GLOBAL, "restrict", Who(groups=group), what, rows=AMOUNT)
    if kind == 7:
        return Policy(name, GLOBAL, "deny", Who(groups=frozenset((f"h{number % 37}",))), what)
    mask = chance.choice((Token(""), Partial(0, 2), Partial(1, 1), Truncate("month")))
    meant = What(what.domains, what.products, frozenset((chance.choice(TAGS),)))
    return Policy(name, GLOBAL, "mask", Who(groups=group if number % 2 else frozenset()), meant, mask=mask)


def target(name: str, columns: int, first: int = 0) -> Target:
    """A table with a region, an amount and columns with one tag each."""
    text, number = Primitive("string"), Primitive("long")
    public = frozenset(("public",))
    tagged = [
        GovernedColumn(n, f"c{n}", text, frozenset((TAGS[(first + n) % len(TAGS)],)), classified=True)
        for n in range(2, columns)
    ]
    return Target(
        product=name,
        port="default",
        table=name,
        domain=name.partition(".")[0],
        owner="team",
        major=1,
        version=1,
        snapshot_id=1,
        columns=(
            GovernedColumn(0, "region", text, public, classified=True),
            GovernedColumn(1, "amount", number, public, classified=True),
            *tagged,
        ),
    )
