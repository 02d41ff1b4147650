# Copyright (c) 2026, the walstream authors

# A relay stops in fast, smart and immediate mode, whatever its clients do; and
# clients do not block DROP DATABASE.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

# what PostgreSQL says when it replays DROP DATABASE after an immediate stop
declare_expected_warning(
	'could not open directory "base/\\d+": No such file or directory');
declare_expected_warning(
	'some useless files may be left behind in old database directory');

$ENV{PGCTLTIMEOUT} = patience(120);
my $primary = walstream_primary('primary');
my $relay =
  walstream_relay($primary, 'relay', conf => "wal_sender_timeout = '8s'\n");
wait_for_relay_state($relay, 'streaming');
my $begin = relay_row($relay)->{first_lsn};
my $standby = walstream_standby(
	$primary, 'standby',
	conninfo => $relay->connstr,
	conf =>
	  "wal_retrieve_retry_interval = '100ms'\nwal_receiver_status_interval = 1\n"
);
load_wal($primary, 30_000);
wait_for_replay($primary, $standby);

# Connections that are idle, have sent half of a message, do not read, or have
# done one of these while they stream.
sub connect_clients
{
	# clients that confirm nothing are disconnected after wal_sender_timeout
	$relay->poll_query_until('postgres',
		'SELECT count(*) = 1 FROM walstream_senders')
	  or die "the standby does not connect\n";
	my %clients =
	  map { $_ => WalstreamClient->new($relay, application_name => $_) }
	  qw(idle half stalled unread silent);

	$clients{half}->_write("Q\0\0\0\x20IDENT");
	$clients{$_}->start("START_REPLICATION $begin")
	  foreach qw(stalled unread);
	$clients{stalled}->_write("d\0\0\0\x40r\0\0");
	$clients{silent}->start('START_REPLICATION ' . $primary->lsn('flush'));
	$relay->poll_query_until('postgres',
		"SELECT count(*) = 6 AND count(*) FILTER (WHERE sent_lsn > '$begin') >= 3 FROM walstream_senders"
	) or die "not all are connected\n";
	return values %clients;
}

sub drop_database
{
	my ($what) = @_;
	my $began = time();

	$relay->safe_psql('postgres', 'CREATE DATABASE dropped');
	$relay->safe_psql('postgres', 'DROP DATABASE dropped');
	cmp_ok(time() - $began,
		'<', patience(60), "$what: DROP DATABASE is not held up");
	return;
}

foreach my $mode (qw(fast smart immediate))
{
	# now with the standby as the only client
	my $log = -s $standby->logfile;
	my $began = time();
	$relay->stop($mode);
	cmp_ok(time() - $began, '<', patience(30), "$mode stop with a standby");
	$standby->wait_for_log(qr/replication terminated by primary server/, $log)
	  if $mode ne 'immediate';
	$relay->start;
	wait_for_relay_state($relay, 'streaming');

	my @clients = connect_clients();
	drop_database($mode);
	$began = time();
	$relay->stop($mode);
	cmp_ok(
		time() - $began,
		'<',
		patience($mode eq 'immediate' ? 30 : 60),
		"$mode stop with clients of all kinds");
	undef @clients;
	$relay->start;
	wait_for_relay_state($relay, 'streaming');
	load_wal($primary, 100);
	wait_for_replay($primary, $standby);
}

# Before a fast stop ends, all received WAL is sent and confirmed.
foreach my $mode (qw(fast smart))
{
	my $client =
	  start_commits($primary, first => $mode eq 'fast' ? 1 : 1_000_000);
	my $before = $primary->lsn('insert');

	wait_for_relay($primary, $relay);
	$standby->poll_query_until('postgres',
		"SELECT pg_last_wal_receive_lsn() > '$before'::pg_lsn + 50000")
	  or die "nothing is received\n";
	$relay->stop($mode);
	$standby->poll_query_until('postgres',
		'SELECT count(*) = 0 FROM pg_stat_wal_receiver')
	  or die;
	my $received =
	  $standby->safe_psql('postgres', 'SELECT pg_last_wal_receive_lsn()');
	stop_commits($client);
	$primary->stop('immediate');
	$relay->start;
	wait_for_relay_state($relay, 'waiting for upstream');
	is( $relay->safe_psql(
			'postgres',
			"SELECT flushed_lsn <= '$received' FROM walstream_relay"),
		't',
		"$mode stop under load: all that the relay had was sent");
	$primary->start;
	wait_for_relay_state($relay, 'streaming');
}
standby_matches($primary, $standby,
	'standby and primary are the same in the end');

# PostgreSQL 19 can limit how long a stop waits for clients that confirm
# nothing; the limit also holds for a relay's senders.
if ($relay->pg_version->major >= 19)
{
	$relay->append_conf('postgresql.conf',
		"wal_sender_timeout = 0\nwal_sender_shutdown_timeout = '500ms'\n");
	$relay->reload;
	my @clients = connect_clients();
	my $log = -s $relay->logfile;
	$relay->stop('fast');
	ok( $relay->log_contains(
			qr/terminating walsender process due to wal_sender_shutdown_timeout/,
			$log),
		'wal_sender_shutdown_timeout ends what no other timeout would');
	undef @clients;
}

done_testing();
