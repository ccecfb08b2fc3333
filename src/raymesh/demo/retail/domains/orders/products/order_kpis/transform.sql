-- One row per business week (Monday to Sunday): the figures the order management team is judged by.
WITH first_weeks AS (
    SELECT household_id, min(week) AS first_week
    FROM orders.baskets
    GROUP BY household_id
),
weeks AS (
    SELECT
        baskets.week,
        min(order_date) AS first_day,
        max(order_date) AS last_day,
        count(DISTINCT order_date) AS trading_days,
        count(*) AS baskets,
        count(DISTINCT baskets.household_id) AS households,
        count(DISTINCT baskets.household_id) FILTER (first_weeks.first_week = baskets.week) AS new_households,
        count(DISTINCT store_id) AS stores,
        sum(line_count) AS lines,
        sum(voided_lines) AS voided_lines,
        sum(gross_value) AS gross_value,
        sum(sales_value) AS sales_value,
        sum(discount_value) AS discount_value
    FROM orders.baskets
    JOIN first_weeks ON first_weeks.household_id = baskets.household_id
    GROUP BY baskets.week
)
SELECT
    week,
    first_day,
    last_day,
    trading_days::integer AS trading_days,
    trading_days = 7 AS complete_week,
    baskets::integer AS basket_count,
    households::integer AS active_households,
    new_households::integer AS new_households,
    stores::integer AS active_stores,
    lines::integer AS line_count,
    sales_value::decimal(14, 2) AS sales_value,
    discount_value::decimal(14, 2) AS discount_value,
    (sales_value::double / baskets)::decimal(10, 2) AS average_basket_value,
    baskets::double / households AS baskets_per_household,
    discount_value::double / gross_value::double AS discount_share,
    voided_lines::double / lines::double AS void_share,
    CASE
        WHEN trading_days = 7 AND lag(trading_days) OVER (ORDER BY week) = 7
            THEN sales_value::double / lag(sales_value::double) OVER (ORDER BY week) - 1
    END AS sales_change,
    sum(sales_value) OVER (ORDER BY week)::decimal(14, 2) AS sales_to_date
FROM weeks
