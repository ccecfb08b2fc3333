-- One row per catalogued product that was sold: volume, value, loyalty, and what promotion has to do with it.
WITH promoted AS (
    SELECT DISTINCT lines.product_id, lines.store_id, lines.week
    FROM (SELECT DISTINCT product_id, store_id, week FROM orders.order_lines) AS lines
    SEMI JOIN product.promotions AS placements
        ON placements.product_id = lines.product_id
        AND placements.store_id = lines.store_id
        AND placements.week = lines.week
),
buyers AS (
    SELECT product_id, count(*) AS households, count(*) FILTER (baskets > 1) AS repeat_households
    FROM (
        SELECT product_id, household_id, count(*) AS baskets
        FROM orders.order_lines
        WHERE line_kind = 'sale'
        GROUP BY product_id, household_id
    )
    GROUP BY product_id
),
sold AS (
    SELECT
        lines.product_id,
        min(order_date) AS first_sold_on,
        max(order_date) AS last_sold_on,
        count(*) AS baskets,
        count(DISTINCT lines.store_id) AS stores,
        sum(quantity) AS units,
        sum(gross_value) AS gross_value,
        sum(sales_value) AS sales_value,
        sum(retail_discount + coupon_discount + coupon_match_discount) AS discount_value,
        coalesce(sum(sales_value) FILTER (promoted.product_id IS NOT NULL), 0) AS promoted_value
    FROM orders.order_lines AS lines
    LEFT JOIN promoted
        ON promoted.product_id = lines.product_id
        AND promoted.store_id = lines.store_id
        AND promoted.week = lines.week
    WHERE line_kind = 'sale'
    GROUP BY lines.product_id
)
SELECT
    sold.product_id,
    catalog.department,
    catalog.product_category,
    catalog.brand,
    first_sold_on,
    last_sold_on,
    baskets::integer AS basket_count,
    buyers.households::integer AS household_count,
    buyers.repeat_households::double / buyers.households AS repeat_rate,
    stores::integer AS store_count,
    units::bigint AS units,
    gross_value::decimal(12, 2) AS gross_value,
    sales_value::decimal(12, 2) AS sales_value,
    discount_value::decimal(12, 2) AS discount_value,
    discount_value::double / gross_value::double AS discount_share,
    promoted_value::decimal(12, 2) AS promoted_value,
    promoted_value::double / sales_value::double AS promoted_share,
    row_number() OVER (
        PARTITION BY catalog.product_category ORDER BY sales_value DESC, sold.product_id
    )::integer AS category_rank,
    sales_value::double / sum(sales_value) OVER (PARTITION BY catalog.product_category)::double AS category_share
FROM sold
JOIN buyers ON buyers.product_id = sold.product_id
JOIN product.product_catalog AS catalog ON catalog.product_id = sold.product_id
