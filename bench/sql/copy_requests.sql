--
-- Rows of which half is random: identifiers, addresses.
--
-- :seed	fraction between -1 and 1 for setseed()
-- :file	where the server may write the file that it loads
--
SELECT setseed(:seed), set_config('synchronous_commit', 'off', false) \g /dev/null
SELECT bench_vocabulary() AS vocabulary \gset

COPY (SELECT md5(random()::text)::uuid,
			 ('10.' || floor(random() * 4)::int || '.' || floor(random() * 256)::int || '.' || floor(random() * 256)::int),
			 '/' || replace(bench_text(1 + floor(random() * 4)::int, v), ' ', '/'),
			 (ARRAY[200, 200, 200, 304, 404, 500])[1 + floor(random() * 6)::int],
			 floor(exp(random() * 8)),
			 jsonb_build_object('agent', bench_text(4, v), 'session', md5(random()::text),
								'language', (ARRAY['en', 'de', 'fr', 'ja'])[1 + floor(random() * 4)::int])
	  FROM generate_series(1, 120000) n, (SELECT :'vocabulary'::jsonb AS v) AS vocabulary) TO :'file';
COPY requests FROM :'file';
