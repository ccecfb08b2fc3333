-- One row per household and each of its five strongest categories: affinity and what to offer next.
-- transform.py adds contextual_churn_risk to these rows.
WITH as_of AS (
    SELECT max(as_of_date) AS day FROM orders.order_metrics
),
bought AS (
    SELECT
        lines.household_id,
        lines.product_id,
        catalog.product_category,
        sum(lines.sales_value) AS value,
        max(lines.order_date) AS last_day,
        coalesce(sum(lines.sales_value) FILTER (lines.order_date > as_of.day - 182), 0) AS recent_value,
        coalesce(
            sum(lines.sales_value) FILTER (lines.order_date <= as_of.day - 182 AND lines.order_date > as_of.day - 364),
            0
        ) AS previous_value
    FROM orders.order_lines AS lines
    JOIN product.product_catalog AS catalog ON catalog.product_id = lines.product_id
    CROSS JOIN as_of
    WHERE catalog.is_merchandise AND lines.line_kind = 'sale'
    GROUP BY lines.household_id, lines.product_id, catalog.product_category
),
categories AS (
    SELECT
        household_id,
        product_category,
        sum(value) AS value,
        max(last_day) AS last_day,
        sum(recent_value) AS recent_value,
        sum(previous_value) AS previous_value
    FROM bought
    GROUP BY household_id, product_category
),
shares AS (
    SELECT
        categories.*,
        segments.customer_segment,
        value::double / sum(value) OVER (PARTITION BY categories.household_id)::double AS household_share,
        sum(value) OVER (PARTITION BY segments.customer_segment, product_category)::double
            / sum(value) OVER (PARTITION BY segments.customer_segment)::double AS segment_share,
        row_number() OVER (PARTITION BY categories.household_id ORDER BY value DESC, product_category) AS category_rank
    FROM categories
    JOIN customer.customer_segments AS segments ON segments.household_id = categories.household_id
),
offers AS (
    SELECT
        bought.household_id,
        bought.product_category,
        companions.recommended_product_id,
        max(companions.confidence) AS confidence
    FROM bought
    JOIN product.product_recommendations AS companions ON companions.product_id = bought.product_id
    WHERE NOT EXISTS (
        SELECT 1 FROM bought AS own
        WHERE own.household_id = bought.household_id AND own.product_id = companions.recommended_product_id
    )
    GROUP BY bought.household_id, bought.product_category, companions.recommended_product_id
),
best_offers AS (
    SELECT household_id, product_category, recommended_product_id, confidence
    FROM offers
    QUALIFY row_number() OVER (
        PARTITION BY household_id, product_category ORDER BY confidence DESC, recommended_product_id
    ) = 1
)
SELECT
    shares.household_id,
    shares.product_category,
    shares.category_rank::integer AS category_rank,
    shares.customer_segment,
    customers.lifecycle_stage,
    customers.engagement_score,
    customers.average_days_between_baskets,
    customers.recency_days,
    shares.value::decimal(12, 2) AS category_value,
    shares.household_share AS category_share,
    -- 0.5 means: as much as others of the segment; towards 1: far more
    (shares.household_share / (shares.household_share + shares.segment_share))::decimal(5, 4) AS product_affinity,
    best_offers.recommended_product_id AS cross_sell_product_id,
    coalesce(best_offers.confidence, 0)::decimal(5, 4) AS cross_sell_score,
    (as_of.day - shares.last_day)::integer AS category_recency_days,
    CASE
        WHEN shares.previous_value > 0
            THEN (shares.recent_value::double - shares.previous_value::double)
                / (shares.recent_value::double + shares.previous_value::double)
        WHEN shares.recent_value > 0 THEN 1
        ELSE 0
    END AS category_trend
FROM shares
JOIN customer.customer_360 AS customers ON customers.household_id = shares.household_id
LEFT JOIN best_offers
    ON best_offers.household_id = shares.household_id AND best_offers.product_category = shares.product_category
CROSS JOIN as_of
WHERE shares.category_rank <= 5
