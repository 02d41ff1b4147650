--
-- New rows with text, jsonb and a unique index on text.
--
-- :seed	fraction between -1 and 1 for setseed()
--
SELECT setseed(:seed), set_config('synchronous_commit', 'off', false) \g /dev/null
SELECT bench_vocabulary() AS vocabulary \gset

INSERT INTO customers (name, email, profile, balance, created_at)
SELECT initcap(bench_text(2, v)),
	   bench_text(1, v) || n || '@' || bench_text(1, v) || '.example',
	   jsonb_build_object('language', (ARRAY['en', 'de', 'fr', 'ja'])[1 + floor(random() * 4)::int],
						  'tags', to_jsonb(string_to_array(bench_text(floor(random() * 6)::int + 1, v), ' ')),
						  'score', round(random()::numeric, 4)),
	   round((random() * 10000)::numeric, 2),
	   timestamptz '2024-01-01' + n * interval '3.6 s' * random()
FROM generate_series(1, 40000) n, (SELECT :'vocabulary'::jsonb AS v) AS vocabulary;
