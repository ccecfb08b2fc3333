-- One row per product in a basket, as the tills recorded it, in exact types.
-- gross_value is what the shelf price would have been, amount_paid what the household handed over:
--   gross_value − retail_discount − coupon_match_discount = sales_value (what the retailer earns)
--   sales_value − coupon_discount = amount_paid (the manufacturer repays its coupon to the retailer)
WITH typed AS (
    SELECT
        basket_id::bigint AS basket_id,
        product_id::integer AS product_id,
        household_id::integer AS household_id,
        store_id::integer AS store_id,
        week::integer AS week,
        timezone('UTC', transaction_timestamp) AS ordered_at,
        timezone('America/New_York', timezone('UTC', transaction_timestamp)) AS ordered_local,
        quantity::integer AS quantity,
        sales_value::decimal(10, 2) AS sales_value,
        retail_disc::decimal(10, 2) AS retail_discount,
        coupon_disc::decimal(10, 2) AS coupon_discount,
        coupon_match_disc::decimal(10, 2) AS coupon_match_discount
    FROM source.transactions
)
SELECT
    basket_id,
    product_id,
    household_id,
    store_id,
    week,
    ordered_at,
    ordered_local,
    ordered_local::date AS order_date,
    quantity,
    sales_value,
    retail_discount,
    coupon_discount,
    coupon_match_discount,
    (sales_value + retail_discount + coupon_match_discount)::decimal(10, 2) AS gross_value,
    (sales_value - coupon_discount)::decimal(10, 2) AS amount_paid,
    CASE
        WHEN quantity = 0 AND sales_value = 0 AND coupon_discount > 0 THEN 'coupon'
        WHEN quantity = 0 AND sales_value = 0 THEN 'void'
        WHEN quantity = 0 THEN 'adjustment'
        WHEN sales_value = 0 THEN 'free'
        ELSE 'sale'
    END AS line_kind
FROM typed
