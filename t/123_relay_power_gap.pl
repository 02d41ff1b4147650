# Copyright (c) 2026, the walstream authors

# Power cuts while WAL is set aside after a gap: a segment is always in one of
# the two directories, with the history that it belongs to, and what is left in
# the relay's own is what it starts with.  Any sync left out must fail that, and
# which there are is known.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamPower;
use WalstreamRelay;
use WalstreamTest;

# The kinds of sync that must occur, for segments in each form.
my @kinds = (
	'fsync of the directory store/ after making store/before-gap',
	'fsync store/before-gap/TIMELINE.history',
	'fsync of the directory store/before-gap/ after renaming store/before-gap/TIMELINE.history to store/before-gap/TIMELINE.history',
	map {
		(   "fsync of the directory store/before-gap/ after renaming store/SEGMENT$_ to store/before-gap/SEGMENT$_",
			"fsync of the directory store/ after moving store/SEGMENT$_ away")
	} '.zst', '', '.partial');

my $seed = $ENV{WALSTREAM_TEST_SEED} // time();
note("seed $seed");

my $base = PostgreSQL::Test::Utils::tempdir();
my $watched = "$base/watched";
my $log = "$base/record";
mkdir($watched);

# On the second timeline, so that there is a history.
my $one = walstream_primary('one');
my $primary = walstream_standby($one, 'primary');
$one->stop;
$primary->promote;
my $relay = walstream_relay(
	$primary, 'relay',
	directory => "$watched/store",
	start => 0,
	conf => "fsync = on\n");
start_preloaded($relay, 'power_record', $watched, $log);
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
write_segments($primary, $relay, 3);
wait_until(
	$relay,
	"SELECT count(*) = 0 FROM walstream_relay_segments WHERE state NOT IN ('zstd', 'partial')",
	'segments are compressed');
set_setting($relay, 'relay_compress', 'off');
write_segments($primary, $relay, 3);
$relay->stop;

# WAL is lost on the upstream.
$primary->append_conf('postgresql.conf', "wal_keep_size = 0\n");
$primary->reload;
foreach (1 .. 8)
{
	load_wal($primary, 100);
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
	$primary->safe_psql('postgres', 'CHECKPOINT');
}
start_preloaded($relay, 'power_record', $watched, $log);
wait_for_relay_state($relay, 'gap');
my %held = map { s/\..*//r => 1 } store_files("$watched/store");
cmp_ok(scalar(keys %held), '>=', 6, 'WAL is stored');
add_mark($log, 'gap');
$relay->safe_psql('postgres', 'SELECT walstream_relay_restart_after_gap()');
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 100);
wait_for_relay($primary, $relay);
$relay->stop;

my $record = WalstreamPower->new($log);
my ($gap) = $record->find('mark');
my ($last_move) = reverse grep { $_ > $gap } $record->find('rename');

# Of names and contents; undef if nothing is wrong.
sub find_fault
{
	my ($replay, $files) = @_;
	my %there;

	foreach my $file (keys %$files)
	{
		$there{$2} = 1
		  if $file =~ m{^store/(before-gap\.[^/]+/)?([0-9A-F]{24}|[0-9A-F]{8}\.history)};
	}
	foreach my $name (sort keys %held, '00000002.history')
	{
		return "$name is nowhere" unless $there{$name};
	}
	my @incomplete = $replay->incomplete_files(qr{^store/before-gap[^/]+/[^/]*history$});
	return "incomplete: @incomplete" if @incomplete;
	return names_fault($files);
}

# The first moment of setting aside at which something is wrong, and what.
sub find_fault_at_moments
{
	my ($leave_out, $tries) = @_;
	my $replay = $record->replay(leave_out => $leave_out);

	foreach my $moment ($gap .. $last_move + 1)
	{
		$replay->advance($moment);
		my $fault = find_fault($replay, $replay->files(undef, names => 1));
		foreach my $try (1 .. $tries)
		{
			$fault //= find_fault($replay,
				$replay->files($seed + 1000 * $try + $moment, names => 1));
		}
		return "record $moment: $fault" if defined $fault;
	}
	return undef;
}

is(find_fault_at_moments('', 8), undef, 'nothing is lost while WAL is set aside');

my $before = $record->replay;
my $after = $record->replay;
$before->advance($gap);
$after->advance($last_move + 8);
my %before = $before->kinds;
my %after = $after->kinds;
my %kinds = map { $_ => 1 }
  grep { /before-gap|away/ && $after{$_} > ($before{$_} // 0) } keys %after;
is(kinds_fault(\%kinds, @kinds), undef, 'all kinds of sync occur that are known, and no other');
foreach my $kind (sort keys %kinds)
{
	my $fault = find_fault_at_moments($kind, 32);

	isnt($fault, undef, "without \"$kind\" something is lost");
	note("without \"$kind\": $fault") if defined $fault;
}

done_testing();
