# Copyright (c) 2026, the walstream authors

# New WAL must continue the stored WAL, even if nothing is received again that
# could be compared, either because the upstream no longer has the segment in
# which the relay's WAL ends, or because a timeline begins.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

use constant SEGMENT => 1024 * 1024;

# three receivers that are killed while they store a message look like decoding
# failures
declare_expected_warning(
	'uncompressed: suspended after repeated decoding failures');

my $primary = walstream_primary('primary',
	conf => "checkpoint_timeout = 1h\nmax_wal_size = 1GB\n");
my $pg_wal = $primary->data_dir . '/pg_wal';
my $relay = walstream_relay($primary, 'relay',
	conf => "walstream.relay_compress = off\n");
my $dir = store_dir($relay);
wait_for_relay_state($relay, 'streaming');

# Write a record; returns its end.
sub write_record
{
	my ($bytes) = @_;

	return lsn_number(
		$primary->safe_psql(
			'postgres',
			"SELECT pg_logical_emit_message(false, '', repeat('x', $bytes))")
	);
}

# Remove what the stopped relay has stored after a segment's end.
sub cut_at
{
	my ($boundary) = @_;
	my $segno = $boundary / SEGMENT - 1;
	my $last = WalstreamRelay::segment_name(1, $segno, SEGMENT);

	foreach my $file (store_files($dir))
	{
		unlink("$dir/$file") if substr($file, 0, 24) gt $last;
	}
	ok(-e "$dir/$last", "the relay's WAL ends at " . format_lsn($boundary));
	return "$pg_wal/$last";
}

sub goes_on
{
	my ($boundary, $what) = @_;
	my $log = -s $relay->logfile;

	# and remove that segment on the upstream
	my $last = cut_at($boundary);
	$primary->safe_psql('postgres', 'CHECKPOINT') foreach 1 .. 2;
	unlink($last);
	$relay->start;
	wait_for_relay_state($relay, 'streaming');
	load_wal($primary, 10);
	wait_for_relay($primary, $relay);
	my $begin = format_lsn($boundary);
	like(
		slurp_file($relay->logfile, $log),
		qr{receives WAL from \Q$begin\E on},
		"$what: begins at the boundary");
	return is(
		$relay->safe_psql(
			'postgres', 'SELECT ok FROM walstream_relay_verify()'),
		't',
		"$what: goes on");
}

sub next_boundary
{
	my $at = lsn_number(
		$primary->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()')
	);

	return ($at - $at % SEGMENT) + SEGMENT;
}

#
# Continuations of all kinds: a record that crosses the boundary, one that has
# more than a segment after it, one that ends with the segment, and a segment
# switch.
#
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
load_wal($primary, 10);
my $boundary = next_boundary();
write_record(3 * SEGMENT + 1000);
load_wal($primary, 10);
wait_for_relay($primary, $relay);
$relay->stop;
goes_on($boundary, 'a record of three segments');
cmp_ok(
	next_boundary() - $boundary,
	'>=',
	3 * SEGMENT,
	'the record has three segments');

# The relay's WAL ends within the last part of that record
$boundary += SEGMENT;
$relay->stop;
goes_on($boundary, 'within the record');

# Find out by how many bytes a record is longer than its message, with page
# headers.
my $overhead = 0;
for (;;)
{
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
	$boundary = next_boundary();
	my $begin = write_record(100);
	my $bytes =
	  $boundary - $begin - (($boundary - $begin) >> 13) * 24 - $overhead;
	my $end = write_record($bytes);
	last if $end == $boundary;
	$overhead +=
	  $end > $boundary ? $end - $boundary - 40 : -($boundary - $end);
	die "no record ends with a segment\n"
	  if $overhead > 1000 || $overhead < -1000;
}
load_wal($primary, 10);
wait_for_relay($primary, $relay);
$relay->stop;
goes_on($boundary, 'a record that ends with the segment');

$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
load_wal($primary, 10);
wait_for_relay($primary, $relay);
$boundary = next_boundary() - SEGMENT;
$relay->stop;
goes_on($boundary, 'a switch');

# The primary crashes in the middle of a record, and later overwrites the rest
# of it.
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
load_wal($primary, 10);
$primary->safe_psql('postgres', 'CHECKPOINT');
$boundary = next_boundary();
write_record(SEGMENT);
wait_for_relay($primary, $relay, format_lsn($boundary));
$relay->stop;
$primary->stop('immediate');
my $segno = $boundary / SEGMENT;

foreach my $file (grep { /^[0-9A-F]{24}$/ } slurp_dir($pg_wal))
{
	unlink("$pg_wal/$file")
	  if $file ge WalstreamRelay::segment_name(1, $segno, SEGMENT);
}
$primary->start;
load_wal($primary, 10);
goes_on($boundary, 'a record that was overwritten');
my ($stdout) = run_command(
	[
		'pg_waldump', '--path', $pg_wal, '--start',
		format_lsn($boundary), '--limit', 1
	]);
like($stdout, qr/OVERWRITE_CONTRECORD/, 'the record was overwritten');

#
# The relay is killed between writing and checking: what it has written still
# does not count.
#
my $faults = PostgreSQL::Test::Utils::tempdir() . '/faults';
$relay->append_conf('postgresql.conf', "fsync = on\n");

# Kill it when it syncs what it has written of the next segment, whose file may
# still have another name.
sub start_and_kill
{
	my ($boundary, $what) = @_;
	my $name = WalstreamRelay::segment_name(1, $boundary / SEGMENT, SEGMENT);
	my $end = format_lsn($boundary);

	unlink("$faults.raised");
	set_faults(
		$faults,
		"fsync $name.partial hold",
		"fdatasync $name.partial hold");
	start_preloaded($relay, 'power_fault', $dir, $faults);
	wait_for_fault($faults, qr/hold/);
	is(relay_row($relay)->{flushed_lsn},
		$end, "$what, killed: nothing of it counts");
	is( $primary->safe_psql(
			'postgres',
			"SELECT count(*) FROM pg_stat_replication WHERE write_lsn > '$end' OR flush_lsn > '$end'"
		),
		0,
		"$what, killed: nor was acknowledged");
	my $pid = relay_row($relay)->{receiver_pid};
	declare_expected_warning("\\(PID $pid\\) was terminated by signal 9");
	kill_and_wait($relay, $pid);
	like(slurp_file("$dir/$name.partial"),
		qr/[^\0]/, "$what, killed: some of it was written");
	set_faults($faults);
	$relay->start;
	return;
}

# An invalid record is recognized only at its end, after segments of it were
# stored.
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
load_wal($primary, 10);
$boundary = next_boundary();
write_record(3 * SEGMENT + 1000);
load_wal($primary, 10);
wait_for_relay($primary, $relay);
$relay->stop;
my $last = cut_at($boundary);
$primary->safe_psql('postgres', 'CHECKPOINT') foreach 1 .. 2;
unlink($last);

# stopped, since PostgreSQL 17 and later could send it from memory
$primary->stop;
flip_wal($primary, 1, $boundary + 2 * SEGMENT + 1000);
$primary->start;
start_and_kill($boundary, 'a record with another byte');
wait_for_relay_state($relay, 'diverged');
like(
	relay_row($relay)->{reason},
	qr/does not continue what is stored: .* incorrect resource manager data checksum/,
	'a record with another byte, when it is complete');
is(relay_row($relay)->{flushed_lsn},
	format_lsn($boundary), 'nothing of it counts then either');
flip_wal($primary, 1, $boundary + 2 * SEGMENT + 1000);
$relay->safe_psql('postgres', 'SELECT walstream_relay_resume()');
wait_for_relay_state($relay, 'streaming');
wait_for_relay($primary, $relay);
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'a good one is taken');

#
# No continuation: the primary begins a new history with the next segment.
#
foreach my $shape ('a switch', 'a record')
{
	$primary->safe_psql('postgres', 'CHECKPOINT');
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
	load_wal($primary, 10);
	if ($shape eq 'a record')
	{
		$boundary = next_boundary();
		write_record(SEGMENT);
		load_wal($primary, 10);
	}
	else
	{
		$boundary = next_boundary();
		$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
		load_wal($primary, 10);
	}
	wait_for_relay($primary, $relay);
	$relay->stop;
	cut_at($boundary);
	$primary->stop('immediate');
	unlink(map { "$pg_wal/$_" } grep { /^[0-9A-F]{24}$/ } slurp_dir($pg_wal));
	my $name = WalstreamRelay::segment_name(1, $boundary / SEGMENT, SEGMENT);
	system_or_bail('pg_resetwal', '-f', '-l', $name, '-D',
		$primary->data_dir);
	$primary->append_conf('postgresql.conf',
		"synchronous_standby_names = 'relay'\n");
	$primary->start;
	my $commit = start_psql($primary, 'CREATE TABLE waits (id int)');
	my $end = format_lsn($boundary);
	start_and_kill($boundary, $shape);

	foreach my $time ('at once', 'after a restart')
	{
		wait_for_relay_state($relay, 'diverged');
		like(
			relay_row($relay)->{reason},
			qr{^On timeline 1 the upstream's WAL from \Q$end\E on does not continue what is stored: there is no valid record behind },
			"$shape, $time: the state says why");
		is(relay_row($relay)->{flushed_lsn},
			$end, "$shape, $time: nothing of it counts");
		ok( waits_for_standby($primary, 'CREATE TABLE waits'),
			"$shape, $time: nothing is acknowledged");
		is( $relay->safe_psql(
				'postgres', 'SELECT ok FROM walstream_relay_verify()'),
			't',
			"$shape, $time: nor stored");
		$relay->restart if $time eq 'at once';
	}

	# the operator begins a new range
	wait_for_relay_state($relay, 'diverged');
	$relay->safe_psql('postgres',
		'SELECT walstream_relay_restart_after_gap()');
	wait_for_relay_state($relay, 'streaming');
	ok($commit->{run}->finish, "$shape: begun anew, the commit goes on");
	$primary->safe_psql('postgres', 'DROP TABLE waits');
	$primary->append_conf('postgresql.conf',
		"synchronous_standby_names = ''\n");
	$primary->reload;
}

#
# The first record of a timeline
#
my $two = walstream_standby($primary, 'two');
load_wal($primary, 10);
wait_for_replay($primary, $two);
my $end = wait_for_relay($primary, $relay);
$primary->stop;
wait_for_relay_state($relay, 'waiting for upstream');
my $flushed = relay_row($relay)->{flushed_lsn};
$two->promote;
load_wal($two, 10);
$two->safe_psql('postgres', 'CHECKPOINT');
my ($switch) =
  slurp_file($two->data_dir . '/pg_wal/00000002.history') =~ m{^1\s+(\S+)}m;

flip_link($two, 2, $switch);
set_relay_upstream($relay, $two->connstr);
wait_for_relay_state($relay, 'diverged');
like(
	relay_row($relay)->{reason},
	qr{^On timeline 2 the upstream's WAL from \Q$switch\E on does not continue what is stored: there is no valid record behind \Q$switch\E: .*prev-link},
	'a timeline whose first record is not linked');
is(relay_row($relay)->{timeline}, 1, 'is not followed');
is(relay_row($relay)->{flushed_lsn},
	$flushed, 'the refused timeline does not count');
is( $two->safe_psql(
		'postgres',
		"SELECT count(*) FROM pg_stat_replication WHERE flush_lsn > '$switch'"
	),
	0,
	'the refused timeline was not acknowledged');
$relay->restart;
wait_for_relay_state($relay, 'diverged');
flip_link($two, 2, $switch);
$relay->safe_psql('postgres', 'SELECT walstream_relay_resume()');
wait_until(
	$relay,
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'a good one is');
load_wal($two, 10);
wait_for_relay($two, $relay);
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'all is whole');

done_testing();
