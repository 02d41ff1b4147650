# Copyright (c) 2026, the walstream authors

# Failover without loss: before it is promoted, a standby that was held back
# receives everything that the relays have confirmed, or reports why it cannot.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');
my @relays = map { walstream_relay($primary, $_) } qw(relay1 relay2);
my $standby = walstream_standby(
	$primary, 'standby',
	slot => 'standby',
	conf => "wal_retrieve_retry_interval = 5s\nrestart_after_crash = on\n");
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
wait_for_replay($primary, $standby);

# Call the procedure on the standby or another node; $what has its arguments.
sub receive_all
{
	my ($what, %options) = @_;
	my ($stdout, $stderr);
	my $node = $options{node} // $standby;
	my $rc = $node->psql(
		'postgres',
		($options{before} // '') . "CALL walstream_receive_all($what)",
		stdout => \$stdout,
		stderr => \$stderr);

	return ($rc, $stdout, $stderr);
}

sub quoted
{
	my ($value) = @_;

	return "'" . $value =~ s/'/''/gr . "'";
}

# With a longer timeout than users need.
sub conninfo_of
{
	my ($node) = @_;

	return $node->connstr('postgres') . ' connect_timeout=' . patience(60);
}

# The sources argument.
sub sources
{
	return 'ARRAY[' . join(', ', map { quoted(conninfo_of($_)) } @_) . ']';
}

# Check that the call fails with this error, and leaves no relay sealed.
sub refused
{
	my ($what, $error, $name, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($rc, $stdout, $stderr) = receive_all($what, %options);

	isnt($rc, 0, "$name: refused");
	like($stderr, $error, "$name: the error");
	foreach my $relay (grep { -e $_->data_dir . '/postmaster.pid' } @relays)
	{
		is( $relay->safe_psql(
				'postgres', 'SELECT sealed_timeline FROM walstream_relay'),
			'',
			"$name: " . $relay->name . ' is not sealed');
	}
	return;
}

sub set_conninfo
{
	my ($conninfo) = @_;

	$standby->adjust_conf('postgresql.conf', 'primary_conninfo',
		"'$conninfo'");
	$standby->reload;
	$standby->poll_query_until('postgres',
		'SELECT count(*) = 0 FROM pg_stat_wal_receiver')
	  or die "the walreceiver does not end\n";
	return;
}

my $both = sources(@relays);

# Restart the relays: they read the list when they connect.
$primary->append_conf('postgresql.conf',
	"synchronous_standby_names = 'ANY 1 (relay1, relay2)'\n");
$primary->reload;
$primary->poll_query_until(
	'postgres',
	'SHOW synchronous_standby_names',
	'ANY 1 (relay1, relay2)') or die;
$_->restart foreach @relays;
wait_for_relay_state($_, 'streaming') foreach @relays;
is($_->safe_psql('postgres', 'SELECT walstream_application_name()'),
	$_->name, $_->name . ' knows its name')
  foreach @relays, $standby;
is( $primary->safe_psql(
		'postgres', 'SELECT walstream_application_name() IS NULL'),
	't',
	'a primary has none');

#
# Calls that are refused before anything is done
#
refused($both, qr/this server is not a standby/,
	'on a primary', node => $primary);
refused('', qr/no source is named/, 'no source');
refused("'{}'", qr/no source is named/, 'an empty list of sources');
refused(
	"'{\"nonsense=1 password=mine\"}'",
	qr/not a valid connection string(?!.*mine\W)/,
	'a connection string that is none');
refused("$both, 0", qr/at least one source/, 'none is required');
refused(
	sources($primary),
	qr/is a primary, not a relay/,
	'the primary as a source');
refused(
	sources($standby),
	qr/is a standby, not a relay/,
	'a standby as a source');
refused(
	$both,
	qr/cannot be called within a transaction block/,
	'in a transaction block',
	before => 'BEGIN; ');
refused(
	$both,
	qr/cannot be called within a transaction block/,
	'with a snapshot that stays',
	before =>
	  "SET default_transaction_isolation = 'repeatable read'; SELECT 1; ");
refused(
	$both,
	qr/permission denied for procedure/,
	'as another user',
	before => 'SET ROLE pg_monitor; ');
$primary->safe_psql('postgres',
	'GRANT EXECUTE ON PROCEDURE walstream_receive_all TO pg_monitor');
wait_for_replay($primary, $standby);
refused(
	$both,
	qr/must be superuser/,
	'as another user who may execute it',
	before => 'SET ROLE pg_monitor; ');

# The setting
$standby->append_conf(
	'postgresql.conf',
	"walstream.drain_sources = '"
	  . join(', ',
		map { conninfo_of($_) =~ s/'/''/gr . ' password=secret' } @relays)
	  . "'\n");
$standby->reload;

#
# A source is not reachable
#
$relays[1]->stop;
refused(
	'',
	qr/only 1 of 2 synchronous standbys.*Heard: "relay1".*Not heard: the source at \S+: /s,
	'a relay is away');
$primary->safe_psql('postgres', 'CREATE TABLE t (id int)');
pass('commits go on');
my $identity = store_dir($relays[1]) . '/walstream.identity';
rename($identity, "$identity.away") or die;
$relays[1]->start;
wait_for_relay_state($relays[1], 'failed');
refused(
	'',
	qr/only 1 of 2.*its state is "failed"/s,
	'a relay that does not know what it has');
$relays[1]->stop;
rename("$identity.away", $identity) or die;
$relays[1]->start;
wait_for_relay_state($relays[1], 'streaming');
refused(sources($relays[0]), qr/only 1 of 2/, 'only one is named');
# A relay that accepts connections and says nothing
my $silent = $relays[1]->{_pid};
kill('STOP', $silent) == 1 or die;
my ($rc, $stdout, $stderr) =
  receive_all('ARRAY['
	  . quoted(conninfo_of($relays[0])) . ', '
	  . quoted($relays[1]->connstr('postgres') . ' connect_timeout=1')
	  . ']');
kill('CONT', $silent);
isnt($rc, 0, 'a relay that does not answer: refused');
like(
	$stderr,
	qr/only 1 of 2.*Not heard: the source at \S+: no connection within the time allowed/s,
	'a relay that does not answer: the error');

# The call is cancelled while it seals a relay whose receiver is stopped
my $receiver = relay_row($relays[1])->{receiver_pid};
kill('STOP', $receiver) == 1 or die;
my $sealing = start_psql($standby, 'CALL walstream_receive_all()');
$relays[1]->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%walstream_relay_seal(%' AND state = 'active' AND pid <> pg_backend_pid()"
) or die "it is not being sealed\n";
$standby->safe_psql('postgres',
	"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL%' AND state = 'active'"
);
kill('CONT', $receiver);
$sealing->{run}->finish;
like(
	${ $sealing->{output} },
	qr/canceling statement due to user request/,
	'cancelled while a relay is sealed');
wait_until(
	$_,
	"SELECT sealed_timeline IS NULL AND state = 'streaming' FROM walstream_relay",
	$_->name . ' is not sealed') foreach @relays;

unlike(slurp_file($standby->logfile), qr/secret/, 'no password is logged');

#
# The standby has everything, and is not promoted: the seals can be removed, or
# the next call takes them over.
#
wait_for_relay($primary, $_) foreach @relays;
wait_for_replay($primary, $standby);
foreach (1 .. 2)
{
	($rc, $stdout, $stderr) = receive_all('');
	is($rc, 0, 'a standby that has everything');
	like(
		$stdout,
		qr/^1\|[^|]+\|ANY 1 \(relay1, relay2\)\|\{relay1,relay2\}\|\{\}\|\{\w+,\w+\}$/,
		'the result names both relays');
	my ($seals) = $stdout =~ /\{(\w+,\w+)\}$/;
	is( join(
			',',
			map {
				$_->safe_psql('postgres',
					'SELECT token FROM walstream_get_relay_seal()')
			} @relays),
		$seals,
		'the relays are sealed');
}
is( $standby->safe_psql(
		'postgres', 'SELECT count(*) FROM pg_stat_wal_receiver'),
	'1',
	"the standby's walreceiver continues");
my $session = start_psql($primary, 'INSERT INTO t VALUES (1)');
ok( waits_for_standby($primary, 'INSERT INTO t VALUES'),
	'commits wait while the relays are sealed');
foreach my $relay (@relays)
{
	$relay->safe_psql('postgres',
		'SELECT walstream_relay_unseal(token) FROM walstream_get_relay_seal()'
	);
}
ok($session->{run}->finish, 'commits continue when the relays are unsealed');

#
# Another program has sealed a relay
#
wait_for_relay_state($_, 'streaming') foreach @relays;
my $token =
  $relays[0]->safe_psql('postgres', 'SELECT walstream_relay_seal(1)');
($rc, $stdout, $stderr) = receive_all('');
isnt($rc, 0, 'a relay that somebody else has sealed does not count');
like(
	$stderr,
	qr/only 1 of 2.*"relay1" \([^)]*\): it has been sealed by somebody else/s,
	'the error says so');
is( $relays[0]
	  ->safe_psql('postgres', "SELECT walstream_relay_unseal('$token')"),
	't',
	'that seal is not touched');

#
# Contents of synchronous_standby_names
#
# Set the list, and let these relays read it.
sub set_names
{
	my ($list, @those) = @_;

	$primary->adjust_conf('postgresql.conf', 'synchronous_standby_names',
		"'$list'");
	$primary->reload;
	$primary->poll_query_until('postgres', 'SHOW synchronous_standby_names',
		$list)
	  or die;
	$_->restart foreach @those;
	wait_for_relay_state($_, 'streaming') foreach @those;
	return;
}

foreach my $case (
	[ '*', qr/any standby may have confirmed a commit/ ],
	[ 'ANY 1 (relay1, "RELAY1")', qr/a name is there twice/ ],
	[ '', qr/it names no standby/ ],
	[ '2 (relay1, relay2, standby)', undef ],
	[ 'ANY 1 (relay1, other)', qr/only 1 of 2/ ])
{
	my ($list, $error) = @$case;

	set_names($list, @relays);
	if (defined $error)
	{
		refused('', $error, "the list '$list'");
		next;
	}
	# of 3 standbys 2 confirm, so n - k + 1 = 2 must be asked; the standby is
	# one
	($rc, $stdout, $stderr) = receive_all(sources($relays[0]));
	is($rc, 0, 'the standby itself counts');
	$relays[0]->safe_psql('postgres',
		'SELECT walstream_relay_unseal(token) FROM walstream_get_relay_seal()'
	);
}

#
# Relays have read different lists: every list counts, not only the last one.
#
# Wait until these relays have connected again after they were sealed; only
# then may the list be changed.
sub settle
{
	my @those = @_;

	foreach (@those)
	{
		$_->safe_psql('postgres', 'SELECT walstream_relay_pause()');
		wait_for_relay_state($_, 'paused');
		$_->safe_psql('postgres', 'SELECT walstream_relay_resume()');
		wait_for_relay_state($_, 'streaming');
	}
	return;
}

settle(@relays);
set_names('relay1', $relays[0]);
refused(
	'',
	qr/only 1 of 2.*synchronous_standby_names of the old primary: "ANY 1 \(relay1, other\)"/s,
	'an earlier list');
settle($relays[0]);
set_names('ANY 1 (relay1, relay2)', $relays[1]);
($rc, $stdout, $stderr) = receive_all('');
is($rc, 0, 'both lists are satisfied') or diag($stderr);
like(
	$stdout,
	qr/^1\|[^|]+\|relay1 and ANY 1 \(relay1, relay2\)\|/,
	'the result names both lists');
$_->safe_psql('postgres',
	'SELECT walstream_relay_unseal(token) FROM walstream_get_relay_seal()')
  foreach @relays;
set_names('ANY 1 (relay1, relay2)', @relays);

#
# The primary is lost, and the standby was held back.
#
$primary->safe_psql('postgres',
	"CREATE TABLE acked (id bigint PRIMARY KEY, filler text DEFAULT repeat('x', 100))"
);
wait_for_replay($primary, $standby);
set_conninfo('host=/nowhere');
my $client = start_commits($primary);
select(undef, undef, undef, 0.05)
  until slurp_file($client->{file}) =~ /^200$/m;
$primary->kill9;
eval { $client->{run}->finish };
my @acked = acked_ids($client);
cmp_ok(scalar(missing_ids($standby, @acked)),
	'>', 100, 'commits are on relays only');

set_conninfo('');
refused('', qr/"primary_conninfo" is empty/, 'without primary_conninfo');
set_conninfo('host=/nowhere');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
refused('', qr/recovery of this standby is paused/, 'paused');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$standby->append_conf('postgresql.conf', "recovery_min_apply_delay = 1h\n");
$standby->reload;
refused('', qr/recovery of this standby is delayed/, 'delayed');
$standby->adjust_conf('postgresql.conf', 'recovery_min_apply_delay', '0');
$standby->reload;

# Recovery hangs in restore_command, so that no WAL can be replayed.
my $hang = PostgreSQL::Test::Utils::tempdir() . '/hang';
append_to_file($hang, '');
$standby->append_conf('postgresql.conf',
	"restore_command = 'while test -e $hang; do sleep 0.1; done; false'\n");
$standby->reload;
$standby->poll_query_until('postgres',
	"SELECT wait_event = 'RestoreCommand' FROM pg_stat_activity WHERE backend_type = 'startup'"
) or die "recovery does not restore\n";
refused(
	"timeout => '" . patience(5) . " s'",
	qr/within the time allowed.*restore_command/s,
	'recovery hangs');

# The call is cancelled or terminated
sub start_waiting
{
	my $waiting = start_psql($standby, 'CALL walstream_receive_all()');

	$relays[1]->poll_query_until('postgres',
		'SELECT sealed_timeline = 1 FROM walstream_relay')
	  or die;
	$standby->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event IN ('Extension', 'WalstreamReceiveAll') AND query LIKE 'CALL%'"
	) or die;
	return $waiting;
}

foreach my $how (qw(pg_cancel_backend pg_terminate_backend))
{
	my $waiting = start_waiting();
	my ($rc2, $out2, $err2) = receive_all('');
	like(
		$err2,
		qr/another session prepares the promotion/,
		'two at once are refused');
	is( $standby->safe_psql(
			'postgres',
			"SELECT $how(pid) FROM pg_stat_activity WHERE query LIKE 'CALL%' AND state = 'active'"
		),
		't', "$how()");
	$waiting->{run}->finish;
	like(${ $waiting->{output} }, qr/canceling|terminating/, "$how: ended");
	foreach my $relay (@relays)
	{
		$relay->poll_query_until('postgres',
			'SELECT sealed_timeline IS NULL FROM walstream_relay')
		  or die;
	}
	pass("$how: the relays are not sealed");
	is($standby->safe_psql('postgres', 'SHOW primary_conninfo'),
		'host=/nowhere', "$how: no setting has changed");
}

# The backend is killed: the server restarts, and the next call takes over its
# seals.
my $waiting = start_waiting();
declare_expected_warning('was terminated by signal 9');
declare_expected_warning(
	'could not restore file .* child process was terminated by signal 3');
declare_expected_warning(
	'terminating connection because of crash of another server process');
my $log = -s $standby->logfile;
my $pid = $standby->safe_psql('postgres',
	"SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL%' AND state = 'active'"
);
my $replayed =
  $standby->safe_psql('postgres', 'SELECT pg_last_wal_replay_lsn()');
kill('KILL', $pid) == 1 or die;
eval { $waiting->{run}->finish };
$standby->wait_for_log(qr/all server processes terminated; reinitializing/,
	$log);
unlink($hang);
$standby->poll_query_until('postgres',
	"SELECT pg_last_wal_replay_lsn() >= '$replayed'")
  or die;
is( join(
		',',
		map {
			$_->safe_psql('postgres',
				'SELECT sealed_timeline FROM walstream_relay')
		} @relays),
	'1,1',
	'killed: the relays are sealed');
cmp_ok(scalar(missing_ids($standby, @acked)),
	'>', 100, 'the standby is as before');

#
# Finally it succeeds
#
$standby->poll_query_until('postgres', 'SELECT pg_is_in_recovery()') or die;
my $began = time;
($rc, $stdout, $stderr) = receive_all('');
my $took = time - $began;
is($rc, 0, 'received') or diag($stderr);
like($stdout,
	qr/^1\|[^|]+\|ANY 1 \(relay1, relay2\)\|\{relay1,relay2\}\|\{\}\|/,
	'from both');
note(sprintf('walstream_receive_all() took %.2f s', $took));
cmp_ok($took, '<', patience(10), 'receiving takes little time');
is($standby->safe_psql('postgres', 'SHOW primary_conninfo'),
	'host=/nowhere', 'no setting has changed');
$standby->adjust_conf('postgresql.conf', 'restore_command', "''");
$standby->adjust_conf('postgresql.conf', 'primary_slot_name', "''");
$standby->promote;
is_deeply([ missing_ids($standby, @acked) ],
	[], 'lost: none of ' . scalar(@acked));

# The relays follow the new primary, and confirm its commits.
set_relay_upstream($_, $standby->connstr) foreach @relays;
$standby->append_conf('postgresql.conf',
	"synchronous_standby_names = 'ANY 1 (relay1, relay2)'\n");
$standby->reload;
foreach my $relay (@relays)
{
	wait_until(
		$relay,
		"SELECT state = 'streaming' AND timeline = 2 AND sealed_timeline IS NULL FROM walstream_relay",
		$relay->name . ' follows, and is not sealed');
}
$standby->safe_psql('postgres', 'CREATE TABLE u (id int)');
pass('commits go on');

done_testing();
