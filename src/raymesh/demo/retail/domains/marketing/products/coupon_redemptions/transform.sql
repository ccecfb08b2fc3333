-- One row per coupon a household handed in on a day.
WITH coupon_products AS (
    SELECT campaign_id, coupon_upc, count(DISTINCT product_id) AS products
    FROM source.coupons
    GROUP BY campaign_id, coupon_upc
)
SELECT
    redeemed.household_id::integer AS household_id,
    redeemed.coupon_upc::bigint AS coupon_upc,
    redeemed.campaign_id::integer AS campaign_id,
    redeemed.redemption_date::date AS redemption_date,
    campaigns.campaign_type,
    (redeemed.redemption_date::date - campaigns.start_date)::integer AS days_after_start,
    coupon_products.products::integer AS products_on_coupon
FROM source.coupon_redemptions AS redeemed
JOIN marketing.campaigns AS campaigns ON campaigns.campaign_id = redeemed.campaign_id
JOIN coupon_products
    ON coupon_products.campaign_id = redeemed.campaign_id
    AND coupon_products.coupon_upc = redeemed.coupon_upc
