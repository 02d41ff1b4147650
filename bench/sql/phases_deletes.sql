--
-- Deletions, some of many rows.
--
-- :seed	fraction between -1 and 1 for setseed()
--
SELECT setseed(:seed), set_config('synchronous_commit', 'off', false) \g /dev/null
DELETE FROM orders
WHERE id IN (SELECT 1 + floor(random() * 30000)::bigint FROM generate_series(1, 15000));
DELETE FROM events WHERE kind = 3;
DELETE FROM articles WHERE author_id % 7 = 0;
