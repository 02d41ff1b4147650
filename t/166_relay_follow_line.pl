# Copyright (c) 2026, the walstream authors

# After a failover that did not ask a relay, the relay may have records that
# the new primary lacks.  It follows only the line that was approved, if it has
# no more records than were approved, and keeps those records aside.

use strict;
use warnings;

use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $one = walstream_primary('one');
my $two = walstream_standby($one, 'two');

# Compression is off, so that files are not replaced while the test reads them.
my ($relay, $early) = map {
	walstream_relay(
		$one, $_,
		start => $_ eq 'relay',
		conf => "walstream.relay_compress = off\n")
} qw(relay early);

# "early" is on a file system without hard links.
my $faults = PostgreSQL::Test::Utils::tempdir() . '/faults';
mkdir(store_dir($early), 0700) or die "could not make a directory: $!\n";
start_preloaded($early, 'power_fault', store_dir($early), $faults);
set_faults($faults, 'link * EPERM');
$early->safe_psql('postgres', 'CREATE EXTENSION walstream');
wait_for_relay_state($_, 'streaming') foreach $relay, $early;
load_wal($one, 100);
wait_for_replay($one, $two);

# Let the relays have some segments that the standby lacks.
$two->stop;
foreach (1 .. 2)
{
	load_wal($one, 100);
	$one->safe_psql('postgres', 'SELECT pg_switch_wal()');
}
load_wal($one, 100);
wait_for_relay($one, $_) foreach $relay, $early;
$early->safe_psql('postgres', 'SELECT walstream_relay_pause()');
wait_for_relay_state($early, 'paused');
$one->stop('immediate');
wait_for_relay_state($relay, 'waiting for upstream');
my $end = relay_row($relay)->{flushed_lsn};
$two->start;
$two->promote;
load_wal($two, 100);
my ($switch) =
  slurp_file($two->data_dir . '/pg_wal/00000002.history') =~ m{^1\s+(\S+)}m;
cmp_ok(lsn_number($switch), '<', lsn_number($end),
	'the new primary lacks records');

# The relay's files of timeline 1, from the switch point on.
my $first =
  WalstreamRelay::segment_name(1, lsn_number($switch) >> 20, 1 << 20);

sub surplus_names
{
	my ($dir) = @_;

	return
	  grep { /^00000001/ && substr($_, 0, 24) ge $first } store_files($dir);
}

sub follow
{
	my ($node, $tli, $lsn, $up_to) = @_;
	my ($rc, $stdout, $stderr) =
	  $node->psql('postgres',
		"SELECT walstream_relay_follow($tli, '$lsn', '$up_to')");

	return $rc == 0 ? 'ok' : $stderr;
}

set_relay_upstream($relay, $two->connstr);
wait_for_relay_state($relay, 'diverged');
my ($record_end) =
  relay_row($relay)->{reason} =~
  /complete records up to ([0-9A-F]+\/[0-9A-F]+)/;

sub shifted
{
	my ($lsn, $bytes) = @_;

	return format_lsn(lsn_number($lsn) + $bytes);
}

like(
	follow($relay, 1, $switch, $end),
	qr/timeline 1 does not follow any other/,
	'timeline 1');
like(follow($relay, 2, '0/0', $end), qr/there is no WAL from/, 'no position');
like(
	follow($relay, 2, $end, $switch),
	qr/there is no WAL from/,
	'less than nothing');

# A line is not followed if another one was approved, or if the relay has more
# records than were approved.
foreach my $case (
	[ 3, $switch, $end, 'another timeline' ],
	[ 2, shifted($switch, 8), $end, 'another position' ],
	[ 2, $switch, shifted($record_end, -8), 'fewer records' ])
{
	my ($tli, $lsn, $up_to, $what) = @$case;
	my $log = -s $relay->logfile;

	is(follow($relay, $tli, $lsn, $up_to), 'ok', "$what: is approved");
	$relay->wait_for_log(qr/relay stops receiving/, $log);
	wait_for_relay_state($relay, 'diverged');
}
is(relay_row($relay)->{timeline}, 1, 'none of these is followed');
is(join(' ', glob(store_dir($relay) . '/surplus.*')),
	'', 'nothing is kept aside');

my %kept =
  map { substr($_, 0, 24) => store_content(store_dir($relay) . "/$_") }
  surplus_names(store_dir($relay));
cmp_ok(scalar(keys %kept), '>=', 3, 'the relay has some segments in excess');
is(follow($relay, 2, $switch, $record_end), 'ok',
	'the right one is approved');
wait_until(
	$relay,
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'the approved line is followed');
my ($aside) = glob(store_dir($relay) . '/surplus.*');
my %aside =
  map { substr($_, 0, 24) => store_content("$aside/$_") } store_files($aside);
is_deeply(
	[ sort keys %aside ],
	[ sort keys %kept ],
	'all segments in excess are kept aside');
is(scalar(grep { $aside{$_} ne $kept{$_} } keys %kept),
	0, 'the segments kept aside have their bytes');
load_wal($two, 100);
wait_for_relay($two, $relay);
is( compare_store(
		store_dir($relay), 2, lsn_number($switch),
		lsn_number(relay_row($relay)->{flushed_lsn}),
		$two->data_dir . '/pg_wal'),
	undef,
	'the new line is stored');
is(follow($relay, 2, $switch, $record_end),
	'ok', 'who is late to approve it does no harm');
$relay->restart;
wait_for_relay_state($relay, 'streaming');

# If the line is approved in advance, the relay follows without stopping.
is(follow($early, 2, $switch, $end),
	'ok', 'the line is approved for the one that is paused');
is(relay_row($early)->{state}, 'paused', 'the paused relay stays paused');
my $log = -s $early->logfile;

# WAL that was kept aside before is not overwritten.
my $other = store_dir($early) . '/' . basename($aside);
my ($file) = surplus_names(store_dir($early));
mkdir($other, 0700) or die "could not make a directory: $!\n";
append_to_file("$other/$file", 'x');
set_relay_upstream($early, $two->connstr);
$early->safe_psql('postgres', 'SELECT walstream_relay_resume()');
$early->wait_for_log(
	qr{ERROR:  file ".*/surplus.*/$file" exists with other content}, $log);
is(slurp_file("$other/$file"), 'x', 'a file that is there stays');
unlink("$other/$file");
wait_until(
	$early,
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'the relay with a line approved in advance follows');
unlike(
	slurp_file($early->logfile, $log),
	qr/relay stops receiving/,
	'it follows without stopping');
($aside) = glob(store_dir($early) . '/surplus.*');
is_deeply(
	[ sort map { substr($_, 0, 24) } store_files($aside) ],
	[ sort keys %kept ],
	'what it had in excess is kept aside');
is( scalar(
		grep { store_content("$aside/$_") ne $kept{ substr($_, 0, 24) } }
		  store_files($aside)),
	0,
	'the copies kept aside have their bytes');
like(
	slurp_file("$faults.raised"),
	qr/^link surplus/m,
	'without hard links files are copied');

done_testing();
