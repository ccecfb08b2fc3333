-- One row per household: how far it has come from first purchase to loyalty, and how much marketing had to do with it.
WITH touches AS (
    SELECT
        household_id,
        min(window_start) AS first_campaign_on,
        count(*) AS campaigns,
        count(*) FILTER (responded) AS campaigns_responded,
        sum(attributed_value) AS attributed_value
    FROM marketing.campaign_attribution
    GROUP BY household_id
),
redemptions AS (
    SELECT household_id, min(redemption_date) AS first_redemption_on, count(*) AS redemptions
    FROM marketing.coupon_redemptions
    GROUP BY household_id
),
joined AS (
    SELECT
        customers.household_id,
        customers.customer_tier,
        customers.lifecycle_stage,
        customers.engagement_score,
        orders.first_order_on,
        touches.first_campaign_on,
        redemptions.first_redemption_on,
        orders.last_order_on,
        orders.basket_count,
        orders.active_weeks,
        orders.sales_value,
        coalesce(touches.campaigns, 0)::integer AS campaigns_received,
        coalesce(touches.campaigns_responded, 0)::integer AS campaigns_responded,
        coalesce(redemptions.redemptions, 0)::integer AS coupons_redeemed,
        coalesce(touches.attributed_value, 0)::decimal(12, 2) AS attributed_value
    FROM customer.customer_360 AS customers
    JOIN orders.order_metrics AS orders ON orders.household_id = customers.household_id
    LEFT JOIN touches ON touches.household_id = customers.household_id
    LEFT JOIN redemptions ON redemptions.household_id = customers.household_id
)
SELECT
    household_id,
    CASE
        WHEN lifecycle_stage = 'lapsed' THEN 'lost'
        WHEN lifecycle_stage = 'at_risk' THEN 'drifting'
        WHEN customer_tier IN ('platinum', 'gold') AND coupons_redeemed > 0 THEN 'advocate'
        WHEN active_weeks >= 26 THEN 'loyal'
        WHEN campaigns_responded > 0 OR basket_count >= 12 THEN 'engaged'
        ELSE 'exploring'
    END AS journey_stage,
    customer_tier,
    lifecycle_stage,
    engagement_score,
    first_order_on,
    first_campaign_on,
    first_redemption_on,
    last_order_on,
    (first_redemption_on - first_campaign_on)::integer AS days_to_first_redemption,
    campaigns_received,
    campaigns_responded,
    coupons_redeemed,
    attributed_value,
    -- 0 to 1: six tenths the share of spend campaigns may claim, four tenths the share of campaigns answered
    (
        0.6 * CASE WHEN sales_value > 0 THEN attributed_value::double / sales_value::double ELSE 0 END
        + 0.4 * CASE WHEN campaigns_received > 0 THEN campaigns_responded / campaigns_received ELSE 0 END
    )::decimal(5, 4) AS attribution_score
FROM joined
