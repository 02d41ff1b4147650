--
-- One round of the application: new rows in all tables, then changes.
--
-- :seed	fraction between -1 and 1 for setseed()
-- :chunk	number of the round
--
SELECT setseed(:seed), set_config('synchronous_commit', 'off', false) \g /dev/null
SELECT bench_vocabulary() AS vocabulary \gset

INSERT INTO customers (name, email, profile, balance, created_at)
SELECT initcap(bench_text(2, v)),
	   bench_text(1, v) || n || '.' || :chunk || '@' || bench_text(1, v) || '.example',
	   jsonb_build_object('language', (ARRAY['en', 'de', 'fr', 'ja'])[1 + floor(random() * 4)::int],
						  'tags', to_jsonb(string_to_array(bench_text(floor(random() * 6)::int + 1, v), ' ')),
						  'score', round(random()::numeric, 4),
						  'address', jsonb_build_object('street', initcap(bench_text(2, v)) || ' ' || floor(random() * 200),
														'city', initcap(bench_text(1, v)),
														'code', lpad(floor(random() * 100000)::text, 5, '0'))),
	   round((random() * 10000)::numeric, 2),
	   timestamptz '2024-01-01' + :chunk * interval '1 hour' + n * interval '3.6 s' * random()
FROM generate_series(1, 1000) n, (SELECT :'vocabulary'::jsonb AS v) AS vocabulary;

INSERT INTO orders (customer_id, reference, state, items, total, note, ordered_at)
SELECT 1 + floor(random() * 1000 * (:chunk + 1))::bigint,
	   md5(random()::text)::uuid, 'new',
	   (SELECT jsonb_agg(item)
		FROM (SELECT jsonb_build_object('sku', 'A-' || floor(random() * 50000)::int,
										'name', bench_text(3, v),
										'quantity', 1 + floor(random() * 9)::int,
										'price', round((random() * 500)::numeric, 2)) AS item
			  FROM generate_series(1, 1 + n % 5)) AS items),
	   round((random() * 2000)::numeric, 2),
	   CASE WHEN random() < 0.3 THEN bench_text(5 + floor(random() * 60)::int, v) END,
	   timestamptz '2024-01-01' + :chunk * interval '1 hour' + n * interval '1.2 s'
FROM generate_series(1, 3000) n, (SELECT :'vocabulary'::jsonb AS v) AS vocabulary;

INSERT INTO events
SELECT timestamptz '2024-01-01' + :chunk * interval '1 hour' + n * interval '0.36 s',
	   ('10.' || floor(random() * 4)::int || '.' || floor(random() * 256)::int || '.' || floor(random() * 256)::int)::inet,
	   floor(random() * 12)::int,
	   random() * 40,
	   bench_text(2 + floor(power(random(), 4) * 80)::int, v)
FROM generate_series(1, 10000) n, (SELECT :'vocabulary'::jsonb AS v) AS vocabulary;

UPDATE orders SET state = (ARRAY['paid', 'sent', 'returned'])[1 + floor(random() * 3)::int]
WHERE id IN (SELECT 1 + floor(random() * 3000 * (:chunk + 1))::bigint FROM generate_series(1, 2000));

UPDATE customers SET balance = balance + round((random() * 200 - 100)::numeric, 2),
	   updated_at = created_at + random() * interval '30 days',
	   profile = jsonb_set(profile, '{score}', to_jsonb(round(random()::numeric, 4)))
WHERE id IN (SELECT 1 + floor(random() * 1000 * (:chunk + 1))::bigint FROM generate_series(1, 700));

DELETE FROM orders
WHERE id IN (SELECT 1 + floor(random() * 3000 * (:chunk + 1))::bigint FROM generate_series(1, 300));
