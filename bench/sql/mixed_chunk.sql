--
-- Text with a full-text index, COPY, updates of indexed columns.  Between two
-- rounds of this pgbench runs.
--
-- :seed	fraction between -1 and 1 for setseed()
-- :chunk	number of the round
-- :file	where the server may write the file that it loads
--
SELECT setseed(:seed), set_config('synchronous_commit', 'off', false) \g /dev/null
SELECT bench_vocabulary() AS vocabulary \gset

INSERT INTO documents
SELECT :chunk * 2000 + n, floor(random() * 50), bench_text(20 + floor(random() * 100)::int, v),
	   timestamptz '2024-01-01' + :chunk * interval '1 day' + n * interval '40 s'
FROM generate_series(1, 2000) n, (SELECT :'vocabulary'::jsonb AS v) AS vocabulary;

UPDATE documents SET kind = kind + 1, changed_at = changed_at + interval '1 day'
WHERE id IN (SELECT floor(random() * 2000 * (:chunk + 1))::int FROM generate_series(1, 1000));

COPY (SELECT timestamptz '2024-01-01' + :chunk * interval '1 hour' + n * interval '0.07 s',
			 n % 500, round((20 + 5 * sin(n * 0.001) + random())::numeric, 1),
			 CASE WHEN n % 3 = 0 THEN round((40 + 20 * random())::numeric) END,
			 CASE WHEN random() < 0.98 THEN 'ok' ELSE 'check' END
	  FROM generate_series(1, 50000) n) TO :'file';
COPY measurements FROM :'file';
