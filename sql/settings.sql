-- Settings: what they are, and that a session cannot change them.

SELECT current_setting('walstream.compression') AS before \gset
SHOW walstream.accept;
SHOW walstream.protocol;

\x on
SELECT name, unit, category, short_desc, extra_desc, context, vartype,
    min_val, max_val, enumvals, boot_val
  FROM pg_settings WHERE name LIKE 'walstream.%'
  ORDER BY name COLLATE "C";
\x off

-- not in a session
SET walstream.compression = 'lz4';
SET walstream.accept = '1 zstd';
SET walstream.protocol = 2;
SELECT set_config('walstream.accept', '1 zstd', false);

-- nor for a role or database, nor in the configuration where it has no place
CREATE ROLE regress_walstream_role;
ALTER ROLE regress_walstream_role SET walstream.accept = '1 zstd';
ALTER ROLE regress_walstream_role SET walstream.compression = 'lz4';
ALTER ROLE regress_walstream_role SET walstream.protocol = 1;
DROP ROLE regress_walstream_role;
ALTER SYSTEM SET walstream.accept = '1 zstd';
ALTER SYSTEM SET walstream.protocol = 1;

-- the prefix is ours: a name that was mistyped is no placeholder
SET walstream.nonexistent = 'x';
SHOW walstream.nonexistent;

-- none of this has left anything
SELECT name, setting FROM pg_file_settings WHERE name ~ '^walstream\.(accept|protocol|nonexistent)$';
SELECT current_setting('walstream.compression') = :'before' AS the_same;
