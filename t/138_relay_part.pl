# Copyright (c) 2026, the walstream authors

# A standby restores a whole segment from an archive and continues with a relay
# that has only a part of that segment, so the standby's start is ahead of the
# relay's end.  Walreceivers of the releases of August 2026 and later compare
# the start with the answer to IDENTIFY_SYSTEM, and wait; older ones request
# WAL and are refused until the relay has it.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $archive = PostgreSQL::Test::Utils::tempdir();
my $primary = walstream_primary('primary',
	conf => "archive_mode = on\narchive_command = 'cp %p $archive/%f'\n");
my $relay = walstream_relay(
	$primary, 'relay',
	slot => 'relay',
	conf => "log_replication_commands = on\n");
wait_for_relay_state($relay, 'streaming');
$primary->backup('backup');

# The relay has a part of a segment, which the primary completes and archives.
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
load_wal($primary, 100);
wait_for_relay($primary, $relay);
$relay->safe_psql('postgres', 'SELECT walstream_relay_pause()');
wait_for_relay_state($relay, 'paused');
load_wal($primary, 100);
my $segment = $primary->safe_psql('postgres',
	'SELECT pg_walfile_name(pg_current_wal_lsn())');
my $flushed = relay_row($relay)->{flushed_lsn};
is($primary->safe_psql('postgres', "SELECT pg_walfile_name('$flushed')"),
	$segment, 'the relay is within a segment');
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
wait_until(
	$primary,
	"SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver",
	'the whole of it is archived');
load_wal($primary, 10);

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup');
my $conninfo = $relay->connstr =~ s/'/''/gr;
$standby->append_conf(
	'postgresql.conf', qq(
shared_preload_libraries = 'walstream'
archive_mode = off
primary_conninfo = '$conninfo'
restore_command = 'cp $archive/%f %p'
wal_retrieve_retry_interval = '200ms'
));
$standby->set_standby_mode;
$standby->start;

# The standby is ahead by the rest of the segment, and gets no farther, however
# often it connects.
my $attempts = 100 * $PostgreSQL::Test::Utils::timeout_default;
my $log = '';
while ($attempts-- > 0)
{
	$log = slurp_file($relay->logfile);
	last
	  if (() = $log =~
		/standby LOG:  received replication command: IDENTIFY_SYSTEM/g) >= 3;
	select(undef, undef, undef, 0.01);
}
cmp_ok($attempts, '>', 0,
	'the standby asks where the relay is, again and again');
is(relay_row($relay)->{flushed_lsn},
	$flushed, 'the relay still has only a part of the segment');
is( $standby->safe_psql(
		'postgres', "SELECT pg_last_wal_replay_lsn() > '$flushed'"),
	't',
	'the standby has replayed more');
my $version = $standby->safe_psql('postgres', 'SHOW server_version_num');
SKIP:
{
	skip 'walreceivers of this release do not compare', 2
	  if $version < 150019
	  || $version >= 160000 && $version < 160015
	  || $version >= 170000 && $version < 170011
	  || $version >= 180000 && $version < 180006;
	like(
		slurp_file($standby->logfile),
		qr/is ahead of the upstream server's flush position/,
		'the walreceiver waits');
	unlike(
		$log,
		qr/requested starting point/,
		'and does not ask for what is not there');
}

# When the relay continues, the standby does, too.
$relay->safe_psql('postgres', 'SELECT walstream_relay_resume()');
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 100);
wait_for_replay($primary, $standby);
wait_until(
	$standby,
	"SELECT status = 'streaming' FROM pg_stat_wal_receiver",
	'the standby streams from the relay');
wait_until(
	$relay,
	"SELECT count(*) = 1 FROM walstream_senders WHERE application_name = 'standby' AND state = 'streaming'",
	"the relay shows the standby's stream");
standby_matches($primary, $standby);

# A standby that has followed the primary can itself be ahead within the
# segment: it asks for the segment's start and is served.
$relay->safe_psql('postgres', 'SELECT walstream_relay_pause()');
wait_for_relay_state($relay, 'paused');
$standby->adjust_conf('postgresql.conf', 'restore_command', "''");
$standby->adjust_conf('postgresql.conf', 'primary_conninfo',
	"'" . ($primary->connstr =~ s/'/''/gr) . "'");
$standby->reload;
load_wal($primary, 20);
wait_for_replay($primary, $standby);
$standby->stop;
$standby->adjust_conf('postgresql.conf', 'primary_conninfo', "'$conninfo'");
$standby->start;
wait_until(
	$relay,
	"SELECT count(*) = 1 FROM walstream_senders WHERE application_name = 'standby' AND state <> 'startup'",
	'a standby that is ahead within a segment is served');
$relay->safe_psql('postgres', 'SELECT walstream_relay_resume()');
load_wal($primary, 20);
wait_for_replay($primary, $standby);
standby_matches($primary, $standby, 'after being ahead');

done_testing();
