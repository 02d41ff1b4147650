--
-- New rows with a uuid and larger jsonb, two indexes on them.
--
-- :seed	fraction between -1 and 1 for setseed()
--
SELECT setseed(:seed), set_config('synchronous_commit', 'off', false) \g /dev/null
SELECT bench_vocabulary() AS vocabulary \gset

INSERT INTO orders (customer_id, reference, state, items, total, note, ordered_at)
SELECT 1 + floor(random() * 40000)::bigint, md5(random()::text)::uuid, 'new',
	   (SELECT jsonb_agg(item)
		FROM (SELECT jsonb_build_object('sku', 'A-' || floor(random() * 50000)::int,
										'name', bench_text(3, v),
										'quantity', 1 + floor(random() * 9)::int,
										'price', round((random() * 500)::numeric, 2)) AS item
			  FROM generate_series(1, 1 + n % 5)) AS items),
	   round((random() * 2000)::numeric, 2),
	   CASE WHEN random() < 0.3 THEN bench_text(5 + floor(random() * 60)::int, v) END,
	   timestamptz '2024-01-01' + n * interval '1.2 s'
FROM generate_series(1, 30000) n, (SELECT :'vocabulary'::jsonb AS v) AS vocabulary;
