# Copyright (c) 2026, the walstream authors

# Power cuts while WAL is set aside after a gap.  Each segment is always in one
# of the two directories, together with the history it belongs to, and the
# relay can start with what is left in its own directory.  The new range is
# received in a third directory; what was acknowledged of it is there, and
# nothing is set aside before that.  The test must fail with any sync left out,
# and the kinds of syncs are listed.

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
	(   map {
			(   "fsync of the directory store/before-gap/ after renaming store/SEGMENT$_ to store/before-gap/SEGMENT$_",
				"fsync of the directory store/ after moving store/SEGMENT$_ away"
			)
		} '.zst',
		'',
		'.partial'),
	'fsync of the directory store/ after making store/new-range',
	'fsync store/new-range.tmp/TIMELINE.history',
	'fsync store/new-range.tmp/SEGMENT.partial',
	'fsync of the directory store/new-range/ after renaming store/new-range.tmp/SEGMENT.partial to store/new-range.tmp/SEGMENT.partial',
	'fdatasync store/new-range.tmp/SEGMENT.partial, again',
	'fsync of the directory store/ after renaming store/new-range.tmp/TIMELINE.history to store/TIMELINE.history',
	'fsync of the directory store/ after renaming store/new-range.tmp/SEGMENT.partial to store/SEGMENT.partial'
);

# A rename that needs no sync: that of the range's first segment makes it
# durable, too.
my $unneeded =
  qr{^renaming store/new-range\.tmp/TIMELINE\.history to store/new-range};

my $seed = $ENV{WALSTREAM_TEST_SEED} // time();
note("seed $seed");

my $base = PostgreSQL::Test::Utils::tempdir();
my $watched = "$base/watched";
my $log = "$base/record";
mkdir($watched);

# Use the second timeline, so that there is a history.
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

# The upstream removes WAL that the relay needs.
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
my $begin = lsn_number(relay_row($relay)->{first_lsn});
my $new = WalstreamRelay::segment_name(2, $begin >> 20, 1024 * 1024);
my $new_wal = slurp_file($primary->data_dir . "/pg_wal/$new");
$relay->stop;

my $record = WalstreamPower->new($log);
my ($gap) = $record->find('mark');
my ($last_move) = reverse grep { $_ > $gap } $record->find('rename');
my ($ack) = grep { $_ > $gap && hex(($record->fields($_))[3]) > $begin }
  $record->find('ack');
cmp_ok($ack, '>', $last_move,
	'the new range is acknowledged when it is in its place');

# The content of a file that is certain to survive; undef if the file may be
# missing.
sub durable_content
{
	my ($replay, $path) = @_;
	my $object = $replay->{top};

	foreach my $component (split(m{/}, $path))
	{
		$object = $object->{durable_names}{$component} // return undef;
	}
	return $object->{durable};
}

# The new range exists before anything is set aside, and is in its final place,
# complete, before it is acknowledged.
sub find_fault_of_new_range
{
	my ($replay, $files) = @_;
	my $acked =
	  $replay->{acked}{2} > $begin ? $replay->{acked}{2} - $begin : 0;
	my @places = $acked > 0 ? 'store' : qw(store store/new-range.tmp);

	return undef
	  if $acked == 0 && !grep { m{^store/before-gap\.[^/]+/[0-9A-F]{24}} }
	  keys %$files;
	my ($file) = grep { exists $files->{$_} }
	  map { ("$_/$new", "$_/$new.partial") } @places;
	return 'the new range is not there' unless defined $file;
	my $bytes = $acked > 40 ? $acked : 40;
	return 'the new range has lost bytes'
	  if substr(durable_content($replay, $file) // $new_wal, 0, $bytes) ne
	  substr($new_wal, 0, $bytes);

	# The old range's history stays in the store until all of its WAL is set
	# aside.
	my $history = $file =~ s{[^/]*$}{00000002.history}r;
	return 'the new range has no history'
	  unless exists $files->{$history}
	  || exists $files->{'store/00000002.history'};
	return 'the history of the new range is not complete'
	  if length(durable_content($replay, $history) // ' ') == 0;
	return undef;
}

# What is wrong with the files after a power cut; undef if nothing is.
sub find_fault
{
	my ($replay, $files) = @_;
	my %there;

	foreach my $file (keys %$files)
	{
		$there{$2} = 1
		  if $file =~
		  m{^store/(before-gap\.[^/]+/)?([0-9A-F]{24}|[0-9A-F]{8}\.history)};
	}
	foreach my $name (sort keys %held, '00000002.history')
	{
		return "$name is nowhere" unless $there{$name};
	}
	my @incomplete =
	  $replay->incomplete_files(qr{^store/before-gap[^/]+/[^/]*history$});
	return "incomplete: @incomplete" if @incomplete;
	my $new_fault = find_fault_of_new_range($replay, $files);
	return $new_fault if defined $new_fault;
	return names_fault($files);
}

# The first moment while WAL is set aside at which something is wrong, with the
# fault.
sub find_fault_at_moments
{
	my ($leave_out, $tries) = @_;
	my $replay =
	  $record->replay(leave_out => $leave_out, unneeded => $unneeded);

	foreach my $moment ($gap .. $ack + 1)
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

is(find_fault_at_moments('', 8),
	undef, 'nothing is lost while WAL is set aside');

my ($before, $after) = map { $record->replay(unneeded => $unneeded) } 1 .. 2;
$before->advance($gap);
$after->advance($ack + 1);
my %before = $before->kinds;
my %after = $after->kinds;
my %kinds = map { $_ => 1 }
  grep { /before-gap|away|new-range/ && $after{$_} > ($before{$_} // 0) }
  keys %after;
is(kinds_fault(\%kinds, @kinds),
	undef, 'all kinds of sync occur that are known, and no other');

foreach my $kind (sort keys %kinds)
{
	my $fault = find_fault_at_moments($kind, 32);

	isnt($fault, undef, "without \"$kind\" something is lost");
	note("without \"$kind\": $fault") if defined $fault;
}

done_testing();
