# Copyright (c) 2026, the walstream authors

# A relay has a cluster of its own: which kind of server clients take it for
# when they look for a primary or a standby, who can reach its own cluster by
# replication, and under which names it appears.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');
my $relay = walstream_relay($primary, 'relay');
wait_for_relay_state($relay, 'streaming');
wait_for_relay($primary, $relay);
$relay->safe_psql('postgres',
	'CREATE ROLE repl LOGIN REPLICATION; CREATE ROLE nobody NOLOGIN');
my $system_identifier = relay_row($relay)->{system_identifier};
my $own = $relay->safe_psql('postgres',
	'SELECT system_identifier FROM pg_control_system()');
my %command = (
	replication => 'IDENTIFY_SYSTEM',
	SQL => 'SELECT system_identifier FROM pg_control_system()');

# Run one command; returns its output and its errors.
sub ask
{
	my ($conninfo, $command) = @_;

	return run_command(
		[ 'psql', '-XAtd', $relay->connstr . " $conninfo", '-c', $command ]);
}

#
# Which kind of server clients take it for
#
sub taken_for
{
	my ($kind, %wanted) = @_;
	my $replication = $kind eq 'replication' ? 'replication=true' : '';

	foreach my $attribute (sort keys %wanted)
	{
		my ($stdout, $stderr) =
		  ask("dbname=postgres $replication target_session_attrs=$attribute",
			$command{$kind});

		is($stdout eq '' ? 'refused' : 'taken',
			$wanted{$attribute}, "$kind, target_session_attrs=$attribute");
		like(
			$stderr,
			qr/session is (?:not )?(?:read-only|in hot standby)|server is (?:not )?in hot standby/,
			'libpq says why the session is refused') if $stdout eq '';
	}
	return;
}

# Change a setting by a reload, and wait until new sessions see it.
sub set_and_see
{
	my ($setting, $value) = @_;

	$relay->safe_psql('postgres', "ALTER SYSTEM SET $setting = $value");
	$relay->reload;
	$relay->poll_query_until('postgres',
		"SELECT current_setting('$setting') = '$value'")
	  or die "$setting does not become $value\n";
	return;
}

my %as_standby = (
	'any' => 'taken',
	'read-write' => 'refused',
	'read-only' => 'taken',
	'primary' => 'refused',
	'standby' => 'taken',
	'prefer-standby' => 'taken');
my %as_primary = (
	'any' => 'taken',
	'read-write' => 'taken',
	'read-only' => 'refused',
	'primary' => 'taken',
	'standby' => 'refused',
	'prefer-standby' => 'taken');

taken_for('replication', %as_standby);
taken_for('SQL', %as_primary);
foreach my $setting (qw(in_hot_standby transaction_read_only))
{
	is((ask('dbname=postgres replication=true', "SHOW $setting"))[0],
		'on', "replication, SHOW $setting");
	is((ask('dbname=postgres', "SHOW $setting"))[0],
		'off', "SQL, SHOW $setting");
}
is($relay->safe_psql('postgres', 'SELECT pg_is_in_recovery()'),
	'f', 'its own cluster is not in recovery');

# For managers that expect a primary where the relay is
set_and_see('walstream.relay_in_hot_standby', 'off');
taken_for('replication', %as_primary);
taken_for('SQL', %as_primary);
my $replication = 'dbname=postgres replication=true';
is((ask($replication, 'SHOW transaction_read_only'))[0],
	'off', 'off: transaction_read_only');
is((ask($replication, 'SHOW in_hot_standby'))[0],
	'on', 'off: who asks is told what it is');
set_and_see('walstream.relay_in_hot_standby', 'on');

# For applications that look for a primary in order to write
set_and_see('default_transaction_read_only', 'on');
taken_for('replication', %as_standby);
taken_for(
	'SQL', %as_primary,
	'read-write' => 'refused',
	'read-only' => 'taken');
$relay->restart;
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 100);
wait_for_relay($primary, $relay);
like(
	$relay->safe_psql(
		'postgres',
		"SELECT walstream_create_relay_slot('a'), walstream_drop_relay_slot('a')"
	),
	qr{^[0-9A-F]+/[0-9A-F]+\|$},
	'a relay works read-only');
set_and_see('default_transaction_read_only', 'off');

#
# Who can reach its own cluster
#
my $accept = "options='-c walstream.accept=own'";
foreach my $replication (qw(true database))
{
	my ($stdout, $stderr) =
	  ask("dbname=postgres replication=$replication user=repl $accept",
		'IDENTIFY_SYSTEM');

	is($stdout, '',
		"own, replication=$replication: not for a role with REPLICATION");
	like(
		$stderr,
		qr/FATAL:  permission denied to replicate the relay's own cluster\nDETAIL:  Only superusers may/,
		'the client is told that permission is denied');
	($stdout) = ask("dbname=postgres replication=$replication $accept",
		'IDENTIFY_SYSTEM');
	like($stdout, qr/^$own\|/,
		"own, replication=$replication: a superuser gets it");
	($stdout, $stderr) =
	  ask("dbname=postgres replication=$replication user=missing $accept",
		'IDENTIFY_SYSTEM');
	like(
		$stderr,
		qr/FATAL:  role "missing" does not exist/,
		'a role that does not exist');
}
foreach my $user ('', 'user=repl')
{
	my ($stdout, $stderr) =
	  ask("dbname=postgres replication=database $user", 'IDENTIFY_SYSTEM');

	is($stdout, '', "replication=database $user gets nothing");
	like(
		$stderr,
		qr/FATAL:  a relay does not serve connections with "replication=database"\nDETAIL: .*\nHINT:  Connect to the primary/,
		'the hint names the primary');
	unlike($stderr, qr/wal_level|own'/,
		'the hint does not name this cluster');
}
my ($stdout, $stderr) =
  ask('dbname=postgres replication=true', 'BASE_BACKUP');
like(
	$stderr,
	qr/ERROR:  a relay does not serve BASE_BACKUP\n.*HINT:  Connect to the primary/s,
	'BASE_BACKUP');
unlike($stderr, qr/walstream\.accept/, 'no hint to copy the relay');

#
# Names
#
foreach my $case (
	[ 'Relay-1', 'is in lower case only' ],
	[ "r\xc3\xa9lay", 'has other letters' ],
	[ 'x' x 64, 'is too long' ])
{
	my ($name, $what) = @$case;
	my ($status, undef, $said) = $relay->psql('postgres',
		"ALTER SYSTEM SET walstream.relay_slot = '$name'");

	isnt($status, 0, "a slot's name that $what");
	like(
		$said,
		qr/ERROR:  invalid value for parameter "walstream.relay_slot": .*\n(?:.*\n)?.*DETAIL:  The name of a replication slot /,
		'the error says which names are valid');
	unlike($said, qr/WARNING/, 'there is no second message');
}
is( (   $relay->psql(
			'postgres',
			"ALTER SYSTEM SET walstream.relay_slot = '" . 'x' x 63 . "'"))[0],
	0,
	'the longest name');
$relay->safe_psql('postgres', 'ALTER SYSTEM RESET walstream.relay_slot');

# Characters outside ASCII in its name, set here or in the connection string,
# are shown as the primary shows them.
sub same_name
{
	my ($what) = @_;
	my $shown = $primary->safe_psql('postgres',
		'SELECT application_name FROM pg_stat_replication');

	is( $relay->safe_psql('postgres', 'SELECT name FROM walstream_receiver'),
		$shown,
		"$what: $shown");
	ok($relay->wait_for_log(qr/receiving WAL for "\Q$shown\E" /),
		'the log shows the same name');
	return;
}
$relay->append_conf('postgresql.conf', "cluster_name = 'Rel\xc3\xa9 1'\n");
$relay->restart;
wait_for_relay_state($relay, 'streaming');
wait_until($primary, 'SELECT count(*) = 1 FROM pg_stat_replication',
	'one relay');
same_name('cluster_name');
set_relay_upstream($relay,
		$primary->connstr
	  . " application_name='Rel\xc3\xa9 2 "
	  . "\xc3\xa9" x 40
	  . q{'});
wait_until(
	$primary,
	q{SELECT count(*) = 1 AND bool_and(application_name LIKE '% 2 %') FROM pg_stat_replication},
	'by another name');
wait_until(
	$relay,
	q{SELECT count(*) = 1 FROM walstream_receiver WHERE name LIKE '% 2 %'},
	'the renamed relay receives');
same_name('application_name');

done_testing();
