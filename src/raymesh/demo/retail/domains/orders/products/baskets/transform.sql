-- One row per basket: everything one household bought at one till at one moment.
SELECT
    basket_id,
    min(household_id) AS household_id,
    min(store_id) AS store_id,
    min(week) AS week,
    min(ordered_at) AS ordered_at,
    min(ordered_local) AS ordered_local,
    min(order_date) AS order_date,
    CASE
        WHEN hour(min(ordered_local)) < 6 THEN 'night'
        WHEN hour(min(ordered_local)) < 12 THEN 'morning'
        WHEN hour(min(ordered_local)) < 17 THEN 'afternoon'
        ELSE 'evening'
    END AS daypart,
    isodow(min(order_date))::integer AS weekday,
    count(*)::integer AS line_count,
    count(*) FILTER (line_kind = 'void')::integer AS voided_lines,
    sum(gross_value)::decimal(12, 2) AS gross_value,
    sum(sales_value)::decimal(12, 2) AS sales_value,
    sum(retail_discount + coupon_match_discount + coupon_discount)::decimal(12, 2) AS discount_value,
    sum(amount_paid)::decimal(12, 2) AS amount_paid,
    bool_or(coupon_discount > 0) AS coupon_used
FROM orders.order_lines
GROUP BY basket_id
