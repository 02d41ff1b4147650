# Copyright (c) 2026, the walstream authors

# Patroni with two relays as synchronous standbys: the leader is killed with
# all of its processes while both replicas lack the last confirmed commits.
# Without any intervention nothing confirmed is lost, and commits continue.
#
# SEEDS="1 2 3": one round for each seed, which decides when the leader is
# killed.

use strict;
use warnings FATAL => 'all';

use PatroniCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WalstreamRelay;
use WalstreamTest;

my @seeds = split(' ', $ENV{SEEDS} // '1 2');
my $cluster =
  PatroniCluster->new(nodes => [qw(n1 n2 n3)], relays => [qw(relay1 relay2)]);
my $leader = $cluster->start;
my $next_id = 1;
my %confirmed;

$leader->safe_psql('postgres', 'CREATE EXTENSION walstream');

# A new leader does not have the relays' slots.
declare_expected_warning(
	'replication slot "relay\d" on the upstream had to be made anew');

sub commits
{
	my ($client) = @_;

	return scalar(acked_ids($client));
}

sub wait_for_commits
{
	my ($client, $count) = @_;

	PatroniCluster::wait_for("$count commits",
		sub { commits($client) >= $count });
	return;
}

# Kill the leader once, and wait until the cluster is complete again.
sub kill_leader
{
	my ($seed) = @_;
	my $random =
	  sub { my ($from, $to) = @_; return $from + int(rand($to - $from + 1)) };

	srand($seed);
	$leader = $cluster->wait_until_complete;
	my @replicas = grep { $_ != $leader } $cluster->nodes;
	my $client = start_commits($leader, first => $next_id);
	$next_id += 1_000_000;
	wait_for_commits($client, $random->(20, 300));

	# stop the replicas' walsenders; the relays continue to receive
	my @senders = $leader->walsenders(map { $_->name } @replicas);
	die "not both replicas stream\n" unless @senders == 2;
	kill('STOP', @senders);
	my $held = commits($client);
	wait_for_commits($client, $held + $random->(20, 500));

	my $began = time();
	$leader->kill9(@senders);
	$leader->remove_data;
	eval { $client->{run}->finish };
	my @ids = acked_ids($client);
	$confirmed{$_} = 1 foreach @ids;
	my $gone = $leader;

	my $promoted = $cluster->wait_for_leader(@replicas);
	my $promoted_after = time() - $began;
	$promoted->safe_psql('postgres',
		"INSERT INTO acked (id) VALUES ($next_id)");
	my $commits_after = time() - $began;
	$confirmed{ $next_id++ } = 1;

	my @lost = missing_ids($promoted, keys %confirmed);
	is(scalar(@lost), 0, "seed $seed: nothing is lost");
	note(
		sprintf(
			'seed %d: %s killed after %d commits, %d of them since the replicas were held back; %s promoted after %.0f s, commits go on after %.0f s; lost %d',
			$seed, $gone->name, scalar(@ids),
			@ids - $held, $promoted->name, $promoted_after,
			$commits_after, scalar(@lost)));
	cmp_ok(
		$commits_after, '<',
		6 * $PatroniCluster::ttl,
		"seed $seed: commits go on soon");

	# The new primary has received the missing commits from a relay.
	$gone->start_patroni;
	$leader = $cluster->wait_until_complete;
	is($leader->name, $promoted->name,
		"seed $seed: nobody else was promoted");
	return;
}

kill_leader($_) foreach @seeds;
my $rows =
  $leader->safe_psql('postgres', 'SELECT count(*), sum(id) FROM acked');
foreach my $node (grep { $_ != $leader } $cluster->nodes)
{
	$node->poll_query_until('postgres',
		"SELECT (count(*), sum(id))::text = '(' || replace('$rows', '|', ',') || ')' FROM acked"
	);
	is($node->safe_psql('postgres', 'SELECT count(*), sum(id) FROM acked'),
		$rows, $node->name . ' has all of it');
}
foreach my $node ($cluster->nodes)
{
	is( $node->safe_psql(
			'postgres',
			"SELECT count(*) FROM pg_settings WHERE name = 'primary_conninfo' AND setting LIKE '%nowhere%'"
		),
		0,
		$node->name . ' has no setting left from the script');
}
note(
	sprintf(
		'%d seeds: %d commits were confirmed',
		scalar(@seeds), scalar(keys %confirmed)));

done_testing();
