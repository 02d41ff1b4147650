--
-- Rows of one width, of numbers.
--
-- :seed	fraction between -1 and 1 for setseed()
-- :file	where the server may write the file that it loads
--
SELECT setseed(:seed), set_config('synchronous_commit', 'off', false) \g /dev/null

COPY (SELECT timestamptz '2024-01-01' + n * interval '0.07 s',
			 n % 500, round((20 + 5 * sin(n * 0.001) + random())::numeric, 1),
			 CASE WHEN n % 3 = 0 THEN 40 + 20 * random() END,
			 CASE WHEN random() < 0.98 THEN 'ok' ELSE 'check' END
	  FROM generate_series(1, 400000) n) TO :'file';
COPY measurements FROM :'file';
