-- One row per household: how often, how much, how lately. "As of" is the last day of the data.
WITH as_of AS (
    SELECT max(order_date) AS day FROM orders.baskets
),
products AS (
    SELECT household_id, count(DISTINCT product_id) AS products
    FROM orders.order_lines
    GROUP BY household_id
),
totals AS (
    SELECT
        household_id,
        min(order_date) AS first_order_on,
        max(order_date) AS last_order_on,
        count(*) AS baskets,
        sum(line_count) AS lines,
        sum(voided_lines) AS voided_lines,
        count(DISTINCT store_id) AS stores,
        count(DISTINCT week) AS weeks,
        count(*) FILTER (coupon_used) AS coupon_baskets,
        sum(gross_value) AS gross_value,
        sum(sales_value) AS sales_value,
        sum(discount_value) AS discount_value,
        sum(amount_paid) AS amount_paid,
        coalesce(sum(sales_value) FILTER (order_date > as_of.day - 182), 0) AS recent_value,
        coalesce(sum(sales_value) FILTER (order_date <= as_of.day - 182 AND order_date > as_of.day - 364), 0)
            AS previous_value,
        any_value(as_of.day) AS as_of_date
    FROM orders.baskets
    CROSS JOIN as_of
    GROUP BY household_id
)
SELECT
    totals.household_id,
    first_order_on,
    last_order_on,
    as_of_date,
    (as_of_date - last_order_on)::integer AS recency_days,
    (as_of_date - first_order_on + 1)::integer AS tenure_days,
    baskets::integer AS basket_count,
    lines::integer AS line_count,
    voided_lines::integer AS voided_lines,
    products.products::integer AS distinct_products,
    stores::integer AS distinct_stores,
    weeks::integer AS active_weeks,
    coupon_baskets::integer AS coupon_baskets,
    gross_value::decimal(12, 2) AS gross_value,
    sales_value::decimal(12, 2) AS sales_value,
    discount_value::decimal(12, 2) AS discount_value,
    amount_paid::decimal(12, 2) AS amount_paid,
    (sales_value::double / baskets)::decimal(10, 2) AS average_basket_value,
    CASE WHEN baskets > 1 THEN (last_order_on - first_order_on)::double / (baskets - 1) END
        AS average_days_between_baskets,
    CASE WHEN gross_value > 0 THEN discount_value::double / gross_value::double ELSE 0 END AS discount_share,
    voided_lines::double / lines::double AS void_share,
    recent_value::decimal(12, 2) AS recent_value,
    previous_value::decimal(12, 2) AS previous_value
FROM totals
JOIN products USING (household_id)
