# Copyright (c) 2026, the walstream authors

# An upstream that endlessly sends messages without WAL: its receiver can still
# be stopped, and the log is not filled.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamProxy;
use WalstreamRelay;
use WalstreamTest;

declare_expected_warning(
	'uncompressed: suspended after repeated decoding failures');

# This many bytes are tens of thousands of messages; the log may grow by far
# less.
my $enough = 1024 * 1024;
my $max_log = 100_000;

my $primary = walstream_primary('primary', logical => 1);
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
$primary->safe_psql('postgres',
	'CREATE TABLE events (id serial PRIMARY KEY, note text); CREATE PUBLICATION events FOR TABLE events'
);
my $proxy = WalstreamProxy->new($primary);
my $conf = "wal_retrieve_retry_interval = '100ms'\n";

# A 'k' or 'w' message whose positions change nothing.
sub message
{
	my ($content) = @_;

	return unpack('H*', pack('a N', 'd', 4 + length($content)) . $content);
}
my $keepalive = 'k' . "\0" x 16;
my %floods = (
	'one hello, then another' => { kind => 'H', vary => 5 },
	'keepalives' => { kind => 'H', bytes => message("$keepalive\0") },
	'keepalives that ask for a reply' =>
	  { kind => 'H', bytes => message("$keepalive\1") },
	'messages without data' =>
	  { kind => 'H', bytes => message('w' . "\0" x 24) },
	'empty messages' => { kind => 'H', bytes => message('') });

# Change the receiver's setting, so that earlier failures no longer count.
my $level = 1;

sub forget_failures
{
	my ($node) = @_;

	$level = $level % 22 + 1;
	set_compression($node, "walz:$level zstd:$level");
	return;
}

# The node's receiver connects and is flooded; then the node must be able to
# stop.
sub check_floods
{
	my ($node, $name, $what) = @_;

	foreach my $flood (sort keys %floods)
	{
		my $log = -s $node->logfile;
		my $flooded = $proxy->count('flooded');

		forget_failures($node);
		$proxy->set_rules({ action => 'flood', %{ $floods{$flood} } });
		$primary->safe_psql('postgres',
			"INSERT INTO events (note) VALUES ('x'); SELECT pg_terminate_backend(pid) FROM walstream_senders WHERE application_name = '$name'"
		);

		# wait until it has received much, or has refused it
		my $refused =
		  qr/could not decode replication stream|invalid|sent WAL from/;
		my $seen = 0;
		foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
		{
			last
			  if $proxy->count('flooded') > $flooded + $enough
			  || ($seen = slurp_file($node->logfile, $log) =~ $refused);
			select(undef, undef, undef, 0.1);
		}
		ok( $seen || $proxy->count('flooded') > $flooded + $enough,
			"$what, $flood: " . ($seen ? 'refused' : 'taken'));
		my $begun = time();
		ok($node->stop('fast', fail_ok => 1), "$what, $flood: stops");
		cmp_ok(time() - $begun, '<', patience(30), "$what, $flood: and soon");
		cmp_ok((-s $node->logfile) - $log,
			'<', $max_log, "$what, $flood: bytes of log");

		$proxy->set_rules;
		$log = -s $node->logfile;
		$node->start;
		$node->wait_for_log(
			qr/receiving [\w ]+ for "$name" (?:un)?compressed/, $log);
	}
	return;
}

my $standby = walstream_standby(
	$primary, 'standby',
	conf => $conf,
	conninfo => $proxy->connstr . ' application_name=standby');
check_floods($standby, 'standby', 'walreceiver');
wait_for_replay($primary, $standby);
standby_matches($primary, $standby, 'standby in the end');
$standby->stop;

my $subscriber = walstream_primary('subscriber', logical => 1, conf => $conf);
$subscriber->safe_psql('postgres',
	'CREATE EXTENSION walstream; CREATE TABLE events (id int PRIMARY KEY, note text)'
);
$subscriber->safe_psql('postgres',
		"CREATE SUBSCRIPTION events CONNECTION '"
	  . $proxy->connstr
	  . " dbname=postgres' PUBLICATION events");
$subscriber->wait_for_subscription_sync($primary, 'events');
check_floods($subscriber, 'events', 'apply worker');
$primary->wait_for_catchup('events');
$subscriber->stop;

my $relay = walstream_relay(
	$primary, 'relay',
	conninfo => $proxy->connstr,
	conf => "cluster_name = 'relay'\n");
wait_for_relay($primary, $relay);
check_floods($relay, 'relay', 'relay receiver');

# To a relay a damaged header of a frame is a failure, too.
my $log = -s $relay->logfile;
$proxy->set_rules({ action => 'flip', bit => 10, times => 1 });
$primary->safe_psql('postgres', "INSERT INTO events (note) VALUES ('y')");
$relay->wait_for_log(
	qr/could not decode replication stream at .*\n.*DETAIL:  Codec \w+: malformed header\./,
	$log);
wait_for_relay($primary, $relay);
unlike(
	slurp_file($relay->logfile),
	qr/was terminated by signal/,
	'relay in the end: has all, and has not crashed');

done_testing();
