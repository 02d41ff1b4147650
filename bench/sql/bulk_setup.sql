--
-- Bulk load: tables as a warehouse has them.
--
\ir words.sql

CREATE TABLE products AS
SELECT n AS id, bench_text(2 + n % 3, v) AS name, round((exp(random() * 6))::numeric, 2) AS price
FROM generate_series(0, 2999) n, (SELECT bench_vocabulary() AS v) AS vocabulary;

CREATE TABLE sales
(
	id			bigint NOT NULL,
	customer_id int NOT NULL,
	product		text NOT NULL,
	quantity	smallint NOT NULL,
	price		numeric(10, 2) NOT NULL,
	sold_at		timestamp NOT NULL,
	comment		text
);
CREATE TABLE sales_history (LIKE sales);
