# Copyright (c) 2026, the walstream authors

# The stored WAL ends exactly with a segment, as after pg_switch_wal().

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

use constant SEGMENT => 1024 * 1024;

my $primary = walstream_primary('primary');
my $relay = walstream_relay($primary, 'relay', slot => 'relay');
wait_for_relay_state($relay, 'streaming');

# Stop the relay when it has everything, up to the end of a segment.
sub stop_at_boundary
{
	foreach (1 .. 10)
	{
		load_wal($primary, 100);
		$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
		wait_for_relay($primary, $relay);
		my $lsn = pause_relay($relay);
		if (lsn_number($lsn) % SEGMENT == 0)
		{
			$relay->stop;
			return $lsn;
		}
		$relay->safe_psql('postgres', 'SELECT walstream_relay_resume()');
		wait_for_relay_state($relay, 'streaming');
	}
	die "the relay is never at a segment's end\n";
}

#
# A server that has diverged before the boundary.
#
load_wal($primary, 100);
wait_for_relay($primary, $relay);
$primary->stop;
$primary->backup_fs_cold('cold');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($primary, 'cold');
$_->start foreach $primary, $copy;
wait_for_relay_state($relay, 'streaming');
my $boundary = stop_at_boundary();

while (
	$copy->safe_psql('postgres',
		"SELECT pg_current_wal_flush_lsn() <= '$boundary'") eq 't')
{
	load_wal($copy, 100);
}
my $log = -s $relay->logfile;
$relay->append_conf('postgresql.conf',
		"walstream.relay_upstream = '"
	  . WalstreamRelay::quote($copy->connstr)
	  . "'\n");
$relay->start;
wait_for_relay_state($relay, 'diverged');
note('diverged: ' . relay_row($relay)->{reason});
is(relay_row($relay)->{flushed_lsn}, $boundary, 'nothing of it is stored');
is( $copy->safe_psql(
		'postgres',
		"SELECT count(*) FROM pg_stat_replication WHERE flush_lsn >= '$boundary'"
	),
	0,
	'nor acknowledged');

#
# Back to the right upstream, which is compared in the same segment.
#
$log = -s $relay->logfile;
set_relay_upstream($relay, $primary->connstr);
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 100);
wait_for_relay($primary, $relay);
my $earlier = format_lsn(lsn_number($boundary) - SEGMENT);
like(
	slurp_file($relay->logfile, $log),
	qr{receives WAL from \Q$earlier\E on},
	'it begins one segment earlier');

#
# The upstream keeps only what its slot requires.
#
$primary->append_conf('postgresql.conf', "wal_keep_size = 0\n");
$primary->reload;
$boundary = stop_at_boundary();
wait_until(
	$primary,
	"SELECT restart_lsn = '$boundary' FROM pg_replication_slots",
	'the slot is at the boundary');
my $last =
	$primary->data_dir
  . '/pg_wal/'
  . WalstreamRelay::segment_name(1, lsn_number($boundary) / SEGMENT - 1,
	SEGMENT);
for (my $i = 0; -e $last && $i < 10; $i++)
{
	load_wal($primary, 100);
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
	$primary->safe_psql('postgres', 'CHECKPOINT');
}
ok(!-e $last, 'the segment before is gone');
$log = -s $relay->logfile;
$relay->start;
wait_for_relay_state($relay, 'streaming');
wait_for_relay($primary, $relay);
my $said = slurp_file($relay->logfile, $log);
like(
	$said,
	qr{receives WAL from \Q$boundary\E on},
	'the relay begins at the boundary');
unlike($said, qr/stops receiving/, 'and is in no gap');
is( $primary->safe_psql(
		'postgres',
		"SELECT restart_lsn >= '$boundary' FROM pg_replication_slots"),
	't',
	'the slot has not gone back');
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'all that is stored is one');

done_testing();
