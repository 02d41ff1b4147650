/* sql/walstream--1.0.sql */

-- Copyright (c) 2026, the walstream authors

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION walstream" to load this file. \quit

--
-- Functions
--

CREATE FUNCTION walstream_version()
RETURNS text
AS 'MODULE_PATHNAME'
LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION walstream_version() IS
'version of the walstream library that the server runs';

CREATE FUNCTION walstream_get_sender_slots(
    OUT slot integer,
    OUT pid integer,
    OUT state text,
    OUT sent_lsn pg_lsn,
    OUT write_lsn pg_lsn,
    OUT flush_lsn pg_lsn,
    OUT replay_lsn pg_lsn,
    OUT write_lag interval,
    OUT flush_lag interval,
    OUT replay_lag interval,
    OUT sync_priority integer,
    OUT sync_state text,
    OUT reply_time timestamptz,
    OUT codec text,
    OUT level integer,
    OUT plain_reason text,
    OUT streaming_since timestamptz,
    OUT raw_bytes bigint,
    OUT wire_bytes bigint,
    OUT messages bigint,
    OUT frames bigint,
    OUT bypassed_messages bigint,
    OUT codec_failures bigint,
    OUT encode_time double precision,
    OUT rate_limit bigint,
    OUT paced_by text,
    OUT unpaced_reason text,
    OUT congestion_control text)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_get_sender_slots() IS
'all max_wal_senders walsender slots; in a free one everything but its number is null';

CREATE FUNCTION walstream_get_relay_senders(
    OUT slot integer,
    OUT pid integer,
    OUT state text,
    OUT sent_lsn pg_lsn,
    OUT write_lsn pg_lsn,
    OUT flush_lsn pg_lsn,
    OUT replay_lsn pg_lsn,
    OUT write_lag interval,
    OUT flush_lag interval,
    OUT replay_lag interval,
    OUT sync_priority integer,
    OUT sync_state text,
    OUT reply_time timestamptz,
    OUT codec text,
    OUT level integer,
    OUT plain_reason text,
    OUT streaming_since timestamptz,
    OUT raw_bytes bigint,
    OUT wire_bytes bigint,
    OUT messages bigint,
    OUT frames bigint,
    OUT bypassed_messages bigint,
    OUT codec_failures bigint,
    OUT encode_time double precision,
    OUT rate_limit bigint,
    OUT paced_by text,
    OUT unpaced_reason text,
    OUT congestion_control text,
    OUT slot_name name,
    OUT restart_lsn pg_lsn)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_get_relay_senders() IS
'the same max_wal_senders slots for the walsenders that serve a relay''s WAL, with their relay slots; no rows if the server is no relay';

CREATE FUNCTION walstream_get_receivers(
    OUT pid integer,
    OUT kind text,
    OUT name text,
    OUT received_lsn pg_lsn,
    OUT codec text,
    OUT level integer,
    OUT plain_reason text,
    OUT streaming_since timestamptz,
    OUT raw_bytes bigint,
    OUT wire_bytes bigint,
    OUT messages bigint,
    OUT frames bigint,
    OUT bypassed_messages bigint,
    OUT codec_failures bigint,
    OUT decode_time double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_get_receivers() IS
'every replication stream that this server receives';

CREATE FUNCTION walstream_get_totals(
    OUT name text,
    OUT kind text,
    OUT streams bigint,
    OUT raw_bytes bigint,
    OUT wire_bytes bigint,
    OUT messages bigint,
    OUT frames bigint,
    OUT bypassed_messages bigint,
    OUT codec_failures bigint,
    OUT coding_time double precision,
    OUT last_end timestamptz,
    OUT stats_reset timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_get_totals() IS
'traffic by name and kind of stream, over streams that have ended and live ones';

CREATE FUNCTION walstream_oldest_send_lsn()
RETURNS pg_lsn
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_oldest_send_lsn() IS
'how far the slowest active walsender has sent; null if none is active';

CREATE FUNCTION walstream_reset_stats()
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_reset_stats() IS
'set all counters and totals of walstream to zero';

--
-- Views
--

CREATE VIEW walstream_senders AS
    SELECT
        w.slot,
        w.pid,
        a.usesysid,
        u.rolname AS usename,
        a.application_name,
        a.client_addr,
        a.client_hostname,
        a.client_port,
        a.backend_start,
        coalesce(r.slot_name, w.slot_name) AS slot_name,
        coalesce(r.restart_lsn, w.restart_lsn) AS restart_lsn,
        w.state,
        w.sent_lsn,
        w.write_lsn,
        w.flush_lsn,
        w.replay_lsn,
        w.write_lag,
        w.flush_lag,
        w.replay_lag,
        w.sync_priority,
        w.sync_state,
        w.reply_time,
        w.codec,
        w.level,
        w.plain_reason,
        w.streaming_since,
        w.raw_bytes,
        w.wire_bytes,
        pg_catalog.round(w.raw_bytes::numeric OPERATOR(pg_catalog./) nullif(w.wire_bytes, 0::bigint)::numeric, 2) AS ratio,
        w.messages,
        w.frames,
        w.bypassed_messages,
        w.codec_failures,
        w.encode_time,
        w.rate_limit,
        w.paced_by,
        w.unpaced_reason,
        w.congestion_control,
        w.relay
    FROM (SELECT g.*, NULL::name AS slot_name, NULL::pg_lsn AS restart_lsn, false AS relay
            FROM walstream_get_sender_slots() AS g
            UNION ALL
            SELECT h.*, true FROM walstream_get_relay_senders() AS h) AS w
        JOIN pg_catalog.pg_stat_get_activity(NULL::integer) AS a
            ON (a.pid OPERATOR(pg_catalog.=) w.pid)
        LEFT JOIN pg_catalog.pg_authid AS u
            ON (u.oid OPERATOR(pg_catalog.=) a.usesysid)
        -- a connection can hold any number of temporary slots besides its own
        LEFT JOIN LATERAL (SELECT l.slot_name, l.restart_lsn
            FROM pg_catalog.pg_get_replication_slots() AS l
            WHERE l.active_pid OPERATOR(pg_catalog.=) w.pid
            ORDER BY l.temporary, l.slot_name LIMIT 1) AS r ON (true);

COMMENT ON VIEW walstream_senders IS 'one row for each walsender, whether its stream is compressed or not';
COMMENT ON COLUMN walstream_senders.slot IS 'number of the walsender slot, from 0 to max_wal_senders - 1; those that serve a relay''s WAL are numbered for themselves';
COMMENT ON COLUMN walstream_senders.pid IS 'process ID of the walsender';
COMMENT ON COLUMN walstream_senders.usesysid IS 'OID of the user it is logged in as';
COMMENT ON COLUMN walstream_senders.usename IS 'name of the user it is logged in as';
COMMENT ON COLUMN walstream_senders.application_name IS 'name that the receiver gave when it connected';
COMMENT ON COLUMN walstream_senders.client_addr IS 'IP address of the receiver; null for a Unix-domain socket';
COMMENT ON COLUMN walstream_senders.client_hostname IS 'host name of the receiver, if log_hostname is on';
COMMENT ON COLUMN walstream_senders.client_port IS 'TCP port of the receiver; -1 for a Unix-domain socket';
COMMENT ON COLUMN walstream_senders.backend_start IS 'when the receiver connected';
COMMENT ON COLUMN walstream_senders.slot_name IS 'replication slot or relay slot in use; null if none';
COMMENT ON COLUMN walstream_senders.restart_lsn IS 'oldest WAL that this slot keeps on disk';
COMMENT ON COLUMN walstream_senders.state IS 'startup, backup, catchup, streaming or stopping, as in pg_stat_replication';
COMMENT ON COLUMN walstream_senders.sent_lsn IS 'WAL has been sent up to here';
COMMENT ON COLUMN walstream_senders.write_lsn IS 'WAL has been written by the receiver up to here';
COMMENT ON COLUMN walstream_senders.flush_lsn IS 'WAL has been made durable by the receiver up to here';
COMMENT ON COLUMN walstream_senders.replay_lsn IS 'WAL has been replayed by the receiver up to here';
COMMENT ON COLUMN walstream_senders.write_lag IS 'time from flushing WAL locally to its being written by the receiver';
COMMENT ON COLUMN walstream_senders.flush_lag IS 'time from flushing WAL locally to its being durable at the receiver';
COMMENT ON COLUMN walstream_senders.replay_lag IS 'time from flushing WAL locally to its being replayed by the receiver';
COMMENT ON COLUMN walstream_senders.sync_priority IS 'priority for being chosen as the synchronous standby';
COMMENT ON COLUMN walstream_senders.sync_state IS 'async, potential, sync or quorum';
COMMENT ON COLUMN walstream_senders.reply_time IS 'send time of the last reply from the receiver';
COMMENT ON COLUMN walstream_senders.codec IS 'codec of the stream; null if it is not compressed';
COMMENT ON COLUMN walstream_senders.level IS 'compression level of the codec';
COMMENT ON COLUMN walstream_senders.plain_reason IS 'why the stream is not compressed; null if it is, or if nothing is streamed';
COMMENT ON COLUMN walstream_senders.streaming_since IS 'when the connection first began to stream';
COMMENT ON COLUMN walstream_senders.raw_bytes IS 'bytes of WAL messages as PostgreSQL would have sent them, framing included';
COMMENT ON COLUMN walstream_senders.wire_bytes IS 'bytes of these messages as they were sent, framing included';
COMMENT ON COLUMN walstream_senders.ratio IS 'raw_bytes divided by wire_bytes';
COMMENT ON COLUMN walstream_senders.messages IS 'WAL messages that PostgreSQL has handed over';
COMMENT ON COLUMN walstream_senders.frames IS 'messages of walstream that were sent for them';
COMMENT ON COLUMN walstream_senders.bypassed_messages IS 'WAL messages whose bytes were sent as they are';
COMMENT ON COLUMN walstream_senders.codec_failures IS 'times that the codec failed and the message was sent as it is';
COMMENT ON COLUMN walstream_senders.encode_time IS 'time spent encoding, in milliseconds';
COMMENT ON COLUMN walstream_senders.rate_limit IS 'walstream.rate_limit of the stream, in bytes per second; null if it has none';
COMMENT ON COLUMN walstream_senders.paced_by IS 'who keeps the stream below its limit: kernel or walstream; null if it is not limited now';
COMMENT ON COLUMN walstream_senders.unpaced_reason IS 'why its limit is not applied now; null if it is, or there is none';
COMMENT ON COLUMN walstream_senders.congestion_control IS 'TCP congestion control of the stream; null for a Unix-domain socket';
COMMENT ON COLUMN walstream_senders.relay IS 'true if it serves the WAL that this server holds as a relay, false if this server''s own';

CREATE VIEW walstream_receiver AS
    SELECT
        s.pid,
        s.kind,
        s.name,
        p.status,
        p.sender_host,
        p.sender_port,
        p.slot_name,
        s.received_lsn,
        s.codec,
        s.level,
        s.plain_reason,
        s.streaming_since,
        s.raw_bytes,
        s.wire_bytes,
        pg_catalog.round(s.raw_bytes::numeric OPERATOR(pg_catalog./) nullif(s.wire_bytes, 0::bigint)::numeric, 2) AS ratio,
        s.messages,
        s.frames,
        s.bypassed_messages,
        s.decode_time
    FROM walstream_get_receivers() AS s
        LEFT JOIN pg_catalog.pg_stat_get_wal_receiver() AS p
            ON (p.pid OPERATOR(pg_catalog.=) s.pid);

COMMENT ON VIEW walstream_receiver IS 'one row for each replication stream that this server receives';
COMMENT ON COLUMN walstream_receiver.pid IS 'process ID of the walreceiver or logical replication worker';
COMMENT ON COLUMN walstream_receiver.kind IS 'physical receiver, logical receiver or relay receiver';
COMMENT ON COLUMN walstream_receiver.name IS 'name that the receiver gives to its upstream: cluster name, subscription or table synchronization slot';
COMMENT ON COLUMN walstream_receiver.status IS 'status of the walreceiver, as in pg_stat_wal_receiver';
COMMENT ON COLUMN walstream_receiver.sender_host IS 'host that the walreceiver is connected to';
COMMENT ON COLUMN walstream_receiver.sender_port IS 'port that the walreceiver is connected to';
COMMENT ON COLUMN walstream_receiver.slot_name IS 'replication slot that the walreceiver uses';
COMMENT ON COLUMN walstream_receiver.received_lsn IS 'WAL has been received and checked up to here';
COMMENT ON COLUMN walstream_receiver.codec IS 'codec of the stream; null if it is not compressed';
COMMENT ON COLUMN walstream_receiver.level IS 'compression level that the sender uses';
COMMENT ON COLUMN walstream_receiver.plain_reason IS 'why the stream is not compressed; null if it is';
COMMENT ON COLUMN walstream_receiver.streaming_since IS 'when the connection first began to stream';
COMMENT ON COLUMN walstream_receiver.raw_bytes IS 'bytes of WAL messages after decoding, framing included';
COMMENT ON COLUMN walstream_receiver.wire_bytes IS 'bytes of these messages as they came, framing included';
COMMENT ON COLUMN walstream_receiver.ratio IS 'raw_bytes divided by wire_bytes';
COMMENT ON COLUMN walstream_receiver.messages IS 'WAL messages handed on to PostgreSQL';
COMMENT ON COLUMN walstream_receiver.frames IS 'messages of walstream that they came in';
COMMENT ON COLUMN walstream_receiver.bypassed_messages IS 'WAL messages whose bytes came as they are';
COMMENT ON COLUMN walstream_receiver.decode_time IS 'time spent decoding, in milliseconds';

CREATE VIEW walstream_totals AS
    SELECT
        t.name,
        t.kind,
        t.streams,
        t.raw_bytes,
        t.wire_bytes,
        pg_catalog.round(t.raw_bytes::numeric OPERATOR(pg_catalog./) nullif(t.wire_bytes, 0::bigint)::numeric, 2) AS ratio,
        t.messages,
        t.frames,
        t.bypassed_messages,
        t.codec_failures,
        t.coding_time,
        t.last_end,
        t.stats_reset
    FROM walstream_get_totals() AS t;

COMMENT ON VIEW walstream_totals IS 'traffic by name and kind of stream, over reconnects';
COMMENT ON COLUMN walstream_totals.name IS 'application_name of the receiver, or subscription';
COMMENT ON COLUMN walstream_totals.kind IS 'physical or logical, sender or receiver; null in the row that gathers what did not fit';
COMMENT ON COLUMN walstream_totals.streams IS 'streams counted, live ones included';
COMMENT ON COLUMN walstream_totals.raw_bytes IS 'bytes of WAL messages without walstream, framing included';
COMMENT ON COLUMN walstream_totals.wire_bytes IS 'bytes of these messages on the wire, framing included';
COMMENT ON COLUMN walstream_totals.ratio IS 'raw_bytes divided by wire_bytes';
COMMENT ON COLUMN walstream_totals.messages IS 'WAL messages';
COMMENT ON COLUMN walstream_totals.frames IS 'messages of walstream that stand for them';
COMMENT ON COLUMN walstream_totals.bypassed_messages IS 'WAL messages whose bytes travelled as they are';
COMMENT ON COLUMN walstream_totals.codec_failures IS 'times that a codec failed and a message was sent as it is';
COMMENT ON COLUMN walstream_totals.coding_time IS 'time spent encoding or decoding, in milliseconds';
COMMENT ON COLUMN walstream_totals.last_end IS 'when a stream last ended';
COMMENT ON COLUMN walstream_totals.stats_reset IS 'when the counters were last set to zero';

CREATE VIEW walstream_overview AS
    SELECT
        s.senders,
        s.compressed,
        c.current_lsn,
        o.oldest_send_lsn,
        pg_catalog.pg_wal_lsn_diff(c.current_lsn, o.oldest_send_lsn) AS unsent_bytes,
        r.slot_name AS oldest_slot,
        r.restart_lsn AS oldest_restart_lsn,
        pg_catalog.pg_wal_lsn_diff(c.current_lsn, r.restart_lsn) AS retained_bytes
    FROM (SELECT
            pg_catalog.count(*) FILTER (WHERE w.pid IS NOT NULL) AS senders,
            pg_catalog.count(*) FILTER (WHERE w.codec IS NOT NULL) AS compressed
            FROM (SELECT g.pid, g.codec FROM walstream_get_sender_slots() AS g
                UNION ALL
                SELECT h.pid, h.codec FROM walstream_get_relay_senders() AS h) AS w) AS s
        CROSS JOIN (SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
            THEN greatest(pg_catalog.pg_last_wal_receive_lsn(),
                          pg_catalog.pg_last_wal_replay_lsn())
            ELSE pg_catalog.pg_current_wal_flush_lsn() END AS current_lsn) AS c
        CROSS JOIN (SELECT walstream_oldest_send_lsn() AS oldest_send_lsn) AS o
        LEFT JOIN (SELECT l.slot_name, l.restart_lsn
            FROM pg_catalog.pg_get_replication_slots() AS l
            WHERE l.restart_lsn IS NOT NULL
            ORDER BY l.restart_lsn LIMIT 1) AS r ON (true);

COMMENT ON VIEW walstream_overview IS 'one row: how far behind the slowest stream of this server''s own WAL is, and which slot holds it back on disk';
COMMENT ON COLUMN walstream_overview.senders IS 'walsenders in use, those that serve a relay''s WAL included';
COMMENT ON COLUMN walstream_overview.compressed IS 'of these, how many send a compressed stream';
COMMENT ON COLUMN walstream_overview.current_lsn IS 'end of the server''s own WAL that can be sent; for a relay''s see walstream_relay';
COMMENT ON COLUMN walstream_overview.oldest_send_lsn IS 'how far the slowest active walsender of it has sent';
COMMENT ON COLUMN walstream_overview.unsent_bytes IS 'WAL that the slowest active walsender has not sent, in bytes';
COMMENT ON COLUMN walstream_overview.oldest_slot IS 'replication slot with the oldest restart_lsn, active or not';
COMMENT ON COLUMN walstream_overview.oldest_restart_lsn IS 'restart_lsn of that slot: WAL from here on is kept on disk';
COMMENT ON COLUMN walstream_overview.retained_bytes IS 'WAL that this slot keeps on disk, in bytes';

--
-- Relay
--

CREATE FUNCTION walstream_get_relay(
    OUT state text,
    OUT reason text,
    OUT upstream_host text,
    OUT upstream_port integer,
    OUT system_identifier bigint,
    OUT timeline integer,
    OUT received_lsn pg_lsn,
    OUT written_lsn pg_lsn,
    OUT flushed_lsn pg_lsn,
    OUT first_timeline integer,
    OUT first_lsn pg_lsn,
    OUT upstream_lsn pg_lsn,
    OUT last_message_time timestamptz,
    OUT raw_bytes bigint,
    OUT stored_bytes bigint,
    OUT reconnects bigint,
    OUT last_error text,
    OUT last_error_time timestamptz,
    OUT receiver_pid integer,
    OUT keeper_pid integer,
    OUT sealed_timeline integer,
    OUT sealed_since timestamptz,
    OUT upstream_standby_names text,
    OUT upstream_standby_names_time timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_get_relay() IS
'what the relay does and holds; no row if the server is no relay';

CREATE FUNCTION walstream_get_relay_segments(
    OUT timeline integer,
    OUT segment text,
    OUT start_lsn pg_lsn,
    OUT state text,
    OUT raw_bytes bigint,
    OUT stored_bytes bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_get_relay_segments() IS
'the WAL segments that the relay holds';

CREATE FUNCTION walstream_get_relay_slots(
    OUT slot_name name,
    OUT temporary boolean,
    OUT active_pid integer,
    OUT timeline integer,
    OUT restart_lsn pg_lsn,
    OUT held_bytes bigint,
    OUT xmin xid8,
    OUT catalog_xmin xid8,
    OUT lost boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_get_relay_slots() IS
'the slots that hold WAL back on the relay';

CREATE FUNCTION walstream_relay_oldest_send_lsn()
RETURNS pg_lsn
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_relay_oldest_send_lsn() IS
'how far the slowest active walsender has sent of the WAL that the relay holds; null if none is active';

CREATE FUNCTION walstream_relay_verify(
    OUT ok boolean,
    OUT timeline integer,
    OUT lsn pg_lsn,
    OUT reason text,
    OUT verified_bytes bigint)
RETURNS record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_relay_verify() IS
'read and check all WAL that leads to the end of what the relay holds; if it is not ok, from where on it is wrong or missing, and why';

CREATE FUNCTION walstream_relay_pause()
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_relay_pause() IS
'let the relay stop receiving; what it holds is served';

CREATE FUNCTION walstream_relay_resume()
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_relay_resume() IS
'let the relay receive again after a pause';

CREATE FUNCTION walstream_relay_follow()
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_relay_follow() IS
'let a relay that has diverged follow its upstream to the new timeline: WAL of the old one that is not part of it is given up';

CREATE FUNCTION walstream_relay_follow(
    timeline integer,
    switch_lsn pg_lsn,
    surplus_up_to pg_lsn)
RETURNS void
AS 'MODULE_PATHNAME', 'walstream_relay_follow_line'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_relay_follow(integer, pg_lsn, pg_lsn) IS
'let the relay follow its upstream to exactly this timeline, which leaves the relay''s at a position, as long as the relay''s records behind that end at another; they are kept aside';

CREATE FUNCTION walstream_relay_restart_after_gap()
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_relay_restart_after_gap() IS
'let the relay begin anew with the WAL that its upstream still has: what it holds is put aside, and its slots are lost';

CREATE FUNCTION walstream_relay_wait(lsn pg_lsn, timeout interval)
RETURNS boolean
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_relay_wait(pg_lsn, interval) IS
'wait until the relay holds all WAL up to a position durably; false if it does not within the timeout';

CREATE FUNCTION walstream_relay_records_end(lsn pg_lsn)
RETURNS pg_lsn
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_relay_records_end(pg_lsn) IS
'the end of the last complete record that the relay holds behind a position; the position itself if there is at most a part of one';

CREATE FUNCTION walstream_relay_wait_confirmed(
    application_name text,
    timeout interval)
RETURNS boolean
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_relay_wait_confirmed(text, interval) IS
'wait until a downstream has confirmed to hold all that the relay holds; false if it does not within the timeout, or is not connected';

CREATE FUNCTION walstream_relay_seal(
    timeline integer,
    owner text DEFAULT '',
    replaces text DEFAULT '')
RETURNS text
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION walstream_relay_seal(integer, text, text) IS
'let the relay receive and acknowledge nothing of its timeline any more, until there is a newer one or it is unsealed with the returned token';

CREATE FUNCTION walstream_relay_unseal(token text)
RETURNS boolean
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION walstream_relay_unseal(text) IS
'take a seal of the relay back; false if there is none';

CREATE FUNCTION walstream_get_relay_seal(
    OUT timeline integer,
    OUT since timestamptz,
    OUT token text,
    OUT owner text)
RETURNS record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_get_relay_seal() IS
'the relay''s seal with its token, for who has lost it; nulls if the relay is not sealed';

CREATE FUNCTION walstream_get_relay_standby_names(
    OUT timeline integer,
    OUT names text,
    OUT first_seen timestamptz,
    OUT last_seen timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_get_relay_standby_names() IS
'the values of the primary''s synchronous_standby_names that the relay has seen, the last 16';

CREATE FUNCTION walstream_relay_forget_store()
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_relay_forget_store() IS
'let the relay use what is in its directory now, or begin anew there, where it has used another store';

CREATE FUNCTION walstream_create_relay_slot(
    slot_name name,
    temporary boolean DEFAULT false)
RETURNS pg_lsn
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION walstream_create_relay_slot(name, boolean) IS
'create a relay slot, which holds WAL back on the relay from the returned position on; a temporary one until the session ends';

CREATE FUNCTION walstream_drop_relay_slot(slot_name name)
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION walstream_drop_relay_slot(name) IS
'drop a relay slot';

CREATE VIEW walstream_relay AS
    SELECT
        r.state,
        r.reason,
        r.upstream_host,
        r.upstream_port,
        r.system_identifier,
        r.timeline,
        r.received_lsn,
        r.written_lsn,
        r.flushed_lsn,
        r.first_timeline,
        r.first_lsn,
        r.upstream_lsn,
        r.last_message_time,
        r.raw_bytes,
        r.stored_bytes,
        pg_catalog.round(r.raw_bytes::numeric OPERATOR(pg_catalog./) nullif(r.stored_bytes, 0::bigint)::numeric, 2) AS ratio,
        r.reconnects,
        r.last_error,
        r.last_error_time,
        r.receiver_pid,
        r.keeper_pid,
        r.sealed_timeline,
        r.sealed_since,
        r.upstream_standby_names,
        r.upstream_standby_names_time
    FROM walstream_get_relay() AS r;

COMMENT ON VIEW walstream_relay IS 'one row on a relay, none elsewhere. As a synchronous standby a relay satisfies synchronous_commit remote_write and on; remote_apply cannot be satisfied, because it replays nothing';
COMMENT ON COLUMN walstream_relay.state IS 'stopped, opening, waiting for upstream, catching up, streaming, disk full, diverged, gap, sealed, behind, paused or failed';
COMMENT ON COLUMN walstream_relay.reason IS 'why the relay is in this state, where that is not plain';
COMMENT ON COLUMN walstream_relay.upstream_host IS 'host that the relay is connected to; null while it is not';
COMMENT ON COLUMN walstream_relay.upstream_port IS 'port that the relay is connected to';
COMMENT ON COLUMN walstream_relay.system_identifier IS 'system identifier of the cluster whose WAL this is, as in pg_control_system()';
COMMENT ON COLUMN walstream_relay.timeline IS 'timeline that is being received, which the next three columns are on';
COMMENT ON COLUMN walstream_relay.received_lsn IS 'WAL has been received up to here';
COMMENT ON COLUMN walstream_relay.written_lsn IS 'WAL has been written up to here';
COMMENT ON COLUMN walstream_relay.flushed_lsn IS 'WAL has been made durable up to here: this is acknowledged, and served';
COMMENT ON COLUMN walstream_relay.first_timeline IS 'timeline of the oldest WAL that the relay holds';
COMMENT ON COLUMN walstream_relay.first_lsn IS 'start of the oldest WAL that the relay holds';
COMMENT ON COLUMN walstream_relay.upstream_lsn IS 'end of the upstream''s WAL, as last told by it';
COMMENT ON COLUMN walstream_relay.last_message_time IS 'when the upstream''s last message was received';
COMMENT ON COLUMN walstream_relay.raw_bytes IS 'size of the WAL segments that the relay holds, uncompressed';
COMMENT ON COLUMN walstream_relay.stored_bytes IS 'bytes that they take on disk';
COMMENT ON COLUMN walstream_relay.ratio IS 'raw_bytes divided by stored_bytes';
COMMENT ON COLUMN walstream_relay.reconnects IS 'connections to an upstream that were made after the first';
COMMENT ON COLUMN walstream_relay.last_error IS 'last error of the receiver or the keeper; null if there was none';
COMMENT ON COLUMN walstream_relay.last_error_time IS 'when that was';
COMMENT ON COLUMN walstream_relay.receiver_pid IS 'process ID of the receiver; null while it does not run';
COMMENT ON COLUMN walstream_relay.keeper_pid IS 'process ID of the keeper; null while it does not run';
COMMENT ON COLUMN walstream_relay.sealed_timeline IS 'timeline for which the relay is sealed: nothing of it is acknowledged; null if it is not';
COMMENT ON COLUMN walstream_relay.sealed_since IS 'since when it is sealed';
COMMENT ON COLUMN walstream_relay.upstream_standby_names IS 'synchronous_standby_names of the primary, as the relay last saw it; null if it never did';
COMMENT ON COLUMN walstream_relay.upstream_standby_names_time IS 'when that was';

CREATE VIEW walstream_relay_segments AS
    SELECT
        g.timeline,
        g.segment,
        g.start_lsn,
        g.state,
        g.raw_bytes,
        g.stored_bytes,
        pg_catalog.round(g.raw_bytes::numeric OPERATOR(pg_catalog./) nullif(g.stored_bytes, 0::bigint)::numeric, 2) AS ratio
    FROM walstream_get_relay_segments() AS g;

COMMENT ON VIEW walstream_relay_segments IS 'one row for each WAL segment that the relay holds';
COMMENT ON COLUMN walstream_relay_segments.timeline IS 'timeline of the segment';
COMMENT ON COLUMN walstream_relay_segments.segment IS 'name of its file in the relay''s directory';
COMMENT ON COLUMN walstream_relay_segments.start_lsn IS 'where the segment begins';
COMMENT ON COLUMN walstream_relay_segments.state IS 'partial (being written, or the last one of a timeline that was left), or how it is kept: raw, zstd or lz4';
COMMENT ON COLUMN walstream_relay_segments.raw_bytes IS 'size of the segment, uncompressed';
COMMENT ON COLUMN walstream_relay_segments.stored_bytes IS 'size of its file';
COMMENT ON COLUMN walstream_relay_segments.ratio IS 'raw_bytes divided by stored_bytes';

CREATE VIEW walstream_relay_slots AS
    SELECT
        l.slot_name,
        l.temporary,
        l.active_pid,
        l.timeline,
        l.restart_lsn,
        l.held_bytes,
        l.xmin,
        l.catalog_xmin,
        l.lost
    FROM walstream_get_relay_slots() AS l;

COMMENT ON VIEW walstream_relay_slots IS 'one row for each relay slot; PostgreSQL''s own replication slots are in pg_replication_slots';
COMMENT ON COLUMN walstream_relay_slots.slot_name IS 'name of the slot';
COMMENT ON COLUMN walstream_relay_slots.temporary IS 'true if it goes with the session that made it';
COMMENT ON COLUMN walstream_relay_slots.active_pid IS 'process ID of the walsender or session that uses it; null if none does';
COMMENT ON COLUMN walstream_relay_slots.timeline IS 'timeline that its downstream was last on';
COMMENT ON COLUMN walstream_relay_slots.restart_lsn IS 'WAL from here on is held on the relay; null if the slot has no position yet';
COMMENT ON COLUMN walstream_relay_slots.held_bytes IS 'WAL from there to the end of what the relay holds, in bytes';
COMMENT ON COLUMN walstream_relay_slots.xmin IS 'oldest transaction whose rows the downstream needs on the primary, with epoch';
COMMENT ON COLUMN walstream_relay_slots.catalog_xmin IS 'the same for rows of system catalogs';
COMMENT ON COLUMN walstream_relay_slots.lost IS 'true if WAL that the downstream needs has been removed: the slot is of no use any more';

--
-- Failover
--

CREATE FUNCTION walstream_application_name()
RETURNS text
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION walstream_application_name() IS
'the name as which the upstream of this server, a relay or a standby, knows it; null if it is neither';

CREATE PROCEDURE walstream_receive_all(
    sources text[] DEFAULT NULL,
    required integer DEFAULT NULL,
    timeout interval DEFAULT NULL,
    INOUT timeline integer DEFAULT NULL,
    INOUT lsn pg_lsn DEFAULT NULL,
    INOUT synchronous_standby_names text DEFAULT NULL,
    INOUT heard text[] DEFAULT NULL,
    INOUT unheard text[] DEFAULT NULL,
    INOUT seals text[] DEFAULT NULL)
AS 'MODULE_PATHNAME'
LANGUAGE C;

COMMENT ON PROCEDURE walstream_receive_all(text[], integer, interval, integer, pg_lsn, text, text[], text[], text[]) IS
'before a standby is promoted: seal the relays and receive all WAL that any of them has, or say what cannot be established';

--
-- Rights: who may watch PostgreSQL's replication may watch this.
--

REVOKE ALL ON FUNCTION walstream_get_sender_slots() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_get_receivers() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_get_totals() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_oldest_send_lsn() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_reset_stats() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_get_relay_senders() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_get_relay() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_get_relay_segments() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_get_relay_slots() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_relay_oldest_send_lsn() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_relay_verify() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_relay_pause() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_relay_resume() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_relay_follow() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_relay_follow(integer, pg_lsn, pg_lsn) FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_relay_restart_after_gap() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_relay_records_end(pg_lsn) FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_relay_wait(pg_lsn, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_relay_wait_confirmed(text, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_relay_seal(integer, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_relay_unseal(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_get_relay_seal() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_get_relay_standby_names() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_relay_forget_store() FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_create_relay_slot(name, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION walstream_drop_relay_slot(name) FROM PUBLIC;

REVOKE ALL ON FUNCTION walstream_application_name() FROM PUBLIC;
REVOKE ALL ON PROCEDURE walstream_receive_all(text[], integer, interval, integer, pg_lsn, text, text[], text[], text[]) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION walstream_application_name() TO pg_monitor;
GRANT EXECUTE ON FUNCTION walstream_get_sender_slots() TO pg_monitor;
GRANT EXECUTE ON FUNCTION walstream_get_receivers() TO pg_monitor;
GRANT EXECUTE ON FUNCTION walstream_get_totals() TO pg_monitor;
GRANT EXECUTE ON FUNCTION walstream_oldest_send_lsn() TO pg_monitor;
GRANT EXECUTE ON FUNCTION walstream_get_relay_senders() TO pg_monitor;
GRANT EXECUTE ON FUNCTION walstream_get_relay() TO pg_monitor;
GRANT EXECUTE ON FUNCTION walstream_get_relay_segments() TO pg_monitor;
GRANT EXECUTE ON FUNCTION walstream_get_relay_slots() TO pg_monitor;
GRANT EXECUTE ON FUNCTION walstream_relay_oldest_send_lsn() TO pg_monitor;
GRANT EXECUTE ON FUNCTION walstream_relay_verify() TO pg_monitor;
GRANT EXECUTE ON FUNCTION walstream_get_relay_standby_names() TO pg_monitor;
GRANT EXECUTE ON FUNCTION walstream_relay_records_end(pg_lsn) TO pg_monitor;
GRANT EXECUTE ON FUNCTION walstream_relay_wait(pg_lsn, interval) TO pg_monitor;
GRANT EXECUTE ON FUNCTION walstream_relay_wait_confirmed(text, interval) TO pg_monitor;

REVOKE ALL ON walstream_senders FROM PUBLIC;
REVOKE ALL ON walstream_receiver FROM PUBLIC;
REVOKE ALL ON walstream_totals FROM PUBLIC;
REVOKE ALL ON walstream_overview FROM PUBLIC;
REVOKE ALL ON walstream_relay FROM PUBLIC;
REVOKE ALL ON walstream_relay_segments FROM PUBLIC;
REVOKE ALL ON walstream_relay_slots FROM PUBLIC;

GRANT SELECT ON walstream_senders TO pg_monitor;
GRANT SELECT ON walstream_receiver TO pg_monitor;
GRANT SELECT ON walstream_totals TO pg_monitor;
GRANT SELECT ON walstream_overview TO pg_monitor;
GRANT SELECT ON walstream_relay TO pg_monitor;
GRANT SELECT ON walstream_relay_segments TO pg_monitor;
GRANT SELECT ON walstream_relay_slots TO pg_monitor;
