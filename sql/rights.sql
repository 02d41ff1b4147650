-- Rights: who may watch replication may read; only who is told to may reset.

CREATE EXTENSION walstream;
CREATE ROLE regress_walstream_nobody;
CREATE ROLE regress_walstream_monitor;
CREATE ROLE regress_walstream_resetter;
GRANT pg_monitor TO regress_walstream_monitor;
GRANT EXECUTE ON FUNCTION walstream_reset_stats() TO regress_walstream_resetter;

-- as the catalogs say, for every object of the extension
WITH objects AS (
    SELECT 'function' AS kind, p.proname AS name,
        ARRAY(SELECT r FROM unnest(ARRAY['nobody', 'monitor', 'resetter']) WITH ORDINALITY AS u(r, n)
            WHERE has_function_privilege('regress_walstream_' || r, p.oid, 'EXECUTE') ORDER BY n) AS allowed
      FROM pg_proc AS p
        JOIN pg_depend AS d ON (d.classid = 'pg_proc'::regclass AND d.objid = p.oid)
        JOIN pg_extension AS e ON (e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass)
      WHERE e.extname = 'walstream'
    UNION ALL
    SELECT 'view', c.relname,
        ARRAY(SELECT r FROM unnest(ARRAY['nobody', 'monitor', 'resetter']) WITH ORDINALITY AS u(r, n)
            WHERE has_table_privilege('regress_walstream_' || r, c.oid, 'SELECT') ORDER BY n)
      FROM pg_class AS c
        JOIN pg_depend AS d ON (d.classid = 'pg_class'::regclass AND d.objid = c.oid)
        JOIN pg_extension AS e ON (e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass)
      WHERE e.extname = 'walstream')
SELECT * FROM objects ORDER BY kind, name COLLATE "C";

-- an unprivileged role: the version and nothing else
SET ROLE regress_walstream_nobody;
SELECT walstream_version() IS NOT NULL AS allowed;
SELECT count(*) FROM walstream_senders;
SELECT count(*) FROM walstream_receiver;
SELECT count(*) FROM walstream_totals;
SELECT count(*) FROM walstream_overview;
SELECT count(*) FROM walstream_get_sender_slots();
SELECT count(*) FROM walstream_get_receivers();
SELECT count(*) FROM walstream_get_totals();
SELECT walstream_oldest_send_lsn();
SELECT walstream_reset_stats();
SELECT count(*) FROM walstream_relay;
SELECT count(*) FROM walstream_relay_segments;
SELECT count(*) FROM walstream_relay_slots;
SELECT walstream_relay_pause();
SELECT walstream_relay_forget_store();
SELECT walstream_create_relay_slot('regress_walstream');
SELECT walstream_relay_wait('0/0', '0');
SELECT walstream_relay_wait_confirmed('regress_walstream', '0');
SELECT walstream_relay_seal(1);
SELECT walstream_relay_unseal('');
SELECT * FROM walstream_get_relay_seal();
SELECT * FROM walstream_get_relay_standby_names();
RESET ROLE;

-- pg_monitor: everything but the reset
SET ROLE regress_walstream_monitor;
SELECT walstream_version() IS NOT NULL AS allowed;
SELECT count(*) >= 0 AS allowed FROM walstream_senders;
SELECT count(*) >= 0 AS allowed FROM walstream_receiver;
SELECT count(*) >= 0 AS allowed FROM walstream_totals;
SELECT count(*) = 1 AS allowed FROM walstream_overview;
SELECT count(*) > 0 AS allowed FROM walstream_get_sender_slots();
SELECT count(*) >= 0 AS allowed FROM walstream_get_receivers();
SELECT count(*) >= 0 AS allowed FROM walstream_get_totals();
SELECT count(walstream_oldest_send_lsn()) >= 0 AS allowed;
SELECT count(*) >= 0 AS allowed FROM walstream_relay;
SELECT count(*) >= 0 AS allowed FROM walstream_relay_segments;
SELECT count(*) >= 0 AS allowed FROM walstream_relay_slots;
SELECT count(*) >= 0 AS allowed FROM walstream_get_relay_senders();
SELECT count(walstream_relay_oldest_send_lsn()) >= 0 AS allowed;
SELECT walstream_reset_stats();
SELECT walstream_relay_pause();
SELECT walstream_relay_resume();
SELECT walstream_relay_follow();
SELECT walstream_relay_restart_after_gap();
SELECT walstream_create_relay_slot('regress_walstream');
SELECT walstream_drop_relay_slot('regress_walstream');
SELECT walstream_relay_seal(1);
SELECT walstream_relay_unseal('');
SELECT * FROM walstream_get_relay_seal();
SELECT walstream_relay_follow(2, '0/1', '0/1');
RESET ROLE;

-- whom EXECUTE is granted to: the reset, and still nothing to read
SET ROLE regress_walstream_resetter;
SELECT walstream_reset_stats();
SELECT count(*) FROM walstream_totals;
SELECT count(*) FROM walstream_get_totals();
RESET ROLE;

DROP EXTENSION walstream;
DROP ROLE regress_walstream_nobody, regress_walstream_monitor, regress_walstream_resetter;
