-- One row per household: everyone the loyalty cards, the campaigns or the survey know of.
-- The tills record UTC; a purchase belongs to the day on the wall clock of the stores.
WITH activity AS (
    SELECT
        household_id,
        min(timezone('America/New_York', timezone('UTC', transaction_timestamp)))::date AS first_purchase_on,
        max(timezone('America/New_York', timezone('UTC', transaction_timestamp)))::date AS last_purchase_on
    FROM source.card_activity
    GROUP BY household_id
),
everyone AS (
    SELECT household_id FROM activity
    UNION
    SELECT household_id FROM source.campaign_members
    UNION
    SELECT household_id FROM source.demographics
)
SELECT
    everyone.household_id::integer AS household_id,
    survey.age AS age_band,
    survey.income AS income_band,
    survey.home_ownership,
    survey.marital_status,
    survey.household_size,
    survey.household_comp AS household_composition,
    survey.kids_count,
    survey.household_id IS NOT NULL AS demographics_known,
    activity.first_purchase_on,
    activity.last_purchase_on
FROM everyone
LEFT JOIN activity ON activity.household_id = everyone.household_id
LEFT JOIN source.demographics AS survey ON survey.household_id = everyone.household_id
