# Copyright (c) 2026, the walstream authors

# Feedback of standbys behind a relay reaches the primary, and is withdrawn
# there.  Slots keep it while their standby is down, even over a restart of the
# relay: after that no message withdraws it even for a moment.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamProxy;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');
my $proxy = WalstreamProxy->new($primary);
my $relay = walstream_relay(
	$primary, 'relay',
	slot => 'relay',
	conninfo => $proxy->connstr,
	conf => "wal_receiver_status_interval = 1\n");
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 100);
my $conf =
  "wal_receiver_status_interval = 1\nwal_retrieve_retry_interval = '100ms'\nmax_standby_streaming_delay = -1\n";
my $with = walstream_standby(
	$primary, 'with_slot',
	conninfo => $relay->connstr,
	conf => "$conf primary_slot_name = with_slot\n",
	start => 0);
my $without = walstream_standby(
	$primary, 'without',
	conninfo => $relay->connstr,
	conf => $conf);
$relay->safe_psql('postgres',
	"SELECT walstream_create_relay_slot('with_slot')");
$with->start;
wait_for_replay($primary, $_) foreach $with, $without;

sub primary_has
{
	my ($condition, $what) = @_;

	return wait_until(
		$primary,
		"SELECT $condition FROM pg_replication_slots WHERE slot_name = 'relay'",
		$what);
}

sub feedback
{
	my ($node, $value) = @_;

	$node->safe_psql('postgres',
		"ALTER SYSTEM SET hot_standby_feedback = $value");
	$node->reload;
	return;
}

# Use up transaction ids.
sub use_xids
{
	$primary->safe_psql('postgres', 'SELECT pg_current_xact_id()')
	  foreach 1 .. 5;
	load_wal($primary, 10);
	wait_for_replay($primary, $_) foreach grep { $_->{_pid} } $with, $without;
	return;
}

# All feedback that the relay has sent to the primary, as "xmin catalog_xmin".
sub told
{
	return map { "@$_" } @{ $proxy->count('feedback') || [] };
}

#
# restart_relay($mode, $xmins, $what): restart the relay, and check that it
# sends only these xmins to the primary.
#
sub restart_relay
{
	my ($mode, $xmins, $what) = @_;
	my $before = scalar(told());
	my $attempts = 100 * $PostgreSQL::Test::Utils::timeout_default;

	$relay->stop($mode);
	use_xids() unless $with->{_pid};
	primary_has(
		"concat_ws(' ', coalesce(xmin::text, '0'), coalesce(catalog_xmin::text, '0')) = '$xmins'",
		"$what, $mode stop of the relay: held");
	$relay->start;
	wait_for_relay_state($relay, 'streaming');
	use_xids();
	wait_for_relay($primary, $relay);

	# one message at the start, and one more when nothing has changed
	my $needed = $before + 2;
	select(undef, undef, undef, 0.01)
	  while (told() < $needed && $attempts-- > 0);
	my @told = told();
	cmp_ok(scalar(@told), '>=', $needed,
		"$what, $mode stop: the primary is told");
	is_deeply([ grep { $_ ne $xmins } @told[ $before .. $#told ] ],
		[], "$what, $mode stop: and never of anything else");
	return;
}

primary_has('xmin IS NULL', 'no feedback at first');

# A standby without a slot, with an old snapshot
feedback($without, 'on');
primary_has('xmin IS NOT NULL', 'feedback arrives');
my $session = $without->background_psql('postgres');
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $old =
  $session->query_safe('SELECT pg_snapshot_xmin(pg_current_snapshot())');
use_xids();
primary_has("xmin = '$old'", 'the oldest snapshot holds');
$session->query_safe('COMMIT');
primary_has("xmin::text::bigint > $old",
	'feedback is withdrawn when the snapshot ends');

# One standby with a slot, one without: the older xmin counts.
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$old = $session->query_safe('SELECT pg_snapshot_xmin(pg_current_snapshot())');
use_xids();
feedback($with, 'on');
wait_until(
	$relay,
	"SELECT xmin::text::bigint > $old FROM walstream_relay_slots WHERE slot_name = 'with_slot'",
	'the slot has what its standby needs');
primary_has("xmin = '$old'", 'the older of both goes to the primary');
$session->query_safe('COMMIT');
$session->quit;
primary_has("xmin::text::bigint > $old",
	'the older xmin is withdrawn when its snapshot ends');

# When a standby without a slot leaves, its feedback is withdrawn.
feedback($with, 'off');
wait_until(
	$relay,
	"SELECT xmin IS NULL FROM walstream_relay_slots WHERE slot_name = 'with_slot'",
	'a slot is told that nothing is needed');
primary_has('xmin IS NOT NULL', 'the other still holds');
$without->stop;
primary_has('xmin IS NULL',
	'a standby without slot takes its feedback along');

# The feedback of a standby with a slot stays, even over a restart of the
# relay.
feedback($with, 'on');
primary_has('xmin IS NOT NULL', 'feedback through the slot');
my $held = $with->background_psql('postgres');
$held->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$old = $held->query_safe('SELECT pg_snapshot_xmin(pg_current_snapshot())');
use_xids();
primary_has("xmin = '$old'", 'held');
restart_relay($_, "$old 0", 'standby connected') foreach qw(fast immediate);
# stop it first, or it might report that it needs nothing any more
$with->stop('immediate');
eval { $held->quit };
use_xids();
is( $relay->safe_psql(
		'postgres',
		"SELECT xmin::text FROM walstream_relay_slots WHERE slot_name = 'with_slot'"
	),
	$old,
	'the slot holds it while its standby is away');
restart_relay($_, "$old 0", 'standby away') foreach qw(fast immediate);
$relay->safe_psql('postgres',
	"SELECT walstream_drop_relay_slot('with_slot')");
primary_has('xmin IS NULL', 'the xmin is withdrawn when the slot is dropped');

# Without downstreams and slots the relay explicitly sends "nothing", since the
# primary's slot may remember an earlier xmin.
$relay->stop;
primary_has('NOT active', 'nobody uses the slot');
my $client = WalstreamClient->new($primary, application_name => 'other');
my $lsn = $primary->lsn('flush');
$client->start("START_REPLICATION SLOT relay $lsn");
my $next = $primary->safe_psql('postgres', 'SELECT pg_current_xact_id()');
$client->_send('d', 'h' . pack('q> N N N N', 0, $next, 0, 0, 0));
primary_has('xmin IS NOT NULL', 'the primary\'s slot holds something');
$client->close;
$relay->start;
primary_has('xmin IS NULL', 'the relay says that it needs nothing');

# catalog_xmin is passed on separately.
$relay->safe_psql('postgres',
	"SELECT walstream_create_relay_slot('catalog')");
$client = WalstreamClient->new($relay, application_name => 'client');
$client->start("START_REPLICATION SLOT catalog $lsn");

# Send it before the relay has received WAL of such a transaction.
my $receiver = relay_row($relay)->{receiver_pid};
kill('STOP', $receiver);
$next = $primary->safe_psql('postgres', 'SELECT pg_current_xact_id()')
  foreach 1 .. 3;
$client->_send('d', 'h' . pack('q> N N N N', 0, 0, 0, $next, 0));
wait_until(
	$relay,
	"SELECT catalog_xmin::text::bigint < $next FROM walstream_relay_slots WHERE slot_name = 'catalog'",
	'catalog_xmin of a slot, before its transaction is known');
kill('CONT', $receiver);
wait_until(
	$relay,
	"SELECT catalog_xmin = '$next' AND xmin IS NULL FROM walstream_relay_slots WHERE slot_name = 'catalog'",
	'catalog_xmin of a slot');
primary_has(
	"catalog_xmin = '$next' AND xmin IS NULL",
	'catalog_xmin reaches the primary');
$client->close;
restart_relay($_, "0 $next", 'catalog_xmin') foreach qw(fast immediate);

done_testing();
