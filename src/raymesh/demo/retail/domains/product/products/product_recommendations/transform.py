"""What is bought together: the five strongest companions of each product that sells often enough.

Counting pairs needs all baskets at once, so this is a whole-table transform. It stays in DuckDB:
`lines` and `catalog` are relations, nothing is copied into Python.
"""

from typing import cast

import duckdb

from raymesh import product

MINIMUM_BASKETS = 100  # a product in fewer baskets says too little about its companions
MINIMUM_TOGETHER = 20
COMPANIONS = 5

CANDIDATES = f"""
    SELECT product_id, count(*) AS baskets
    FROM bought
    GROUP BY product_id
    HAVING count(*) >= {MINIMUM_BASKETS}
"""

RANKED = f"""
    WITH candidates AS ({CANDIDATES}),
    often AS (SELECT basket_id, product_id FROM bought SEMI JOIN candidates USING (product_id)),
    total AS (SELECT count(DISTINCT basket_id) AS baskets FROM bought),
    pairs AS (
        SELECT one.product_id, other.product_id AS companion_id, count(*) AS together
        FROM often AS one
        JOIN often AS other ON one.basket_id = other.basket_id AND one.product_id < other.product_id
        GROUP BY one.product_id, other.product_id
        HAVING count(*) >= {MINIMUM_TOGETHER}
    ),
    both_ways AS (
        SELECT product_id, companion_id, together FROM pairs
        UNION ALL
        SELECT companion_id AS product_id, product_id AS companion_id, together FROM pairs
    ),
    scored AS (
        SELECT
            both_ways.product_id,
            companion_id AS recommended_product_id,
            together,
            together::double / total.baskets AS support,
            together::double / one.baskets AS confidence,
            together::double * total.baskets / (one.baskets::double * other.baskets) AS lift
        FROM both_ways
        JOIN candidates AS one ON one.product_id = both_ways.product_id
        JOIN candidates AS other ON other.product_id = companion_id
        CROSS JOIN total
    )
    SELECT
        product_id::integer AS product_id,
        row_number() OVER (
            PARTITION BY product_id ORDER BY lift * confidence DESC, recommended_product_id
        )::integer AS recommendation_rank,
        recommended_product_id::integer AS recommended_product_id,
        together::integer AS baskets_together,
        support,
        confidence,
        lift
    FROM scored
    WHERE lift > 1
    QUALIFY recommendation_rank <= {COMPANIONS}
    ORDER BY product_id, recommendation_rank
"""


@product(inputs={"lines": "orders.order_lines", "catalog": "product.product_catalog"})
def transform(lines: duckdb.DuckDBPyRelation, catalog: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    sold = lines.filter("line_kind = 'sale'").project("basket_id, product_id")
    shelf = catalog.filter("is_merchandise").project("product_id")
    bought = sold.join(shelf, "product_id", how="semi").project("basket_id, product_id")
    return cast(duckdb.DuckDBPyRelation, bought.query("bought", RANKED))
