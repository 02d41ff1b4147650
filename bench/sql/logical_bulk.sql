--
-- One transaction of the bulk insert.
--
-- :seed	fraction between -1 and 1 for setseed()
-- :chunk	number of the transaction
-- :rows	how many rows
--
SELECT setseed(:seed) \g /dev/null
SELECT bench_vocabulary() AS vocabulary \gset
INSERT INTO items
SELECT :chunk * :rows + n, bench_text(2, v), floor(100 * power(random(), 2)),
	   round((random() * 500)::numeric, 2),
	   timestamptz '2024-01-01' + (:chunk * :rows + n) * interval '1.7 s',
	   CASE WHEN random() < 0.2 THEN bench_text(4, v) END
FROM generate_series(0, :rows - 1) n, (SELECT :'vocabulary'::jsonb AS v) AS vocabulary;
