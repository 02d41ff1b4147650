# Copyright (c) 2026, the walstream authors

# Shutdown of the primary, a synchronous standby, and a stream with nothing
# to send.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

my $primary = walstream_primary('primary');
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $standby = walstream_standby($primary, 'standby');
load_wal($primary);
$primary->wait_for_catchup($standby);

# Check that the standby has replayed the primary's last record, which is the
# shutdown checkpoint, and has nothing after it.
sub check_shutdown_checkpoint
{
	my ($what) = @_;
	my $lsn = shutdown_checkpoint($primary);
	my ($stdout, $stderr) = run_command(
		[
			'pg_waldump',
			'--path' => $standby->data_dir . '/pg_wal',
			'--start' => $lsn
		]);

	is(() = $stdout =~ /^rmgr/mg, 1, "$what: one record from there on");
	like(
		$stdout,
		qr/^rmgr: XLOG .* CHECKPOINT_SHUTDOWN redo \Q$lsn\E;/,
		"$what: the standby has the shutdown checkpoint");
	$standby->poll_query_until('postgres',
		"SELECT pg_last_wal_replay_lsn() > '$lsn'")
	  || die "the standby does not replay the shutdown checkpoint\n";
	return;
}

# Start psql in the background and collect its output.
sub start_psql
{
	my ($sql) = @_;
	my $output = '';
	my $run = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $primary->connstr('postgres'), '-c', $sql ],
		'>&' => \$output,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

	return { run => $run, output => \$output };
}

# A session that inserts and commits until it is ended.
sub start_load
{
	return start_psql(
		q{DO $$
BEGIN
	LOOP
		INSERT INTO load(filler) SELECT md5(g::text) FROM generate_series(1, 50) g;
		COMMIT;
	END LOOP;
END
$$});
}

# Wait until much more has been sent.
sub wait_for_load
{
	$primary->poll_query_until('postgres',
		'SELECT count(codec) = 1 FROM walstream_senders')
	  || die "the standby does not stream\n";
	my $sent = sender_row($primary, 'standby')->{raw_bytes} + 300_000;

	$primary->poll_query_until('postgres',
		"SELECT raw_bytes > $sent AND codec = 'walz' FROM walstream_senders")
	  || die "nothing is sent\n";
	return;
}

# Start the primary again and wait for a compressed stream.
sub start_again
{
	my ($what) = @_;
	my $log = -s $standby->logfile;

	$primary->start;
	load_wal($primary);
	standby_matches($primary, $standby, $what);
	like(
		slurp_file($standby->logfile, $log),
		qr/LOG:  receiving WAL for "standby" compressed with walz, level 1\n/,
		"$what: compressed again");
	return;
}

my $session = start_load();
wait_for_load();
$primary->stop('fast');
$session->{run}->finish;
check_shutdown_checkpoint('fast shutdown under load');
start_again('after a fast shutdown');

$primary->stop('smart');
check_shutdown_checkpoint('smart shutdown');
start_again('after a smart shutdown');

$session = start_load();
wait_for_load();
$primary->stop('immediate');
$session->{run}->finish;
start_again('after an immediate shutdown');

# Now restart the standby under load.
$session = start_load();
wait_for_load();
$standby->restart;
wait_for_load();
$primary->safe_psql('postgres',
	"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO %'"
);
$session->{run}->finish;
standby_matches($primary, $standby,
	'after a restart of the standby under load');

# Shutdown with a synchronous standby for which commits wait.
$primary->append_conf(
	'postgresql.conf', q{
synchronous_standby_names = 'standby'
synchronous_commit = remote_apply
});
$primary->reload;
$primary->poll_query_until('postgres',
	"SELECT sync_state = 'sync' AND codec = 'walz' FROM walstream_senders")
  || die "the standby does not become synchronous\n";

my $visible = 0;
foreach my $n (1 .. 10)
{
	$primary->safe_psql('postgres',
		"INSERT INTO load(filler) VALUES ('synchronous $n')");
	$visible += $standby->safe_psql('postgres',
		"SELECT count(*) FROM load WHERE filler = 'synchronous $n'");
}
is($visible, 10, 'what has been committed is visible on the standby');

$standby->stop;
$session = start_psql("INSERT INTO load(filler) VALUES ('waits')");
$primary->poll_query_until('postgres',
	"SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE query LIKE '%(''waits'')'"
) || die "the commit does not wait\n";
$standby->start;
ok($session->{run}->finish, 'a commit waits for the standby, and goes on');
is( $standby->safe_psql(
		'postgres', "SELECT count(*) FROM load WHERE filler = 'waits'"),
	1,
	'the standby has it');

# A stream with nothing to send stays up for longer than the timeouts.
foreach my $node ($primary, $standby)
{
	$node->append_conf(
		'postgresql.conf', q{
wal_sender_timeout = '6s'
wal_receiver_timeout = '6s'
});
	$node->reload;
}
my $idle = sender_row($primary, 'standby');
my $receiver = receiver_row($standby)->{pid};
$primary->poll_query_until('postgres',
	"SELECT reply_time > timestamptz '$idle->{reply_time}' + interval '9 s' FROM walstream_senders WHERE pid = $idle->{pid}"
) || die "no replies\n";
is(receiver_row($standby)->{pid}, $receiver, 'an idle stream stays up');
standby_matches($primary, $standby, 'after that');

done_testing();
