--
-- What autovacuum does.
--
CHECKPOINT;
VACUUM (FREEZE) orders, customers, articles;
VACUUM events, sessions;
