# Copyright (c) 2026, the walstream authors

# A Patroni standby cluster whose remote is a relay, with and without a slot on
# it: its leader is made from a base backup of the main cluster, and receives
# from the relay.

use strict;
use warnings FATAL => 'all';

use PatroniCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

my $cluster =
  PatroniCluster->new(nodes => [qw(n1)], relays => [qw(relay1 relay2)]);
my ($leader) = $cluster->nodes;
my ($relay) = $cluster->relays;

$leader->start_patroni;
PatroniCluster::wait_for('the node becomes a primary',
	sub { $leader->is_primary });
$cluster->wait_until_complete;
$leader->safe_psql('postgres',
	'CREATE EXTENSION walstream; CREATE TABLE t AS SELECT 1 AS a');

# A standby cluster's Patroni asks its remote by SQL, and expects a primary.
$relay->append_conf(
	'postgresql.conf', qq(
listen_addresses = '127.0.0.1'
walstream.relay_in_hot_standby = off
));
$relay->restart;
$relay->poll_query_until('postgres',
	'SELECT flushed_lsn IS NOT NULL FROM walstream_relay')
  || die "the relay does not find its end\n";
$relay->safe_psql('postgres',
	"CREATE ROLE replicator LOGIN REPLICATION; CREATE ROLE rewind_user LOGIN; SELECT walstream_create_relay_slot('site2')"
);

my $slot =
  $cluster->add_standby_cluster('s1', $relay, primary_slot_name => 'site2');
my $plain = $cluster->add_standby_cluster('s2', $relay);

$_->start_patroni foreach $slot, $plain;
foreach my $node ($slot, $plain)
{
	my $name = $node->name;

	$relay->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM walstream_senders WHERE relay AND application_name = '$name' AND state = 'streaming'"
	) or die "$name does not stream\n";
	ok($node->is_standby,
		"$name: the standby leader receives from the relay");
}
is( $relay->safe_psql(
		'postgres',
		"SELECT slot_name FROM walstream_relay_slots WHERE active_pid IS NOT NULL"
	),
	'site2',
	'one of them with a slot');

$leader->safe_psql('postgres', 'INSERT INTO t VALUES (2)');
foreach my $node ($slot, $plain)
{
	$node->poll_query_until('postgres', 'SELECT count(*) = 2 FROM t');
	is($node->safe_psql('postgres', 'SELECT sum(a) FROM t'),
		'3', $node->name . ' has what the leader has');
	PatroniCluster::wait_for(
		$node->name . ' is a standby leader',
		sub {
			slurp_file($node->log_file) =~ /the standby leader with the lock/;
		});
}

done_testing();
