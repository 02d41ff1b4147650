# Copyright (c) 2026, the walstream authors

# Power cuts.  The test records everything that a relay does to its files under
# load, over restarts and a timeline switch.  Then it rebuilds the directory as
# a power cut at many moments would leave it, with only what was synced:
# everything that the relay had acknowledged, served or promised by then must
# be there, and a relay must be able to start with it.  The same must fail with
# any single kind of our syncs left out, else the test proves nothing; the
# kinds are listed, so that no new one goes unnoticed.  (Setting WAL aside has
# a test of its own, t/123.)

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamPower;
use WalstreamRelay;
use WalstreamTest;

# Renames and removals that no sync needs to make durable: a spare segment is
# made again, and the raw form of a compressed segment is removed again.
my $unneeded = qr{to store/walstream\.spare$|^removing store/SEGMENT$};

# The kinds of sync that must occur.  None of them depends on timing.
my @kinds = (
	'fsync of the directory / after making store',
	'fsync of the directory store/ after creating store/walstream.lock',
	'fsync of the directory store/ after making store/slots',
	'fsync of the directory store/ after renaming store/walstream.identity to store/walstream.identity',
	'fsync of the directory store/ after renaming store/walstream.xids to store/walstream.xids',
	'fsync of the directory store/ after renaming store/walstream.standby_names to store/walstream.standby_names',
	'fsync of the directory store/ after renaming store/TIMELINE.history to store/TIMELINE.history',
	'fsync of the directory store/ after renaming store/walstream.spare to store/SEGMENT.partial',
	'fsync of the directory store/ after renaming store/SEGMENT.partial to store/SEGMENT.partial',
	'fsync of the directory store/ after renaming store/SEGMENT.partial to store/SEGMENT',
	'fsync of the directory store/ after renaming store/SEGMENT.zst to store/SEGMENT.zst',
	'fsync of the directory store/ after removing store/SEGMENT.zst',
	'fsync of the directory store/ after creating store/SEGMENT.unchecked',
	'fsync of the directory store/ after removing store/SEGMENT.unchecked',
	'fsync of the directory store/slots/ after renaming store/slots/NAME to store/slots/NAME',
	'fsync of the directory store/slots/ after removing store/slots/NAME',
	'fsync store/walstream.identity',
	'fsync store/walstream.xids',
	'fsync store/walstream.standby_names',
	'fsync store/TIMELINE.history',
	'fsync store/slots/NAME',
	'fsync store/SEGMENT.zst',
	# a spare is made durable, becomes a segment that is written, and is closed
	'fsync store/walstream.spare',
	'fdatasync store/walstream.spare, again',
	'fsync store/walstream.spare, again',
	# a file that recovery has rewritten goes the same way
	'fsync store/SEGMENT.partial',
	'fdatasync store/SEGMENT.partial, again',
	'fsync store/SEGMENT.partial, again');

my $seed = $ENV{WALSTREAM_TEST_SEED} // time();
srand($seed);
note("seed $seed");

my $segment_bytes = 1024 * 1024;
my $base = PostgreSQL::Test::Utils::tempdir();
my $watched = "$base/watched";
my $log = "$base/record";
mkdir($watched);
my $keep_files = "wal_keep_size = 1GB\n";

my $one = walstream_primary('one');
my $two = walstream_standby($one, 'two');
my $hosts = join(' ',
	'host=' . join(',', map { $_->host } $one, $two),
	'port=' . join(',', map { $_->port } $one, $two),
	'target_session_attrs=read-write');
my $relay = walstream_relay(
	$one, 'relay',
	conninfo => $hosts,
	directory => "$watched/store",
	start => 0,
	conf => "fsync = on\n");

# The primary writes nothing at first, so that a slot is promised before there
# is WAL: stop its background writer, which would log a snapshot every 15
# seconds.
my $bgwriter = $one->safe_psql('postgres',
	"SELECT pid FROM pg_stat_activity WHERE backend_type = 'background writer'"
);
kill('STOP', $bgwriter);
$one->safe_psql('postgres', 'SELECT pg_switch_wal()');

sub start_recorded
{
	start_preloaded($relay, 'power_record', $watched, $log);
	return;
}

#
# Load: small commits, whole segments, slots, restarts, a timeline switch
#
start_recorded();
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
wait_for_relay_state($relay, 'streaming');
command_ok(
	[
		'psql', '-XAtq',
		'-d', $relay->connstr . ' replication=true',
		'-c', 'CREATE_REPLICATION_SLOT early PHYSICAL'
	],
	'a slot before there is WAL');
add_mark($log, 'slot early');
is(relay_row($relay)->{flushed_lsn}, undef, 'there is no WAL yet');
kill('CONT', $bgwriter);
$one->append_conf('postgresql.conf', "synchronous_standby_names = 'relay'\n");
$one->reload;
my $standby = walstream_standby(
	$one, 'standby',
	walstream => 0,
	conninfo => $relay->connstr,
	conf => "primary_slot_name = standby\n",
	start => 0);
$relay->safe_psql('postgres',
	"SELECT walstream_create_relay_slot('standby')");
add_mark($log, 'slot standby');
$standby->start;

add_mark($log, 'dropping early');
$relay->safe_psql('postgres', "SELECT walstream_drop_relay_slot('early')");
add_mark($log, 'dropped early');

# Compressed segments are removed.
write_segments($one, $relay, 6);
wait_for_replay($one, $standby);
wait_until(
	$relay,
	"SELECT count(*) = 0 FROM walstream_relay_segments WHERE state NOT IN ('zstd', 'partial')",
	'segments are compressed before they are removed');
set_setting($relay, 'relay_keep_size', '0');
wait_until(
	$relay,
	"SELECT count(*) <= 3 FROM walstream_relay_segments",
	'segments were removed');
set_setting($relay, 'relay_keep_size', '1GB');

wait_until(
	$relay,
	"SELECT count(*) = 1 FROM pg_ls_dir('$watched/store') AS name WHERE name = 'walstream.spare'",
	'there is a spare for the next segment');
my $client = start_commits($one);
load_wal($one, 8000);
wait_for_replay($one, $standby);
$relay->safe_psql('postgres', "SELECT walstream_create_relay_slot('other')");
add_mark($log, 'slot other');
$relay->stop('immediate');
start_recorded();
load_wal($one, 8000);
stop_commits($client);
wait_for_replay($one, $two);
$one->stop;
$two->promote;
load_wal($two, 8000);
wait_for_replay($two, $standby);
$relay->stop;
start_recorded();
load_wal($two, 8000);
wait_for_relay($two, $relay);
wait_until(
	$relay,
	"SELECT count(*) FILTER (WHERE state = 'zstd') > 3 AND count(*) FILTER (WHERE state NOT IN ('zstd', 'partial')) = 0 FROM walstream_relay_segments",
	'segments were compressed');
$relay->stop('immediate');
$standby->stop;
my %pg_wal = map { $_->[0] => $_->[1]->data_dir . '/pg_wal' }[ 1, $one ],
  [ 2, $two ];

my ($switch) = map { lsn_number($_) }
  slurp_file("$pg_wal{2}/00000002.history") =~ m{^1\s+(\S+)}m;

my $record = WalstreamPower->new($log);
note($record->count . ' records');

#
# Functions that return what is wrong with the files after a power cut, or
# undef.
#
my %segments;    # of the primaries
my %right;       # versions of segments that were found correct

# Number of the timeline's first segment that has not been removed.
sub first_kept
{
	my ($replay, $tli) = @_;
	my ($name) =
	  sort
	  grep { /^[0-9A-F]{24}/ && substr($_, 0, 8) eq sprintf('%08X', $tli) }
	  keys %{ $replay->{top}{names}{store}{names} };

	return
	  defined $name
	  ? hex(substr($name, 8, 8)) * 4096 + hex(substr($name, 16, 8))
	  : 0;
}

# Check that the first bytes of a segment are stored.
sub segment_fault
{
	my ($replay, $files, $tli, $name, $bytes) = @_;
	my ($form) =
	  grep { defined $files->{"store/$name$_"} } ('', '.zst', '.partial');
	return "$name is missing" unless defined $form;
	my $version = $replay->{versions}{"store/$name$form"};
	my $key = defined $version ? "$name $version $bytes" : '';

	return undef if $right{$key};
	my $stored = $files->{"store/$name$form"};
	if ($form eq '.zst')
	{
		open(my $fh, '>:raw', "$base/packed.zst")
		  or die "$base/packed.zst: $!\n";
		print $fh $stored;
		close($fh);
		$stored = eval { store_content("$base/packed.zst") } // '';
	}
	$segments{$name} //= slurp_file("$pg_wal{$tli}/$name");
	return "$name$form differs"
	  if substr($stored, 0, $bytes) ne substr($segments{$name}, 0, $bytes);
	$right{$key} = 1 if $key ne '';
	return undef;
}

# The position from which on a timeline's WAL is marked as unchecked.
sub marked_lsn
{
	my ($files, $tli) = @_;
	my ($marked) = grep { hex(substr($_, 0, 8)) == $tli }
	  sort map { m{^store/([0-9A-F]{24})\.unchecked$} } keys %$files;

	return unless defined $marked;
	return (hex(substr($marked, 8, 8)) * 4096 + hex(substr($marked, 16))) *
	  $segment_bytes;
}

sub find_fault
{
	my ($replay, $files) = @_;
	my %need = %{ $replay->{acked} };
	my $names_fault = names_fault($files);

	return $names_fault if defined $names_fault;
	foreach my $tli (keys %{ $replay->{begun} })
	{
		return "timeline $tli was asked for before its history was durable"
		  if $tli > 1
		  && !exists $files->{ sprintf('store/%08X.history', $tli) };
	}
	foreach my $mark (sort keys %{ $replay->{marks} })
	{
		my ($done, $slot) = $mark =~ /^(slot|dropped) (\w+)/ or next;
		my $held = exists $files->{"store/slots/$slot"};

		return "no slot $slot"
		  if $done eq 'slot' && !$held && !$replay->{marks}{"dropping $slot"};
		return "slot $slot is there again" if $done eq 'dropped' && $held;
	}
	return undef unless %need;

	# WAL that was served up to the switch point was of the first timeline
	my $served_tli = $replay->{served} > $switch ? 2 : 1;
	$need{$served_tli} = $replay->{served}
	  if $replay->{served} > ($need{$served_tli} // 0);

	foreach my $tli (sort keys %need)
	{
		my $first = int($replay->{begun}{$tli} / $segment_bytes);
		my $kept = first_kept($replay, $tli);

		next if $need{$tli} <= $replay->{begun}{$tli};

		# Recovery removes marked WAL.  Up to the switch point the first
		# timeline has the same bytes.
		my $marked = marked_lsn($files, $tli);
		if (defined $marked)
		{
			$marked = $switch if $tli == 2;
			return "timeline $tli is not known to be ours"
			  if $need{$tli} > $marked;
			next if $tli == 2;
		}
		for (
			my $segno = $kept > $first ? $kept : $first;
			$segno * $segment_bytes < $need{$tli};
			$segno++)
		{
			my $name = sprintf('%08X%08X%08X', $tli, int($segno / 4096),
				$segno % 4096);
			my $bytes = $need{$tli} - $segno * $segment_bytes;

			$bytes = $segment_bytes if $bytes > $segment_bytes;
			my $fault = segment_fault($replay, $files, $tli, $name, $bytes);
			return $fault if defined $fault;
		}
	}
	# files that are written completely before they get their final name
	my @incomplete = $replay->incomplete_files(
		qr{^store/(walstream\.identity|.*\.history|.*\.zst|slots/[^.]*)$});
	return "incomplete: @incomplete" if @incomplete;
	return undef;
}

# Moments: after each rename, creation and removal, which are the delicate
# ones, and after some of the acknowledgements.
my @acks = $record->find('ack');
my %moments = map { $_ + 1 => 1 }
  map { $record->find($_) } qw(create rename unlink mkdir stream mark);
$moments{ $acks[ int(rand(@acks)) ] + 1 } = 1 foreach 1 .. 60;
$moments{ $acks[-1] + 1 } = 1;
$moments{ int(rand($record->count)) } = 1 foreach 1 .. 20;
my @moments = sort { $a <=> $b } keys %moments;

# The first moment at which something is wrong, with the fault; undef if there
# is none.
sub find_fault_at_moments
{
	my (%options) = @_;
	my $replay = $record->replay(
		leave_out => $options{leave_out},
		unneeded => $unneeded);
	my $fault;

	foreach my $moment (@moments)
	{
		$replay->advance($moment);
		$fault = find_fault($replay, $replay->files);
		foreach my $try (1 .. $options{torn_names} // 0)
		{
			$fault //=
			  names_fault(
				$replay->files($seed + 1000 * $try + $moment, names => 1));
		}
		foreach my $try (1 .. $options{torn} // 0)
		{
			$fault //= find_fault($replay,
				$replay->files($seed + 1000 * $try + $moment));
		}
		return "record $moment: $fault" if defined $fault;
	}
	$options{at_end}->($replay) if $options{at_end};
	return undef;
}

is( find_fault_at_moments(
		torn => 1,
		torn_names => 8,
		at_end => sub {
			my ($replay) = @_;

			is(join(' ', sort keys %{ $replay->{acked} }),
				'1 2', 'both timelines were acknowledged');
			cmp_ok($replay->{served}, '>', 0, 'WAL was served');
		}),
	undef,
	'all that was acknowledged, served or promised is there at '
	  . @moments
	  . ' moments');

# The kinds of sync that occurred are exactly the known ones.
my $whole = $record->replay(unneeded => $unneeded);
$whole->advance($moments[-1]);
my %kinds = $whole->kinds;
note("$_: $kinds{$_}") foreach sort keys %kinds;
is(kinds_fault(\%kinds, @kinds),
	undef, 'all kinds of sync occur that are known, and no other');

# Without any of the syncs something is lost, with these exceptions.  A relay
# can start without walstream.xids and walstream.standby_names, and learns
# their contents again. walstream.standby_names is written just after the store
# was made, so its sync of the directory would hide that an earlier one is
# missing; that one is left out, too.  WAL that is marked as unchecked was
# promised to nobody, and the keeper's next sync may make the removal of the
# mark durable.
my $names =
  'fsync of the directory store/ after renaming store/walstream.standby_names to store/walstream.standby_names';
foreach my $kind (
	grep { !/walstream\.(?:xids|standby_names)|SEGMENT\.unchecked$/ }
	sort keys %kinds)
{
	my $fault = find_fault_at_moments(leave_out => [ $kind, $names ])
	  // find_fault_at_moments(
		leave_out => [ $kind, $names ],
		torn_names => 32
	  ) // find_fault_at_moments(leave_out => [ $kind, $names ], torn => 8);

	isnt($fault, undef, "without \"$kind\" something is lost");
	note("without \"$kind\": $fault") if defined $fault;
}

# A relay can start with what is left, and serves it.
$two->stop('immediate');
my @late = grep { $_ > $acks[ $#acks / 3 ] } @moments;
foreach my $try (1 .. 4)
{
	my $moment = $late[ int(rand(@late)) ];
	my $replay = $record->replay;

	$replay->advance($moment);
	system_or_bail('rm', '-rf', "$watched/store");
	write_files($replay->files($try % 2 ? undef : $seed + $moment), $watched);
	my ($timeline) = reverse sort { $a <=> $b } keys %{ $replay->{acked} };
	my $acked = format_lsn($replay->{acked}{$timeline});

	$relay->start;
	wait_for_relay_state($relay, 'waiting for upstream');
	my $row = relay_row($relay);
	note(
		"power cut at record $moment, acknowledged $acked on $timeline; the relay has $row->{flushed_lsn} on $row->{timeline}"
	);
	ok( $row->{timeline} > $timeline || holds_records(
			$row->{flushed_lsn}, $acked, $timeline, $pg_wal{$timeline}),
		"power cut $try: the relay has what it had acknowledged");
	is( $relay->safe_psql(
			'postgres', 'SELECT ok FROM walstream_relay_verify()'),
		't',
		"power cut $try: all is verified");
	# a slot that was being made or dropped may or may not exist
	my @slots = grep { !$replay->{marks}{"dropping $_"} }
	  map { /^slot (\w+)/ ? $1 : () } sort keys %{ $replay->{marks} };
	is( $relay->safe_psql(
			'postgres',
			"SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM walstream_relay_slots WHERE NOT lost AND slot_name = ANY ('{"
			  . join(',', @slots) . "}')"),
		join(' ', @slots),
		"power cut $try: slots");
	$relay->stop;
}

done_testing();
