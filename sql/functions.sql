-- Views and functions on a server that has no streams.

CREATE EXTENSION walstream;

SELECT walstream_version() ~ '^[0-9]+\.[0-9]+$' AS is_version;

SELECT count(*) FROM walstream_senders;
SELECT count(*) FROM walstream_receiver;
SELECT count(*) FROM walstream_get_receivers();
SELECT walstream_oldest_send_lsn() IS NULL AS is_null;

-- all slots, each free one with nothing but its number
SELECT count(*) > 0 AS some,
    count(*) = current_setting('max_wal_senders')::bigint AS all_of_them,
    min(slot) = 0 AND max(slot) = count(*) - 1 AND
    count(DISTINCT slot) = count(*) AS numbered
  FROM walstream_get_sender_slots();
SELECT DISTINCT jsonb_strip_nulls(to_jsonb(s) - 'slot') AS not_null
  FROM walstream_get_sender_slots() AS s;

-- one row always, whose positions are those of PostgreSQL
SELECT senders, compressed, oldest_send_lsn, unsent_bytes, oldest_slot,
    oldest_restart_lsn, retained_bytes
  FROM walstream_overview;
SELECT pg_current_wal_flush_lsn() AS flush_lsn \gset
SELECT current_lsn >= :'flush_lsn' AS not_before,
    current_lsn <= pg_current_wal_insert_lsn() AS not_after
  FROM walstream_overview;

-- a slot keeps WAL without any stream
SELECT slot_name FROM pg_create_physical_replication_slot('regress_walstream', true);
SELECT o.senders, o.oldest_slot, o.oldest_restart_lsn = s.restart_lsn AS same_lsn,
    o.retained_bytes = o.current_lsn - s.restart_lsn AS same_distance
  FROM walstream_overview AS o, pg_replication_slots AS s
  WHERE s.slot_name = 'regress_walstream';
SELECT pg_drop_replication_slot('regress_walstream');

-- a server that is no relay: nothing to see, nothing to do
SELECT count(*) FROM walstream_relay;
SELECT count(*) FROM walstream_relay_segments;
SELECT count(*) FROM walstream_relay_slots;
SELECT count(*) FROM walstream_get_relay_senders();
SELECT walstream_relay_oldest_send_lsn() IS NULL AS is_null;
SELECT * FROM walstream_relay_verify();
SELECT walstream_relay_pause();
SELECT walstream_relay_resume();
SELECT walstream_relay_follow();
SELECT walstream_relay_restart_after_gap();
SELECT walstream_create_relay_slot('regress_walstream');
SELECT walstream_drop_relay_slot('regress_walstream');

-- a reset empties the totals
SELECT walstream_reset_stats();
SELECT count(*) FROM walstream_totals;
SELECT count(*) FROM walstream_get_totals();

DROP EXTENSION walstream;
