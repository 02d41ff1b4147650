# Copyright (c) 2026, the walstream authors

# Every bit of whole messages is flipped before they reach the receivers of
# real servers: nothing crashes, and no byte is accepted that was not sent.

use strict;
use warnings;

use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

# Build the module in the source tree; the servers load it from there.
system_or_bail('make', '-s', '-C', 'src/test/receive', 'with_llvm=no');
my $module = getcwd() . '/src/test/receive/walstream_test_receive';
my $libraries = "$module, walstream";
my $conf = qq{
shared_preload_libraries = '$libraries'
walstream_test_receive.flip = on
wal_retrieve_retry_interval = '100ms'
};

my $primary = walstream_primary('primary', logical => 1);
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
$primary->safe_psql('postgres',
	'CREATE TABLE events (id serial PRIMARY KEY, note text); CREATE PUBLICATION events FOR TABLE events'
);

my %number = (zstd => 1, lz4 => 2, walz => 3);

# Write small commits, each of which is a message of its own.
sub write_events
{
	$primary->safe_psql(
		'postgres',
		join('',
			map { "INSERT INTO events (note) VALUES (repeat('$_', 10));\n" }
			  (1 .. 10)));
	return;
}

# Let the receiver of this name connect with the codec, and wait until the
# module has flipped all bits of some messages.
sub check_flips
{
	my ($node, $name, $codec, $what) = @_;
	my $log = -s $node->logfile;

	# A walreceiver begins at a segment's start: begin a new one, so that
	# little is sent again.
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
	set_compression($node, $codec);
	$primary->safe_psql('postgres',
		"SELECT pg_terminate_backend(pid) FROM walstream_senders WHERE application_name = '$name'"
	);
	$primary->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM walstream_senders WHERE application_name = '$name' AND codec = '$codec'"
	) || die "$name does not stream in $codec\n";
	my $said =
	  qr/walstream_test_receive flipped (\d+) bits of (\d+) messages in codec $number{$codec}: (\d+) refused, (\d+) wrong/;
	my $found = 0;
	foreach (1 .. 100)
	{
		write_events();
		last if $found = slurp_file($node->logfile, $log) =~ $said;
		select(undef, undef, undef, 0.1);
	}
	$node->wait_for_log($said, $log);
	my ($bits, $messages, $refused, $wrong) =
	  slurp_file($node->logfile, $log) =~ $said;
	cmp_ok($bits, '>', 1000,
		"$what, $codec: bits flipped, in $messages messages");
	cmp_ok($refused, '>', $bits / 2,
		"$what, $codec: most of that is refused");
	is($wrong, 0, "$what, $codec: nothing wrong came out");
	return;
}

my $standby = walstream_standby($primary, 'standby', conf => $conf);
check_flips($standby, 'standby', $_, 'walreceiver') foreach qw(walz zstd lz4);
standby_matches($primary, $standby, 'standby in the end');
$standby->stop;

my $subscriber = walstream_primary('subscriber', logical => 1, conf => $conf);
$subscriber->safe_psql('postgres',
	'CREATE EXTENSION walstream; CREATE TABLE events (id int PRIMARY KEY, note text)'
);
$subscriber->safe_psql('postgres',
		"CREATE SUBSCRIPTION events CONNECTION '"
	  . $primary->connstr
	  . " dbname=postgres' PUBLICATION events");
$subscriber->wait_for_subscription_sync($primary, 'events');
check_flips($subscriber, 'events', $_, 'apply worker') foreach qw(zstd lz4);
$primary->wait_for_catchup('events');
my $rows =
  "SELECT count(*), md5(string_agg(e::text, ',' ORDER BY id)) FROM events AS e";
is( $subscriber->safe_psql('postgres', $rows),
	$primary->safe_psql('postgres', $rows),
	'subscriber in the end: same rows');
$subscriber->stop;

my $relay = walstream_relay(
	$primary, 'relay',
	libraries => $libraries,
	conf => "walstream_test_receive.flip = on\ncluster_name = 'relay'\n");
wait_for_relay_state($relay, 'streaming');
check_flips($relay, 'relay', $_, 'relay receiver') foreach qw(walz zstd lz4);
my $end = wait_for_relay($primary, $relay);
is( compare_store(
		store_dir($relay), 1,
		lsn_number(relay_row($relay)->{first_lsn}), lsn_number($end),
		$primary->data_dir . '/pg_wal'),
	undef,
	'relay in the end: same WAL');

done_testing();
