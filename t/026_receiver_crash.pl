# Copyright (c) 2026, the walstream authors

# If compressed data crashes its receiver, and with it the server, three times,
# compression is suspended.  Stops, kills and crashes for other reasons do not
# suspend it.

use strict;
use warnings;

use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $suspended = 'suspended after repeated decoding failures';
# The crashes are intended: sanitizers must not report them.
$ENV{SANITIZER_OPTIONS} = 'handle_segv=0';
declare_expected_warning(
	'was terminated by signal (?:9: Killed|11: Segmentation fault)');
declare_expected_warning(
	'terminating connection because of crash of another server process');
declare_expected_warning("uncompressed: $suspended");
# A sender may have ended by itself before the test terminates it.
declare_expected_warning(
	'PID \\d+ is not a PostgreSQL (?:backend|server) process');

# Build the module in the source tree; the servers load it from there.
system_or_bail('make', '-s', '-C', 'src/test/receive', 'with_llvm=no');
my $module = getcwd() . '/src/test/receive/walstream_test_receive';
my $libraries = "$module, walstream";
my $conf = qq{
shared_preload_libraries = '$libraries'
restart_after_crash = on
wal_retrieve_retry_interval = '100ms'
};

my $primary = walstream_primary('primary', logical => 1);
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
$primary->safe_psql('postgres',
	'CREATE TABLE events (id serial PRIMARY KEY, note text); CREATE PUBLICATION events FOR TABLE events'
);

# The file that holds the failures while the server is down.
sub failures_file
{
	my ($node) = @_;

	return $node->data_dir . '/pg_stat_tmp/walstream_failures';
}

sub write_events
{
	$primary->safe_psql('postgres',
		"INSERT INTO events (note) SELECT md5(i::text) FROM generate_series(1, 100) AS i"
	);
	return;
}

sub wait_for_stream
{
	my ($node, $name, $log, $pattern) = @_;

	$node->wait_for_log(qr/receiving [\w ]+ for "$name" $pattern/, $log);
	return;
}

# How many crashes were logged after the offset.
sub crashes
{
	my ($node, $log) = @_;
	my $count = () =
	  slurp_file($node->logfile, $log) =~ /was terminated by signal 11/g;

	return $count;
}

sub set_crash
{
	my ($node, $value) = @_;

	$node->append_conf('postgresql.conf',
		"walstream_test_receive.crash = $value");
	$node->reload;
	return;
}

# Start a server that crashes as soon as it streams. start() cannot be used: it
# requires that the server still runs when pg_ctl returns.
sub start_to_crash
{
	my ($node) = @_;

	system_log('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile,
		'-o', '--cluster-name=' . $node->name, 'start');
	return;
}

# Check that a receiver that crashes with each frame does so exactly three
# times.
sub check_crashes
{
	my ($node, $name, $what, $dir) = @_;
	my $log = -s $node->logfile;

	set_crash($node, 'on');
	$primary->safe_psql('postgres',
		"SELECT pg_terminate_backend(pid) FROM walstream_senders WHERE application_name = '$name'"
	);
	write_events();
	wait_for_stream($node, $name, $log, "uncompressed: $suspended");
	is(crashes($node, $log), 3, "$what: has crashed three times");
	$node->wait_for_log(qr/database system is ready to accept/, $log);
	is_deeply(
		[
			slurp_file($node->logfile, $log) =~
			  /receiver process \(PID \d+\) was busy .*\n.*(failure \d of \d)/g
		],
		[ map { "failure $_ of 3" } (1 .. 3) ],
		"$what: which the log tells");
	like(
		slurp_file($node->logfile, $log),
		qr/failure 3 of 3 .*\n.*HINT:  Compression is not asked for until .* 10 minutes\./,
		"$what: and what follows");
	write_events();
	$primary->wait_for_catchup($name) if $name ne 'relay';
	is(crashes($node, $log), 3, "$what: it does not crash uncompressed");
	$node->poll_query_until('postgres',
		"SELECT plain_reason = '$suspended' FROM walstream_receiver");
	is( $node->safe_psql(
			'postgres', 'SELECT plain_reason FROM walstream_receiver'),
		$suspended,
		"$what: plain_reason");
	ok(!-e failures_file($node), "$what: no file while the server runs");

	# compression is requested again after a change of the setting
	set_crash($node, 'off');
	$log = -s $node->logfile;
	set_compression($node, 'zstd');
	$primary->safe_psql('postgres',
		"SELECT pg_terminate_backend(pid) FROM walstream_senders WHERE application_name = '$name'"
	);
	wait_for_stream($node, $name, $log, 'compressed with zstd');
	pass("$what: asked again with another setting");
	return;
}

my $standby = walstream_standby($primary, 'standby', conf => $conf);
write_events();
$primary->wait_for_catchup($standby);
check_crashes($standby, 'standby', 'walreceiver');

#
# The server is stopped and killed in all ways while the receiver waits for
# WAL.  Compression continues.
#
my %ways = (
	'walreceiver killed' => sub {
		kill(
			'KILL',
			$standby->safe_psql(
				'postgres', 'SELECT pid FROM pg_stat_wal_receiver'));
	},
	'backend killed' => sub {
		my $log = -s $standby->logfile;
		my $session = start_psql($standby, 'SELECT pg_sleep(1000)');
		$standby->poll_query_until('postgres',
			"SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
		) || die;
		kill(
			'KILL',
			$standby->safe_psql(
				'postgres',
				"SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
			));
		$standby->wait_for_log(qr/was terminated by signal 9/, $log);
		eval { $session->{run}->finish };
	},
	'immediate stop' => sub { $standby->stop('immediate'); $standby->start; },
	'postmaster killed' => sub {
		$standby->kill9;

		# a start fails as long as children of the old postmaster run
		until ($standby->start(fail_ok => 1))
		{
			# a failed start may have set it from the old postmaster.pid
			$standby->{_pid} = undef;
			select(undef, undef, undef, 0.1);
		}
	},
	'fast stop' => sub { $standby->restart });
foreach my $what (sort keys %ways)
{
	my $log;

	foreach (1 .. 3)
	{
		$log = -s $standby->logfile;
		$ways{$what}->();
		wait_for_stream($standby, 'standby', $log, '(?:un)?compressed');
		write_events();
		$primary->wait_for_catchup($standby);

		# wait until the receiver has used up all WAL and waits for more
		$standby->poll_query_until('postgres',
			"SELECT codec = 'zstd' FROM walstream_receiver");
	}
	is(receiver_row($standby)->{codec},
		'zstd', "$what, three times: still compressed");
}

#
# Crashes also count if the server does not restart itself (restart_after_crash
# = off).
#
$standby->append_conf('postgresql.conf', 'restart_after_crash = off');
$standby->reload;
set_compression($standby, 'lz4');
my $begin = -s $standby->logfile;
set_crash($standby, 'on');
$primary->safe_psql('postgres',
	"SELECT pg_terminate_backend(pid) FROM walstream_senders WHERE application_name = 'standby'"
);
write_events();

foreach my $n (1 .. 3)
{
	$standby->wait_for_log(qr/failure $n of 3.*database system is shut down/s,
		$begin);
	like(
		slurp_file(failures_file($standby)),
		qr/\Awalstream failures 1\n[0-9a-f]{16} $n \d+ \d+ [0-9a-f]{8}\ncrc [0-9a-f]{8}\n\z/,
		"crash $n: a file is left, and it counts");

	$standby->{_pid} = undef;
	$n < 3 ? start_to_crash($standby) : $standby->start;
}
wait_for_stream($standby, 'standby', $begin, "uncompressed: $suspended");
write_events();
$primary->wait_for_catchup($standby);
is(crashes($standby, $begin), 3, 'it does not crash a fourth time');

# An orderly restart does not lift the suspension.
my $log = -s $standby->logfile;
$standby->restart;
wait_for_stream($standby, 'standby', $log, "uncompressed: $suspended");
pass('nor is it asked for after a restart');

#
# A damaged file
#
set_crash($standby, 'off');
foreach my $content (
	'',
	'walstream failures 1',
	"\0" x 100_000,
	'x' x 8192,
	"walstream failures 1\n0000000000000001 3 0 9223372036854775807 00000000\ncrc 00000000\n"
  )
{
	$standby->stop;
	open(my $fh, '>', failures_file($standby)) || die;
	print $fh $content;
	close($fh);
	$log = -s $standby->logfile;
	$standby->start;
	like(
		slurp_file($standby->logfile, $log),
		qr/LOG:  ignoring invalid file "pg_stat_tmp\/walstream_failures"/,
		'a file of ' . length($content) . ' bytes: ignored');
	wait_for_stream($standby, 'standby', $log, 'compressed with lz4');
}
$standby->stop;
mkdir(failures_file($standby)) || die;
$standby->start;
$standby->stop;
rmdir(failures_file($standby)) || die;

#
# An apply worker and a relay's receiver
#
my $subscriber = walstream_primary('subscriber', logical => 1, conf => $conf);
$subscriber->safe_psql('postgres',
	'CREATE EXTENSION walstream; CREATE TABLE events (id int PRIMARY KEY, note text)'
);
$subscriber->safe_psql('postgres',
		"CREATE SUBSCRIPTION events CONNECTION '"
	  . $primary->connstr
	  . " dbname=postgres' PUBLICATION events");
$subscriber->wait_for_subscription_sync($primary, 'events');
check_crashes($subscriber, 'events', 'apply worker');
$subscriber->stop;

my $relay = walstream_relay(
	$primary, 'relay',
	libraries => $libraries,
	conf => "restart_after_crash = on\ncluster_name = 'relay'\n");
wait_for_relay($primary, $relay);
check_crashes($relay, 'relay', 'relay receiver');

done_testing();
