--
-- Rows with names that repeat and a comment in some.
--
-- :seed	fraction between -1 and 1 for setseed()
-- :file	where the server may write the file that it loads
--
SELECT setseed(:seed), set_config('synchronous_commit', 'off', false) \g /dev/null
SELECT bench_vocabulary() AS vocabulary \gset

COPY (SELECT n, floor(200000 * power(random(), 2))::int,
			 bench_text(2, v), (1 + floor(random() * 20))::smallint,
			 round((exp(random() * 6))::numeric, 2),
			 timestamp '2024-01-01' + n * interval '0.7 s',
			 CASE WHEN random() < 0.2 THEN bench_text(3 + floor(random() * 12)::int, v) END
	  FROM generate_series(1, 250000) n, (SELECT :'vocabulary'::jsonb AS v) AS vocabulary) TO :'file';
COPY sales FROM :'file';
