# Copyright (c) 2026, the walstream authors

# Which line of timelines a standby receives before it is promoted: the newest,
# not the longest, and only one that continues its own WAL.

use strict;
use warnings;

use File::Copy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

sub call
{
	my ($node, $what) = @_;
	my ($stdout, $stderr);
	my $rc = $node->psql(
		'postgres', "CALL walstream_receive_all($what)",
		stdout => \$stdout,
		stderr => \$stderr);

	return ($rc, $stdout, $stderr);
}

# With a longer timeout than users need.
sub conninfo_of
{
	my ($node) = @_;

	return $node->connstr('postgres') . ' connect_timeout=' . patience(60);
}

sub sources
{
	return
	  'ARRAY['
	  . join(', ', map { "'" . conninfo_of($_) =~ s/'/''/gr . "'" } @_) . ']';
}

sub end_of
{
	my ($relay) = @_;

	return $relay->safe_psql('postgres',
		'SELECT flushed_lsn FROM walstream_relay');
}

sub unseal
{
	my ($relay) = @_;

	$relay->safe_psql('postgres',
		'SELECT walstream_relay_unseal(token) FROM walstream_get_relay_seal()'
	);
	return;
}

# The standbys must not receive anything but from the tested sources.
my $nowhere = 'host=/nowhere';
my $primary = walstream_primary('primary');
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my @relays = map { walstream_relay($primary, $_) } qw(relay1 relay2);
load_wal($primary, 100);
my %standbys = map {
	$_ => walstream_standby($primary, $_,
		conf => "primary_conninfo = '$nowhere'\n")
} qw(standby fixed ahead astray);

# A second primary, on timeline 2.  The standby "ahead" later goes on with the
# first one, past the fork.
my $second = walstream_standby($primary, 'second');
wait_for_relay($primary, $_)                     foreach @relays;
set_relay_upstream($_, $nowhere)                 foreach @relays;
wait_for_relay_state($_, 'waiting for upstream') foreach @relays;

# The primary can write records at any time: wait until "second" has these,
# too.
wait_for_replay($primary, $second);
$second->promote;
load_wal($second, 20);
set_relay_upstream($relays[0], $second->connstr);
wait_until(
	$relays[0],
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'one relay is on timeline 2');
wait_for_relay($second, $relays[0]);

#
# The other relay is on timeline 1, at or before the fork.
#
my ($rc, $stdout, $stderr) =
  call($standbys{standby}, sources(@relays) . ', 2');
isnt($rc, 0, 'a relay on an older timeline is not heard');
like(
	$stderr,
	qr/only 1 of 2.*"relay2" \([^)]*\): it is on timeline 1, not on 2/s,
	'the error says so');
is( $standbys{standby}->safe_psql(
		'postgres', 'SELECT timeline_id FROM pg_control_checkpoint()'),
	'1',
	'the standby is on timeline 1');

$standbys{fixed}
  ->append_conf('postgresql.conf', "recovery_target_timeline = current\n");
$standbys{fixed}->restart;
($rc, $stdout, $stderr) = call($standbys{fixed}, sources($relays[0]) . ', 1');
isnt($rc, 0, 'a standby that follows no timeline');
like($stderr, qr/does not follow timeline 2 of "relay1"/, 'is told so');

# The standby receives across the switch
my $end = end_of($relays[0]);
($rc, $stdout, $stderr) = call($standbys{standby}, sources(@relays) . ', 1');
is($rc, 0, 'the newer timeline is received') or diag($stderr);
my ($told) = $stdout =~ m{^2\|([0-9A-F]+/[0-9A-F]+)\|};
is( $standbys{standby}->safe_psql(
		'postgres',
		"SELECT '$told'::pg_lsn >= '$end' AND pg_last_wal_receive_lsn() >= '$told'"
	),
	't',
	'up to its end');
unseal($_) foreach @relays;

# Its own history file cannot be used: nothing is read of it in part.
my $history = $standbys{standby}->data_dir . '/pg_wal/00000002.history';
my $lines = slurp_file($history);
foreach my $case (
	[
		$lines . "# nothing\n" x 120_000,
		qr/is too large.*more than 1048576 bytes/s
	],
	[ "nonsense\n$lines", qr/is invalid in line 1/ ],
	[ undef, qr/is missing/ ])
{
	my ($content, $error) = @$case;

	unlink($history);
	append_to_file($history, $content) if defined $content;
	($rc, $stdout, $stderr) =
	  call($standbys{standby}, sources(@relays) . ', 1');
	isnt($rc, 0, 'a history file that cannot be used');
	like($stderr, qr/pg_wal\/00000002\.history" $error/, 'is named');
}
unlink($history);
append_to_file($history, $lines);

#
# A recovery target
#
$standbys{fixed}->append_conf('postgresql.conf',
	"recovery_target_timeline = latest\nrecovery_target_name = 'never'\n");
$standbys{fixed}->restart;
($rc, $stdout, $stderr) = call($standbys{fixed}, sources($relays[0]) . ', 1');
like(
	$stderr,
	qr/recovery of this standby ends at a target.*"recovery_target_name"/s,
	'a recovery target is refused');
$standbys{fixed}->stop;

#
# The old primary writes more, which one relay and a standby receive: this line
# is longer than the new one, and not part of it.
#
load_wal($primary, 1000);
set_relay_upstream($relays[1], $primary->connstr);
wait_for_relay($primary, $relays[1]);
set_relay_upstream($relays[1], $nowhere);
wait_for_relay_state($relays[1], 'waiting for upstream');
my ($far, $switch) = (
	end_of($relays[1]),
	slurp_file($second->data_dir . '/pg_wal/00000002.history') =~
	  m{^1\s+(\S+)}m);
is($relays[1]->safe_psql('postgres', "SELECT '$far'::pg_lsn > '$end'"),
	't', 'the old line is the longer one');
($rc, $stdout, $stderr) = call($standbys{standby}, sources(@relays) . ', 1');
isnt($rc, 0, 'a relay has WAL of another branch');
like(
	$stderr,
	qr/"relay2" \([^)]*\) has WAL that is not in the line of the newest timeline.*WAL up to \Q$far\E on timeline 1, which the line of .* on timeline 2 up to \S+, leaves at \Q$switch\E/s,
	'the error has both positions');

# A standby replays past the fork while it is about to receive the new line: at
# this moment its archive gets WAL of the old one.
my $archive = PostgreSQL::Test::Utils::tempdir();
my $astray = $standbys{astray};
$astray->append_conf('postgresql.conf',
	"restore_command = 'while test -e $archive/hold; do sleep 0.1; done; cp $archive/%f %p'\n"
);
$astray->restart;
append_to_file("$archive/hold", '');
wait_until(
	$astray,
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event = 'RestoreCommand'",
	'recovery waits for its archive');
my $call = start_psql($astray,
	'CALL walstream_receive_all(' . sources($relays[0]) . ', 1)');
$relays[0]->poll_query_until('postgres',
	'SELECT sealed_timeline IS NOT NULL FROM walstream_relay')
  || die "it is not being sealed\n";

foreach my $segment (glob($primary->data_dir . '/pg_wal/00000001' . '?' x 16))
{
	copy($segment, $archive) || die "could not copy \"$segment\": $!\n";
}
unlink("$archive/hold");
$call->{run}->finish;
like(
	${ $call->{output} },
	qr/this standby has meanwhile replayed WAL that is not in the line of "relay1".*It has replayed up to \S+ on timeline 1, which that line leaves at \Q$switch\E/s,
	'a standby that replays past the fork is told so');
$astray->stop;

$standbys{ahead}->append_conf('postgresql.conf',
		"primary_conninfo = '"
	  . $primary->connstr
	  . " application_name=ahead'\n");
$standbys{ahead}->reload;
wait_for_replay($primary, $standbys{ahead});
($rc, $stdout, $stderr) = call($standbys{ahead}, sources($relays[0]) . ', 1');
isnt($rc, 0, 'a standby past the fork');
like(
	$stderr,
	qr/this standby has replayed WAL that is not in the line of the newest timeline.*leaves at \Q$switch\E/s,
	'is told so');

foreach my $relay (@relays)
{
	is( $relay->safe_psql(
			'postgres', 'SELECT sealed_timeline FROM walstream_relay'),
		'',
		$relay->name . ' is not sealed');
}
$_->stop foreach $standbys{ahead}, $standbys{standby}, $relays[0], $second;

#
# Same timeline and system identifier, different WAL: a copy of the primary has
# diverged, and the relay with it.
#
my $standby = walstream_standby($primary, 'standby2');
wait_for_replay($primary, $standby);
$primary->stop;
$primary->backup_fs_cold('cold');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($primary, 'cold');
$_->start foreach $primary, $copy;
my $relay = walstream_relay($copy, 'relay3');
load_wal($primary, 30);
wait_for_replay($primary, $standby);
$primary->stop('immediate');
load_wal($copy, 60);
wait_for_relay($copy, $relay);
wait_until(
	$standby,
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event = 'RecoveryRetrieveRetryInterval'",
	'the standby has replayed all that it has');
my $held = $standby->safe_psql('postgres', 'SELECT pg_last_wal_replay_lsn()');
my $log = -s $standby->logfile;
($rc, $stdout, $stderr) = call($standby, sources($relay) . ', 1');
isnt($rc, 0, 'WAL that differs where both have it');
like(
	$stderr,
	qr/WAL of "relay3".* does not go on where that of this standby ends.*differs from this standby's at \S+ on timeline 1/s,
	'the error says where');
is($standby->safe_psql('postgres', 'SELECT pg_last_wal_replay_lsn()'),
	$held, 'nothing is replayed of it');
is( $relay->safe_psql(
		'postgres', 'SELECT sealed_timeline FROM walstream_relay'),
	'',
	'the relay is not sealed');
$primary->start;
load_wal($primary, 30);
wait_for_replay($primary, $standby);
standby_matches($primary, $standby,
	'the standby goes on with its primary, and nothing was overwritten');

#
# A relay lacks the WAL that comes next: the error quotes the relay's message.
#
$standby->append_conf('postgresql.conf', "primary_conninfo = '$nowhere'\n");
$standby->reload;
$standby->poll_query_until('postgres',
	'SELECT count(*) = 0 FROM pg_stat_wal_receiver')
  or die "the walreceiver does not end\n";
load_wal($primary, 15000);
my $late = walstream_relay($primary, 'late');
wait_for_relay($primary, $late);
($rc, $stdout, $stderr) =
  call($standby, sources($late) . ", 1, '" . patience(5) . " s'");
isnt($rc, 0, 'a relay that lacks what comes next');
like(
	$stderr,
	qr/did not receive all WAL of "late".*The walreceiver said last: .*requested WAL segment \w+ has already been removed/s,
	'the error says so');
$_->stop foreach $standby, $late, $primary;

#
# A relay that has only a part of a record after the fork does not count as
# having more WAL than the others.
#
my $one = walstream_primary('one');
$one->safe_psql('postgres', 'CREATE EXTENSION walstream');
my @pair = map { walstream_relay($one, $_) } qw(part whole);
my $next = walstream_standby($one, 'next');
my $last =
  walstream_standby($one, 'last', conf => "primary_conninfo = '$nowhere'\n");
load_wal($one, 100);

# As in t/109: a later record would complete the page.  Then try again.
my ($session, $record_end, $held_part);
foreach (1 .. 5)
{
	$session->quit if defined $session;
	$session = $one->background_psql('postgres');
	$record_end = $session->query_safe(
		"BEGIN; SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000))"
	);
	$_->poll_query_until('postgres',
		$_ == $next
		? "SELECT pg_last_wal_receive_lsn() > '$record_end'::pg_lsn - 20000"
		: "SELECT flushed_lsn > '$record_end'::pg_lsn - 20000 FROM walstream_relay"
	  )
	  || die "no part of the record arrives\n"
	  foreach @pair, $next;
	$held_part = end_of($pair[0]);
	last if lsn_number($held_part) < lsn_number($record_end);
}
$one->kill9;
eval { $session->quit };
wait_for_relay_state($pair[0], 'waiting for upstream');
$held_part = end_of($pair[0]);
cmp_ok(lsn_number($held_part), '<', lsn_number($record_end),
	'the relay holds a part of a record');
set_relay_upstream($pair[0], $nowhere);
$next->promote;
set_relay_upstream($pair[1], $next->connstr);
wait_until(
	$pair[1],
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'the other relay is on timeline 2');
my ($fork) =
  slurp_file($next->data_dir . '/pg_wal/00000002.history') =~ m{^1\s+(\S+)}m;
cmp_ok(lsn_number($held_part), '>', lsn_number($fork),
	"the relay's end is after the fork");
is( $pair[0]
	  ->safe_psql('postgres', "SELECT walstream_relay_records_end('$fork')"),
	$fork,
	'the relay has no complete record after the fork');
($rc, $stdout, $stderr) = call($last, sources(@pair) . ', 1');
is($rc, 0, 'which does not count as WAL of another line') or diag($stderr);
like($stdout, qr/^2\|/, 'the newer timeline is received');

done_testing();
