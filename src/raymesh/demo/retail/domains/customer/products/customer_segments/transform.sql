-- One row per household: recency, frequency and monetary value in fifths, and the segment they make.
-- Ties are broken by household, so the same data always gives the same segments.
WITH scored AS (
    SELECT
        household_id,
        recency_days,
        basket_count,
        sales_value,
        ntile(5) OVER (ORDER BY recency_days DESC, household_id)::integer AS recency_score,
        ntile(5) OVER (ORDER BY basket_count, household_id)::integer AS frequency_score,
        ntile(5) OVER (ORDER BY sales_value, household_id)::integer AS monetary_score,
        as_of_date
    FROM orders.order_metrics
)
SELECT
    household_id,
    recency_days,
    basket_count,
    sales_value,
    recency_score,
    frequency_score,
    monetary_score,
    concat(recency_score, frequency_score, monetary_score) AS rfm_code,
    CASE
        WHEN recency_score >= 4 AND frequency_score >= 4 AND monetary_score >= 4 THEN 'champions'
        WHEN frequency_score >= 4 AND recency_score >= 2 THEN 'loyal'
        WHEN monetary_score >= 4 AND recency_score >= 2 THEN 'big_spenders'
        WHEN recency_score >= 4 THEN 'promising'
        WHEN recency_score <= 2 AND frequency_score >= 3 THEN 'at_risk'
        WHEN recency_score = 1 THEN 'dormant'
        ELSE 'occasional'
    END AS customer_segment,
    percent_rank() OVER (ORDER BY sales_value) AS value_percentile,
    sum(sales_value) OVER (ORDER BY sales_value DESC, household_id)::double
        / sum(sales_value) OVER ()::double AS cumulative_value_share,
    as_of_date
FROM scored
