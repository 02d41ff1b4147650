# Copyright (c) 2026, the walstream authors

# A configuration that a relay cannot run with is refused at start, with a
# hint.  A reload changes the settings that can be changed.  Secrets are not
# shown.

use strict;
use warnings;

use Fcntl qw(:flock);
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');
$primary->safe_psql('postgres',
	"CREATE ROLE repl LOGIN REPLICATION PASSWORD 'geheim'");
my $relay = walstream_relay(
	$primary, 'relay',
	conninfo => $primary->connstr . ' user=repl password=geheim',
	start => 0);
my $conf = $relay->data_dir . '/postgresql.conf';
my $kept = slurp_file($conf);

# Impossible configurations
foreach my $case (
	[
		"wal_level = minimal\nmax_wal_senders = 0\n",
		'a relay cannot run with wal_level "minimal"',
		'Set wal_level to "replica"'
	],
	[
		"max_wal_senders = 0\n",
		'a relay cannot serve anybody with max_wal_senders 0',
		'Set max_wal_senders on this instance'
	],
	[
		"max_worker_processes = 1\n",
		'max_worker_processes is too small for a relay',
		'Increase max_worker_processes'
	])
{
	my ($lines, $message, $hint) = @$case;
	my $log = -e $relay->logfile ? -s $relay->logfile : 0;

	append_to_file($conf, $lines);
	is($relay->start(fail_ok => 1), 0, "$message: it does not start");
	like(
		slurp_file($relay->logfile, $log),
		qr/FATAL:  \Q$message\E\n(?:.*DETAIL: .*\n)?.*HINT:  \Q$hint\E/,
		"$message: with a hint");
	unlink($conf);
	append_to_file($conf, $kept);
}
my $log;
foreach my $file (qw(standby.signal recovery.signal))
{
	append_to_file($relay->data_dir . "/$file", '');
	$log = -s $relay->logfile;
	is($relay->start(fail_ok => 1), 0, "$file: it does not start");
	like(
		slurp_file($relay->logfile, $log),
		qr/FATAL:  a standby cannot be a relay\n.*DETAIL:  There is a file "\Q$file\E".*\n.*HINT:  Make the relay of a new cluster/,
		"$file: with a hint");
	unlink($relay->data_dir . "/$file");
}

# No upstream
$relay->adjust_conf('postgresql.conf', 'walstream.relay_upstream', "''");
$relay->start;
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
wait_for_relay_state($relay, 'waiting for upstream');
pass('a relay without upstream starts');

# The default of one of PostgreSQL's settings
SKIP:
{
	my $sync_method = 'SHOW recovery_init_sync_method';

	skip 'the system has no syncfs',
	  3
	  if $primary->safe_psql('postgres',
		"SELECT 'syncfs' = ANY (enumvals) FROM pg_settings WHERE name = 'recovery_init_sync_method'"
	  ) ne 't';
	is($relay->safe_psql('postgres', $sync_method),
		'syncfs', 'a relay syncs its file system after a crash');
	is($primary->safe_psql('postgres', $sync_method),
		'fsync', 'another server does not');
	$relay->append_conf('postgresql.conf',
		'recovery_init_sync_method = fsync');
	$relay->reload;
	ok($relay->poll_query_until('postgres', $sync_method, 'fsync'),
		'a relay for which it is configured neither');
}

# An invalid connection string
my ($status, $stdout, $stderr) = $relay->psql('postgres',
	"ALTER SYSTEM SET walstream.relay_upstream = 'host=x nonsense=1'");
isnt($status, 0, 'a conninfo that is none is refused');
like(
	$stderr,
	qr/invalid value for parameter "walstream.relay_upstream"/,
	'the error names the setting');
like($stderr, qr/nonsense/, 'the error says what is wrong');

# Settings changed by a reload
my $conninfo = $primary->connstr . ' user=repl password=geheim';
set_relay_upstream($relay, $conninfo);
wait_for_relay_state($relay, 'streaming');
is( $primary->safe_psql(
		'postgres',
		"SELECT usename FROM pg_stat_replication WHERE application_name = 'relay'"
	),
	'repl',
	'it connects as the role that it was told');
is(relay_row($relay)->{upstream_port}, $primary->port,
	'port of the upstream');
is( $relay->safe_psql('postgres', "SELECT kind FROM walstream_receiver"),
	'relay receiver',
	'walstream_receiver shows it');

# Secrets
$relay->safe_psql('postgres',
	"CREATE ROLE reader LOGIN; CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor"
);
foreach my $role (qw(reader monitor))
{
	my $as = "SET ROLE $role;";

	like(
		($relay->psql('postgres', "$as SHOW walstream.relay_upstream"))[2],
		$role eq 'reader' ? qr/permission denied|must be superuser/ : qr/^$/,
		"$role: conninfo");
	foreach my $function (
		qw(walstream_relay_pause() walstream_relay_resume() walstream_relay_follow()
		walstream_relay_restart_after_gap() walstream_create_relay_slot('x') walstream_drop_relay_slot('x'))
	  )
	{
		like(
			($relay->psql('postgres', "$as SELECT $function"))[2],
			qr/permission denied for function/,
			"$role: $function");
	}
}
foreach my $view (
	qw(walstream_relay walstream_relay_slots walstream_relay_segments walstream_senders)
  )
{
	is( (   $relay->psql(
				'postgres', "SET ROLE monitor; SELECT count(*) FROM $view")
		)[0],
		0,
		"monitor: $view");
	like(
		($relay->psql('postgres', "SET ROLE reader; SELECT * FROM $view"))[2],
		qr/permission denied/,
		"reader: $view");
	unlike($relay->safe_psql('postgres', "SELECT v::text FROM $view v"),
		qr/geheim/, "no secret in $view");
}
load_wal($primary, 1000);
wait_for_relay($primary, $relay);
unlike($relay->safe_psql('postgres', 'SELECT * FROM pg_stat_activity'),
	qr/geheim/, 'no secret in pg_stat_activity');

# Pause and resume
$relay->safe_psql('postgres', 'SELECT walstream_relay_pause()');
wait_for_relay_state($relay, 'paused');

# The wait events of our processes have names, where PostgreSQL lets modules
# define them.
my $wait =
  $relay->pg_version->major >= 17 ? 'WalstreamRelayReceiver' : 'Extension';
wait_until(
	$relay,
	"SELECT wait_event_type = 'Extension' AND wait_event = '$wait'
		FROM pg_stat_activity WHERE backend_type = 'walstream relay receiver'",
	"the receiver waits: $wait");
wait_until(
	$primary,
	'SELECT count(*) = 0 FROM pg_stat_replication',
	'paused: no connection');
my $flushed = relay_row($relay)->{flushed_lsn};
load_wal($primary, 1000);
is(relay_row($relay)->{flushed_lsn}, $flushed, 'paused: nothing is received');
my $standby =
  walstream_standby($primary, 'standby', conninfo => $relay->connstr);
$standby->stop;
$relay->safe_psql('postgres', 'SELECT walstream_relay_resume()');
wait_for_relay_state($relay, 'streaming');
wait_for_relay($primary, $relay);
pass('resumed');

foreach my $function (qw(follow restart_after_gap))
{
	like(
		($relay->psql('postgres', "SELECT walstream_relay_$function()"))[2],
		qr/ERROR:  .*\n.*DETAIL:/s,
		"$function: not now");
}

# A store can be used by only one relay.
my $other = walstream_relay(
	$primary, 'other',
	directory => store_dir($relay),
	start => 0);
my $in_use =
  qr/FATAL:  relay directory "\Q${\ store_dir($relay)}\E" is in use\n/;
is($other->start(fail_ok => 1), 0, 'another instance does not get the store');
like(slurp_file($other->logfile),
	$in_use, 'the other instance logs that the store is in use');

# A crashed relay cannot be started while one of its processes still runs.
my $client = WalstreamClient->new($relay, application_name => 'left');
$client->start('START_REPLICATION ' . relay_row($relay)->{flushed_lsn});
my ($left, @pids) = split /\n/,
  $relay->safe_psql('postgres',
	"SELECT pid FROM (SELECT pid, 1 FROM pg_stat_activity WHERE pid <> pg_backend_pid() UNION SELECT pid, 0 FROM walstream_senders WHERE application_name = 'left') AS p (pid, rank) GROUP BY pid ORDER BY min(rank)"
  );

sub wait_until_gone
{
	foreach my $pid (@_)
	{
		my $attempts = 100 * $PostgreSQL::Test::Utils::timeout_default;

		select(undef, undef, undef, 0.01)
		  while (kill(0, $pid) && $attempts-- > 0);
		die "process $pid is still there\n" if $attempts < 0;
	}
	return;
}

kill('STOP', $left);
$relay->kill9;
wait_until_gone(@pids);
$log = -s $other->logfile;
is($other->start(fail_ok => 1), 0,
	'nor while a sender is left of a dead one');
like(slurp_file($other->logfile, $log),
	$in_use, 'the other instance logs that the store is still in use');
is($relay->start(fail_ok => 1), 0, 'nor does the instance itself start');
kill('CONT', $left);
wait_until_gone($left);
close($client->{socket});
$relay->start;
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 10);
wait_for_relay($primary, $relay);
pass('once that is gone, it goes on');

# The start waits for a process that is about to end, as after pg_ctl restart.
$relay->stop;
open(my $lock, '+<', store_dir($relay) . '/walstream.lock') || die;
flock($lock, LOCK_EX) || die;
my $holder = fork() // die;
if ($holder == 0)
{
	select(undef, undef, undef, 1);
	POSIX::_exit(0);
}
close($lock);
ok($relay->start(fail_ok => 1), 'a process that ends soon is waited for');
waitpid($holder, 0);
wait_for_relay_state($relay, 'streaming');

# A worker that fails is restarted after a pause, and its error is shown.
$log = -s $relay->logfile;
my $pid =
  $relay->safe_psql('postgres', 'SELECT receiver_pid FROM walstream_relay');
$relay->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
wait_until(
	$relay,
	"SELECT receiver_pid <> $pid AND state = 'streaming' FROM walstream_relay",
	'a receiver that was ended is started again');
is( $relay->safe_psql(
		'postgres', 'SELECT count(*) FROM walstream_get_receivers()'),
	1,
	'the entry of the ended receiver was released');

# Values that are refused
foreach my $case (
	[ 'relay_keep_size', '-1' ],
	[ 'relay_keep_age', '-1' ],
	[ 'relay_max_slot_keep_size', '-2' ],
	[ 'relay_compress', 'gzip' ],
	[ 'relay_slot', 'No Slot' ])
{
	my ($name, $value) = @$case;

	isnt(
		(   $relay->psql(
				'postgres', "ALTER SYSTEM SET walstream.$name = '$value'")
		)[0],
		0,
		"$name = $value is refused");
}

# A server that is not a relay
is( $primary->safe_psql(
		'postgres',
		'CREATE EXTENSION walstream; SELECT count(*) FROM walstream_relay'),
	0,
	'another server has no rows');
like(
	($primary->psql('postgres', 'SELECT walstream_relay_pause()'))[2],
	qr/this server is not a relay/,
	'and no functions');

# The log has no secrets, whether a value is accepted or refused.
$log = -s $relay->logfile;
set_relay_upstream($relay, "$conninfo nonsense=geheim");
$relay->wait_for_log(
	qr/invalid value for parameter "walstream.relay_upstream"\n.*DETAIL:  It is not a valid connection string\.\n/,
	$log);
set_relay_upstream($relay, "$conninfo connect_timeout=7");
wait_until(
	$relay,
	"SELECT current_setting('walstream.relay_upstream') LIKE '%connect_timeout=7'",
	'a superuser sees what is set');
set_relay_upstream($relay, '');
wait_until(
	$relay,
	"SELECT current_setting('walstream.relay_upstream') = ''",
	'a superuser sees that no upstream is set');
unlike(slurp_file($relay->logfile), qr/geheim/, 'no secret in the log');
set_relay_upstream($relay, $conninfo);
wait_for_relay_state($relay, 'streaming');
like(
	$relay->safe_psql(
		'postgres', q{
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT count(*) FROM pg_class}
	),
	qr/Workers Launched: [1-9]/,
	'parallel workers start all the same');

done_testing();
