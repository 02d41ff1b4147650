-- Views and functions, on a server that may have streams and slots.

CREATE EXTENSION walstream;

SELECT walstream_version() ~ '^[0-9]+\.[0-9]+$' AS is_version;

SELECT (SELECT count(*) FROM walstream_senders) =
    (SELECT count(*) FROM pg_stat_replication) AS all_senders;
SELECT (SELECT count(*) FROM walstream_receiver) =
    (SELECT count(*) FROM walstream_get_receivers()) AS all_receivers;
SELECT walstream_oldest_send_lsn() IS NOT NULL =
    EXISTS (SELECT FROM pg_stat_replication WHERE sent_lsn IS NOT NULL) AS if_any;

-- all slots, each free one with nothing but its number
SELECT count(*) > 0 AS some,
    count(*) = current_setting('max_wal_senders')::bigint AS all_of_them,
    min(slot) = 0 AND max(slot) = count(*) - 1 AND
    count(DISTINCT slot) = count(*) AS numbered
  FROM walstream_get_sender_slots();
SELECT DISTINCT jsonb_strip_nulls(to_jsonb(s) - 'slot') AS not_null
  FROM walstream_get_sender_slots() AS s
  WHERE pid IS NULL;

-- one row always, whose positions are those of PostgreSQL
SELECT count(*) = 1 AS one_row,
    bool_and(senders = (SELECT count(*) FROM pg_stat_replication)) AS all_senders,
    bool_and(compressed <= senders) AS compressed,
    bool_and((unsent_bytes IS NULL) = (oldest_send_lsn IS NULL)) AS unsent,
    bool_and((retained_bytes IS NULL) = (oldest_slot IS NULL)) AS retained
  FROM walstream_overview;
SELECT pg_current_wal_flush_lsn() AS flush_lsn \gset
SELECT current_lsn >= :'flush_lsn' AS not_before,
    current_lsn <= pg_current_wal_insert_lsn() AS not_after
  FROM walstream_overview;

-- a slot keeps WAL without any stream
SELECT slot_name FROM pg_create_physical_replication_slot('regress_walstream', true);
SELECT o.oldest_restart_lsn =
      (SELECT min(restart_lsn) FROM pg_replication_slots) AS same_lsn,
    o.retained_bytes = o.current_lsn - s.restart_lsn AS same_distance
  FROM walstream_overview AS o
    JOIN pg_replication_slots AS s ON (s.slot_name = o.oldest_slot);
SELECT pg_drop_replication_slot('regress_walstream');

-- a server that is no relay: nothing to see, nothing to do; on one that is,
-- these would act
SELECT current_setting('walstream.relay')::boolean AS is_relay \gset
\if :is_relay
\echo this server is a relay: not tested
\quit
\endif
SELECT count(*) FROM walstream_relay;
SELECT count(*) FROM walstream_relay_segments;
SELECT count(*) FROM walstream_relay_slots;
SELECT count(*) FROM walstream_get_relay_senders();
SELECT walstream_relay_oldest_send_lsn() IS NULL AS is_null;
SELECT * FROM walstream_relay_verify();
SELECT walstream_relay_pause();
SELECT walstream_relay_resume();
SELECT walstream_relay_follow();
SELECT walstream_relay_follow(2, '0/1', '0/1');
SELECT walstream_relay_restart_after_gap();
SELECT walstream_relay_forget_store();
SELECT walstream_relay_wait('0/0', '0');
SELECT walstream_relay_wait_confirmed('regress_walstream', '0');
SELECT walstream_relay_seal(1);
SELECT walstream_relay_unseal('');
SELECT * FROM walstream_get_relay_seal();
SELECT * FROM walstream_get_relay_standby_names();
SELECT walstream_create_relay_slot('regress_walstream');
SELECT walstream_drop_relay_slot('regress_walstream');

-- functions as the script of another version may have defined them
CREATE FUNCTION fewer_columns(OUT slot integer, OUT pid integer)
  RETURNS SETOF record AS 'walstream', 'walstream_get_sender_slots' LANGUAGE C;
CREATE FUNCTION more_columns(OUT slot integer, OUT pid integer, OUT state text,
    OUT c4 text, OUT c5 text, OUT c6 text, OUT c7 text, OUT c8 text,
    OUT c9 text, OUT c10 text, OUT c11 text, OUT c12 text, OUT c13 text,
    OUT c14 text, OUT c15 text, OUT c16 text, OUT c17 text, OUT c18 text,
    OUT c19 text, OUT c20 text, OUT c21 text, OUT c22 text, OUT c23 text,
    OUT c24 text, OUT c25 text, OUT c26 text, OUT c27 text, OUT c28 text,
    OUT c29 text, OUT c30 text, OUT c31 text, OUT c32 text, OUT c33 text,
    OUT c34 text, OUT c35 text, OUT c36 text, OUT c37 text, OUT c38 text)
  RETURNS SETOF record AS 'walstream', 'walstream_get_sender_slots' LANGUAGE C;
CREATE FUNCTION other_types(OUT slot text, OUT pid integer, OUT state text,
    OUT sent_lsn pg_lsn, OUT write_lsn pg_lsn, OUT flush_lsn pg_lsn,
    OUT replay_lsn pg_lsn, OUT write_lag interval, OUT flush_lag interval,
    OUT replay_lag interval, OUT sync_priority integer, OUT sync_state text,
    OUT reply_time timestamptz, OUT codec text, OUT level integer,
    OUT plain_reason text, OUT streaming_since timestamptz,
    OUT raw_bytes bigint, OUT wire_bytes bigint, OUT messages bigint,
    OUT frames bigint, OUT bypassed_messages bigint,
    OUT codec_failures bigint, OUT encode_time double precision,
    OUT rate_limit bigint, OUT paced_by text,
    OUT unpaced_reason text, OUT congestion_control text)
  RETURNS SETOF record AS 'walstream', 'walstream_get_sender_slots' LANGUAGE C;
CREATE FUNCTION fewer_arguments() RETURNS pg_lsn
  AS 'walstream', 'walstream_create_relay_slot' LANGUAGE C;
CREATE FUNCTION more_arguments(name, boolean) RETURNS void
  AS 'walstream', 'walstream_drop_relay_slot' LANGUAGE C;
SELECT * FROM fewer_columns();
SELECT * FROM more_columns();
SELECT * FROM other_types();
SELECT fewer_arguments();
SELECT more_arguments('regress_walstream', true);
\echo :LAST_ERROR_SQLSTATE
DROP FUNCTION fewer_columns, more_columns, other_types, fewer_arguments, more_arguments;

-- a reset empties the totals
SELECT clock_timestamp() AS before \gset
SELECT walstream_reset_stats();
SELECT count(*) AS older FROM walstream_totals WHERE stats_reset < :'before';
SELECT (SELECT count(*) FROM walstream_totals) =
    (SELECT count(*) FROM walstream_get_totals()) AS all_totals;

DROP EXTENSION walstream;
