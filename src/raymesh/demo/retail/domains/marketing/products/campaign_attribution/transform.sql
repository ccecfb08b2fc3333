-- One row per campaign and household it was sent to: what was bought while it ran, and its fair share of that.
-- A day's spend is divided equally between the campaigns the household was in on that day, so the shares of
-- all campaigns never add up to more than was spent.
WITH observed AS (
    SELECT min(order_date) AS first_day, max(order_date) AS last_day FROM orders.baskets
),
windows AS (
    SELECT
        members.campaign_id::integer AS campaign_id,
        members.household_id::integer AS household_id,
        campaigns.campaign_type,
        greatest(campaigns.start_date, observed.first_day) AS window_start,
        least(campaigns.end_date, observed.last_day) AS window_end,
        observed.first_day
    FROM source.campaign_members AS members
    JOIN marketing.campaigns AS campaigns ON campaigns.campaign_id = members.campaign_id
    CROSS JOIN observed
),
exposures AS (
    SELECT
        *,
        (window_end - window_start + 1)::integer AS observed_days,
        window_start - (window_end - window_start + 1)::integer AS baseline_start
    FROM windows
),
days AS (
    SELECT household_id, order_date, count(*) AS baskets, sum(sales_value) AS value
    FROM orders.baskets
    GROUP BY household_id, order_date
),
touched AS (
    SELECT
        exposures.campaign_id,
        days.household_id,
        days.baskets,
        days.value,
        count(*) OVER (PARTITION BY days.household_id, days.order_date) AS active_campaigns
    FROM days
    JOIN exposures
        ON exposures.household_id = days.household_id
        AND days.order_date BETWEEN exposures.window_start AND exposures.window_end
),
inside AS (
    SELECT
        campaign_id,
        household_id,
        sum(baskets) AS baskets,
        sum(value) AS value,
        sum((value::double / active_campaigns)::decimal(18, 6)) AS attributed
    FROM touched
    GROUP BY campaign_id, household_id
),
before AS (
    SELECT exposures.campaign_id, exposures.household_id, sum(days.value) AS value
    FROM exposures
    JOIN days
        ON days.household_id = exposures.household_id
        AND days.order_date < exposures.window_start
        AND days.order_date >= exposures.baseline_start
    GROUP BY exposures.campaign_id, exposures.household_id
),
spent AS (
    SELECT household_id, sum(value) AS value FROM days GROUP BY household_id
),
redeemed AS (
    SELECT campaign_id, household_id, count(*) AS coupons
    FROM marketing.coupon_redemptions
    GROUP BY campaign_id, household_id
),
joined AS (
    SELECT
        exposures.campaign_id,
        exposures.household_id,
        exposures.campaign_type,
        exposures.window_start,
        exposures.window_end,
        exposures.observed_days,
        coalesce(redeemed.coupons, 0)::integer AS coupons_redeemed,
        coalesce(inside.baskets, 0)::integer AS baskets_in_window,
        coalesce(inside.value, 0)::decimal(12, 2) AS value_in_window,
        coalesce(inside.attributed, 0)::decimal(12, 2) AS attributed_value,
        CASE
            WHEN exposures.baseline_start >= exposures.first_day
                THEN coalesce(before.value, 0)::decimal(12, 2)
        END AS baseline_value,
        spent.value AS total_value
    FROM exposures
    LEFT JOIN inside USING (campaign_id, household_id)
    LEFT JOIN before USING (campaign_id, household_id)
    LEFT JOIN redeemed USING (campaign_id, household_id)
    LEFT JOIN spent USING (household_id)
)
SELECT
    campaign_id,
    household_id,
    campaign_type,
    window_start,
    window_end,
    observed_days,
    coupons_redeemed,
    coupons_redeemed > 0 AS responded,
    baskets_in_window,
    value_in_window,
    attributed_value,
    CASE WHEN total_value > 0 THEN attributed_value::double / total_value::double ELSE 0 END AS attribution_share,
    baseline_value,
    (value_in_window - baseline_value)::decimal(12, 2) AS incremental_value
FROM joined
