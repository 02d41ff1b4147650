--
-- Long texts, some of them compressed and out of line; a full-text index.
--
-- :seed	fraction between -1 and 1 for setseed()
--
SELECT setseed(:seed), set_config('synchronous_commit', 'off', false) \g /dev/null
SELECT bench_vocabulary() AS vocabulary \gset

INSERT INTO articles (author_id, title, body, published)
SELECT floor(200 * power(random(), 2)), initcap(bench_text(4 + n % 5, v)),
	   bench_text(100 + floor(exp(random() * 7))::int, v),
	   date '2024-01-01' + n / 20
FROM generate_series(1, 6000) n, (SELECT :'vocabulary'::jsonb AS v) AS vocabulary;
