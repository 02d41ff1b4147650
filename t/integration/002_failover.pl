# Copyright (c) 2026, the walstream authors

# Patroni with two relays as synchronous standbys: switchover, a relay that is
# down when it is needed, replicas that Patroni considers too far behind, the
# old leader's return, and a manager that hangs while its server stays alive.

use strict;
use warnings FATAL => 'all';

use HTTP::Tiny;
use JSON::PP;
use PatroniCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $cluster = PatroniCluster->new(
	nodes => [qw(n1 n2 n3)],
	relays => [qw(relay1 relay2)],
	retry => 10);
my ($relay1, $relay2) = $cluster->relays;
my $leader = $cluster->start;
my %confirmed;

$leader->safe_psql('postgres', 'CREATE EXTENSION walstream');

sub wait_for
{
	return PatroniCluster::wait_for(@_);
}

sub others
{
	my ($node) = @_;

	return grep { $_ != $node } $cluster->nodes;
}

# Send a request to Patroni's REST API.
sub request
{
	my ($node, $method, $path, $content) = @_;
	my $answer = HTTP::Tiny->new(timeout => 120)->request(
		$method,
		"http://127.0.0.1:$node->{rest}/$path",
		{ content => encode_json($content) });

	die "$method $path: $answer->{status} $answer->{content}\n"
	  unless $answer->{success};
	return $answer->{content};
}

sub commits
{
	my ($client) = @_;

	return scalar(acked_ids($client));
}

sub wait_for_commits
{
	my ($client, $count) = @_;

	wait_for("$count commits", sub { commits($client) >= $count });
	return;
}

# Note the commits that a client was told; it has ended, or cannot continue.
sub note_confirmed
{
	my ($client) = @_;
	my @ids = acked_ids($client);

	$confirmed{$_} = 1 foreach @ids;
	return scalar(@ids);
}

sub nothing_is_lost
{
	my ($node, $what) = @_;
	my @lost = missing_ids($node, keys %confirmed);

	is(scalar(@lost), 0, "$what: nothing is lost");
	note(
		sprintf(
			'%s: %d commits were confirmed, %d are lost',
			$what, scalar(keys %confirmed),
			scalar(@lost)));
	return;
}

sub log_has
{
	my ($node, $pattern, $count) = @_;
	my @found = slurp_file($node->log_file) =~ /$pattern/g;

	return @found >= ($count // 1);
}

# A new leader does not have the relays' slots.
declare_expected_warning(
	'replication slot "relay\d" on the upstream had to be made anew');

#
# The slot of a relay that is down is kept.  Patroni drops slots that it does
# not know when it starts.
#
$relay2->stop;
$leader->safe_psql('postgres',
	"SELECT pg_create_physical_replication_slot('stray')");
$leader->restart_patroni;
$leader->poll_query_until('postgres',
	"SELECT count(*) = 0 FROM pg_replication_slots WHERE slot_name = 'stray'"
);
is( $leader->safe_psql(
		'postgres',
		"SELECT slot_name, active FROM pg_replication_slots WHERE slot_name LIKE 'relay%' ORDER BY 1"
	),
	"relay1|t\nrelay2|f",
	'a relay that is stopped keeps its slot');
$relay2->start;
$leader = $cluster->wait_until_complete;

#
# The script succeeds, but the node is not promoted; then it runs on another
# node, which takes over the relays.
#
my ($first, $second) = others($leader);
my $sealed = 'SELECT sealed_timeline IS NOT NULL FROM walstream_relay';
ok($first->run_pre_promote(60), 'not promoted: the script succeeds');
is($_->safe_psql('postgres', $sealed),
	't', 'not promoted: ' . $_->name . ' is sealed')
  foreach $relay1, $relay2;
ok($second->run_pre_promote(5), 'not promoted: so it does on another node');
my $client = start_commits($leader, first => 4_000_000);
wait_until(
	$_,
	$sealed =~ s/NOT //r,
	'not promoted: ' . $_->name . ' is unsealed after a while'
) foreach $relay1, $relay2;
wait_for_commits($client, 20);
stop_commits($client);
note_confirmed($client);

#
# Switchover.
#
$client = start_commits($leader);
wait_for_commits($client, 50);
my ($candidate) = others($leader);
my $old = $leader;
request($leader, 'POST', 'switchover',
	{ leader => $leader->name, candidate => $candidate->name });
$cluster->wait_for_leader($candidate);
eval { $client->{run}->finish };
note_confirmed($client);
$leader = $cluster->wait_until_complete;
is($leader->name, $candidate->name, 'switchover: the candidate leads');
nothing_is_lost($leader, 'switchover');
ok($old->is_standby, 'switchover: the old leader follows');

foreach my $relay ($relay1, $relay2)
{
	wait_until(
		$relay,
		"SELECT state = 'streaming' AND sealed_timeline IS NULL AND timeline > 1 FROM walstream_relay",
		'switchover: ' . $relay->name . ' has followed by itself');
}

#
# The leader is killed, with commits that only it has, while a relay is down
# and the replicas are too far behind for Patroni.
#
request($leader, 'PATCH', 'config',
	{ maximum_lag_on_failover => 1024 * 1024 });
$client = start_commits($leader, first => 1_000_000);
wait_for_commits($client, 20);
my @senders = $leader->walsenders(map { $_->name } others($leader));
kill('STOP', @senders);
$relay2->stop;
my $held = commits($client);
$leader->safe_psql('postgres',
	"SELECT pg_logical_emit_message(true, '', repeat(md5(i::text), 1000)) FROM generate_series(1, 200) AS i"
);
wait_for_commits($client, $held + 50);

# Patroni compares with the position that the leader has written to etcd
wait_for(
	'Patroni knows how far they are behind',
	sub {
		2 ==
		  grep { ($_->{lag} // '') =~ /^\d+$/ && $_->{lag} > 2 * 1024 * 1024 }
		  $cluster->members;
	});
my @local = $leader->walsenders('relay1');
kill('STOP', @local);
$leader->safe_psql('postgres',
	'SET synchronous_commit = local; CREATE TABLE only_here (id int); INSERT INTO only_here VALUES (1)'
);
my $gone = $leader;
$gone->kill9(@senders, @local);
eval { $client->{run}->finish };
note_confirmed($client);

my @candidates = others($gone);
foreach my $node (@candidates)
{
	wait_for($node->name . ' is too far behind',
		sub { log_has($node, qr/exceeds maximum replication lag/) });
}
ok($_->is_standby,
	'maximum_lag_on_failover: ' . $_->name . ' is not promoted')
  foreach @candidates;
is(scalar(grep { log_has($_, qr/only \d of \d synchronous/) } @candidates),
	0, 'maximum_lag_on_failover: no relay is asked');

request($candidates[0], 'PATCH', 'config',
	{ maximum_lag_on_failover => 1024**3 });
wait_for(
	'pre_promote has failed',
	sub {
		grep { log_has($_, qr/pre-promote script failed/) } @candidates;
	});
ok($_->is_standby, 'relay away: ' . $_->name . ' is not promoted')
  foreach @candidates;
ok( (grep { log_has($_, qr/only 1 of 2 synchronous standbys/) } @candidates),
	'relay away: the log says who was not heard');

# The script is killed, and leaves nothing behind.
my $script;
wait_for(
	'a script waits',
	sub {
		foreach my $node (@candidates)
		{
			my ($status, $value) = $node->query('SHOW primary_conninfo');
			next unless $status == 0 && $value eq 'host=/nowhere';
			$script = $node->pre_promote // next;
			return $candidate = $node;
		}
		return;
	});
kill('KILL', $script);
$candidate->poll_query_until('postgres',
	"SELECT setting <> 'host=/nowhere' FROM pg_settings WHERE name = 'primary_conninfo'"
);
ok($candidate->is_standby,
	'script killed: ' . $candidate->name . ' is not promoted');

$relay2->start;
$leader = $cluster->wait_for_leader(@candidates);
ok(1, 'relay away: once it is back, a node is promoted');
nothing_is_lost($leader, 'relay away');

# The old leader has more than the new one.
$gone->start_patroni;
$leader = $cluster->wait_until_complete;
ok($gone->is_standby, 'the old leader follows');
ok(log_has($gone, qr/running pg_rewind/i), 'after pg_rewind');
is($gone->safe_psql('postgres', "SELECT to_regclass('only_here') IS NULL"),
	't', 'what only it had is gone');

#
# The leader's manager hangs, but not its server, until the watchdog ends the
# node.  (Without a watchdog, Patroni 3.0 with version 3 of etcd's API may
# write the leader key when it continues, without checking whose it is.)
#
$client = start_commits($leader, first => 2_000_000);
wait_for_commits($client, 20);
$old = $leader;
kill('STOP', $old->{patroni});
$leader = $cluster->wait_for_leader(others($old));
ok($old->is_primary, 'manager hangs: there are two that can be written to');
my $told = commits($client);
my $new_client = start_commits($leader, first => 3_000_000);
is( $relay1->safe_psql(
		'postgres',
		'SELECT sealed_timeline IS NOT NULL OR timeline > '
		  . $old->timeline
		  . ' FROM walstream_relay'),
	't',
	'manager hangs: the relay is sealed');
wait_for(
	'commits of the old leader wait',
	sub {
		$old->safe_psql('postgres',
			"SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
		) > 0;
	});
is(commits($client), $told, 'manager hangs: the old leader confirms nothing');
$old->kill9;
wait_for_commits($new_client, 20);
eval { $client->{run}->finish };
$old->start_patroni;
eval { stop_commits($new_client) };
is(note_confirmed($client), $told,
	'manager hangs: it has confirmed nothing since');
note_confirmed($new_client);
$leader = $cluster->wait_until_complete;
nothing_is_lost($leader, 'manager hangs');
ok($old->is_standby, 'manager hangs: the old leader follows');

done_testing();
