WITH placed AS (
    SELECT o_custkey,
           count(*)::integer AS orders,
           sum(o_totalprice)::decimal(18, 2) AS order_value,
           min(o_orderdate) AS first_order,
           max(o_orderdate) AS last_order,
           count(*) FILTER (WHERE o_orderstatus = 'F')::integer AS finished_orders,
           count(*) FILTER (WHERE o_orderpriority = '1-URGENT')::integer AS urgent_orders
    FROM {orders}
    GROUP BY o_custkey
),
bought AS (
    SELECT o_custkey,
           count(*)::integer AS lines,
           sum(l_quantity)::decimal(18, 2) AS quantity,
           sum(l_extendedprice * (1 - l_discount))::decimal(18, 4) AS revenue,
           avg(l_discount)::double AS average_discount,
           count(*) FILTER (WHERE l_returnflag = 'R')::integer AS returned_lines,
           count(*) FILTER (WHERE l_receiptdate > l_commitdate)::integer AS late_lines
    FROM {lineitem}
    JOIN {orders} ON o_orderkey = l_orderkey
    GROUP BY o_custkey
)
SELECT c_custkey::bigint AS customer_id,
       c_name AS customer_name,
       c_nationkey::integer AS nation_id,
       c_mktsegment AS segment,
       c_acctbal::decimal(15, 2) AS balance,
       c_phone AS phone,
       coalesce(orders, 0)::integer AS orders,
       coalesce(order_value, 0)::decimal(18, 2) AS order_value,
       first_order,
       last_order,
       coalesce(finished_orders, 0)::integer AS finished_orders,
       coalesce(urgent_orders, 0)::integer AS urgent_orders,
       coalesce(lines, 0)::integer AS lines,
       coalesce(quantity, 0)::decimal(18, 2) AS quantity,
       coalesce(revenue, 0)::decimal(18, 4) AS revenue,
       average_discount,
       coalesce(returned_lines, 0)::integer AS returned_lines,
       coalesce(late_lines, 0)::integer AS late_lines,
       CASE WHEN orders IS NULL THEN 'prospect' WHEN revenue > 1500000 THEN 'gold' ELSE 'standard' END AS tier
FROM {customer}
LEFT JOIN placed ON placed.o_custkey = c_custkey
LEFT JOIN bought ON bought.o_custkey = c_custkey
