-- One row per campaign: when it ran, whom it was sent to, what it offered.
WITH members AS (
    SELECT campaign_id, count(DISTINCT household_id) AS households
    FROM source.campaign_members
    GROUP BY campaign_id
),
offers AS (
    SELECT campaign_id, count(DISTINCT coupon_upc) AS coupons, count(DISTINCT product_id) AS products
    FROM source.coupons
    GROUP BY campaign_id
)
SELECT
    descriptions.campaign_id::integer AS campaign_id,
    descriptions.campaign_type,
    descriptions.start_date::date AS start_date,
    descriptions.end_date::date AS end_date,
    (descriptions.end_date::date - descriptions.start_date::date + 1)::integer AS duration_days,
    coalesce(members.households, 0)::integer AS households_targeted,
    coalesce(offers.coupons, 0)::integer AS coupons_offered,
    coalesce(offers.products, 0)::integer AS products_offered
FROM source.campaign_descriptions AS descriptions
LEFT JOIN members ON members.campaign_id = descriptions.campaign_id
LEFT JOIN offers ON offers.campaign_id = descriptions.campaign_id
