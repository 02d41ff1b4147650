--
-- :chunk	number of the round
--
SET synchronous_commit = off;
INSERT INTO pictures
SELECT :chunk * 100 + n, pg_read_binary_file('/dev/urandom', n * 0, 100000)
FROM generate_series(1, 100) n;
