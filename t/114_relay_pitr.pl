# Copyright (c) 2026, the walstream authors

# A base backup is rolled forward by streaming from a relay alone: to the end
# of WAL, to a position, a time or a restore point, without an archive and
# without the primary.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary',
	conf =>
	  "wal_keep_size = 0\nmin_wal_size = '2MB'\nmax_wal_size = '2MB'\n");
my $relay = walstream_relay($primary, 'relay', slot => 'relay');
wait_for_relay_state($relay, 'streaming');
$primary->safe_psql('postgres', 'CREATE TABLE steps (step int)');
$primary->backup('backup');

# After each step, write enough WAL that the primary removes that of the step.
my %target;
foreach my $step (1 .. 4)
{
	$primary->safe_psql('postgres', "INSERT INTO steps VALUES ($step)");
	$target{lsn}[$step] = $primary->lsn('insert');
	$target{name}[$step] = "after $step";
	$primary->safe_psql('postgres',
		"SELECT pg_create_restore_point('after $step')");
	$target{time}[$step] =
	  $primary->safe_psql('postgres', 'SELECT clock_timestamp()');
	load_wal($primary, 5000);
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
	wait_for_relay($primary, $relay);
	$primary->safe_psql('postgres', 'CHECKPOINT');
}
$primary->safe_psql('postgres', 'INSERT INTO steps VALUES (5)');
wait_for_relay($primary, $relay);
my @kept = glob($primary->data_dir . '/pg_wal/0*');
cmp_ok(scalar(@kept), '<', 8, 'the primary has forgotten much of it');
my $checksums = table_checksums($primary);
$primary->stop('immediate');
$relay->restart;
wait_for_relay_state($relay, 'waiting for upstream');

foreach my $case (
	[ 'lsn', 2, 'recovery_target_lsn' ],
	[ 'time', 3, 'recovery_target_time' ],
	[ 'name', 1, 'recovery_target_name' ])
{
	my ($kind, $step, $setting) = @$case;
	my $node = PostgreSQL::Test::Cluster->new("to_$kind");
	my $conninfo = $relay->connstr =~ s/'/''/gr;

	$node->init_from_backup($primary, 'backup');
	$node->append_conf(
		'postgresql.conf', qq(
shared_preload_libraries = ''
primary_conninfo = '$conninfo'
restore_command = ''
$setting = '$target{$kind}[$step]'
recovery_target_action = pause
));
	$node->set_standby_mode;
	$node->start;
	$node->poll_query_until('postgres',
		"SELECT pg_get_wal_replay_pause_state() = 'paused'")
	  or die "the target is not reached\n";
	is($node->safe_psql('postgres', 'SELECT max(step) FROM steps'),
		$step, "$setting: as it was then");
	$node->stop;
}

# Recover to the end, and promote
my $node = PostgreSQL::Test::Cluster->new('to_end');
my $conninfo = $relay->connstr =~ s/'/''/gr;
$node->init_from_backup($primary, 'backup');
$node->append_conf('postgresql.conf',
	"primary_conninfo = '$conninfo'\nrestore_command = ''\n");
$node->set_standby_mode;
$node->start;
my $flushed = relay_row($relay)->{flushed_lsn};
$node->poll_query_until('postgres',
	"SELECT pg_last_wal_replay_lsn() >= '$flushed'")
  or die "the end is not reached\n";
$node->promote;
is(table_checksums($node), $checksums,
	'to the end: all that the primary had');

# The store can be used as an archive, too.
wait_until(
	$relay,
	"SELECT count(*) = 0 FROM walstream_relay_segments WHERE state NOT IN ('zstd', 'partial')",
	'all that is closed is compressed');
my $restored = PostgreSQL::Test::Cluster->new('restored');
my $dir = store_dir($relay);
$restored->init_from_backup($primary, 'backup');
$restored->append_conf(
	'postgresql.conf', qq(
restore_command = 'test -f "$dir/%f.zst" && zstd -dcq "$dir/%f.zst" > "%p"'
recovery_target_lsn = '$target{lsn}[3]'
recovery_target_action = pause
));
$restored->set_recovery_mode;
$restored->start;
$restored->poll_query_until('postgres',
	"SELECT pg_get_wal_replay_pause_state() = 'paused'")
  or die "the target is not reached\n";
is($restored->safe_psql('postgres', 'SELECT max(step) FROM steps'),
	3, 'zstd -dc is a restore_command');

done_testing();
