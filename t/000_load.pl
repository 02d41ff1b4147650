# Copyright (c) 2026, the walstream authors

# Servers with and without walstream preloaded: without it the extension can be
# created, and its functions say what is missing.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

my $node = walstream_primary('primary', walstream => 0);
$node->safe_psql('postgres', 'CREATE EXTENSION walstream');

foreach my $query (
	'SELECT * FROM walstream_senders',
	'SELECT * FROM walstream_receiver',
	'SELECT * FROM walstream_totals',
	'SELECT * FROM walstream_overview',
	'SELECT walstream_oldest_send_lsn()',
	'SELECT walstream_get_sender_slots()',
	'SELECT walstream_get_receivers()',
	'SELECT walstream_get_totals()',
	'SELECT walstream_reset_stats()')
{
	my ($status, $stdout, $stderr) = $node->psql('postgres', $query);

	is($status, 3, "$query: an error");
	like(
		$stderr,
		qr/ERROR:  walstream must be loaded via "shared_preload_libraries"\n.*HINT:  .*shared_preload_libraries/s,
		"$query: says what to do");
}

# LOAD in a session neither fails nor changes anything.
my ($status, $stdout, $stderr) =
  $node->psql('postgres', "LOAD 'walstream'; SELECT 'goes on'");
is("$status $stdout $stderr", '0 goes on ', 'LOAD is harmless');
isnt($node->psql('postgres', "LOAD 'walstream'; SHOW walstream.compression"),
	0, 'LOAD defines no setting');

# Functions that do not use shared memory work without preloading, too.
like($node->safe_psql('postgres', 'SELECT walstream_version()'),
	qr/^\d+\.\d+$/, 'walstream_version()');

# PostgreSQL 18 has a function that shows the loaded modules.
SKIP:
{
	skip 'no pg_get_loaded_modules()',
	  1
	  if $node->safe_psql('postgres',
		"SELECT to_regproc('pg_get_loaded_modules') IS NULL") eq 't';
	is( $node->safe_psql(
			'postgres', q{LOAD 'walstream';
SELECT count(*), bool_and(module_name = 'walstream' AND version = walstream_version())
  FROM pg_get_loaded_modules() WHERE file_name ~ '^walstream\.'}),
		'1|t',
		'the module says its name and version');
}

$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'walstream'");
$node->restart;
is($node->safe_psql('postgres', 'SELECT count(*) FROM walstream_senders'),
	'0', 'loaded: no sender');
is( $node->safe_psql('postgres', 'SHOW walstream.compression'),
	'walz zstd lz4',
	'loaded: default of walstream.compression');

done_testing();
