--
-- Load a file with COPY into a new partition, load the same into another table
-- with INSERT ... SELECT, build the partition's indexes.
--
-- :seed	fraction between -1 and 1 for setseed()
-- :chunk	number of the round
-- :file	where the server may write the file that it loads
--
SELECT setseed(:seed), set_config('synchronous_commit', 'off', false) \g /dev/null

-- the file's rows: not WAL, the table is temporary
SELECT bench_vocabulary() AS vocabulary \gset
CREATE TEMP TABLE new_rows AS
SELECT :chunk * 100000 + n AS id,
	   floor(200000 * power(random(), 2))::int AS customer_id,
	   name AS product, quantity, quantity * price AS price,
	   timestamp '2024-01-01' + (:chunk * 100000 + n) * interval '0.7 s' AS sold_at,
	   CASE WHEN random() < 0.2 THEN bench_text(3 + floor(random() * 12)::int, v) END AS comment
FROM (SELECT n, floor(3000 * power(random(), 2))::int AS product_id,
			 (1 + floor(random() * 20))::smallint AS quantity
	  FROM generate_series(1, 100000) n) AS sale
	 JOIN products ON products.id = product_id,
	 (SELECT :'vocabulary'::jsonb AS v) AS vocabulary
ORDER BY n;
COPY new_rows TO :'file';

SELECT 'sales_' || :chunk AS partition \gset
CREATE TABLE :partition (LIKE sales);
COPY :partition FROM :'file';
INSERT INTO sales_history
SELECT id, customer_id, upper(product), quantity, price * 1.2, sold_at, comment
FROM new_rows;
DROP TABLE new_rows;

CREATE INDEX ON :partition (id);
CREATE INDEX ON :partition (customer_id, sold_at);
CREATE INDEX ON :partition (product text_pattern_ops);
