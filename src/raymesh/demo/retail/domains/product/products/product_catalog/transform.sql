-- One row per product of the assortment. Merchandise is what a household can choose from a shelf:
-- not coupons, fuel, donations or the till's own bookkeeping items.
WITH named AS (
    SELECT
        product_id::integer AS product_id,
        manufacturer_id::integer AS manufacturer_id,
        department,
        coalesce(product_category, 'UNKNOWN') AS product_category,
        coalesce(product_type, 'UNKNOWN') AS product_type,
        brand,
        package_size
    FROM source.products
)
SELECT
    *,
    product_category <> 'UNKNOWN'
        AND product_category NOT ILIKE '%COUPON%'
        AND product_type NOT ILIKE 'GASOLINE%'
        AND department NOT IN ('COUPON', 'FUEL', 'CHARITABLE CONT', 'CNTRL/STORE SUP', 'PROD-WHS SALES')
        AS is_merchandise
FROM named
