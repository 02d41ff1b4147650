# Copyright (c) 2026, the walstream authors

# Patroni, with two relays as synchronous standbys: etcd is away for a while, and
# the leader's Patroni is stopped.

use strict;
use warnings FATAL => 'all';

use PatroniCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $cluster =
  PatroniCluster->new(nodes => [qw(n1 n2)], relays => [qw(relay1 relay2)]);
my $leader = $cluster->start;
my %confirmed;

$leader->safe_psql('postgres', 'CREATE EXTENSION walstream');
declare_expected_warning(
	'replication slot "relay\d" on the upstream had to be made anew');

# A client that commits while something happens; what it was told is confirmed.
sub with_commits
{
	my ($first, $code) = @_;
	my $client = start_commits($leader, first => $first);

	PatroniCluster::wait_for('50 commits',
		sub { scalar(acked_ids($client)) >= 50 });
	$code->();
	eval { $client->{run}->finish };
	$confirmed{$_} = 1 foreach acked_ids($client);
	return;
}

sub nothing_is_lost
{
	my ($what) = @_;

	$leader->safe_psql('postgres',
		"INSERT INTO acked (id) SELECT max(id) + 100000 FROM acked");
	my @lost = missing_ids($leader, keys %confirmed);
	is(scalar(@lost), 0, "$what: nothing is lost, and commits go on");
	note(scalar(keys %confirmed) . " commits were confirmed");
	return;
}

#
# Nobody may lead without etcd.  When it is back, whoever gets its key is promoted,
# which may be the one that led before.
#
with_commits(
	1,
	sub {
		$cluster->kill_etcd;
		PatroniCluster::wait_for('the leader is demoted',
			sub { $leader->is_standby });
	});
ok($leader->is_standby, 'etcd lost: the leader is demoted');
is($cluster->leader, undef, 'etcd lost: nobody leads');
$cluster->start_etcd;
$cluster->wait_for_leader($cluster->nodes);
$leader = $cluster->wait_until_complete;
cmp_ok($leader->timeline, '>', 1, 'etcd is back: a standby was promoted');
nothing_is_lost('etcd lost');
ok( slurp_file($leader->log_file) =~
	  /pre_promote: has all that was confirmed under "ANY 1 \(relay1, relay2\)"/,
	'etcd lost: the script has run');

#
# Patroni is stopped, and with it the server.
#
my $stopped = $leader;
with_commits(1_000_000, sub { $stopped->stop_patroni });
ok(!$stopped->has_processes, 'Patroni stopped: the server ends');
my ($other) = grep { $_ != $stopped } $cluster->nodes;
$leader = $cluster->wait_for_leader($other);
nothing_is_lost('Patroni stopped');
$stopped->start_patroni;
$leader = $cluster->wait_until_complete;
is($leader->name, $other->name, 'Patroni started: the other one leads');
ok($stopped->is_standby, 'Patroni started: the old leader follows');

foreach my $relay ($cluster->relays)
{
	wait_until(
		$relay,
		"SELECT state = 'streaming' AND sealed_timeline IS NULL FROM walstream_relay",
		$relay->name . ' is with the leader');
}

done_testing();
