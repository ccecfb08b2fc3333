-- One row per household: who it is, what it is worth, how engaged and how content it is, what it allowed.
-- transform.py adds customer_tier and lifecycle_stage to these rows.
WITH marketing AS (
    SELECT
        household_id,
        count(*) AS campaigns_received,
        count(*) FILTER (responded) AS campaigns_responded,
        sum(coupons_redeemed) AS coupons_redeemed,
        sum(attributed_value) AS attributed_value
    FROM marketing.campaign_attribution
    GROUP BY household_id
),
joined AS (
    SELECT
        households.household_id,
        households.age_band,
        households.income_band,
        households.household_composition,
        households.demographics_known,
        contacts.gdpr_consent_status,
        contacts.marketing_consent,
        segments.customer_segment,
        behavior.favourite_store_id,
        behavior.favourite_category,
        behavior.shopping_style,
        metrics.* EXCLUDE (household_id),
        coalesce(marketing.campaigns_received, 0)::integer AS campaigns_received,
        coalesce(marketing.campaigns_responded, 0)::integer AS campaigns_responded,
        coalesce(marketing.coupons_redeemed, 0)::integer AS coupons_redeemed,
        coalesce(marketing.attributed_value, 0)::decimal(12, 2) AS attributed_value
    FROM customer.households AS households
    JOIN orders.order_metrics AS metrics ON metrics.household_id = households.household_id
    JOIN customer.contacts AS contacts ON contacts.household_id = households.household_id
    JOIN customer.customer_segments AS segments ON segments.household_id = households.household_id
    JOIN customer.customer_behavior_analysis AS behavior ON behavior.household_id = households.household_id
    LEFT JOIN marketing ON marketing.household_id = households.household_id
),
parts AS (
    SELECT
        *,
        -- a year's worth of spend, from at least four weeks of it
        sales_value::double * 365 / greatest(tenure_days, 28) AS yearly_value,
        -- the chance to see the household again next year: 0.9 today, half of it after 90 days of silence
        0.9 * 90 / (90 + recency_days) AS retention,
        percent_rank() OVER (ORDER BY basket_count) AS frequency_rank,
        percent_rank() OVER (ORDER BY recency_days DESC) AS recency_rank,
        percent_rank() OVER (ORDER BY distinct_products) AS breadth_rank,
        CASE WHEN campaigns_received > 0 THEN campaigns_responded / campaigns_received ELSE 0 END AS response_rate,
        1 - least(1, void_share / 0.05) AS trouble_free,
        least(1, discount_share / 0.30) AS price_benefit,
        CASE
            WHEN previous_value > 0 THEN least(1, recent_value::double / previous_value::double)
            WHEN recent_value > 0 THEN 1
            ELSE 0
        END AS loyalty_kept
    FROM joined
)
SELECT
    household_id,
    age_band,
    income_band,
    household_composition,
    customer_segment,
    shopping_style,
    favourite_store_id,
    favourite_category,
    first_order_on,
    last_order_on,
    recency_days,
    tenure_days,
    basket_count,
    distinct_products,
    sales_value,
    recent_value,
    previous_value,
    average_basket_value,
    average_days_between_baskets,
    discount_share,
    campaigns_received,
    coupons_redeemed,
    attributed_value,
    (sales_value::double + yearly_value * retention / (1.1 - retention))::decimal(12, 2)
        AS customer_lifetime_value,
    (100 * (0.4 * frequency_rank + 0.3 * recency_rank + 0.2 * breadth_rank + 0.1 * response_rate))::decimal(5, 2)
        AS engagement_score,
    (100 * (0.4 * trouble_free + 0.3 * price_benefit + 0.3 * loyalty_kept))::decimal(5, 2) AS satisfaction_index,
    gdpr_consent_status,
    marketing_consent,
    CASE WHEN demographics_known THEN 'quasi_identifying' ELSE 'pseudonymous' END AS pii_classification,
    as_of_date
FROM parts
