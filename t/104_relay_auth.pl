# Copyright (c) 2026, the walstream authors

# PostgreSQL decides who may receive from a relay: passwords, pg_hba.conf,
# privileges, TLS, and other modules that check logins.

use strict;
use warnings;

use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');
my $relay = walstream_relay($primary, 'relay');
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 1000);
wait_for_relay($primary, $relay);
$relay->safe_psql(
	'postgres', q{
CREATE ROLE repl LOGIN REPLICATION PASSWORD 'secret';
CREATE ROLE other LOGIN PASSWORD 'secret';
CREATE ROLE rejected LOGIN REPLICATION PASSWORD 'secret';
CREATE ROLE nologin REPLICATION PASSWORD 'secret';
});

# Which walsender a client gets that asks for that of the relay's own cluster.
# It may ask in the options and as a parameter of the startup packet; of these
# two PostgreSQL uses the parameter.
my $own = $relay->safe_psql('postgres',
	'SELECT system_identifier FROM pg_control_system()');
my $accept = 'walstream.accept';
foreach my $case (
	['relay'],
	[ 'relay', options => "-c $accept=1\\ zstd" ],
	[ 'relay', $accept => '1 zstd' ],
	[ 'own', options => "-c $accept=1\\ own" ],
	[ 'own', $accept => '1 own' ],
	[ 'own', options => "-c $accept=own" ],
	[ 'own', $accept => 'own' ],
	[ 'own', options => "-c$accept=1\\ zstd\\ own" ],
	[ 'own', options => "--$accept=1\\ own" ],
	[ 'own', 'WalStream.Accept' => '1 zstd own' ],
	[ 'relay', options => "-c $accept=1\\ owner" ],
	[ 'relay', $accept => '1 owner' ],
	[ 'relay', 'other.accept' => '1 own' ],
	[ 'own', options => "-c $accept=1 -c $accept=1\\ own" ],
	[ 'relay', options => "-c $accept=1\\ own -c $accept=1" ],
	[ 'own', options => "-c $accept=1\\ zstd", $accept => '1 own' ],
	[ 'relay', options => "-c $accept=1\\ own", $accept => '1 zstd' ])
{
	my ($expected, %parameters) = @$case;
	my $client = WalstreamClient->new($relay, %parameters);
	my ($identifier) = $client->row('IDENTIFY_SYSTEM');

	is( $identifier eq $own ? 'own' : 'relay',
		$expected,
		join(', ',
			"walsender: $expected",
			map { "$_ $parameters{$_}" } sort keys %parameters));
	is(($client->row("SHOW $accept"))[0] =~ /\bown\b/ ? 'own' : 'relay',
		$expected, 'the setting in force agrees')
	  if grep { /accept\b/i } %parameters;
	$client->close;
}

my $hba = $relay->data_dir . '/pg_hba.conf';
unlink($hba);
append_to_file(
	$hba, q{
local replication rejected reject
local replication all scram-sha-256
local all rejected,repl,other scram-sha-256
local all all trust
});
$relay->reload;

my $lsn = relay_row($relay)->{flushed_lsn};
my $base = PostgreSQL::Test::Utils::tempdir();

# Run a replication command as some role; returns the status and the output.
sub identify
{
	my ($user, $password, @more) = @_;
	local $ENV{PGPASSWORD} = $password;
	my ($stdout, $stderr) = run_command(
		[
			'psql',
			'-XAtd',
			$relay->connstr
			  . " user=$user dbname=postgres replication=true @more",
			'-c',
			'IDENTIFY_SYSTEM'
		]);
	return ($stdout, $stderr);
}

my $system_identifier = relay_row($relay)->{system_identifier};
$relay->poll_query_until('postgres',
	"SELECT count(*) = 4 FROM pg_hba_file_rules")
  or die "no rules\n";
my ($stdout, $stderr) = identify('repl', 'secret');
like(
	$stdout,
	qr/^$system_identifier\|1\|[0-9A-F]+\/[0-9A-F]+\|$/,
	'a role with password and right');
isnt(
	$system_identifier,
	$relay->safe_psql(
		'postgres', 'SELECT system_identifier FROM pg_control_system()'),
	'the identifier is the upstream\'s');
foreach my $case (
	[
		'repl', 'wrong',
		qr/FATAL:  password authentication failed for user "repl"/
	],
	[ 'repl', '', qr/no password supplied/ ],
	[
		'rejected', 'secret',
		qr/FATAL:  pg_hba.conf rejects replication connection/
	],
	[
		'other',
		'secret',
		qr/FATAL:  (?:must be superuser or replication role to start walsender|permission denied to start WAL sender)/
	],
	[
		'nologin', 'secret',
		qr/FATAL:  role "nologin" is not permitted to log in/
	],
	[
		'nobody',
		'secret',
		qr/FATAL:  (?:password authentication failed for user|role) "nobody"/
	])
{
	my ($user, $password, $expected) = @$case;

	($stdout, $stderr) = identify($user, $password);
	is($stdout, '', "$user with password \"$password\" gets nothing");
	like($stderr, $expected, 'the client is told why');
}

# A standby logs in with a password.
my $standby = walstream_standby($primary, 'standby',
	conninfo => $relay->connstr . ' user=repl password=secret');
wait_for_replay($primary, $standby);
is(sender_row($relay, 'standby')->{usename},
	'repl', 'a standby with a password');
$standby->stop;

# Settings of the role and of the connection take effect; the log and the
# process list show the walsender.
$relay->safe_psql('postgres',
	"ALTER ROLE repl SET wal_sender_timeout = '77s'");
{
	local $ENV{PGPASSWORD} = 'secret';
	my $conninfo =
	  $relay->connstr . ' user=repl dbname=postgres replication=true';

	is( (   run_command(
				[
					'psql', '-XAtd',
					"$conninfo options='-c wal_sender_timeout=55s'",
					'-c', 'SHOW wal_sender_timeout'
				]))[0],
		'55s',
		'a setting from the client');
	command_like([ 'psql', '-XAtd', $conninfo, '-c', 'SHOW server_version' ],
		qr/^\d+/, 'SHOW');
	# A command that it does not serve is refused, with a hint where to go.
	foreach my $case (
		[
			'BASE_BACKUP',
			qr/ERROR:  .*\n.*HINT:  .*(?:primary|upstream|standby)/is
		],
		[
			'CREATE_REPLICATION_SLOT x LOGICAL pgoutput',
			qr/ERROR:  .*\n.*HINT:  /is
		],
		[
			'START_REPLICATION SLOT x LOGICAL 0/0',
			qr/ERROR:  .*\n.*HINT:  /is
		],
		[ 'SELECT 1', qr/ERROR:  / ])
	{
		my ($command, $expected) = @$case;
		($stdout, $stderr) =
		  run_command([ 'psql', '-XAtd', $conninfo, '-c', $command ]);
		is($stdout, '', "$command gets nothing");
		like($stderr, $expected, "$command is refused");
	}
}

# The walsender of the relay's own cluster
{
	local $ENV{PGPASSWORD} = 'secret';

	($stdout, $stderr) =
	  identify('repl', 'secret', "options='-c walstream.accept=1\\\\ own'");
	is($stdout, '',
		'with the word "own": nothing for a role that is no superuser');
	like(
		$stderr,
		qr/FATAL:  permission denied to replicate the relay's own cluster/,
		'the client is told that permission is denied');
}

# TLS
SKIP:
{
	skip 'no openssl', 3
	  if system('openssl version >/dev/null 2>&1') != 0
	  || $relay->safe_psql('postgres', "SHOW ssl_library") eq '';
	my $data = $relay->data_dir;
	system_log(
		'openssl', 'req', '-new', '-x509',
		'-days', '2', '-nodes', '-subj',
		'/CN=localhost', '-keyout', "$data/server.key", '-out',
		"$data/server.crt");
	chmod(0600, "$data/server.key");
	append_to_file($hba,
		"hostssl replication repl 127.0.0.1/32 scram-sha-256\n");
	$relay->append_conf('postgresql.conf',
		"ssl = on\nlisten_addresses = '127.0.0.1'\n");
	$relay->restart;
	wait_for_relay_state($relay, 'streaming');
	my $tls =
	  'host=127.0.0.1 port=' . $relay->port . ' user=repl password=secret';
	command_like(
		[
			'psql', '-XAtd',
			"$tls sslmode=require dbname=postgres replication=true",
			'-c', 'IDENTIFY_SYSTEM'
		],
		qr/^$system_identifier\|/,
		'over TLS');
	my ($out, $err) = run_command(
		[
			'psql', '-XAtd',
			"$tls sslmode=disable dbname=postgres replication=true",
			'-c', 'IDENTIFY_SYSTEM'
		]);
	like(
		$err,
		qr/no pg_hba.conf entry for replication connection .* no encryption/,
		'without TLS the client is refused');
	my $secure = walstream_standby($primary, 'secure',
		conninfo => "$tls sslmode=require");
	load_wal($primary);
	wait_for_replay($primary, $secure);
	is(sender_row($relay, 'secure')->{codec}, 'walz', 'a standby over TLS');
	$secure->stop;
}

# Another module's login check is called before ours, and can refuse everybody.
system_or_bail('make', '-s', '-C', 'src/test/reject', 'with_llvm=no');
my $reject = getcwd() . '/src/test/reject/walstream_test_reject';
$relay->adjust_conf('postgresql.conf', 'shared_preload_libraries',
	"'$reject, walstream'");
$relay->append_conf('postgresql.conf',
	"walstream_test_reject.role = 'other'\n");
$relay->safe_psql('postgres', 'ALTER ROLE other REPLICATION');
$relay->restart;
wait_for_relay_state($relay, 'streaming');
($stdout, $stderr) = identify('repl', 'secret');
like($stdout, qr/^$system_identifier\|/, 'module before ours: lets in');
($stdout, $stderr) = identify('other', 'secret');
like(
	$stderr,
	qr/FATAL:  rejected by walstream_test_reject/,
	'module before ours: its check is done');

$relay->adjust_conf('postgresql.conf', 'shared_preload_libraries',
	"'walstream, $reject'");
$relay->restart;
wait_for_relay_state($relay, 'streaming');
foreach my $user (qw(repl other))
{
	($stdout, $stderr) = identify($user, 'secret');
	is($stdout, '', "module after ours: $user gets nothing");
	like(
		$stderr,
		qr/FATAL:  .*(?:HINT:  .*shared_preload_libraries|rejected by)/s,
		'and is told where walstream belongs');
}
is($relay->safe_psql('postgres', 'SELECT 1'), 1, 'ordinary logins go on');

done_testing();
