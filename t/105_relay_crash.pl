# Copyright (c) 2026, the walstream authors

# Processes of a relay are killed at random moments under load; every confirmed
# commit survives.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

declare_expected_warning('was terminated by signal 9: Killed');
declare_expected_warning(
	'terminating connection because of crash of another server process');

declare_expected_warning(
	'canceling the wait for synchronous replication and terminating connection'
);

my $seed = $ENV{WALSTREAM_TEST_SEED} // time();
srand($seed);
diag("WALSTREAM_TEST_SEED=$seed") if $ENV{WALSTREAM_TEST_SEED};
note("seed $seed");

my $primary = walstream_primary('primary');
my $relay =
  walstream_relay($primary, 'relay', conf => "restart_after_crash = on\n");
wait_for_relay_state($relay, 'streaming');
make_synchronous($primary, $relay);
my $standby = walstream_standby(
	$primary, 'standby',
	conninfo => $relay->connstr,
	conf => "wal_retrieve_retry_interval = '100ms'\n");

# Two clients: small commits, and some that write whole segments.
my $client = start_commits($primary);
my $load = start_psql(
	$primary, q{DO $$
BEGIN
	CREATE TABLE load2 (id int, filler text);
	LOOP
		INSERT INTO load2 SELECT g, md5(random()::text) || repeat('x', 60) FROM generate_series(1, 1000) g;
		COMMIT;
		-- or there would be more to compare than to test
		PERFORM pg_sleep(0.05);
	END LOOP;
END
$$});

# The position whose flush the primary has been told, by any incarnation of the
# relay.
sub acknowledged
{
	my $lsn = $primary->safe_psql('postgres',
		"SELECT max(flush_lsn) FROM pg_stat_replication WHERE application_name = 'relay'"
	);

	return $lsn eq '' ? '0/0' : $lsn;
}

# Wait until commits continue after this moment.
sub wait_for_commits
{
	my ($count) = @_;
	my $before =
	  $primary->safe_psql('postgres', 'SELECT count(*) FROM acked');

	$primary->poll_query_until('postgres',
		"SELECT count(*) > $before + $count FROM acked")
	  or die "commits do not go on\n";
	return;
}

my $compared = lsn_number(relay_row($relay)->{first_lsn});
my @victims = (
	[
		'receiver',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'walstream relay receiver'"
	],
	[ 'keeper', "SELECT keeper_pid FROM walstream_relay" ],
	[
		'sender',
		"SELECT pid FROM walstream_senders WHERE application_name = 'standby'"
	],
	[ 'receiver', "SELECT receiver_pid FROM walstream_relay" ],
	['postmaster']);
foreach my $case (@victims, ['immediate stop'],
	map { $victims[ int(rand(@victims)) ] } 1 .. 6)
{
	my ($what, $query) = @$case;
	my $log = -s $relay->logfile;

	wait_for_commits(20 + int(rand(150)));
	my $acknowledged = acknowledged();
	if ($what eq 'postmaster')
	{
		my @pids = split /\n/,
		  $relay->safe_psql('postgres',
			"SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() UNION SELECT pid FROM walstream_senders"
		  );

		$relay->kill9;
		# the store stays locked until the last of them has ended
		foreach my $pid (@pids)
		{
			select(undef, undef, undef, 0.01) while kill(0, $pid);
		}

		# a process may remain that was started just before
		my $attempts = 20;
		until ($relay->start(fail_ok => 1))
		{
			die "the relay does not start\n" if $attempts-- == 0;

			# a failed start may have set it from the old postmaster.pid
			$relay->{_pid} = undef;
		}
	}
	elsif ($what eq 'immediate stop')
	{
		$relay->stop('immediate');
		$relay->start;
	}
	else
	{
		# the process may have to be started, or to connect, first
		$relay->poll_query_until('postgres',
			"SELECT count(pid) = 1 FROM ($query) AS p (pid)")
		  or die "there is no $what\n";
		my $pid = $relay->safe_psql('postgres', $query);

		like($pid, qr/^\d+$/, "$what: there is one");
		is(kill('KILL', $pid), 1, "$what: killed");
		$relay->wait_for_log(qr/\(PID $pid\) was terminated by signal 9/,
			$log);
		$relay->wait_for_log(qr/database system is ready to accept/, $log);
	}
	# what recovery found on disk, before any WAL was received again
	my $found =
	  qr{LOG:  relay has WAL from \S+ on timeline 1 up to (\S+) on timeline 1$}m;
	$relay->wait_for_log($found, $log);
	my ($recovered) = slurp_file($relay->logfile, $log) =~ $found;
	ok( holds_records(
			$recovered, $acknowledged, 1, $primary->data_dir . '/pg_wal'),
		"$what: what was confirmed, $acknowledged, is there");
	wait_for_relay_state($relay, 'streaming');
	wait_for_commits(10);
	is( compare_store(
			store_dir($relay), 1,
			$compared, lsn_number($acknowledged),
			$primary->data_dir . '/pg_wal'),
		undef,
		"$what: byte by byte");
	$compared = lsn_number($acknowledged);
}

$primary->safe_psql('postgres',
	"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO %'"
);
$load->{run}->finish;
stop_commits($client);
standby_matches($primary, $standby, 'the standby');
is_deeply([ missing_ids($standby, acked_ids($client)) ],
	[], 'every confirmed commit has passed the relay');
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'all that is stored is verified');

done_testing();
