# Copyright (c) 2026, the walstream authors

# However a stream ends, its entry in shared memory is released, and the next
# stream continues from the same position.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamTest;

declare_expected_warning('was terminated by signal 9: Killed');
declare_expected_warning(
	'terminating connection because of crash of another server process');

my %options = (
	logical => 1,
	conf => q{
restart_after_crash = on
wal_retrieve_retry_interval = '100ms'
max_wal_senders = 4
max_logical_replication_workers = 2
});
my $primary = walstream_primary('primary', %options);
my $subscriber = walstream_primary('subscriber', %options);
$_->safe_psql('postgres', 'CREATE EXTENSION walstream')
  foreach $primary, $subscriber;
load_wal($primary, 10);
$subscriber->safe_psql('postgres',
	'CREATE TABLE load (id bigint, filler text)');
my $standby = walstream_standby($primary, 'standby');
$primary->safe_psql('postgres', 'CREATE PUBLICATION load FOR TABLE load');
my $connstr = $primary->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION subscription CONNECTION '$connstr' PUBLICATION load"
);
$subscriber->wait_for_subscription_sync($primary, 'subscription');

# Start a session that inserts and commits until it is ended.  Returns once its
# changes are being sent to both receivers.
sub start_load
{
	my $sql = q{DO $$
BEGIN
	LOOP
		INSERT INTO load (filler) SELECT md5(i::text) FROM generate_series(1, 50) AS i;
		COMMIT;
	END LOOP;
END
$$};
	my $before = $primary->safe_psql('postgres',
		"SELECT application_name, raw_bytes FROM walstream_senders");
	my %before = map { split /\|/ } split(/\n/, $before);
	my $output = '';
	my $session = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $primary->connstr('postgres'), '-c', $sql ],
		'>&' => \$output,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

	foreach my $name (sort keys %before)
	{
		$primary->poll_query_until('postgres',
			"SELECT raw_bytes > $before{$name} + 50000 FROM walstream_senders WHERE application_name = '$name'"
		) || die "nothing is sent to $name\n";
	}
	return $session;
}

sub end_load
{
	my ($session) = @_;

	$primary->safe_psql('postgres',
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO %'"
	);
	$session->finish;
	return;
}

# How many processes have begun to stream since the server's last start,
# according to its log.
sub streams_begun
{
	my ($node, $what) = @_;
	my $log = slurp_file($node->logfile);
	my %pids;

	$log =~ s/.*database system is ready to accept//s;
	$pids{$1} = 1
	  while $log =~ /\[(\d+)\] .*LOG:  $what (?:WAL|logical changes) /g;
	return scalar(keys %pids);
}

# Check that both receivers stream again, that the views show the existing
# processes and as many streams as have begun, and that both have the primary's
# data.
sub check_streams
{
	my ($what) = @_;
	my $checksum = 'SELECT count(*), sum(hashtext(id || filler)) FROM load';
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	load_wal($primary, 100);
	$primary->wait_for_catchup($standby);
	$primary->wait_for_catchup('subscription');
	my $expected = $primary->safe_psql('postgres', $checksum);
	is($standby->safe_psql('postgres', $checksum),
		$expected, "$what: standby's rows");
	is($subscriber->safe_psql('postgres', $checksum),
		$expected, "$what: subscriber's rows");

	wait_until(
		$primary, q{
		SELECT array_agg(pid ORDER BY pid) = (SELECT array_agg(pid ORDER BY pid) FROM pg_stat_replication) AND
			array_agg(codec ORDER BY codec) = '{walz,zstd}'
		FROM walstream_get_sender_slots() WHERE pid IS NOT NULL},
		"$what: walsenders");
	wait_until(
		$standby, q{
		SELECT array_agg(pid) = (SELECT array_agg(pid) FROM pg_stat_wal_receiver)
		FROM walstream_get_receivers()},
		"$what: walreceiver");
	wait_until(
		$subscriber, q{
		SELECT array_agg(pid) = (SELECT array_agg(pid) FROM pg_stat_subscription WHERE pid IS NOT NULL)
		FROM walstream_get_receivers()},
		"$what: apply worker");
	foreach my $node ($primary, $standby, $subscriber)
	{
		my $verb = $node == $primary ? 'streaming' : 'receiving';

		is( $node->safe_psql(
				'postgres', 'SELECT sum(streams) FROM walstream_totals'),
			streams_begun($node, $verb),
			"$what: streams counted by " . $node->name);
	}
	return;
}

check_streams('at first');

#
# Killed processes: PostgreSQL restarts all other processes of that server.
#
my $walsender =
  "SELECT pid FROM pg_stat_replication WHERE application_name = ";
foreach my $case (
	[ 'walsender of the standby', $primary, "$walsender 'standby'" ],
	[
		'walsender of the subscription', $primary,
		"$walsender 'subscription'"
	],
	[
		'backend',
		$primary,
		"SELECT pid FROM pg_stat_activity WHERE query LIKE 'DO %' AND pid <> pg_backend_pid()"
	],
	[ 'walreceiver', $standby, 'SELECT pid FROM pg_stat_wal_receiver' ],
	[ 'apply worker', $subscriber, 'SELECT pid FROM pg_stat_subscription' ])
{
	my ($what, $node, $query) = @$case;
	my $session = start_load();
	my $log = -s $node->logfile;
	my $pid = $node->safe_psql('postgres', $query);

	is(kill('KILL', $pid), 1, "$what: killed");
	$node->wait_for_log(qr/\(PID $pid\) was terminated by signal 9/, $log);
	$node->wait_for_log(qr/database system is ready to accept/, $log);
	$node == $primary ? $session->finish : end_load($session);
	check_streams("$what killed");
}

#
# Terminated processes
#
my $session = start_load();
my $streams = $primary->safe_psql('postgres',
	'SELECT sum(streams) FROM walstream_totals');
$primary->safe_psql('postgres',
	'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
wait_until(
	$primary, "
	SELECT sum(streams) = $streams + 2 AND count(last_end) = 2 FROM walstream_totals
	WHERE (SELECT count(codec) = 2 FROM walstream_senders)",
	'walsenders terminated: two streams have ended and two begun');
end_load($session);
check_streams('walsenders terminated');

$session = start_load();
my $receiver =
  $standby->safe_psql('postgres', 'SELECT pid FROM pg_stat_wal_receiver');
my $worker =
  $subscriber->safe_psql('postgres', 'SELECT pid FROM pg_stat_subscription');
is(kill('TERM', $receiver, $worker), 2, 'receivers told to end');
wait_until(
	$standby,
	"SELECT pid <> $receiver AND codec = 'walz' FROM walstream_receiver",
	'another walreceiver');
wait_until(
	$subscriber,
	"SELECT pid <> $worker AND codec = 'zstd' FROM walstream_receiver",
	'another apply worker');
end_load($session);
check_streams('receivers told to end');

#
# Streams that end normally or with an error
#
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION subscription DISABLE');
wait_until(
	$subscriber,
	'SELECT count(*) = 0 FROM walstream_get_receivers()',
	'subscription disabled: its receiver has gone');
my $begun = streams_begun($standby, 'receiving');
$standby->promote;
wait_until(
	$standby,
	'SELECT count(*) = 0 FROM walstream_get_receivers()',
	'standby promoted: its walreceiver has gone');
wait_until(
	$primary,
	'SELECT count(pid) = 0 AND count(streaming_since) = 0 FROM walstream_get_sender_slots()',
	'standby promoted: the walsenders have gone');
foreach my $case (
	[ $standby, $begun ],
	[ $subscriber, streams_begun($subscriber, 'receiving') ],
	[ $primary, streams_begun($primary, 'streaming') ])
{
	my ($node, $streams) = @$case;

	is( $node->safe_psql(
			'postgres',
			'SELECT sum(streams), count(*) = count(last_end) FROM walstream_totals'
		),
		"$streams|t",
		$node->name . ': as many streams have ended as have begun');
}
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION subscription ENABLE');
$primary->wait_for_catchup('subscription');

# A client that does not answer before the timeout
my $accept = '-c walstream.accept=1\\ zstd';
my $log = -s $primary->logfile;
my $client = WalstreamClient->new(
	$primary,
	application_name => 'silent',
	options => "$accept -c wal_sender_timeout=1s");
$client->start('START_REPLICATION ' . $primary->lsn('flush'));
$primary->wait_for_log(
	qr/silent LOG:  terminating walsender process due to replication timeout/,
	$log);
wait_until(
	$primary,
	"SELECT last_end IS NOT NULL FROM walstream_totals WHERE name = 'silent'",
	'a stream that timed out has ended');

# An error ends the stream but not the connection, which can stream again.
$client = WalstreamClient->new(
	$primary,
	application_name => 'again',
	options => $accept);
$client->start('START_REPLICATION 0/100000');
like(
	$client->receive_error,
	qr/requested WAL segment \w+ has already been removed/,
	'WAL that is not there');
$client->start('START_REPLICATION ' . $primary->lsn('flush'));
load_wal($primary, 100);
like($client->receive, qr/^H\x01\x01/,
	'the next stream of the connection begins with a hello');
my $message = $client->receive;
$message = $client->receive while $message !~ /^Z/;
is(ord(substr($message, 1)) & 0x0f,
	0x09, 'and a frame that needs none before it');
is( $primary->safe_psql(
		'postgres',
		"SELECT streams, last_end IS NULL, frames > 0 FROM walstream_totals WHERE name = 'again'"
	),
	'1|t|t',
	'a connection counts once');
$client->close;
is( $primary->safe_psql(
		'postgres',
		"SELECT streams, last_end IS NULL FROM walstream_totals WHERE name = 'again'"
	),
	'1|f',
	'a stream that has ended has an end time');

#
# A server with the maximal number of senders and receivers has an entry for
# each of them.
#
$primary->safe_psql('postgres',
	'CREATE TABLE other (id int); CREATE PUBLICATION other FOR TABLE other');
$subscriber->safe_psql('postgres', 'CREATE TABLE other (id int)');
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION other CONNECTION '$connstr' PUBLICATION other WITH (copy_data = off)"
);
$subscriber->poll_query_until('postgres',
	'SELECT count(codec) = 2 FROM walstream_receiver')
  || die "the subscriptions do not stream\n";
my @clients = map {
	WalstreamClient->new(
		$subscriber,
		application_name => "client $_",
		options => $accept)
} (1 .. 4);
$_->start('START_REPLICATION ' . $subscriber->lsn('flush')) foreach @clients;
$subscriber->safe_psql('postgres',
	'CREATE TABLE written AS SELECT generate_series(1, 1000)');
foreach my $one (@clients)
{
	$message = $one->receive;
	$message = $one->receive while $message !~ /^Z/;
}
wait_until(
	$subscriber, q{
	SELECT count(codec) = 4 AND bool_and(frames > 0) FROM walstream_senders
	WHERE (SELECT count(codec) = 2 FROM walstream_receiver)},
	'all streams that there can be are counted');
eval { WalstreamClient->new($subscriber, application_name => 'one more') };
like(
	$@,
	qr/exceeds "?max_wal_senders"? \(currently 4\)/,
	'there can be no other');
$_->close foreach @clients;
is( $subscriber->safe_psql(
		'postgres', 'SELECT count(pid) FROM walstream_get_sender_slots()'),
	0,
	'all entries are free again');

done_testing();
