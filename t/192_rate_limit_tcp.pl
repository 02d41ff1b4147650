# Copyright (c) 2026, the walstream authors

# walstream.rate_limit on TCP, where the kernel keeps the rate, or walstream if
# the kernel cannot; also for a relay's senders.

use strict;
use warnings;

use IO::Socket::INET;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamNetwork;
use WalstreamRelay;
use WalstreamTest;

$ENV{PGCTLTIMEOUT} = patience(240);
my $options = PostgreSQL::Test::Utils::tempdir() . '/options';
my $primary = walstream_primary(
	'primary',
	start => 0,
	conf => "walstream.rate_limit = 'standby=200kB'\n");
listen_tcp($primary);
start_with_options_log($primary, $options);
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $standby = walstream_standby(
	$primary, 'standby',
	conninfo => tcp_connstr($primary),
	conf =>
	  "walstream.compression = off\nwal_retrieve_retry_interval = '100ms'\n");

sub wait_for_pacing
{
	my ($limit, $paced_by, $what) = @_;

	return wait_until(
		$primary,
		"SELECT count(*) = 1 FROM walstream_senders WHERE application_name = 'standby' AND
			rate_limit IS NOT DISTINCT FROM $limit AND paced_by IS NOT DISTINCT FROM $paced_by",
		$what);
}

# The options that the standby's walsender has set since the last call.
my $seen = 0;
my $pid;

sub new_options
{
	my @all =
	  grep { !/^TCP_CONGESTION/ } socket_options($options, $pid);
	my @new = @all[ $seen .. $#all ];

	$seen = @all;
	return \@new;
}

wait_for_pacing(204800, "'kernel'", 'the kernel holds the limit');
$pid = sender_row($primary, 'standby')->{pid};
is_deeply(
	new_options(),
	[ 'TCP_NOTSENT_LOWAT 40960', 'SO_MAX_PACING_RATE 204800' ],
	'it is told the rate, and to take what it sends in 0.2 s');

# Between 32 kB and 1 MB may wait in the kernel, whatever the rate.
set_setting($primary, 'rate_limit', '*=32kB');
wait_for_pacing(32768, "'kernel'", 'a small rate');
is_deeply(
	new_options(),
	[ 'TCP_NOTSENT_LOWAT 32768', 'SO_MAX_PACING_RATE 32768' ],
	'32 kB wait unsent');
set_setting($primary, 'rate_limit', '*=1TB');
wait_for_pacing(1099511627776, "'walstream'",
	'a rate that the kernel cannot be told');
new_options();
set_setting($primary, 'rate_limit', '*=4000000000');
wait_for_pacing(4000000000, "'kernel'", 'a large rate');
is_deeply(
	new_options(),
	[ 'TCP_NOTSENT_LOWAT 1048576', 'SO_MAX_PACING_RATE 4000000000' ],
	'1 MB wait unsent');

# Without a limit the options are reset.
set_setting($primary, 'rate_limit', '');
wait_for_pacing('NULL', 'NULL', 'no limit any more');
is_deeply(
	new_options(),
	[ 'SO_MAX_PACING_RATE 4294967295', 'TCP_NOTSENT_LOWAT 1048576' ],
	'the kernel is told so');

# The kernel refuses the option.
refuse_pacing($options, 1);
set_setting($primary, 'rate_limit', '*=300000');
wait_for_pacing(300000, "'walstream'",
	'where the kernel refuses walstream holds the limit');
is_deeply(
	new_options(),
	[
		'TCP_NOTSENT_LOWAT 60000',
		'SO_MAX_PACING_RATE 300000 refused',
		'TCP_NOTSENT_LOWAT 1048576'
	],
	'it was asked');
refuse_pacing($options, 0);

# All of this happened in one stream.
is(sender_row($primary, 'standby')->{pid}, $pid, 'it is still that stream');

# The kernel keeps the rate.  How much it sends at the beginning is not
# specified; with the large packets of loopback it may be much.
set_setting($primary, 'rate_limit', '');
my $begin =
  $primary->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
load_wal($primary, 60_000);
$primary->wait_for_catchup($standby);
set_setting($primary, 'rate_limit', '*=1MB');
{
	no warnings 'redefine';
	local *PostgreSQL::Test::Cluster::raw_connect = sub {
		return IO::Socket::INET->new(
			PeerAddr => '127.0.0.1',
			PeerPort => $_[0]->port,
			Proto => 'tcp') || die "could not connect: $!";
	};
	my $client = WalstreamClient->new($primary, application_name => 'client');

	check_pace(
		'the kernel sends no more than that',
		$client,
		"START_REPLICATION $begin",
		1024 * 1024,
		4_000_000, 1_500_000);
	$pid = sender_row($primary, 'client')->{pid};
	$primary->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	is( $client->receive_error,
		'terminating connection due to administrator command',
		'a walsender that the kernel holds back can be ended');
	$seen = 0;
	is_deeply(
		[ @{ new_options() }[ 0 .. 3 ] ],
		[
			'TCP_NOTSENT_LOWAT 209715',
			'SO_MAX_PACING_RATE 1048576',
			'SO_MAX_PACING_RATE 4294967295',
			'TCP_NOTSENT_LOWAT 1048576'
		],
		'for its last message the limit was lifted');
}

# A stop sends everything to a standby that is behind.
set_setting($primary, 'rate_limit', 'standby=32kB');
wait_for_pacing(32768, "'kernel'", 'the standby is held back');
load_wal($primary, 80_000);
$primary->stop('fast');
my $lsn = shutdown_checkpoint($primary);
wait_until(
	$standby,
	"SELECT pg_last_wal_replay_lsn() > '$lsn'",
	'a stop sends everything, the shutdown checkpoint included');
$primary->start;

#
# The senders of a relay
#
my $relay = walstream_relay($primary, 'relay', start => 0);
listen_tcp($relay);
$relay->start;
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
load_wal($primary, 60_000);
wait_for_relay($primary, $relay);
set_setting($relay, 'rate_limit', '*=400000');
my $first = relay_row($relay)->{first_lsn};
my $client = WalstreamClient->new($relay, application_name => 'client');
check_pace(
	'a relay holds the limit',
	$client, "START_REPLICATION $first",
	400_000, 800_000, 5 + 25 + 128 * 1024);
my $row = sender_row($relay, 'client');
is_deeply(
	[ @$row{qw(relay rate_limit paced_by)} ],
	[ JSON::PP::true, 400000, 'walstream' ],
	'and shows it');
close($client->{socket});

my $downstream = walstream_standby(
	$primary,
	'downstream',
	conninfo => tcp_connstr($relay),
	conf =>
	  "walstream.compression = off\nwal_retrieve_retry_interval = '100ms'\n");
wait_until(
	$relay,
	"SELECT count(*) = 1 FROM walstream_senders WHERE application_name = 'downstream' AND relay AND paced_by = 'kernel'",
	'on TCP the kernel holds a relay\'s limit');
set_setting($relay, 'rate_limit', '*=32kB');
wait_until(
	$relay,
	"SELECT rate_limit = 32768 FROM walstream_senders WHERE application_name = 'downstream'",
	'the standby behind the relay is held back');
load_wal($primary, 80_000);
$lsn = wait_for_relay($primary, $relay);
$relay->stop('fast');
wait_until(
	$downstream,
	"SELECT pg_last_wal_receive_lsn() >= '$lsn'",
	'a relay that stops sends everything that it has');

done_testing();
