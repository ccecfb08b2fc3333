-- One row per household: when, where and what it likes to buy.
-- A favourite is what most baskets have; ties go to the smaller value, so the answer never changes by itself.
WITH visits AS (
    SELECT
        household_id,
        count(*) AS baskets,
        count(*) FILTER (weekday >= 6) AS weekend_baskets,
        count(*) FILTER (coupon_used) AS coupon_baskets,
        sum(line_count) AS lines,
        sum(sales_value) AS sales_value,
        max(order_date) AS last_day
    FROM orders.baskets
    GROUP BY household_id
),
dayparts AS (
    SELECT household_id, daypart
    FROM orders.baskets
    GROUP BY household_id, daypart
    QUALIFY row_number() OVER (PARTITION BY household_id ORDER BY count(*) DESC, daypart) = 1
),
weekdays AS (
    SELECT household_id, weekday
    FROM orders.baskets
    GROUP BY household_id, weekday
    QUALIFY row_number() OVER (PARTITION BY household_id ORDER BY count(*) DESC, weekday) = 1
),
stores AS (
    SELECT household_id, store_id, count(*) AS baskets
    FROM orders.baskets
    GROUP BY household_id, store_id
    QUALIFY row_number() OVER (PARTITION BY household_id ORDER BY count(*) DESC, store_id) = 1
),
bought AS (
    SELECT
        lines.household_id,
        catalog.department,
        catalog.product_category,
        sum(lines.sales_value) AS sales_value,
        coalesce(sum(lines.sales_value) FILTER (catalog.brand = 'Private'), 0) AS private_label_value,
        coalesce(sum(lines.sales_value) FILTER (lines.retail_discount > 0), 0) AS reduced_value
    FROM orders.order_lines AS lines
    JOIN product.product_catalog AS catalog ON catalog.product_id = lines.product_id
    WHERE catalog.is_merchandise
    GROUP BY lines.household_id, catalog.department, catalog.product_category
),
basics AS (
    SELECT
        household_id,
        sum(sales_value) AS sales_value,
        sum(private_label_value) AS private_label_value,
        sum(reduced_value) AS reduced_value,
        count(DISTINCT product_category) AS categories
    FROM bought
    GROUP BY household_id
),
departments AS (
    SELECT household_id, department
    FROM bought
    GROUP BY household_id, department
    QUALIFY row_number() OVER (PARTITION BY household_id ORDER BY sum(sales_value) DESC, department) = 1
),
categories AS (
    SELECT household_id, product_category, sum(sales_value) AS sales_value
    FROM bought
    GROUP BY household_id, product_category
    QUALIFY row_number() OVER (PARTITION BY household_id ORDER BY sum(sales_value) DESC, product_category) = 1
)
SELECT
    visits.household_id,
    visits.baskets::integer AS basket_count,
    dayparts.daypart AS favourite_daypart,
    weekdays.weekday AS favourite_weekday,
    visits.weekend_baskets::double / visits.baskets AS weekend_share,
    stores.store_id AS favourite_store_id,
    stores.baskets::double / visits.baskets AS store_loyalty,
    departments.department AS favourite_department,
    categories.product_category AS favourite_category,
    basics.categories::integer AS distinct_categories,
    visits.lines::double / visits.baskets AS lines_per_basket,
    visits.coupon_baskets::double / visits.baskets AS coupon_basket_share,
    CASE WHEN basics.sales_value > 0 THEN basics.private_label_value::double / basics.sales_value::double END
        AS private_label_share,
    CASE WHEN basics.sales_value > 0 THEN basics.reduced_value::double / basics.sales_value::double END
        AS reduced_price_share,
    CASE WHEN basics.sales_value > 0 THEN categories.sales_value::double / basics.sales_value::double END
        AS favourite_category_share,
    CASE
        WHEN basics.sales_value IS NULL OR basics.sales_value = 0 THEN 'unknown'
        WHEN visits.coupon_baskets >= 0.10 * visits.baskets THEN 'coupon_user'
        WHEN basics.reduced_value >= 0.60 * basics.sales_value THEN 'bargain_hunter'
        WHEN basics.private_label_value >= 0.40 * basics.sales_value THEN 'private_label_buyer'
        WHEN visits.lines >= 15 * visits.baskets THEN 'stock_up_shopper'
        ELSE 'everyday_shopper'
    END AS shopping_style
FROM visits
JOIN dayparts USING (household_id)
JOIN weekdays USING (household_id)
JOIN stores USING (household_id)
LEFT JOIN basics USING (household_id)
LEFT JOIN departments USING (household_id)
LEFT JOIN categories USING (household_id)
