# Copyright (c) 2026, the walstream authors

# Patroni with three relays, two of which have to confirm.  One was down when
# the leader was killed, and has WAL that no other relay has and that was never
# confirmed; it follows the new leader when it is back, without any
# intervention.

use strict;
use warnings FATAL => 'all';

use PatroniCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $cluster = PatroniCluster->new(
	nodes => [qw(n1 n2)],
	relays => [qw(relay1 relay2 relay3)],
	sync => 'ANY 2');
my ($relay1, $relay2, $relay3) = $cluster->relays;
my $leader = $cluster->start;

$leader->safe_psql('postgres',
	'CREATE EXTENSION walstream; CREATE TABLE t (a int); INSERT INTO t VALUES (1)'
);
declare_expected_warning(
	'replication slot "relay\d" on the upstream had to be made anew');

# Write WAL that only relay3 receives.
my ($other) = grep { $_ != $leader } $cluster->nodes;
wait_for_relay($leader, $_,
	$leader->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()'))
  foreach $cluster->relays;
my @senders = $leader->walsenders($other->name, 'relay1', 'relay2');
is(scalar(@senders), 3, 'all stream');
kill('STOP', @senders);
$leader->safe_psql('postgres',
	'SET synchronous_commit = local; INSERT INTO t VALUES (2)');
wait_for_relay($leader, $relay3,
	$leader->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()'));
$relay3->stop;
$leader->kill9(@senders);
my $gone = $leader;

$leader = $cluster->wait_for_leader($other);
is($leader->safe_psql('postgres', 'SELECT sum(a) FROM t'),
	'1', 'two of three relays are enough');
$relay3->start;
wait_until(
	$relay3,
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'the third follows when it is back');
like(
	slurp_file($leader->log_file),
	qr/on_role_change: the relay at .* goes on with timeline 2, which leaves 1 at/,
	'and the log says so');
my @aside = grep { /^surplus\./ } slurp_dir(store_dir($relay3));
is(scalar(@aside), 1, 'and what it had is kept aside');
$leader->safe_psql('postgres', 'INSERT INTO t VALUES (3)');
$gone->start_patroni;
$cluster->wait_until_complete;
ok($gone->is_standby, 'the old leader follows');

done_testing();
