# Copyright (c) 2026, the walstream authors

# Power cuts while a relay is sealed and unsealed.  It is sealed from the
# return of one function to the call of the other, and not after the return of
# that; in between there is a complete file or none.  The test must fail with
# any sync left out, and the kinds of syncs are listed.  While the relay is
# sealed, nothing is acknowledged.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamPower;
use WalstreamRelay;
use WalstreamTest;

# The primary is stopped while a commit waits.
declare_expected_warning(
	'canceling the wait for synchronous replication and terminating connection'
);

my @kinds = (
	'fsync store/walstream.seal',
	'fsync of the directory store/ after renaming store/walstream.seal to store/walstream.seal',
	'fsync of the directory store/ after removing store/walstream.seal');

my $seed = $ENV{WALSTREAM_TEST_SEED} // time();
note("seed $seed");

my $base = PostgreSQL::Test::Utils::tempdir();
my $watched = "$base/watched";
my $log = "$base/record";
my $file = 'store/walstream.seal';
mkdir($watched);

my $primary = walstream_primary('primary');
my $standby = walstream_standby($primary, 'standby');
my $relay = walstream_relay(
	$primary, 'relay',
	directory => "$watched/store",
	start => 0,
	conf => "fsync = on\nwal_retrieve_retry_interval = 100ms\n");
start_preloaded($relay, 'power_record', $watched, $log);
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
wait_for_relay_state($relay, 'streaming');
make_synchronous($primary, $relay);

# Seal and unseal under load; at the end leave the relay sealed.
my $client = start_commits($primary);
my @contents;
foreach my $round (1 .. 3)
{
	my $count = $primary->safe_psql('postgres', 'SELECT count(*) FROM acked');

	$primary->poll_query_until('postgres',
		"SELECT count(*) > $count + 5 FROM acked")
	  || die "commits do not go on\n";
	add_mark($log, 'sealing');
	my $token =
	  $relay->safe_psql('postgres', 'SELECT walstream_relay_seal(1)');
	add_mark($log, 'sealed');
	push @contents, slurp_file("$watched/$file");
	waits_for_standby($primary, 'INSERT INTO acked')
	  || die "commits do not wait\n";
	last if $round == 3;
	add_mark($log, 'unsealing');
	$relay->safe_psql('postgres', "SELECT walstream_relay_unseal('$token')");
	add_mark($log, 'unsealed');
}

# The primary writes more, and a standby that has all of it is promoted: the
# relay still needs a part of the old timeline, and gets it from the new
# primary.
$primary->safe_psql('postgres',
	"SET synchronous_commit = local; SELECT pg_logical_emit_message(true, 'x', repeat('y', 100000))"
);
wait_for_replay($primary, $standby);
$primary->stop('immediate');
eval { stop_commits($client) };
$standby->promote;
add_mark($log, 'following');
set_relay_upstream($relay, $standby->connstr);
load_wal($standby, 100);
wait_until(
	$relay,
	"SELECT timeline = 2 AND sealed_timeline IS NULL FROM walstream_relay",
	'the relay follows');
wait_for_relay($standby, $relay);
$relay->stop('immediate');

my $record = WalstreamPower->new($log);
my @marks = $record->find('mark');

# The state at each moment: sealed, unsealed, or in between.
my @spans;
foreach my $i (0 .. $#marks)
{
	my $mark = ($record->fields($marks[$i]))[1];
	my $end = $i < $#marks ? $marks[ $i + 1 ] : $record->count - 1;

	push @spans, [ $mark, $marks[$i] + 1, $end ];
}

my %known = map { $_ => 1 } @contents;

# What is wrong with the files after a power cut; undef if nothing is.
sub find_fault
{
	my ($state, $files) = @_;
	my $content = $files->{$file};

	return 'a damaged file' if defined $content && !$known{$content};
	return 'not sealed' if $state eq 'sealed' && !defined $content;
	return 'sealed' if $state eq 'unsealed' && defined $content;
	return undef;
}

# The first moment at which something is wrong, with the fault.  Moments that
# do not concern the seal's file are skipped.
sub find_fault_at_moments
{
	my ($leave_out, $tries) = @_;
	my $replay = $record->replay(leave_out => $leave_out);

	foreach my $span (@spans)
	{
		my ($state, $begin, $end) = @$span;
		my @moments = grep {
			my ($name, @fields) = $record->fields($_);
			$_ == $begin || $_ == $end || grep { /walstream\.seal/ } @fields;
		} $begin .. $end;

		foreach my $moment (map { ($_, $_ + 1) } @moments)
		{
			next if $moment > $end;
			$replay->advance($moment);
			my $fault = find_fault($state, $replay->files);
			foreach my $try (1 .. $tries)
			{
				$fault //= find_fault($state,
					$replay->files($seed + 1000 * $try + $moment));
			}
			return "record $moment, $state: $fault" if defined $fault;
		}
	}
	return undef;
}

is(find_fault_at_moments('', 8),
	undef, 'sealed when it is said to be, and only then');

my $replay = $record->replay;
$replay->advance($record->count);
my %all = $replay->kinds;
my %kinds = map { $_ => 1 } grep { /walstream\.seal/ } keys %all;
is(kinds_fault(\%kinds, @kinds),
	undef, 'all kinds of sync occur that are known, and no other');
foreach my $kind (@kinds)
{
	my $fault = find_fault_at_moments($kind, 32);

	isnt($fault, undef, "without \"$kind\" that does not hold");
	note("without \"$kind\": $fault") if defined $fault;
}

# Count the acknowledgements, by the state and the timeline at that moment.
my %told;
my %begun;
my $timeline = 0;
my $stream = $record->replay;
foreach my $span (@spans)
{
	my ($state, $begin, $end) = @$span;

	foreach my $moment ($begin .. $end)
	{
		my ($name, $pid, $written, $flushed) = $record->fields($moment);

		$stream->advance($moment + 1);
		if ($name eq 'stream')
		{
			$timeline = $stream->{connection}{$pid} // 0;
			$begun{"$state $timeline"} = 1;
		}
		$told{"$state $timeline"}++
		  if $name eq 'ack' && (hex($written) > 0 || hex($flushed) > 0);
	}
}
is($told{'sealed 1'}, undef, 'nothing is acknowledged while it is sealed');
cmp_ok($told{'unsealed 1'}, '>', 0,
	'WAL is acknowledged while the relay is not sealed');
ok($begun{'following 1'},
	'the rest of the sealed timeline comes from the new primary');
is($told{'following 1'}, undef,
	'the rest of the sealed timeline is not acknowledged');
cmp_ok($told{'following 2'}, '>', 0, 'the new timeline is acknowledged');

done_testing();
