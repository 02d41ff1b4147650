--
-- A log: many rows without a key, a BRIN index.
--
-- :seed	fraction between -1 and 1 for setseed()
--
SELECT setseed(:seed), set_config('synchronous_commit', 'off', false) \g /dev/null
SELECT bench_vocabulary() AS vocabulary \gset

INSERT INTO events
SELECT timestamptz '2024-01-01' + n * interval '0.36 s',
	   ('10.' || floor(random() * 4)::int || '.' || floor(random() * 256)::int || '.' || floor(random() * 256)::int)::inet,
	   floor(random() * 12)::int,
	   random() * 40,
	   bench_text(2 + floor(power(random(), 4) * 80)::int, v)
FROM generate_series(1, 80000) n, (SELECT :'vocabulary'::jsonb AS v) AS vocabulary;
