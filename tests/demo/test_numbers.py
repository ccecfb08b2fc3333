"""The published figures of the retail demo against figures recomputed from the raw files.

`demo_mesh` is a built demo mesh; its `read(product)` gives an Arrow table.
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import retail_figures as again

if TYPE_CHECKING:
    import pyarrow as pa

pytestmark = pytest.mark.xdist_group("demo")  # one build for all

COUNTS = {
    "basket_count": "baskets",
    "line_count": "lines",
    "voided_lines": "voids",
    "distinct_products": "products",
    "distinct_stores": "stores",
    "active_weeks": "weeks",
    "coupon_baskets": "coupon_baskets",
}
VALUES = {
    "gross_value": "gross",
    "sales_value": "sales",
    "discount_value": "discount",
    "amount_paid": "paid",
    "recent_value": "recent",
    "previous_value": "previous",
}
"""Columns of orders.order_metrics and what they are called here."""
REPEATED = """
first_order_on last_order_on recency_days tenure_days basket_count distinct_products sales_value recent_value
previous_value average_basket_value average_days_between_baskets discount_share as_of_date
"""


class DemoMesh(Protocol):
    def read(self, product: str) -> pa.Table: ...


def rows(mesh: DemoMesh, product: str, *key: str) -> dict[Any, dict[str, Any]]:
    """Rows of a product by their key (a tuple for several columns)."""
    out = {}
    for row in mesh.read(product).to_pylist():
        out[row[key[0]] if len(key) == 1 else tuple(row[k] for k in key)] = row
    return out


def money(value: Decimal) -> int:
    assert isinstance(value, Decimal)
    return int(value * 100)


def test_order_lines_hold_every_transaction_to_the_cent(demo_mesh: DemoMesh) -> None:
    table = demo_mesh.read("orders.order_lines")
    built, raw = pl.DataFrame(pl.from_arrow(table)), again.lines()
    assert table.num_rows == raw.height == 1_469_307
    for ours, theirs in (
        ("sales_value", "sales_value"),
        ("gross_value", "gross"),
        ("coupon_discount", "coupon_disc"),
    ):
        assert built.select(again.cents(ours).sum()).item() == raw[theirs].sum()
    assert built["quantity"].cast(pl.Int64).sum() == raw["quantity"].sum()
    assert dict(built["line_kind"].value_counts().iter_rows()) == dict(raw["kind"].value_counts().iter_rows())


def test_order_lines_lie_on_the_day_the_stores_clock_showed(demo_mesh: DemoMesh) -> None:
    table = demo_mesh.read("orders.order_lines").select(["ordered_at", "ordered_local", "order_date", "week"])
    eastern = ZoneInfo("America/New_York")
    for row in table.take(list(range(0, table.num_rows, 997))).to_pylist():
        local = row["ordered_at"].astimezone(eastern).replace(tzinfo=None)
        assert (local, local.date()) == (row["ordered_local"], row["order_date"])
    days = pl.DataFrame(pl.from_arrow(table)).group_by("week").agg(pl.col("order_date").unique().sort())
    for week, dates in days.iter_rows():
        assert len({d.isocalendar()[:2] for d in dates}) == 1, f"week {week} is no business week"


def test_baskets_are_the_sums_of_their_lines(demo_mesh: DemoMesh) -> None:
    built = pl.DataFrame(pl.from_arrow(demo_mesh.read("orders.baskets"))).sort("basket_id")
    raw = (
        again.lines()
        .group_by("basket_id")
        .agg(
            pl.len(),
            pl.col("sales_value").sum(),
            pl.col("discount").sum(),
            pl.col("day").min(),
            pl.col("local").min(),
        )
        .sort("basket_id")
    )
    assert built.height == raw.height == 155_848
    assert built["basket_id"].to_list() == raw["basket_id"].to_list()
    assert built["line_count"].to_list() == raw["len"].to_list()
    assert built.select(again.cents("sales_value")).to_series().to_list() == raw["sales_value"].to_list()
    assert built.select(again.cents("discount_value")).to_series().to_list() == raw["discount"].to_list()
    assert built["order_date"].to_list() == raw["day"].to_list()
    parts = (
        raw["local"]
        .dt.hour()
        .map_elements(
            lambda h: "night" if h < 6 else "morning" if h < 12 else "afternoon" if h < 17 else "evening",
            pl.String,
        )
    )
    assert built["daypart"].to_list() == parts.to_list()


def test_order_metrics_agree_for_every_household(demo_mesh: DemoMesh) -> None:
    built, expected = rows(demo_mesh, "orders.order_metrics", "household_id"), again.household_metrics()
    assert built.keys() == expected.keys()
    for household, want in expected.items():
        got = built[household]
        assert (got["first_order_on"], got["last_order_on"], got["as_of_date"]) == (
            want["first"],
            want["last"],
            again.LAST_DAY,
        )
        assert got["recency_days"] == (again.LAST_DAY - want["last"]).days
        assert got["tenure_days"] == (again.LAST_DAY - want["first"]).days + 1
        assert {c: got[c] for c in COUNTS} == {c: want[w] for c, w in COUNTS.items()}
        assert {c: money(got[c]) for c in VALUES} == {c: want[w] for c, w in VALUES.items()}
        assert got["void_share"] == pytest.approx(want["voids"] / want["lines"])
        gap = (want["last"] - want["first"]).days / (want["baskets"] - 1) if want["baskets"] > 1 else None
        assert got["average_days_between_baskets"] == pytest.approx(gap)
        assert got["discount_share"] == pytest.approx(
            want["discount"] / want["gross"] if want["gross"] else 0
        )
        assert float(got["average_basket_value"]) == pytest.approx(
            want["sales"] / want["baskets"] / 100, abs=0.00501
        )


def test_order_kpis_agree_for_every_week(demo_mesh: DemoMesh) -> None:
    built = rows(demo_mesh, "orders.order_kpis", "week")
    first = again.lines().group_by("household_id").agg(pl.col("week").min())["week"].value_counts()
    starts = dict(first.iter_rows())
    raw = (
        again.lines()
        .group_by("week")
        .agg(
            pl.col("basket_id").n_unique().alias("basket_count"),
            pl.col("household_id").n_unique().alias("active_households"),
            pl.col("store_id").n_unique().alias("active_stores"),
            pl.col("day").n_unique().alias("trading_days"),
            pl.col("day").min().alias("first_day"),
            pl.col("day").max().alias("last_day"),
            pl.len().alias("line_count"),
            pl.col("sales_value").sum(),
            pl.col("gross").sum(),
            pl.col("discount").sum(),
            (pl.col("kind") == "void").sum().alias("voids"),
        )
    )
    same = [c for c in raw.columns if c not in ("sales_value", "gross", "discount", "voids")]
    assert set(built) == set(raw["week"]) == set(range(1, 54))
    total = 0
    for want in raw.sort("week").iter_rows(named=True):
        got, total = built[want["week"]], total + want["sales_value"]
        assert {c: got[c] for c in same} == {c: want[c] for c in same}
        assert got["new_households"] == starts.get(want["week"], 0)
        assert (money(got["sales_value"]), money(got["sales_to_date"])) == (want["sales_value"], total)
        assert money(got["discount_value"]) == want["discount"]
        assert got["complete_week"] is (want["trading_days"] == 7)
        assert got["baskets_per_household"] == pytest.approx(want["basket_count"] / want["active_households"])
        assert got["discount_share"] == pytest.approx(want["discount"] / want["gross"])
        assert got["void_share"] == pytest.approx(want["voids"] / want["line_count"])
        average = want["sales_value"] / want["basket_count"] / 100
        assert float(got["average_basket_value"]) == pytest.approx(average, abs=0.00501)
    assert built[2]["sales_change"] is built[53]["sales_change"] is None
    change = float(built[10]["sales_value"] / built[9]["sales_value"]) - 1
    assert built[10]["sales_change"] == pytest.approx(change)


def test_households_are_everyone_any_source_knows(demo_mesh: DemoMesh) -> None:
    built = rows(demo_mesh, "customer.households", "household_id")
    known = {
        h
        for s in ("transactions", "campaigns", "demographics")
        for h in again.raw(s)["household_id"].unique()
    }
    survey = {r["household_id"]: r for r in again.raw("demographics").iter_rows(named=True)}
    told = {"age_band": "age", "income_band": "income", "household_composition": "household_comp"}
    told |= {c: c for c in ("home_ownership", "marital_status", "household_size", "kids_count")}
    assert built.keys() == known
    assert len(known) == 2_469
    for household, row in built.items():
        answer = survey.get(household)
        assert row["demographics_known"] is (answer is not None)
        metric = again.household_metrics()[household]
        assert (row["first_purchase_on"], row["last_purchase_on"]) == (metric["first"], metric["last"])
        assert {c: row[c] for c in told} == {c: answer[w] if answer else None for c, w in told.items()}


def test_contacts_follow_from_the_household_alone(demo_mesh: DemoMesh) -> None:
    built = rows(demo_mesh, "customer.contacts", "household_id")
    assert built.keys() == again.household_metrics().keys()
    for household, row in built.items():
        name = f"{row['given_name']}.{row['family_name']}.{household}".lower()
        domain = ("example.com", "example.org")[again.mixed(household, 3) % 2]
        assert row["email"] == f"{name}@{domain}"
        assert row["phone"] == f"+1-{201 + household // 100}-555-01{household % 100:02}"
        chance = (again.mixed(household, 5) >> 11) / 2**53
        assert row["gdpr_consent_status"] == (
            "granted" if chance < 0.72 else "withdrawn" if chance < 0.90 else "pending"
        )
        assert (
            row["consent_recorded_on"].toordinal()
            == date(2016, 1, 1).toordinal() + again.mixed(household, 6) % 366
        )
        assert row["marketing_consent"] is (row["gdpr_consent_status"] == "granted")
        assert row["preferred_channel"] == ("email", "phone", "post")[again.mixed(household, 4) % 3]
        assert row["synthetic"] is True


def test_segments_agree_for_every_household(demo_mesh: DemoMesh) -> None:
    built = rows(demo_mesh, "customer.customer_segments", "household_id")
    scores = ("recency_score", "frequency_score", "monetary_score")
    assert {h: tuple(r[c] for c in scores) for h, r in built.items()} == again.rfm()
    assert {h: r["customer_segment"] for h, r in built.items()} == again.segments()
    metrics = again.household_metrics()
    ranks = again.percent_ranks({h: m["sales"] for h, m in metrics.items()})
    running, total = 0, sum(m["sales"] for m in metrics.values())
    for household in sorted(metrics, key=lambda h: (-metrics[h]["sales"], h)):
        got = built[household]
        running += metrics[household]["sales"]
        assert money(got["sales_value"]) == metrics[household]["sales"]
        assert got["rfm_code"] == "".join(map(str, again.rfm()[household]))
        assert got["value_percentile"] == pytest.approx(ranks[household])
        assert got["cumulative_value_share"] == pytest.approx(running / total)


def test_customer_360_scores_agree_for_every_household(demo_mesh: DemoMesh) -> None:
    built, metrics = rows(demo_mesh, "customer.customer_360", "household_id"), again.household_metrics()
    assert built.keys() == metrics.keys()
    frequency = again.percent_ranks({h: m["baskets"] for h, m in metrics.items()})
    recency = again.percent_ranks({h: m["last"] for h, m in metrics.items()})
    breadth = again.percent_ranks({h: m["products"] for h, m in metrics.items()})
    received = Counter(h for _, h in again.attribution())
    answered = Counter(h for _, h in again.redemptions())
    redeemed: Counter[int] = Counter()
    for (_, household), coupons in again.redemptions().items():
        redeemed[household] += coupons
    claimed: Counter[int] = Counter()
    for (_, household), want in again.attribution().items():
        claimed[household] += want["attributed"]
    for household, metric in metrics.items():
        got = built[household]
        response = answered[household] / received[household] if received[household] else 0
        engagement = 100 * (
            0.4 * frequency[household] + 0.3 * recency[household] + 0.2 * breadth[household] + 0.1 * response
        )
        value = again.lifetime_value(metric)
        assert float(got["customer_lifetime_value"]) == pytest.approx(value, abs=0.00501)
        assert float(got["engagement_score"]) == pytest.approx(engagement, abs=0.00501)
        assert float(got["satisfaction_index"]) == pytest.approx(again.satisfaction(metric), abs=0.00501)
        assert (got["customer_tier"], got["lifecycle_stage"]) == (
            again.tier(round(value, 2)),
            again.lifecycle(metric),
        )
        assert got["campaigns_received"] == received[household]
        assert got["coupons_redeemed"] == redeemed[household]
        assert float(got["attributed_value"]) == pytest.approx(claimed[household] / 100, abs=0.08)


@pytest.mark.parametrize(
    ("origin", "columns"),
    [
        ("customer.households", "age_band income_band household_composition"),
        ("customer.contacts", "gdpr_consent_status marketing_consent"),
        ("customer.customer_segments", "customer_segment recency_days basket_count as_of_date"),
        ("customer.customer_behavior_analysis", "favourite_store_id favourite_category shopping_style"),
        ("orders.order_metrics", REPEATED),
    ],
)
def test_customer_360_repeats_other_products_unchanged(
    demo_mesh: DemoMesh, origin: str, columns: str
) -> None:
    built, theirs = (rows(demo_mesh, p, "household_id") for p in ("customer.customer_360", origin))
    for household, row in built.items():
        assert {c: row[c] for c in columns.split()} == {c: theirs[household][c] for c in columns.split()}


def test_customer_360_says_what_a_row_reveals(demo_mesh: DemoMesh) -> None:
    for row in rows(demo_mesh, "customer.customer_360", "household_id").values():
        revealing = row["age_band"] is not None
        assert row["pii_classification"] == ("quasi_identifying" if revealing else "pseudonymous")


def test_behavior_names_the_store_and_category_with_most(demo_mesh: DemoMesh) -> None:
    built = rows(demo_mesh, "customer.customer_behavior_analysis", "household_id")
    visits = again.lines().unique("basket_id").group_by("household_id", "store_id").len()
    stores = visits.sort("len", "store_id", descending=[True, False]).unique(
        "household_id", keep="first", maintain_order=True
    )
    assert {h: r["favourite_store_id"] for h, r in built.items()} == dict(
        stores.select("household_id", "store_id").iter_rows()
    )
    shelf = again.catalog().filter("merchandise")
    spent = (
        again.lines()
        .join(shelf, on="product_id")
        .group_by("household_id", "product_category")
        .agg(pl.col("sales_value").sum())
    )
    best = spent.sort("sales_value", "product_category", descending=[True, False]).unique(
        "household_id", keep="first", maintain_order=True
    )
    favourites = dict(best.select("household_id", "product_category").iter_rows())
    assert {h: r["favourite_category"] for h, r in built.items() if r["favourite_category"]} == favourites


def test_behavior_shares_are_shares_of_baskets_and_of_merchandise(demo_mesh: DemoMesh) -> None:
    built = rows(demo_mesh, "customer.customer_behavior_analysis", "household_id")
    value = pl.col("sales_value")
    goods = (
        again.lines()
        .join(again.catalog().filter("merchandise"), on="product_id")
        .group_by("household_id")
        .agg(
            value.sum(),
            value.filter(pl.col("brand") == "Private").sum().alias("private"),
            value.filter(pl.col("retail_disc") > 0).sum().alias("reduced"),
            pl.col("product_category").n_unique().alias("categories"),
        )
    )
    trips = (
        again.lines()
        .unique("basket_id")
        .group_by("household_id")
        .agg(pl.len(), (pl.col("day").dt.weekday() >= 6).sum().alias("weekend"))
    )
    weekend = {h: n / total for h, total, n in trips.iter_rows()}
    assert {h: r["weekend_share"] for h, r in built.items()} == pytest.approx(weekend)
    for household, sales, private, reduced, categories in goods.iter_rows():
        got, metric = built[household], again.household_metrics()[household]
        assert got["distinct_categories"] == categories
        assert got["private_label_share"] == pytest.approx(private / sales)
        assert got["reduced_price_share"] == pytest.approx(reduced / sales)
        assert got["lines_per_basket"] == pytest.approx(metric["lines"] / metric["baskets"])
        assert got["coupon_basket_share"] == pytest.approx(metric["coupon_baskets"] / metric["baskets"])
        assert got["shopping_style"] == style(metric, sales, private, reduced)


def style(metric: dict[str, Any], sales: int, private: int, reduced: int) -> str:
    if 10 * metric["coupon_baskets"] >= metric["baskets"]:
        return "coupon_user"
    if 10 * reduced >= 6 * sales:
        return "bargain_hunter"
    if 10 * private >= 4 * sales:
        return "private_label_buyer"
    return "stock_up_shopper" if metric["lines"] >= 15 * metric["baskets"] else "everyday_shopper"


def test_promotions_hold_every_placement(demo_mesh: DemoMesh) -> None:
    raw = again.promotions()
    built = pl.DataFrame(
        pl.from_arrow(demo_mesh.read("product.promotions").select([*raw.columns, "on_display", "in_mailer"]))
    )
    assert built.height == raw.height == 20_940_529
    sums = [pl.len(), *(pl.col(c).cast(pl.Int64).sum() for c in ("product_id", "store_id"))]
    for code, flag in (("display_location", "on_display"), ("mailer_location", "in_mailer")):
        ours, theirs = (f.group_by("week", code).agg(sums).sort("week", code).rows() for f in (built, raw))
        assert ours == theirs
        assert built[flag].sum() == raw.height - sum(row[2] for row in theirs if row[1] == "0")


def test_product_performance_agrees_for_every_product(demo_mesh: DemoMesh) -> None:
    built = pl.DataFrame(pl.from_arrow(demo_mesh.read("product.product_performance"))).sort("product_id")
    place = ["product_id", "store_id", "week"]
    sold = again.lines().filter(pl.col("kind") == "sale").join(again.catalog(), on="product_id", how="semi")
    placed = sold.select(place).unique().join(again.promotions().select(place), on=place, how="semi")
    promoted = placed.with_columns(pl.lit(value=True).alias("promoted"))
    buyers = sold.group_by("product_id", "household_id").len()
    repeat = buyers.group_by("product_id").agg(
        (pl.col("len") > 1).mean().alias("repeat"), pl.len().alias("households")
    )
    expected = (
        sold.join(promoted, on=place, how="left")
        .group_by("product_id")
        .agg(
            pl.len().alias("baskets"),
            pl.col("sales_value").sum().alias("sales"),
            pl.col("sales_value").filter(pl.col("promoted")).sum().alias("promoted"),
        )
        .join(repeat, on="product_id")
        .sort("product_id")
    )
    assert built["product_id"].to_list() == expected["product_id"].to_list()
    assert built["basket_count"].to_list() == expected["baskets"].to_list()
    assert built["household_count"].to_list() == expected["households"].to_list()
    assert built.select(again.cents("sales_value")).to_series().to_list() == expected["sales"].to_list()
    assert built.select(again.cents("promoted_value")).to_series().to_list() == expected["promoted"].to_list()
    assert built["repeat_rate"].to_list() == pytest.approx(expected["repeat"].to_list())


def test_recommendations_are_what_baskets_hold_together(demo_mesh: DemoMesh) -> None:
    table = demo_mesh.read("product.product_recommendations").to_pylist()
    built: dict[int, list[dict[str, Any]]] = {}
    for row in sorted(table, key=lambda r: r["recommendation_rank"]):
        built.setdefault(row["product_id"], []).append(row)
    often = [p for p, n in again.product_baskets().most_common(400) if n >= 100]
    for product in [*often[:20], *often[50::50]]:
        expected = again.companions(product)
        got = built.get(product, [])
        assert [(r["recommended_product_id"], r["baskets_together"]) for r in got] == [
            e[:2] for e in expected
        ]
        assert [r["confidence"] for r in got] == pytest.approx([e[2] for e in expected])
        assert [r["lift"] for r in got] == pytest.approx([e[3] for e in expected])
    assert not {p for p in built if again.product_baskets()[p] < 100}


def test_campaigns_count_their_households_and_coupons(demo_mesh: DemoMesh) -> None:
    built = rows(demo_mesh, "marketing.campaigns", "campaign_id")
    households = again.raw("campaigns").group_by("campaign_id").agg(pl.col("household_id").n_unique())
    coupons = again.raw("coupons").group_by("campaign_id").agg(pl.col("coupon_upc").n_unique())
    assert {c: r["households_targeted"] for c, r in built.items()} == dict(households.iter_rows())
    assert {c: r["coupons_offered"] for c, r in built.items()} == dict(coupons.iter_rows())
    assert {
        c: (r["campaign_type"], r["start_date"], r["end_date"]) for c, r in built.items()
    } == again.campaigns()


def test_redemptions_all_follow_a_purchase_on_that_day(demo_mesh: DemoMesh) -> None:
    built = demo_mesh.read("marketing.coupon_redemptions").to_pylist()
    assert Counter((r["campaign_id"], r["household_id"]) for r in built) == again.redemptions()
    for row in built:
        kind, start, _ = again.campaigns()[row["campaign_id"]]
        assert (row["campaign_type"], row["days_after_start"]) == (
            kind,
            (row["redemption_date"] - start).days,
        )
    bought = set(again.lines().select("household_id", "day").unique().iter_rows())
    assert all((r["household_id"], r["redemption_date"]) in bought for r in built)


def test_attribution_agrees_for_every_campaign_and_household(demo_mesh: DemoMesh) -> None:
    built = rows(demo_mesh, "marketing.campaign_attribution", "campaign_id", "household_id")
    expected = again.attribution()
    assert built.keys() == expected.keys()
    for key, want in expected.items():
        got = built[key]
        assert (got["window_start"], got["window_end"]) == (want["start"], want["end"])
        assert money(got["value_in_window"]) == want["value"]
        assert float(got["attributed_value"]) == pytest.approx(want["attributed"] / 100, abs=0.0051)
        assert got["coupons_redeemed"] == again.redemptions()[key]
        assert got["responded"] is (again.redemptions()[key] > 0)
        assert got["baskets_in_window"] == want["baskets"]
        assert got["observed_days"] == (want["end"] - want["start"]).days + 1
        assert got["campaign_type"] == again.campaigns()[key[0]][0]
        share = want["attributed"] / again.household_metrics()[key[1]]["sales"]
        assert got["attribution_share"] == pytest.approx(share, abs=0.003)
        baseline = got["baseline_value"]
        change = None if baseline is None else got["value_in_window"] - baseline
        assert got["incremental_value"] == change
        assert (None if baseline is None else money(baseline)) == want["baseline"]
    claimed = sum(r["attributed_value"] for r in built.values())
    assert claimed <= Decimal(again.lines()["sales_value"].sum()) / 100


def test_journey_scores_follow_from_attribution_and_response(demo_mesh: DemoMesh) -> None:
    built = rows(demo_mesh, "analytics.customer_journey_analytics", "household_id")
    attributed: Counter[int] = Counter()
    received: Counter[int] = Counter()
    for (_, household), want in again.attribution().items():
        attributed[household] += want["attributed"]
        received[household] += 1
    answered = Counter(h for _, h in again.redemptions())
    first_campaign: dict[int, date] = {}
    for (_, household), want in again.attribution().items():
        first_campaign[household] = min(want["start"], first_campaign.get(household, want["start"]))
    handed_in = (
        again.raw("coupon_redemptions")
        .group_by("household_id")
        .agg(pl.col("redemption_date").dt.date().min())
    )
    first_redemption = dict(handed_in.iter_rows())
    for household, metric in again.household_metrics().items():
        got, n = built[household], received[household]
        score = 0.6 * attributed[household] / metric["sales"] + (0.4 * answered[household] / n if n else 0)
        assert float(got["attribution_score"]) == pytest.approx(score, abs=0.0006)
        assert (got["campaigns_received"], got["campaigns_responded"]) == (n, answered[household])
        assert (got["first_order_on"], got["last_order_on"]) == (metric["first"], metric["last"])
        assert got["first_campaign_on"] == first_campaign.get(household)
        assert got["first_redemption_on"] == first_redemption.get(household)
        stage = got["lifecycle_stage"]
        if stage in ("lapsed", "at_risk"):
            assert got["journey_stage"] == {"lapsed": "lost", "at_risk": "drifting"}[stage]
        elif metric["weeks"] >= 26:
            assert got["journey_stage"] in ("loyal", "advocate")
        else:
            assert got["journey_stage"] not in ("loyal", "lost", "drifting")


def test_insights_rank_categories_by_spend_and_compare_with_the_segment(demo_mesh: DemoMesh) -> None:
    built = rows(demo_mesh, "analytics.cross_domain_insights", "household_id", "category_rank")
    shelf = again.catalog().filter("merchandise")
    sold = again.lines().filter(pl.col("kind") == "sale").join(shelf, on="product_id")
    spent: dict[int, Counter[str]] = {}
    for household, category, value in (
        sold.group_by("household_id", "product_category").agg(pl.col("sales_value").sum()).iter_rows()
    ):
        spent.setdefault(household, Counter())[category] = value
    segment_totals: dict[str, Counter[str]] = {}
    for household, categories in spent.items():
        segment_totals.setdefault(again.segments()[household], Counter()).update(categories)
    assert len(built) == sum(min(len(c), 5) for c in spent.values())
    for household, categories in spent.items():
        ranked = sorted(categories.items(), key=lambda item: (-item[1], item[0]))[:5]
        everyone = segment_totals[again.segments()[household]]
        for rank, (category, value) in enumerate(ranked, 1):
            got = built[household, rank]
            own = value / categories.total()
            usual = everyone[category] / everyone.total()
            assert (got["product_category"], money(got["category_value"])) == (category, value)
            assert float(got["product_affinity"]) == pytest.approx(own / (own + usual), abs=0.000051)


def test_insights_offer_the_best_companion_not_yet_bought(demo_mesh: DemoMesh) -> None:
    built = demo_mesh.read("analytics.cross_domain_insights").to_pylist()
    companions: dict[int, list[tuple[int, float]]] = {}
    for row in demo_mesh.read("product.product_recommendations").to_pylist():
        companions.setdefault(row["product_id"], []).append(
            (row["recommended_product_id"], row["confidence"])
        )
    shelf = again.catalog().filter("merchandise")
    sold = again.lines().filter(pl.col("kind") == "sale").join(shelf, on="product_id")
    owned: dict[int, dict[int, str]] = {}
    for household, product, category in (
        sold.select("household_id", "product_id", "product_category").unique().iter_rows()
    ):
        owned.setdefault(household, {})[product] = category
    for row in built[::7]:
        mine = owned[row["household_id"]]
        open_offers = [
            (-confidence, other)
            for product, category in mine.items()
            if category == row["product_category"]
            for other, confidence in companions.get(product, [])
            if other not in mine
        ]
        best = min(open_offers, default=(0.0, None))
        assert row["cross_sell_product_id"] == best[1]
        assert float(row["cross_sell_score"]) == pytest.approx(-best[0], abs=0.000051)
        assert row["contextual_churn_risk"] == pytest.approx(again.churn_risk(row), abs=0.000051)
