# Copyright (c) 2026, the walstream authors

# A relay that is told to begin a new range gives up nothing before it has
# something new: the upstream's slot promises WAL that does not exist, the
# upstream has no WAL at all, the disk is full, the relay crashes.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

declare_expected_warning(
	'replication slot "relay" on the upstream had to be made anew');
declare_expected_warning('was terminated by signal 9: Killed');
declare_expected_warning(
	'terminating connection because of crash of another server process');

# Continue a stopped process at the end, or its server could not be stopped.
my $stopped;

END
{
	local $?;
	continue_process();
}

sub stop_process
{
	my ($pid) = @_;

	die "no process \"$pid\"\n" unless $pid =~ /^\d+$/;
	kill('STOP', $pid) == 1 or die "could not stop process $pid: $!\n";
	$stopped = $pid;
	return;
}

sub continue_process
{
	kill('CONT', $stopped) if defined $stopped;
	undef $stopped;
	return;
}

my $primary = walstream_primary('primary', conf => "wal_keep_size = 0\n");
my $pg_wal = $primary->data_dir . '/pg_wal';
my $base = PostgreSQL::Test::Utils::tempdir();
my $dir = "$base/store";
my $faults = "$base/faults";
mkdir($dir, 0700);
my $relay = walstream_relay(
	$primary, 'relay',
	directory => $dir,
	slot => 'relay',
	start => 0,
	conf =>
	  "fsync = on\nwalstream.relay_compress = off\nwal_sender_timeout = 0\n");
start_preloaded($relay, 'power_fault', $dir, $faults);
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
wait_for_relay_state($relay, 'streaming');
write_segments($primary, $relay, 2);
$relay->safe_psql('postgres', "SELECT walstream_create_relay_slot('slot')");
my $first = relay_row($relay)->{first_lsn};
my $end = wait_for_relay($primary, $relay);

sub set_aside
{
	return scalar grep { /^before-gap/ } slurp_dir($dir);
}

sub restart_after_gap
{
	return $relay->safe_psql('postgres',
		'SELECT walstream_relay_restart_after_gap()');
}

# A client asks for an impossible xmin; the slot has the relay's bound instead.
my $bound;

sub shown_xmin
{
	return relay_slot_row($relay, 'slot')->{xmin};
}

# Check that the relay still has everything, and waits for an operator.
sub is_as_before
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	wait_for_relay_state($relay, 'gap');
	my $row = relay_row($relay);
	is( "$row->{first_lsn} $row->{flushed_lsn}",
		"$first $end",
		"$what: what is stored is as it was");
	is(set_aside(), 0, "$what: nothing is set aside");
	is(shown_xmin(), $bound, "$what: what transactions there are is known");
	like(
		slurp_file("$dir/walstream.xids"),
		qr/^next_xid \d+$/m,
		"$what: also in a file");
	return is(relay_slot_row($relay, 'slot')->{lost},
		JSON::PP::false, "$what: no slot is lost");
}

# Remove WAL that the upstream's slot holds.
$relay->stop;
foreach (1 .. 5)
{
	load_wal($primary, 100);
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
}
$primary->safe_psql('postgres', 'CHECKPOINT');
my $segno = lsn_number($end) >> 20;
unlink(map { "$pg_wal/" . WalstreamRelay::segment_name(1, $_, 1024 * 1024) }
	  $segno - 1 .. $segno + 2);
start_preloaded($relay, 'power_fault', $dir, $faults);
wait_until(
	$relay,
	"SELECT size > 0 FROM pg_stat_file('$dir/walstream.xids', true)",
	'the keeper has written down how far transactions are');
is_as_before('a gap');
my ($slot_lsn) = $primary->safe_psql('postgres',
	'SELECT restart_lsn FROM pg_replication_slots');
like(
	relay_row($relay)->{reason},
	qr{no longer the WAL from \S+ on timeline 1 on; stored is WAL up to \Q$end\E, and the upstream is at \S+, although its slot "relay" should keep it from \Q$slot_lsn\E on$},
	'what the slot promises is not told as true');

#
# Attempts that fail
#
my $client = WalstreamClient->new($relay);
$client->start("START_REPLICATION SLOT slot $first");
$client->_send('d', 'h' . pack('q> N4', 0, 1_000_000_000, 0, 0, 0));
wait_until(
	$relay,
	"SELECT xmin IS NOT NULL FROM walstream_relay_slots",
	'a client asks for too much');
$bound = shown_xmin();
isnt($bound, 1_000_000_000, "the slot's xmin is bounded");

my $log = -s $relay->logfile;
my $receiver = relay_row($relay)->{receiver_pid};
set_faults($faults, 'create new-range.tmp* ENOSPC');
restart_after_gap();
$relay->wait_for_log(
	qr/ERROR:  could not create directory ".*new-range.tmp": No space left/,
	$log);
set_faults($faults);
wait_for_next_receiver($relay, $receiver);
is_as_before('no room');

# The upstream's own current segment is missing, too.
my $current = "$pg_wal/"
  . $primary->safe_psql('postgres',
	'SELECT pg_walfile_name(pg_current_wal_lsn())');
my ($redo) =
  map { "$pg_wal/$_" }
  $primary->safe_psql('postgres',
	'SELECT redo_wal_file FROM pg_control_checkpoint()');
my @hidden = do
{
	my %s;
	grep { !$s{$_}++ } $current, $redo;
};

# Nothing may write WAL meanwhile: stop the background writer, which could at
# any time.
stop_process(
	$primary->safe_psql(
		'postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'background writer'"
	));
$primary->poll_query_until(
	'postgres',
	# a page header may remain unflushed
	'SELECT pg_current_wal_insert_lsn() - pg_current_wal_flush_lsn() <= 40'
) or die "the primary does not flush its WAL\n";
rename($_, "$_.hidden") || die "$_: $!\n" foreach @hidden;
restart_after_gap();
wait_until(
	$relay,
	"SELECT state = 'gap' AND reason LIKE '%has not even the WAL%' FROM walstream_relay",
	'an upstream without WAL');
is_as_before('no WAL');
like(
	relay_row($relay)->{reason},
	qr/; what is stored is as it was$/,
	'the state says so');
rename("$_.hidden", $_) || die "$_: $!\n" foreach @hidden;
continue_process();

# A crash before the last step
set_faults($faults, 'fdatasync new-range.tmp/* hold');
restart_after_gap();
wait_for_fault($faults, qr{^fdatasync new-range\.tmp/}m);
load_wal($primary, 10);
is( $primary->safe_psql(
		'postgres',
		"SELECT count(*) FROM pg_stat_replication WHERE flush_lsn > '0/0'"),
	0,
	'nothing is acknowledged before');
is(relay_row($relay)->{flushed_lsn},
	$end, 'nothing is published before the new range is complete');
kill_and_wait($relay, relay_row($relay)->{receiver_pid});
set_faults($faults);
start_preloaded($relay, 'power_fault', $dir, $faults);
is_as_before('a crash');
ok(!-e "$dir/new-range.tmp", 'what was not entered is removed');

#
# Finally it succeeds.
#
$log = -s $relay->logfile;
restart_after_gap();
wait_for_relay_state($relay, 'streaming');
is(set_aside(), 1, 'what was stored is set aside');
ok(!-e "$dir/new-range.tmp", 'the new range is in its place');
is(relay_slot_row($relay, 'slot')->{lost}, JSON::PP::true, 'slots are lost');

sub is_right
{
	my ($what) = @_;

	load_wal($primary, 100);
	my $upto = wait_for_relay($primary, $relay);
	return is(
		compare_store(
			$dir, 1, lsn_number(relay_row($relay)->{first_lsn}),
			lsn_number($upto), $pg_wal),
		undef, $what);
}
is_right('all is there');
$relay->restart;
wait_for_relay_state($relay, 'streaming');
is_right('also after a restart');

#
# A relay without WAL begins with what the upstream has, whatever its slot
# promises.
#
$primary->safe_psql('postgres',
	"SELECT pg_create_physical_replication_slot('old', true)");
$slot_lsn = $primary->safe_psql('postgres',
	"SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'old'");
foreach (1 .. 3)
{
	load_wal($primary, 100);
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
}
$primary->safe_psql('postgres', 'CHECKPOINT');
wait_for_relay($primary, $relay);
$segno = lsn_number($slot_lsn) >> 20;
unlink("$pg_wal/" . WalstreamRelay::segment_name(1, $segno, 1024 * 1024));
my $fresh = walstream_relay($primary, 'fresh', slot => 'old');
wait_for_relay_state($fresh, 'streaming');
like(
	slurp_file($fresh->logfile),
	qr{LOG:  created replication slot "old" on the upstream: it was at \Q$slot_lsn\E, where the upstream has no WAL},
	'a slot whose WAL is not there is made anew');
$fresh->stop;

#
# An upstream that was put back to an earlier state, with a slot that is ahead
# of it.
#
$primary->safe_psql('postgres', "SELECT pg_drop_replication_slot('old')");
$relay->stop;
$primary->stop;
$primary->backup_fs_cold('cold');
$_->start foreach $primary, $relay;
wait_for_relay_state($relay, 'streaming');
write_segments($primary, $relay, 3);
$relay->stop;
$primary->stop;
my $earlier = PostgreSQL::Test::Cluster->new('earlier');
$earlier->init_from_backup($primary, 'cold');
system_or_bail(
	'cp',
	$primary->data_dir . '/pg_replslot/relay/state',
	$earlier->data_dir . '/pg_replslot/relay/state');
$earlier->start;
$relay->append_conf('postgresql.conf',
		"walstream.relay_upstream = '"
	  . WalstreamRelay::quote($earlier->connstr)
	  . "'\n");
$relay->start;
wait_for_relay_state($relay, 'behind');
restart_after_gap();
wait_for_relay_state($relay, 'streaming');
is(set_aside(), 2, 'behind: begun anew');
load_wal($earlier, 100);
$end = wait_for_relay($earlier, $relay);
is( $earlier->safe_psql(
		'postgres', "SELECT restart_lsn <= '$end' FROM pg_replication_slots"),
	't',
	'the slot too');
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't', 'verified');

done_testing();
