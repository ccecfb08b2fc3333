"""A small world of policies, and a naive evaluator of them: cell by cell, rule by rule, without any index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from raymesh.governance.model import (
    GLOBAL,
    Asked,
    Bundle,
    Deny,
    Effect,
    GovernedColumn,
    Grant,
    Policy,
    Principal,
    ReadPlan,
    Target,
    What,
    Who,
)
from raymesh.spec import expression as e
from raymesh.spec import mask as m
from raymesh.spec.condition import parse
from raymesh.spec.types import Field, Primitive, TableSchema

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TAXONOMY = frozenset(("pii", "pii.direct.email", "pii.quasi", "public", "confidential"))
SENSITIVE = frozenset(("pii", "confidential"))
TYPES = {"region": "string", "amount": "long", "email": "string", "born": "date", "flag": "boolean"}
CONDITIONS = (
    "region = principal.region",
    "not (region = principal.region)",
    "region in ('EU', 'US')",
    "amount > 10 or email is null",
    "amount >= principal.level",
    "amount between 0 and 20 and flag = true",
    "missing = 1",
    "amount > 'x'",
    "principal.level > 2",
    "region in principal.region",
    "born < '2000-01-01'",
    "true",
)
MASKS: tuple[m.Mask, ...] = (
    m.Token(""),
    m.Null(),
    m.Absent(),
    m.Partial(0, 2),
    m.Partial(1, 1),
    m.Truncate("month"),
    m.Truncate("year"),
    m.Bucket(m.Fraction(10)),
    m.Literally("x"),
)


def policy(name: str, effect: Effect, **said: Any) -> Policy:
    """A rule, its condition as text, its `who` and `what` as mappings."""
    if isinstance(said.get("rows"), str):
        said["rows"] = parse(said["rows"])
    said["who"] = Who(**{k: _frozen(v) for k, v in said.get("who", {}).items()})
    said["what"] = What(**{k: frozenset(v) for k, v in said.get("what", {}).items()})
    return Policy(name, said.pop("origin", GLOBAL), effect, **said)


def _frozen(value: Any) -> Any:
    return {k: frozenset(v) for k, v in value.items()} if isinstance(value, dict) else frozenset(value)


def bundle(*policies: Policy, **said: Any) -> Bundle:
    return Bundle(
        policies=policies,
        taxonomy=said.pop("taxonomy", TAXONOMY),
        sensitive=said.pop("sensitive", SENSITIVE),
        version=1,
        digest="d",
        **said,
    )


def column(
    name: str, kind: str | None = None, tags: tuple[str, ...] = ("public",), **said: Any
) -> GovernedColumn:
    known = Primitive(kind or TYPES.get(name, "string"))  # type: ignore[arg-type]
    return GovernedColumn(said.pop("id", 1), name, known, frozenset(tags), said.pop("classified", True))


def target(*columns: GovernedColumn, product: str = "orders.lines", **said: Any) -> Target:
    return Target(
        product=product,
        port="default",
        table=product,
        domain=product.split(".", maxsplit=1)[0],
        owner=said.pop("owner", "orders-team"),
        major=said.pop("major", 1),
        version=1,
        snapshot_id=7,
        columns=columns or tuple(column(n) for n in TYPES),
        **said,
    )


def person(name: str = "anna", groups: tuple[str, ...] = ("analysts",), **said: Any) -> Principal:
    said.setdefault("purposes", frozenset(("reporting", "research")))
    return Principal("local", name, frozenset(groups), **said)


def grant(**said: Any) -> Grant:
    known = {
        "id": "g1",
        "product": "orders.lines",
        "port": "default",
        "major": 1,
        "principals": frozenset(("anna",)),
        "groups": frozenset(),
        "purpose": "reporting",
        "tags": frozenset(("public",)),
        "not_before": NOW - HOUR,
        "expires_at": NOW + HOUR,
    }
    if isinstance(said.get("rows"), str):
        said["rows"] = parse(said["rows"])
    return Grant(**(known | said))


# the naive evaluator

GONE = m.Absent()
Matrix = list[dict[str, m.Mask] | None]
"""For each row how each column that is there is shown, None for a hidden row."""


def seen(decision: Deny | ReadPlan, rows: list[dict[str, Any]]) -> Matrix:
    """What a plan shows of rows."""
    if isinstance(decision, Deny):
        return [None] * len(rows)
    out: Matrix = []
    for row in rows:
        if truth(decision.view.rows, row) is not True:
            out.append(None)
            continue
        cells = {}
        for c in decision.view.columns:
            cells[c.name] = c.mask if truth(c.visible, row) is True else m.Null()
        out.append(cells)
    return out


def naive(  # one long enumeration, on purpose unlike what it tests
    who: Principal, what: Target, asked: Asked, rules: Bundle, grants: list[Grant], rows: list[dict[str, Any]]
) -> Matrix:
    """What may be seen of rows, from the words of the specification."""
    nothing: Matrix = [None] * len(rows)
    purpose = asked.purpose
    if not rules.policies or (who.expires_at is not None and who.expires_at <= NOW):
        return nothing
    if purpose is not None and (
        purpose not in who.purposes or (rules.purposes and purpose not in rules.purposes)
    ):
        return nothing
    if what.purposes is not None and purpose not in what.purposes:
        return nothing
    active = [
        p
        for p in rules.policies
        if (p.not_before is None or p.not_before <= NOW)
        and (p.expires_at is None or p.expires_at > NOW)
        and _about(p, what)
    ]
    lifting = [
        p for p in active if p.exception_to and _sound_exception(p, who) and _whom(p, who, purpose, False)
    ]

    def spared(p: Policy, c: GovernedColumn) -> bool:
        return any(p.name in x.exception_to and _all_tags(x, c) for x in lifting)

    hiding = [p for p in active if p.effect in ("restrict", "mask", "deny") and _whom(p, who, purpose, True)]
    for p in hiding:
        if any(not any(t == r or r.startswith(t + ".") for r in rules.taxonomy) for t in p.what.tags):
            return nothing
        if p.effect == "deny" and any(_any_tag(p, c) and not spared(p, c) for c in what.columns):
            return nothing
    schema = {c.name: c for c in what.columns}

    def may(c: GovernedColumn) -> bool:
        sensitive = any(t == s or t.startswith(s + ".") for t in c.tags for s in rules.sensitive)
        return c.classified and c.tags <= rules.taxonomy and (purpose is not None or not sensitive)

    def mask(c: GovernedColumn) -> m.Mask:
        found: m.Mask = m.Raw()
        for p in hiding:
            if p.effect == "mask" and _any_tag(p, c) and not spared(p, c):
                assert p.mask is not None
                found = m.join(found, p.mask)
        return m.fitting(found, c.type) if may(c) else GONE

    clear = asked.action == "read_clear"
    scopes: list[tuple[Any, set[str]]] = []
    for p in active:
        if p.effect != "grant" or not _whom(p, who, purpose, False):
            continue
        if p.exception_to and not _sound_exception(p, who):
            continue
        if (clear or p.action == "read_clear") and not (
            p.action == "read_clear"
            and p.reason
            and p.who.purposes
            and p.not_before
            and p.expires_at
            and p.expires_at - p.not_before <= timedelta(hours=24)
        ):
            continue
        names = {c.name for c in what.columns if _all_tags(p, c)}
        if p.origin != GLOBAL:
            open_to = [
                d
                for d in active
                if d.effect == "delegate" and d.origin == GLOBAL and _whom(d, who, purpose, False)
            ]
            names = {
                n
                for n in names
                if any(
                    not any(t == s or t.startswith(s + ".") for t in schema[n].tags for s in d.what.tags)
                    and n not in d.what.columns
                    for d in open_to
                )
            }
        scopes.append((p.rows, names))
    for g in grants:
        if (
            (g.product, g.port, g.major) == (what.product, what.port, what.major)
            and (who.id in g.principals or g.groups & who.groups)
            and g.purpose == purpose
            and g.not_before <= NOW < g.expires_at
            and g.rows_left != 0
            and g.queries_left != 0
            and not clear
        ):
            names = set()
            for c in what.columns:
                tags = {t for t in c.tags if any(t == s or t.startswith(s + ".") for s in rules.sensitive)}
                if (g.columns is None or c.name in g.columns) and tags <= g.tags:
                    names.add(c.name)
            scopes.append((g.rows, names))
    masks = {n: m.Raw() if clear and mask(c) != GONE else mask(c) for n, c in schema.items()}
    there = {n for n, k in masks.items() if k != GONE and any(n in names for _, names in scopes)}
    if not there or (asked.columns is not None and not set(asked.columns) <= there):
        return nothing
    limits = [
        p.rows
        for p in hiding
        if p.effect == "restrict" and any(_any_tag(p, c) and not spared(p, c) for c in what.columns)
    ]
    out: Matrix = []
    for row in rows:
        open_rows = [names for rows_of, names in scopes if names & there and _true(rows_of, row, schema, who)]
        agreed = purpose is None or purpose not in what.consent or row.get(what.consent[purpose]) is True
        if not open_rows or not agreed or not all(_true(x, row, schema, who) for x in limits):
            out.append(None)
            continue
        wanted = there if asked.columns is None else set(asked.columns)
        out.append({n: masks[n] if any(n in names for names in open_rows) else m.Null() for n in wanted})
    return out


def _about(p: Policy, what: Target) -> bool:
    w = p.what
    here = not w.products or what.product in w.products or f"{what.domain}.*" in w.products
    return here and (not w.domains or what.domain in w.domains) and p.origin in (GLOBAL, what.domain)


def _whom(p: Policy, who: Principal, purpose: str | None, generous: bool) -> bool:
    w = p.who
    if w.groups and not any(g in who.groups for g in w.groups):
        return False
    if w.principals and who.id not in w.principals:
        return False
    if w.purposes and not (generous if purpose is None else purpose in w.purposes):
        return False
    for name, values in w.attributes.items():
        own = who.attributes.get(name)
        own = own if isinstance(own, tuple) else () if own is None else (own,)
        if not own and not generous:
            return False
        if own and not set(own) & set(values):
            return False
    return True


def _any_tag(p: Policy, c: GovernedColumn) -> bool:
    tagged = not p.what.tags or any(t == w or t.startswith(w + ".") for t in c.tags for w in p.what.tags)
    return tagged and (not p.what.columns or c.name in p.what.columns)


def _all_tags(p: Policy, c: GovernedColumn) -> bool:
    tagged = not p.what.tags or all(any(t == w or t.startswith(w + ".") for w in p.what.tags) for t in c.tags)
    return tagged and (not p.what.columns or c.name in p.what.columns)


def _sound_exception(p: Policy, who: Principal) -> bool:
    two = (
        len(set(p.approved_by)) > 1
        and who.id not in p.approved_by
        and not set(p.approved_by) & p.who.principals
    )
    return p.origin == GLOBAL and bool(p.reason) and p.expires_at is not None and two


def _true(predicate: Any, row: dict[str, Any], schema: dict[str, GovernedColumn], who: Principal) -> bool:
    if predicate is None:
        return True
    try:
        return truth(predicate, row, schema, who) is True
    except LookupError:
        return False


def truth(node: Any, row: dict[str, Any], schema: Any = None, who: Any = None) -> bool | None:
    """Three-valued; with a schema every part is looked at, and LookupError says that one does not fit."""
    if isinstance(node, e.Constant):
        return node.value
    if isinstance(node, e.And | e.Or):
        stop = isinstance(node, e.Or)
        found = [truth(t, row, schema, who) for t in node.terms]
        return stop if stop in found else None if None in found else not stop
    if isinstance(node, e.Not):
        inner = truth(node.term, row, schema, who)
        return None if inner is None else not inner
    if isinstance(node, e.IsNull):
        return _look(node.of, row, schema, who) is None
    if isinstance(node, e.In):
        value = _look(node.of, row, schema, who)
        return None if value is None else value in node.values
    assert isinstance(node, e.Compare)
    sides = (node.left, node.right)
    left, right = (_look(o, row, schema, who) for o in sides)
    dates = schema is not None and any(_type(o, schema) == "date" for o in sides)
    if dates:
        left, right = (datetime.fromisoformat(x).date() if isinstance(x, str) else x for x in (left, right))
    if schema is not None:
        _same_kind(sides, schema, who)
    if left is None or right is None:
        return None
    if isinstance(right, tuple):
        return left in right
    if node.operator in ("=", "<>"):
        return (left == right) is (node.operator == "=")
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[node.operator]


def _type(operand: Any, schema: Any) -> str | None:
    if isinstance(operand, e.Column):
        return str(schema[operand.path[0]].type)  # KeyError is a LookupError
    return None


def _same_kind(sides: tuple[Any, Any], schema: Any, who: Any) -> None:
    kinds = []
    for o in sides:
        if isinstance(o, e.Column):
            kinds.append({"long": "number", "date": "string"}.get(str(_type(o, schema)), _type(o, schema)))
            continue
        value = o.value if isinstance(o, e.Value) else who.attributes.get(o.name)
        several = value if isinstance(value, tuple) else (value,)
        kinds += [{str: "string", bool: "boolean"}.get(type(v), "number") for v in several]
    if len(set(kinds)) > 1:
        raise LookupError("kinds")


def _look(operand: Any, row: dict[str, Any], schema: Any, who: Any) -> Any:
    if isinstance(operand, e.Value):
        return operand.value
    if isinstance(operand, e.Attribute):
        if who.attributes.get(operand.name) is None:
            raise LookupError(operand.name)
        return who.attributes[operand.name]
    if schema is not None and operand.path[0] not in schema:
        raise LookupError(operand.path[0])
    return row.get(operand.path[0])


# strategies


def rarely(strategy: Any) -> Any:
    """Mostly nothing, so that decisions are not all the same denial."""
    return st.integers(0, 3).flatmap(lambda n: strategy if n == 3 else st.just({}))


TAGS = st.lists(st.sampled_from(sorted(TAXONOMY)), max_size=2).map(frozenset)
WHO = st.fixed_dictionaries(
    {},
    optional={
        "groups": st.sampled_from((("analysts",), ("support", "analysts"), ("nobody",))),
        "principals": st.sampled_from((("anna",), ("bert",))),
        "purposes": st.sampled_from((("reporting",), ("research",))),
        "attributes": st.sampled_from(({"region": ("EU",)}, {"level": (1, 2)}, {"other": ("x",)})),
    },
)
WHAT = st.fixed_dictionaries(
    {},
    optional={
        "domains": st.sampled_from((("orders",), ("orders",), ("orders", "customer"), ("customer",))),
        "products": st.sampled_from(
            (("orders.*",), ("orders.lines",), ("orders.lines",), ("customer.households",))
        ),
        "tags": st.sampled_from(
            (("pii",), ("pii.direct.email",), ("public",), ("confidential", "pii.quasi"))
        ),
        "columns": st.sampled_from((("email",), ("amount", "born"), ("region",))),
    },
)
TIMES = st.fixed_dictionaries(
    {},
    optional={
        "not_before": st.sampled_from((NOW - HOUR, NOW, NOW + HOUR)),
        "expires_at": st.sampled_from((NOW - HOUR, NOW, NOW + HOUR, NOW + 3 * HOUR)),
    },
)
ROWS = st.sampled_from(CONDITIONS).map(parse)


@st.composite
def a_policy(
    draw: Any, effects: tuple[str, ...] = ("grant", "restrict", "mask", "deny", "delegate")
) -> Policy:
    """Any rule; its name says what it is, and is made unique by `world`."""
    effect = draw(st.sampled_from(effects))
    said: dict[str, Any] = {**draw(rarely(TIMES)), "who": draw(rarely(WHO)), "what": draw(WHAT)}
    said["origin"] = draw(st.sampled_from((GLOBAL, GLOBAL, GLOBAL, "orders", "customer")))
    if effect == "restrict" or (effect == "grant" and draw(st.integers(0, 3)) > 0):
        said["rows"] = draw(ROWS)
    if effect == "mask":
        said["mask"] = draw(st.sampled_from(MASKS))
    if effect == "grant" and draw(st.integers(0, 9)) == 9:
        said |= {"action": "read_clear", "reason": "incident"}
    if draw(st.integers(0, 5)) == 5:
        said |= {
            "exception_to": (f"r{draw(st.integers(0, 7))}",),
            "approved_by": draw(st.sampled_from((("carl", "dora"), ("carl",), ("anna", "carl")))),
            "reason": draw(st.sampled_from(("agreed", ""))),
        }
    return policy("r", effect, **said)


def named(policies: list[Policy], prefix: str = "r") -> tuple[Policy, ...]:
    from dataclasses import replace

    return tuple(replace(p, name=f"{prefix}{n}") for n, p in enumerate(policies))


OPEN = policy("open", "grant")
MOSTLY = ("grant", "grant", "grant", "restrict", "mask", "mask", "mask", "delegate", "deny")
BUNDLES = st.tuples(st.booleans(), st.lists(a_policy(MOSTLY), min_size=2, max_size=8)).map(
    lambda drawn: bundle(*((OPEN,) if drawn[0] else ()), *named(drawn[1]))
)
PRINCIPALS = st.builds(
    person,
    name=st.sampled_from(("anna", "bert")),
    groups=st.sampled_from((("analysts",), ("support",), ())),
    attributes=st.fixed_dictionaries(
        {},
        optional={
            "region": st.sampled_from(("EU", "US", ("EU", "APAC"), 3)),
            "level": st.sampled_from((1, 15, "high")),
        },
    ),
    expires_at=st.sampled_from((*[None] * 8, NOW + HOUR, NOW)),
)
TARGETS = st.builds(
    lambda tags, classified, purposes, consent: target(
        *(
            column(n, tags=tuple(sorted(t)), classified=c)
            for n, t, c in zip(TYPES, tags, classified, strict=True)
        ),
        purposes=purposes,
        consent=consent,
    ),
    st.tuples(*(TAGS for _ in TYPES)),
    st.tuples(*(st.sampled_from((True, True, True, False)) for _ in TYPES)),
    st.sampled_from((*[None] * 6, frozenset(("reporting",)))),
    st.sampled_from(({}, {}, {}, {"reporting": "flag"})),
)
ASKED = st.builds(
    Asked,
    action=st.sampled_from((*["read"] * 7, "read_clear")),
    purpose=st.sampled_from((*["reporting"] * 5, "research", "research", None, None, "unheard")),
    columns=st.sampled_from((*[None] * 6, ("region",), ("email", "amount"))),
)
GRANTS = st.lists(
    st.builds(
        grant,
        tags=st.sampled_from(
            (frozenset(), frozenset(("pii", "pii.direct.email")), frozenset(("confidential",)))
        ),
        columns=st.sampled_from((None, frozenset(("email", "region")))),
        rows=st.none() | ROWS,
        expires_at=st.sampled_from((NOW, NOW + HOUR)),
        rows_left=st.sampled_from((None, 0, 5)),
    ),
    max_size=2,
)
DATA = st.lists(
    st.fixed_dictionaries(
        {
            "region": st.sampled_from(("EU", "US", None)),
            "amount": st.sampled_from((1, 12, 50, None)),
            "email": st.sampled_from(("a@x", None)),
            "born": st.sampled_from(
                (datetime(1990, 1, 1, tzinfo=UTC).date(), datetime(2010, 1, 1, tzinfo=UTC).date())
            ),
            "flag": st.sampled_from((True, False, None)),
        }
    ),
    min_size=1,
    max_size=4,
)


def schema_of(what: Target) -> TableSchema:
    return TableSchema(tuple(Field(c.name, c.type, c.id) for c in what.columns))
