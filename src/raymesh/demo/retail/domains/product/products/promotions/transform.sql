-- One row per placement: a product shown in a store in a week, on a display, in the mailer, or both.
SELECT
    week::integer AS week,
    product_id::integer AS product_id,
    store_id::integer AS store_id,
    display_location,
    mailer_location,
    display_location <> '0' AS on_display,
    mailer_location <> '0' AS in_mailer
FROM source.promotions
