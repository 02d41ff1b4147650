# Copyright (c) 2026, the walstream authors

# pg_upgrade with walstream preloaded, configured and in use on both sides.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

my $conf = "walstream.compression = 'lz4:3 zstd'\n";
my $old = walstream_primary('old', conf => $conf);
$old->safe_psql(
	'postgres', q{
CREATE SCHEMA monitoring;
CREATE EXTENSION walstream SCHEMA monitoring;
CREATE VIEW of_mine AS SELECT codec FROM monitoring.walstream_senders});
load_wal($old);
my $checksums = table_checksums($old);
$old->stop;

# The new cluster is empty, but has the same configuration.
my $new = walstream_primary('new', conf => $conf, start => 0);

# pg_upgrade leaves files in its working directory.
my $dir = PostgreSQL::Test::Utils::tempdir();
my ($bindir) = run_command([ 'pg_config', '--bindir' ]);
my @upgrade = (
	'pg_upgrade', '--no-sync',
	'--old-datadir' => $old->data_dir,
	'--new-datadir' => $new->data_dir,
	'--old-bindir' => $bindir,
	'--new-bindir' => $bindir,
	'--socketdir' => $new->host,
	'--old-port' => $old->port,
	'--new-port' => $new->port);
chdir($dir) || die "could not change to \"$dir\": $!";
command_ok([ @upgrade, '--check' ], 'pg_upgrade --check');
command_ok(\@upgrade, 'pg_upgrade');
$new->start;

is(table_checksums($new), $checksums, 'the tables are there');
is( $new->safe_psql(
		'postgres',
		"SELECT extversion, extnamespace::regnamespace FROM pg_extension WHERE extname = 'walstream'"
	),
	'1.0|monitoring',
	'the extension is there');
is($new->safe_psql('postgres', 'SHOW walstream.compression'),
	'lz4:3 zstd', 'walstream.compression is in force');
is( $new->safe_psql('postgres', 'SELECT monitoring.walstream_version()'),
	$new->safe_psql(
		'postgres',
		"SELECT extversion FROM pg_extension WHERE extname = 'walstream'"),
	'the library answers');

# Streaming from the upgraded cluster works.
my $standby = walstream_standby($new, 'standby');
load_wal($new);
standby_matches($new, $standby, 'standby of the new cluster');
is($new->safe_psql('postgres', 'SELECT codec FROM of_mine'),
	'lz4', 'views work, and the stream is compressed');
is( $new->safe_psql(
		'postgres', q{
SELECT has_table_privilege('pg_monitor', 'monitoring.walstream_senders', 'SELECT'),
	has_function_privilege('pg_monitor', 'monitoring.walstream_get_sender_slots()', 'EXECUTE'),
	has_function_privilege('public', 'monitoring.walstream_reset_stats()', 'EXECUTE')}
	),
	't|t|f',
	'rights are kept');

done_testing();
