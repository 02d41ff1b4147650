# Copyright (c) 2026, the walstream authors

# Streams that find no free entry in walstream's array of streams: each logs
# this once, and when it gets an entry, its counts include everything since its
# beginning.  A relay has both a receiver and senders.

use strict;
use warnings;

use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

my $no_entry =
  'walstream has no free entry for this stream, which is not counted until there is one';
declare_expected_warning($no_entry);

# Build the module in the source tree; the servers load it from there.
system_or_bail('make', '-s', '-C', 'src/test/receive', 'with_llvm=no');
my $module = getcwd() . '/src/test/receive/walstream_test_receive';

# Room for three senders and two receivers.
my $primary = walstream_primary('primary');
my $relay = walstream_relay(
	$primary, 'relay',
	libraries => "$module, walstream",
	conf => qq{
cluster_name = 'relay'
max_wal_senders = 3
max_logical_replication_workers = 0
wal_sender_timeout = 0
wal_receiver_status_interval = 1
walstream_test_receive.fill = on
});

# The severities of the relay's log messages about streams without an entry.
sub without_entry
{
	return [ sort(slurp_file($relay->logfile) =~ /(\w+):  $no_entry/g) ];
}

# Write some WAL, and read what the clients were sent: if a socket were full,
# the rest could not be sent, and would not be counted.
my %clients;

sub write_wal
{
	load_wal($primary, 10);
	wait_for_relay($primary, $relay);
	foreach my $socket (map { $_->{socket} } values %clients)
	{
		my $bytes;

		$socket->blocking(0);
		1 while sysread($socket, $bytes, 1_000_000);
		$socket->blocking(1);
	}
	return;
}

wait_for_relay_state($relay, 'streaming');
is( $relay->safe_psql(
		'postgres',
		'SELECT name, count(*) FROM walstream_receiver GROUP BY name'),
	'fill|5',
	'the array is full');
is_deeply(without_entry(), ['WARNING'], 'the receiver warns');
my $begin = lsn_number(wait_for_relay($primary, $relay));

%clients = (
	coded => WalstreamClient->new(
		$relay,
		application_name => 'coded',
		options => '-c walstream.accept=1\\ lz4'),
	plain => WalstreamClient->new($relay, application_name => 'plain'));
$_->start('START_REPLICATION ' . format_lsn($begin)) foreach values %clients;
is_deeply(
	without_entry(),
	[ 'LOG', 'LOG', 'WARNING' ],
	'a sender says it to the log only');

# They look for an entry again each second, without logging it.
my $until = time() + 3;
while (time() < $until)
{
	write_wal();
	select(undef, undef, undef, 0.1);
}
is_deeply(
	without_entry(),
	[ 'LOG', 'LOG', 'WARNING' ],
	'each has said it once');
wait_until(
	$relay, "
	SELECT count(*) = 2 AND bool_and(codec IS NULL AND streaming_since IS NULL AND raw_bytes IS NULL AND
		sent_lsn = (SELECT flushed_lsn FROM walstream_relay))
	FROM walstream_senders",
	'streams without an entry go on, and their rows have no counters');
is( $relay->safe_psql(
		'postgres',
		"SELECT count(*) FROM walstream_receiver WHERE name <> 'fill'"),
	0,
	'a receiver without an entry has no row');
my $before = $primary->safe_psql('postgres', 'SELECT clock_timestamp()');

$relay->safe_psql('postgres',
	'ALTER SYSTEM SET walstream_test_receive.fill = off');
$relay->reload;
my %bytes;
foreach my $view ('walstream_receiver', 'walstream_senders')
{
	my $names =
	  $view eq 'walstream_receiver'
	  ? "name = 'relay'"
	  : "application_name IN ('coded', 'plain')";
	my $count = $view eq 'walstream_receiver' ? 1 : 2;
	my $attempts = 10 * $PostgreSQL::Test::Utils::timeout_default;
	my $counted = '';

	while ($counted ne 't' && $attempts-- > 0)
	{
		write_wal();
		$counted = $relay->safe_psql('postgres',
			"SELECT count(*) = $count FROM $view WHERE $names AND raw_bytes > 0"
		);
		select(undef, undef, undef, 0.1);
	}
	is($counted, 't', "$view: all are counted once there is an entry");
}

# Most of the WAL was sent before the streams got their entries.
write_wal();
my $all = lsn_number(wait_for_relay($primary, $relay)) - $begin;
foreach my $name (sort keys %clients)
{
	wait_until(
		$relay,
		"SELECT raw_bytes >= $all AND messages > 0 FROM walstream_senders WHERE application_name = '$name'",
		"sender, $name: from the stream's beginning");
}
wait_until(
	$relay,
	"SELECT raw_bytes >= $all AND messages > 0 FROM walstream_receiver WHERE name = 'relay'",
	"receiver: from the stream's beginning");
is( $relay->safe_psql(
		'postgres',
		"SELECT string_agg(concat_ws(' ', application_name, codec, plain_reason), ', ' ORDER BY application_name), bool_and(streaming_since < '$before') FROM walstream_senders"
	),
	'coded lz4, plain the receiver did not ask for compression|t',
	'the rows say how they stream, and since when');
is( $relay->safe_psql(
		'postgres',
		"SELECT codec, streaming_since < '$before' FROM walstream_receiver"),
	'walz|t',
	'so does the receiver\'s');
is_deeply(
	without_entry(),
	[ 'LOG', 'LOG', 'WARNING' ],
	'nothing more is said of it');
close($_->{socket}) foreach values %clients;

done_testing();
