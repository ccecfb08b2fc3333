"""Tags of columns through versions, renames, lineage and reviewed acts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raymesh.governance.classification import (
    EVERY,
    PortRecord,
    VersionFacts,
    contract_tags,
    record_json,
    record_of,
    with_confirmed,
    with_lowered,
    with_origins,
    with_pins,
    with_version,
)
from raymesh.governance.inheritance import Effective, effective, gather

EMAIL = frozenset({"pii.direct.email"})
P, Q = ("shop.people", "default"), ("shop.mails", "default")


def version(
    record: PortRecord | None,
    number: int,
    columns: dict[int, str],
    tags: dict[str, frozenset[str]] | None = None,
    transform: str = "t1",
    serves: int | None = None,
) -> PortRecord:
    return with_version(record, VersionFacts(number, columns, tags or {}, transform, serves))


def of(record: PortRecord, id_: int, at: int | None = None, **others: PortRecord) -> Effective:
    """The effective tags of a field of P; `others` are further records, by the name of their product."""
    records = {P: record, **{(f"shop.{n}", "default"): r for n, r in others.items()}}
    at = record.version if at is None else at
    return effective([(P, at)], records)[P, at][id_]


# contracts


def test_tags_of_nested_members_and_the_classification_count_for_their_column() -> None:
    member = {"name": "mail", "tags": ["PII.direct.Email"]}
    columns = [
        {"name": "Person", "properties": [{"name": "a", "properties": [member]}]},
        {"name": "list", "items": {"properties": [member]}},
        {"name": "map", "map": {"key": {"tags": ["x"]}, "value": {"classification": "Restricted"}}},
    ]
    found = contract_tags({"schema": [{"properties": columns}]})
    assert found == {"person": EMAIL, "list": EMAIL, "map": {"x", "restricted"}}


def test_a_contract_in_any_shape_is_read_without_complaint() -> None:
    assert contract_tags({}) == contract_tags({"schema": None}) == contract_tags({"schema": [None]}) == {}
    odd = {"properties": [None, {"name": 3}, {"name": "a", "tags": "b"}]}
    assert contract_tags({"schema": [odd]}) == {"a": frozenset()}


# history


def test_an_untagged_column_is_not_classified() -> None:
    assert of(version(None, 1, {1: "id"}), 1) == Effective()


def test_tags_follow_the_field_when_it_is_renamed() -> None:
    record = version(None, 1, {1: "email"}, {"email": EMAIL})
    record = version(record, 2, {1: "contact"})
    assert of(record, 1).tags == EMAIL
    assert of(record, 1).classified


def test_two_columns_that_swap_names_keep_their_own_tags_and_get_the_others() -> None:
    record = version(None, 1, {1: "email", 2: "city"}, {"email": EMAIL, "city": frozenset({"public"})})
    record = version(record, 2, {2: "email", 1: "city"}, {"email": EMAIL, "city": frozenset({"public"})})
    assert of(record, 1).tags == of(record, 2).tags == EMAIL | {"public"}


def test_columns_that_the_contract_says_have_swapped_names_swap_tags_too() -> None:
    """Field ids stay with names then, so what they hold changes places."""
    record = version(None, 1, {1: "email", 2: "city"}, {"email": EMAIL})
    facts = VersionFacts(2, {1: "email", 2: "city"}, {}, "t2", renamed={"email": "city", "city": "email"})
    assert of(with_version(record, facts), 2).tags == EMAIL


def test_a_dropped_column_keeps_its_tags_for_time_travel() -> None:
    record = version(None, 1, {1: "id", 2: "email"}, {"email": EMAIL})
    record = version(record, 2, {1: "id"})
    assert of(record, 2, at=1).tags == EMAIL


def test_a_column_that_comes_back_under_its_old_name_is_a_new_field() -> None:
    record = version(None, 1, {1: "email"}, {"email": EMAIL})
    record = version(version(record, 2, {2: "id"}), 3, {2: "id", 3: "email"})
    assert of(record, 3) == Effective()


def test_a_tag_taken_out_of_the_contract_stays_in_effect() -> None:
    record = version(None, 1, {1: "email"}, {"email": EMAIL})
    record = version(record, 2, {1: "email"}, {"email": frozenset({"public"})})
    assert of(record, 1).tags == EMAIL | {"public"}


# lineage


def test_a_derived_column_inherits_tags_and_is_classified_when_all_it_comes_from_is() -> None:
    people = version(None, 1, {1: "email", 2: "city"}, {"email": EMAIL})
    mails = with_origins(
        version(None, 1, {1: "m", 2: "c", 3: "both", 4: "n"}),
        {
            1: [("shop.people", 1)],
            2: [("shop.people", 2)],
            3: [("shop.people", 1), ("shop.people", 2)],
        },
    )
    found = effective([(Q, 1)], {P: people, Q: mails})[Q, 1]
    assert found[1] == Effective(EMAIL, classified=True, inherited=EMAIL)
    assert found[2] == Effective()
    assert found[3] == Effective(EMAIL, classified=False, inherited=EMAIL)
    assert found[4] == Effective(), "what comes from nothing is classified by nobody"


def test_opaque_lineage_takes_the_tags_of_every_column_even_of_dropped_ones() -> None:
    people = version(None, 1, {1: "email", 2: "city"}, {"email": EMAIL, "city": frozenset({"public"})})
    people = version(people, 2, {2: "city"}, {"city": frozenset({"public"})})
    mails = with_origins(version(None, 1, {1: "x"}), {EVERY: [("shop.people", EVERY)]})
    assert effective([(Q, 1)], {P: people, Q: mails})[Q, 1][1].tags == EMAIL | {"public"}


def test_a_column_from_a_source_is_not_classified_by_it() -> None:
    record = with_origins(version(None, 1, {1: "x"}), {1: [("shop.source.raw", EVERY)]})
    assert of(record, 1) == Effective()


def test_origins_of_older_versions_stay() -> None:
    people = version(None, 1, {1: "email"}, {"email": EMAIL})
    record = with_origins(version(None, 1, {1: "x"}), {1: [("shop.people_", 1)]})
    record = with_origins(version(record, 2, {1: "x"}, transform="t2"), {1: []})
    assert of(record, 1, people_=people).tags == EMAIL


def test_products_that_once_read_each_other_do_not_hang() -> None:
    a = with_origins(version(None, 1, {1: "x"}, {"x": EMAIL}), {1: [("shop.b", 1)]})
    b = with_origins(version(None, 1, {1: "y"}), {1: [("shop.people", 1)]})
    assert of(a, 1, b=b).tags == EMAIL
    records = {P: a, ("shop.b", "default"): b}
    assert effective([(("shop.b", "default"), 1)], records)[("shop.b", "default"), 1][1].tags == EMAIL


def test_columns_in_a_circle_do_not_classify_each_other() -> None:
    a = with_origins(version(None, 1, {1: "x"}), {1: [("shop.b", 1)]})
    b = with_origins(version(None, 1, {1: "y"}), {1: [("shop.people", 1)]})
    assert not of(a, 1, b=b).classified


def test_gathering_looks_once_per_step() -> None:
    chain = {
        (f"shop.p{n}", "default"): with_origins(version(None, 1, {1: "x"}), {1: [(f"shop.p{n + 1}", 1)]})
        for n in range(5)
    }
    looks = []

    def look(keys):
        looks.append(list(keys))
        return {k: chain[k] for k in keys if k in chain}

    assert gather([("shop.p0", "default")], look).keys() == chain.keys()
    assert len(looks) == 6


# acts


def test_a_confirmed_column_is_classified_with_the_tags_confirmed() -> None:
    record = version(None, 1, {1: "x", 2: "y"})
    record = with_confirmed(with_confirmed(record, 1, ["PII.direct.email"]), 2, [])
    assert of(record, 1) == Effective(EMAIL, classified=True)
    assert of(record, 2) == Effective(frozenset(), classified=True)


def test_a_lowered_tag_is_gone_only_when_the_contract_no_longer_says_it() -> None:
    record = version(None, 1, {1: "email"}, {"email": EMAIL})
    lowered = with_lowered(record, 1, EMAIL, reviewed=1)
    assert of(lowered, 1).tags == EMAIL
    after = version(lowered, 2, {1: "email"})
    assert of(after, 1) == Effective(frozenset(), classified=True)
    again = version(after, 3, {1: "email"}, {"email": EMAIL})
    assert of(version(again, 4, {1: "email"}), 1).tags == EMAIL, "said anew, so it has to be reviewed anew"


def test_lowering_is_about_what_was_reviewed_and_not_about_older_rows() -> None:
    """v1 handed the address on, v2 hashes it; the review looked at v2."""
    people = version(None, 1, {1: "email"}, {"email": EMAIL})
    record = with_origins(version(None, 1, {1: "x"}, transform="raw"), {1: [("shop.source_", 1)]})
    record = with_origins(version(record, 2, {1: "x"}, transform="hash"), {1: [("shop.source_", 1)]})
    record = with_lowered(record, 1, EMAIL, reviewed=2)
    assert of(record, 1, at=2, source_=people).tags == frozenset()
    assert of(record, 1, at=1, source_=people).tags == EMAIL
    back = version(record, 3, {1: "x"}, transform="", serves=1)
    assert of(back, 1, at=3, source_=people).tags == EMAIL, "a rollback brings the raw values back"
    kept = version(record, 3, {1: "x"}, transform="", serves=2)
    assert of(kept, 1, at=3, source_=people).tags == frozenset(), "maintenance keeps the reviewed rows"


def test_a_changed_transform_needs_a_new_review() -> None:
    people = version(None, 1, {1: "email"}, {"email": EMAIL})
    origins = {1: [("shop.source_", 1)]}
    record = with_origins(version(None, 1, {1: "x"}, transform="hash"), origins)
    record = with_lowered(record, 1, EMAIL, reviewed=1)
    rebuilt = with_origins(version(record, 2, {1: "x"}, transform="hash"), origins)
    assert of(rebuilt, 1, source_=people).tags == frozenset()
    changed = with_origins(version(rebuilt, 3, {1: "x"}, transform="raw"), origins)
    assert of(changed, 1, source_=people).tags == EMAIL
    returned = with_origins(version(changed, 4, {1: "x"}, transform="hash"), origins)
    assert of(returned, 1, source_=people).tags == EMAIL, "nobody looked at version 4"


def test_a_new_origin_needs_a_new_review() -> None:
    people = version(None, 1, {1: "email", 2: "mail"}, {"email": EMAIL, "mail": EMAIL})
    record = with_origins(version(None, 1, {1: "x"}), {1: [("shop.source_", 1)]})
    record = with_lowered(record, 1, EMAIL, reviewed=1)
    record = with_origins(version(record, 2, {1: "x"}), {1: [("shop.source_", 1), ("shop.source_", 2)]})
    assert of(record, 1, source_=people).tags == EMAIL


def test_a_tag_lowered_upstream_is_lowered_downstream_once_that_was_rebuilt() -> None:
    """Downstream still holds rows made from the raw version until it reads the reviewed one."""
    up = version(None, 1, {1: "email"}, {"email": EMAIL}, "raw")
    up = with_lowered(version(up, 2, {1: "email"}, transform="hash"), 1, EMAIL, reviewed=2)
    down = with_pins(with_origins(version(None, 1, {1: "x"}), {1: [("shop.up", 1)]}), {"shop.up": 1})
    assert of(down, 1, up=up).tags == EMAIL
    down = with_pins(with_origins(version(down, 2, {1: "x"}), {1: [("shop.up", 1)]}), {"shop.up": 2})
    assert of(down, 1, up=up).tags == frozenset()
    assert of(down, 1, at=1, up=up).tags == EMAIL


# always

TAGS = st.frozensets(st.sampled_from(["pii", "public", "restricted"]))
STEPS = st.lists(st.tuples(TAGS, TAGS, st.sampled_from(["t1", "t2"])), min_size=1, max_size=6)


@given(STEPS)
def test_without_review_tags_never_disappear(steps: list[tuple[frozenset[str], frozenset[str], str]]) -> None:
    record, seen = None, frozenset()
    for number, (one, two, transform) in enumerate(steps, start=1):
        record = version(record, number, {1: "a", 2: "b"}, {"a": one, "b": two}, transform)
        found = of(record, 1).tags
        assert seen <= found
        seen = found
    assert record is not None
    assert seen == frozenset().union(*(s[0] for s in steps))


@given(STEPS, st.booleans())
def test_a_record_survives_json(steps: list[tuple[frozenset[str], frozenset[str], str]], lower: bool) -> None:
    record = None
    for number, (one, two, transform) in enumerate(steps, start=1):
        record = version(record, number, {1: "a", 2: "b"}, {"a": one, "b": two}, transform)
        record = with_pins(
            with_origins(record, {1: [("shop.x", 2)], EVERY: [("shop.y", EVERY)]}), {"shop.x": 4}
        )
    assert record is not None
    record = with_confirmed(record, 1, ["pii"])
    record = with_lowered(record, 2, ["pii"], record.version) if lower else record
    record = version(record, len(steps) + 1, {1: "a"}, serves=1)
    assert record_of(record_json(record)) == record
