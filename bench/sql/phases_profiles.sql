--
-- Changes within jsonb, of a sum and of a time.
--
-- :seed	fraction between -1 and 1 for setseed()
--
SELECT setseed(:seed), set_config('synchronous_commit', 'off', false) \g /dev/null
UPDATE customers SET balance = balance + round((random() * 200 - 100)::numeric, 2),
	   updated_at = created_at + random() * interval '30 days',
	   profile = jsonb_set(profile, '{score}', to_jsonb(round(random()::numeric, 4)))
WHERE id IN (SELECT 1 + floor(random() * 40000)::bigint FROM generate_series(1, 25000));
