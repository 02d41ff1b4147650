-- The extension: what it holds, that all of it is described, and that it can
-- be moved.

CREATE SCHEMA ws_first;
CREATE SCHEMA ws_second;
CREATE EXTENSION walstream SCHEMA ws_first;

SELECT extversion, extrelocatable, extnamespace::regnamespace AS schema
  FROM pg_extension WHERE extname = 'walstream';

-- loaded library and extension are of the same version
SELECT ws_first.walstream_version() = extversion AS same_version
  FROM pg_extension WHERE extname = 'walstream';

-- every object
CREATE TEMP VIEW members AS
    SELECT d.classid, d.objid,
        pg_describe_object(d.classid, d.objid, 0) AS description
    FROM pg_depend AS d
        JOIN pg_extension AS e ON (e.oid = d.refobjid)
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND
        d.classid IN ('pg_proc'::regclass, 'pg_class'::regclass) AND
        e.extname = 'walstream';

SELECT description FROM members ORDER BY description COLLATE "C";

-- the functions' properties
SELECT p.proname, p.provolatile, p.proparallel, p.proisstrict, p.proretset,
    p.prorettype::regtype
  FROM pg_proc AS p JOIN members AS m ON (m.objid = p.oid)
  ORDER BY p.proname COLLATE "C";

-- every column of the views
SELECT c.relname, a.attnum, a.attname,
    format_type(a.atttypid, a.atttypmod) AS type
  FROM pg_attribute AS a
    JOIN pg_class AS c ON (c.oid = a.attrelid)
    JOIN members AS m ON (m.objid = c.oid)
  WHERE a.attnum > 0 AND NOT a.attisdropped
  ORDER BY c.relname COLLATE "C", a.attnum;

-- every column of the functions
SELECT p.proname, a.number, a.name, format_type(a.type, NULL) AS type
  FROM pg_proc AS p
    JOIN members AS m ON (m.objid = p.oid),
    unnest(p.proargnames, coalesce(p.proallargtypes, p.proargtypes::oid[]))
      WITH ORDINALITY AS a(name, type, number)
  ORDER BY p.proname COLLATE "C", a.number;

-- columns that pg_stat_replication and pg_stat_wal_receiver have too are of
-- the same type
SELECT ours.attrelid::regclass, ours.attname
  FROM pg_attribute AS ours JOIN pg_attribute AS theirs USING (attname)
  WHERE (ours.attrelid, theirs.attrelid) IN
    (('ws_first.walstream_senders'::regclass, 'pg_stat_replication'::regclass),
     ('ws_first.walstream_receiver'::regclass, 'pg_stat_wal_receiver'::regclass)) AND
    ours.attnum > 0 AND theirs.attnum > 0 AND ours.atttypid <> theirs.atttypid;

-- what has no comment: nothing
CREATE TEMP VIEW undescribed AS
    SELECT m.description FROM members AS m
        WHERE obj_description(m.objid, (SELECT relname FROM pg_class WHERE oid = m.classid)) IS NULL
    UNION ALL
    SELECT pg_describe_object('pg_class'::regclass, a.attrelid, a.attnum)
        FROM pg_attribute AS a JOIN members AS m ON (m.objid = a.attrelid)
        WHERE m.classid = 'pg_class'::regclass AND a.attnum > 0 AND
            col_description(a.attrelid, a.attnum) IS NULL
    UNION ALL
    SELECT 'extension ' || extname FROM pg_extension
        WHERE extname = 'walstream' AND obj_description(oid, 'pg_extension') IS NULL;

SELECT * FROM undescribed ORDER BY description COLLATE "C";

-- and it would have been found
BEGIN;
COMMENT ON VIEW ws_first.walstream_totals IS NULL;
COMMENT ON COLUMN ws_first.walstream_overview.retained_bytes IS NULL;
COMMENT ON FUNCTION ws_first.walstream_version() IS NULL;
COMMENT ON EXTENSION walstream IS NULL;
SELECT count(*) FROM undescribed;
ROLLBACK;

-- another schema
ALTER EXTENSION walstream SET SCHEMA ws_second;
SELECT DISTINCT c.relnamespace::regnamespace AS schema
  FROM pg_class AS c JOIN members AS m ON (m.objid = c.oid)
UNION
SELECT DISTINCT p.pronamespace::regnamespace
  FROM pg_proc AS p JOIN members AS m ON (m.objid = p.oid);

SELECT count(*) >= 0 AS readable FROM ws_second.walstream_senders;
SELECT count(*) >= 0 AS readable FROM ws_second.walstream_receiver;
SELECT count(*) >= 0 AS readable FROM ws_second.walstream_totals;
SELECT count(*) AS rows FROM ws_second.walstream_overview;
SELECT count(*) >= 0 AS readable FROM ws_second.walstream_relay;
SELECT count(*) >= 0 AS readable FROM ws_second.walstream_relay_segments;
SELECT count(*) >= 0 AS readable FROM ws_second.walstream_relay_slots;

-- nothing in the schema that it is created in gets into the views
DROP EXTENSION walstream;
CREATE SCHEMA ws_hostile;
CREATE FUNCTION ws_hostile.pg_stat_get_activity(text) RETURNS SETOF record
  LANGUAGE sql AS 'SELECT 1, 2';
CREATE FUNCTION ws_hostile.divide(numeric, bigint) RETURNS numeric
  LANGUAGE sql AS 'SELECT 1::numeric';
CREATE OPERATOR ws_hostile./ (FUNCTION = ws_hostile.divide,
  LEFTARG = numeric, RIGHTARG = bigint);
CREATE FUNCTION ws_hostile.counted(bigint, integer) RETURNS bigint
  LANGUAGE sql AS 'SELECT 1::bigint';
CREATE AGGREGATE ws_hostile.count(integer)
  (SFUNC = ws_hostile.counted, STYPE = bigint);
CREATE EXTENSION walstream SCHEMA ws_hostile;
SELECT c.relname, pg_describe_object(d.refclassid, d.refobjid, 0)
  FROM pg_depend AS d
    JOIN pg_rewrite AS r ON (d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid)
    JOIN pg_class AS c ON (c.oid = r.ev_class)
  WHERE c.relnamespace = 'ws_hostile'::regnamespace
    AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
    AND NOT EXISTS (SELECT FROM pg_depend AS m
      WHERE m.classid = d.refclassid AND m.objid = d.refobjid
        AND m.deptype = 'e');

-- nothing stays behind
DROP EXTENSION walstream;
SELECT count(*) FROM pg_class WHERE relname LIKE 'walstream%';
SELECT count(*) FROM pg_proc WHERE proname LIKE 'walstream%';
DROP VIEW undescribed, members;
SET client_min_messages = warning;
DROP SCHEMA ws_first, ws_second, ws_hostile CASCADE;
