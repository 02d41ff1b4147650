# Copyright (c) 2026, the walstream authors

# walstream.rate_limit on Unix-domain sockets, where walstream itself keeps the
# rate: its values, how much is sent in which time, and what must not be
# delayed.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamNetwork;
use WalstreamTest;

$ENV{PGCTLTIMEOUT} = patience(240);
my $primary = walstream_primary(
	'primary',
	logical => 1,
	conf => "wal_sender_timeout = '120s'\nsynchronous_commit = local\n");
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');

# Change a setting by a reload; on return the postmaster has reloaded.
sub set
{
	my ($node, $setting, $value) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET $setting = '$value'");
	$node->reload;
	wait_until(
		$node,
		"SELECT current_setting('$setting') = '$value'",
		"$setting = '$value'");
	return;
}

# What the view shows about a stream's limit.
sub shown
{
	my ($application_name) = @_;
	my $row = sender_row($primary, $application_name);

	return join(', ',
		map { $row->{$_} // '-' } qw(rate_limit paced_by unpaced_reason));
}

#
# Values
#
foreach my $case (
	[ '20MB', '"20MB" is neither a name with a rate nor "sync_too"\.' ],
	[ 'a = 1MB', '"a" is neither a name with a rate' ],
	[ 'a=1MB sync', '"sync" is neither a name with a rate' ],
	[ '=1MB', '"=1MB" is neither a name with a rate' ],
	[ '"sync_too"', '""sync_too"" is neither a name with a rate' ],
	[ 'a=1MB b=', 'The rate of "b" is not a number of bytes: ""\.' ],
	[ 'a=1MB b=fast', 'The rate of "b" is not a number of bytes: "fast"\.' ],
	[
		'a=1MB b=1Mbit',
		'The rate of "b" is not a number of bytes: "1Mbit"\.\n.*HINT:  Valid units'
	],
	[ 'a=1 MB', 'The rate of "a" is out of range: "1"\.' ],
	[
		'a=31kB',
		'The rate of "a" is out of range: "31kB"\.\n.*HINT:  .*from 32kB to 1TB'
	],
	[ 'a=1025GB', 'The rate of "a" is out of range: "1025GB"\.' ],
	[ 'a=-1', 'The rate of "a" is out of range: "-1"\.' ],
	[ 'a=1MB A=2MB', '"A" is named more than once\.' ],
	[ '*=1MB a=1MB *=1MB', '"\*" is named more than once\.' ],
	[
		'a=1MB "b c=1MB',
		'A double quote is missing behind the name that begins with "b c=1MB\.'
	])
{
	my ($value, $detail) = @$case;
	my ($status, undef, $stderr) = $primary->psql('postgres',
		"ALTER SYSTEM SET walstream.rate_limit = '$value'");

	isnt($status, 0, "'$value' is refused");
	like(
		$stderr,
		qr/ERROR:  invalid value for parameter "walstream\.rate_limit": "\Q$value\E"\n.*DETAIL:  $detail/,
		"'$value': what is wrong with it");
}

# A bad value in the file leaves the old one in force.
set($primary, 'walstream.rate_limit', 'x=1MB');
my $log = -s $primary->logfile;
$primary->append_conf('postgresql.auto.conf',
	"walstream.rate_limit = 'x=2MB y'");
$primary->reload;
$primary->wait_for_log(qr/DETAIL:  "y" is neither a name with a rate/, $log);
is($primary->safe_psql('postgres', 'SHOW walstream.rate_limit'),
	'x=1MB', 'a bad value in the file leaves the old one');

#
# To which streams a value applies
#
set($primary, 'walstream.rate_limit',
	"far=100000 \"a ''=\"\"=\"=64kB\t*=1GB  near=0 \"\"=2MB");
foreach my $case (
	[ 'far', '100000, walstream, -' ],
	[ 'FAR', '100000, walstream, -' ],
	[ "a '=\"=", '65536, walstream, -' ],
	[ 'other', '1073741824, walstream, -' ],
	[ '*', '1073741824, walstream, -' ],
	[ 'near', '-, -, -' ],
	[ '', '2097152, walstream, -' ])
{
	my ($client_name, $expected) = @$case;
	my $client =
	  WalstreamClient->new($primary, application_name => $client_name);

	$client->start(
		'START_REPLICATION '
		  . $primary->safe_psql(
			'postgres', 'SELECT pg_current_wal_flush_lsn()'));
	is(shown($client_name =~ s/'/''/gr),
		$expected, "limit of \"$client_name\"");
	$client->end;
	is(shown($client_name =~ s/'/''/gr),
		'-, -, -', "\"$client_name\" has none when its stream has ended");
	$client->close;
}

#
# How much is sent in which time
#
my $begin =
  $primary->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
load_wal($primary, 20_000);
$primary->safe_psql('postgres', 'CREATE PUBLICATION load FOR TABLE load');
$primary->safe_psql('postgres',
	"SELECT pg_create_logical_replication_slot('$_', 'pgoutput')")
  foreach qw(plain coded);
load_wal($primary, 20_000);

# A message is sent as a whole.
my $largest = 5 + 25 + 128 * 1024;
set($primary, 'walstream.rate_limit', '*=400000');
foreach my $case (
	[ 'physical, plain', {}, "START_REPLICATION $begin" ],
	[
		'physical, compressed',
		{ options => '-c walstream.accept=1\\ lz4' },
		"START_REPLICATION $begin"
	],
	[
		'logical, plain',
		{ replication => 'database', database => 'postgres' },
		"START_REPLICATION SLOT plain LOGICAL 0/0 (proto_version '1', publication_names 'load')"
	],
	[
		'logical, compressed',
		{
			replication => 'database',
			database => 'postgres',
			options => '-c walstream.accept=1\\ lz4'
		},
		"START_REPLICATION SLOT coded LOGICAL 0/0 (proto_version '1', publication_names 'load')"
	])
{
	my ($what, $parameters, $command) = @$case;
	my $client = WalstreamClient->new($primary, %$parameters,
		application_name => 'client');

	check_pace("$what: no more than the rate allows",
		$client, $command, 400_000,
		$what =~ /compressed/ ? 400_000 : 800_000, $largest);
	$client->_send('X', '');
	close($client->{socket});
	wait_until(
		$primary,
		'SELECT count(*) = 0 FROM pg_stat_replication',
		"$what: a client that leaves is not waited for");
}

#
# A delayed walsender replies, reloads, and can be terminated.
#
set($primary, 'walstream.rate_limit', '*=32kB');
my $client = WalstreamClient->new($primary, application_name => 'client');
my $started = monotonic();
$client->start("START_REPLICATION $begin");
my $length = length($client->receive);
cmp_ok($length, '>', 100_000, 'the first message comes at once');
$client->_send('d', 'r' . pack('q>4', 0, 0, 0, 0) . "\1");
my ($type) = unpack('a', $client->receive);
ok($type eq 'k' || monotonic() - $started > $length / 32768,
	'a ping is answered while WAL is held back');
my $pid = sender_row($primary, 'client')->{pid};
$primary->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
is( $client->receive_error,
	'terminating connection due to administrator command',
	'a walsender that holds back can be ended');
close($client->{socket});

$client = WalstreamClient->new($primary, application_name => 'client');
$client->start("START_REPLICATION $begin");
$pid = sender_row($primary, 'client')->{pid};
is(shown('client'), '32768, walstream, -', 'before a reload');
set($primary, 'walstream.rate_limit', '*=32kB client=1GB');
wait_until(
	$primary,
	"SELECT rate_limit = 1073741824 FROM walstream_senders WHERE pid = $pid",
	'a reload changes the limit of the stream that runs');
close($client->{socket});

#
# When the primary stops, a standby that is far behind gets everything, including
# the last checkpoint, and so does a logical client, and faster than the limit.
#
sub lsn_bytes
{
	my ($node, $since) = @_;

	return $node->safe_psql('postgres',
		"SELECT pg_current_wal_insert_lsn() - '$since'");
}

set($primary, 'walstream.rate_limit', '');
my $standby = walstream_standby($primary, 'standby',
	conf =>
	  "walstream.compression = off\nwal_retrieve_retry_interval = '100ms'\n");
my $cascade = walstream_standby($standby, 'cascade',
	conf => "wal_retrieve_retry_interval = '100ms'\n");
$primary->wait_for_catchup($standby);
set($primary, 'walstream.rate_limit', '*=32kB');
wait_until(
	$primary,
	"SELECT rate_limit = 32768 AND paced_by = 'walstream' FROM walstream_senders WHERE application_name = 'standby'",
	'the standby is held back');
$primary->safe_psql('postgres',
	"SELECT pg_create_logical_replication_slot('stopped', 'pgoutput')");
my $before =
  $primary->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
load_wal($primary, 80_000);
my $errors = '';
my $logical = IPC::Run::start(
	[
		'pg_recvlogical', '-d',
		$primary->connstr('postgres') . ' application_name=logical',
		qw(--start -S stopped -n -f),
		PostgreSQL::Test::Utils::tempdir() . '/stopped', qw(-s 1 -o
		  proto_version=1 -o publication_names=load)
	],
	'2>' => \$errors);
wait_until(
	$primary,
	"SELECT rate_limit = 32768 AND paced_by = 'walstream' FROM walstream_senders WHERE application_name = 'logical'",
	'a logical client is held back');
my $behind = lsn_bytes($primary, $before);
my $stop_begun = monotonic();
$primary->stop('fast');
cmp_ok(32768 * (monotonic() - $stop_begun),
	'<', $behind, 'a stop does not wait for the limit');
$logical->finish;
my $lsn = shutdown_checkpoint($primary);
wait_until(
	$standby,
	"SELECT pg_last_wal_replay_lsn() > '$lsn'",
	'a stop sends everything, the shutdown checkpoint included');

# A cascading standby that is behind follows the promotion of its upstream.
set($standby, 'walstream.rate_limit', '*=64kB');
$primary->start;
$primary->safe_psql('postgres', "ALTER SYSTEM RESET walstream.rate_limit");
$primary->reload;
load_wal($primary, 30_000);
$primary->wait_for_catchup($standby, 'replay');
$standby->promote;
$standby->safe_psql('postgres', 'CREATE TABLE promoted AS SELECT 1');
pass('a standby that holds others back is promoted');
set($standby, 'walstream.rate_limit', '*=1GB');
wait_for_replay($standby, $cascade);
is($cascade->safe_psql('postgres', 'SELECT count(*) FROM promoted'),
	1, 'the standby behind it follows');

#
# Synchronous streams.  A walsender checks this when it has something to send.
#
sub wait_for_pacing
{
	my ($expected, $what) = @_;
	my ($limit, @rest) = map { $_ eq '-' ? 'IS NULL' : "= '$_'" }
	  split(/, /, $expected);

	return wait_until(
		$standby, "
		SELECT pg_logical_emit_message(true, '', 'x') IS NOT NULL AND
			EXISTS (SELECT FROM walstream_senders WHERE application_name = 'cascade' AND
				rate_limit $limit AND paced_by $rest[0] AND unpaced_reason $rest[1])",
		$what);
}

wait_for_pacing('1073741824, walstream, -', 'an asynchronous one is limited');
set($standby, 'synchronous_standby_names', 'FIRST 1 (other, cascade)');
wait_for_pacing('1073741824, -, commits wait for the standby',
	'a synchronous one is not');
set($standby, 'synchronous_standby_names', 'FIRST 2 (other, cascade)');
wait_for_pacing(
	'1073741824, -, commits wait for the standby',
	'one of two, of which the other one is away, neither');
set($standby, 'synchronous_standby_names', 'FIRST 1 (other, cascade)');
set($standby, 'walstream.rate_limit', '*=1GB sync_too');
wait_for_pacing('1073741824, walstream, -', 'unless that is said');
set($standby, 'walstream.rate_limit', '*=1GB');
wait_for_pacing('1073741824, -, commits wait for the standby', 'and back');
set($standby, 'synchronous_standby_names', 'FIRST 1 (other)');
wait_for_pacing('1073741824, walstream, -', 'one that is no longer is');

# Commits do not wait for a standby that catches up at the rate.
set($standby, 'synchronous_standby_names', 'cascade');
$cascade->stop;
my $left =
  $standby->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
load_wal($standby, 80_000);
set($standby, 'walstream.rate_limit', '*=32kB');
my $missing = lsn_bytes($standby, $left);
my $came_back = monotonic();
$cascade->start;
$standby->safe_psql('postgres',
	"SET synchronous_commit = on; SELECT pg_logical_emit_message(true, '', 'x')"
);
cmp_ok(32768 * (monotonic() - $came_back),
	'<', $missing, 'a commit does not wait for a stream that is held back');
set($standby, 'synchronous_standby_names', '');
set($standby, 'walstream.rate_limit', '');

standby_matches($standby, $cascade, 'in the end');

done_testing();
