--
-- A table rewritten, and one filled from another.
--
SELECT set_config('synchronous_commit', 'off', false) \g /dev/null
ALTER TABLE customers ALTER balance TYPE numeric(14, 4);
CREATE TABLE totals AS
SELECT customer_id, date_trunc('hour', ordered_at) AS hour, count(*), sum(total)
FROM orders GROUP BY 1, 2;
