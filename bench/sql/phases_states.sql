--
-- Changes of a short column in rows all over the table, with full-page images.
--
-- :seed	fraction between -1 and 1 for setseed()
--
SELECT setseed(:seed), set_config('synchronous_commit', 'off', false) \g /dev/null
CHECKPOINT;
UPDATE orders SET state = (ARRAY['paid', 'sent', 'returned'])[1 + floor(random() * 3)::int]
WHERE id IN (SELECT 1 + floor(random() * 30000)::bigint FROM generate_series(1, 12000));
