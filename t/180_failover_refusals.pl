# Copyright (c) 2026, the walstream authors

# Patroni's script before a promotion, without Patroni: what it refuses, that it
# leaves everything as it was when it is ended in the middle, and that it finds
# walstream's functions whatever else there is.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamScript;
use WalstreamTest;

my $base = PostgreSQL::Test::Utils::tempdir();
my $conf = "$base/failover.conf";
my $state = "$base/state";

#
# What it says without any server
#
foreach my $case (
	[ pre_promote => 0, 'CONFIGURATION-FILE' ],
	[ pre_promote => 2, 'CONFIGURATION-FILE' ],
	[ on_role_change => 3, 'CONFIGURATION-FILE ACTION ROLE SCOPE' ],
	[ clone_from_cluster => 0, '--datadir=DIRECTORY --source=CONNECTION' ])
{
	my ($name, $count, $usage) = @$case;
	my ($status, $said) = run_script($name, (1 .. $count));

	is($status, 2, "$name with $count arguments fails");
	like($said, qr/^usage: \S+$name $usage$/, '... and says how to use it');
}

sub refuses
{
	my ($what, $pattern, $file) = @_;
	my ($status, $said) = run_script('pre_promote', $file // $conf);

	is($status, 1, "$what is refused");
	like($said, $pattern, '... with a reason');
	return;
}

refuses('no configuration',
	qr{^pre_promote: could not read the configuration file "$base/none"$},
	"$base/none");

my %complete = (
	standby => 'host=/nowhere',
	relays => 'host=/nowhere',
	state_file => $state);
foreach my $setting (sort keys %complete)
{
	write_script_conf($conf, %complete, $setting => undef);
	refuses("no \"$setting\"",
		qr/^pre_promote: "$setting" is not set in "\Q$conf\E"$/);
}
foreach my $setting (
	qw(retry_seconds receive_seconds promote_seconds follow_seconds required))
{
	foreach my $value ('2min', '0')
	{
		write_script_conf($conf, %complete, $setting => $value);
		refuses(
			"\"$setting\" of $value",
			qr/^pre_promote: "$setting" is "$value" in "\Q$conf\E", not a number above 0$/
		);
	}
}
write_script_conf($conf, %complete, promote_seconds => '');
refuses('"promote_seconds" of nothing',
	qr/"promote_seconds" is "" in ".*", not a number above 0$/);
write_script_conf($conf, %complete, retry_seconds => 1);
refuses('a standby that does not answer',
	qr/not promoted: what was confirmed to clients may not be all here/);
ok(!-e $state && !-e "$state.new", 'no file is left');

# Passwords are not shown.
foreach my $case (
	[ 'host=a port=5 user=x password=secret' => 'host=a port=5' ],
	[ q{password='x host=secret' host = b} => 'host=b' ],
	[
		q{host='c' hostaddr=127.0.0.1 password='it\'s host=secret'} =>
		  'host=c hostaddr=127.0.0.1'
	],
	[
		'postgresql://u:secret@h1:5433,h2/db?password=secret&port=7' =>
		  'host=h1:5433,h2 port=7'
	],
	[ 'postgres:///db?host=/tmp&password=secret' => 'host=/tmp' ],
	[ 'user=x password=secret' => '' ])
{
	my ($connection, $place) = @$case;
	my ($stdout, $stderr) = run_command(
		[
			'sh', '-c',
			'. "$0"; place_of "$1"', script_path('common.sh'),
			$connection
		]);

	is($stdout, $place, "where \"$connection\" leads to");
}

#
# A standby that misses what the relay has confirmed
#
my $primary = walstream_primary('primary');
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $relay = walstream_relay($primary, 'relay',
	conf => "wal_retrieve_retry_interval = 200ms\n");
my $standby = walstream_standby($primary, 'standby');

wait_for_relay_state($relay, 'streaming');
make_synchronous($primary, $relay);

# The scripts' role looks for everything in a schema of somebody else first.
# There is a better match for what is passed without a type, too.
my $foreign = q{
CREATE ROLE failover SUPERUSER LOGIN REPLICATION;
ALTER ROLE failover SET search_path = foreign_names, pg_catalog, public;
ALTER ROLE failover SET default_transaction_isolation = serializable;
CREATE SCHEMA foreign_names;
CREATE VIEW foreign_names.walstream_relay AS SELECT 1 / 0 AS state;
};
foreach my $signature (
	'FUNCTION foreign_names.pg_is_in_recovery() RETURNS bool',
	'FUNCTION foreign_names.pg_last_wal_replay_lsn() RETURNS pg_lsn',
	'FUNCTION foreign_names.pg_reload_conf() RETURNS bool',
	'FUNCTION foreign_names.walstream_get_relay_seal(OUT timeline int, OUT token text)',
	'FUNCTION foreign_names.walstream_relay_unseal(text) RETURNS bool',
	'PROCEDURE foreign_names.walstream_receive_all(text[], int, interval)',
	'PROCEDURE public.walstream_receive_all(text[], text, text)',
	'PROCEDURE public.walstream_receive_all(text[], int, text)')
{
	$foreign .=
	  "CREATE $signature LANGUAGE plpgsql AS \$\$BEGIN RAISE 'foreign function'; END\$\$;\n";
}
$_->safe_psql('postgres', $foreign) foreach $primary, $relay;

# It learns of the list when it connects.
$relay->restart;
wait_for_relay_state($relay, 'streaming');
wait_for_replay($primary, $standby);
$standby->stop;
load_wal($primary, 1000);
wait_for_relay($primary, $relay);
$primary->stop('immediate');
wait_for_relay_state($relay, 'waiting for upstream');
my $end = relay_row($relay)->{flushed_lsn};

# While there is a file of that name, the standby waits for an archive, and asks
# for no walreceiver.
my $hold = "$base/hold";
$standby->append_conf(
	'postgresql.conf', qq{
primary_conninfo = ''
wal_retrieve_retry_interval = 100ms
restore_command = 'if test -e $hold; then touch $base/held; while test -e $hold; do sleep 0.1; done; fi; false'
});
$standby->start;

my $relay_connection =
  $relay->connstr('postgres') . q{ user=failover password='it\'s :secret'};
my %settings = (
	standby => $standby->connstr('postgres') . ' user=failover',
	relays => "\n$relay_connection\n\n",
	name => q{o'brien \ standby},
	state_file => $state,
	retry_seconds => patience(60),
	receive_seconds => patience(60));
write_script_conf($conf, %settings);

sub hold_standby
{
	unlink("$base/held");
	append_to_file($hold, '');
	WalstreamScript::wait_for('the standby waits for an archive',
		sub { -e "$base/held" });
	return;
}

sub is_sealed
{
	return $relay->safe_psql('postgres',
		'SELECT token IS NOT NULL FROM walstream_get_relay_seal()');
}

sub wait_until_sealed
{
	$relay->poll_query_until('postgres',
		'SELECT token IS NOT NULL FROM walstream_get_relay_seal()')
	  || die "the relay is not sealed\n";
	$standby->poll_query_until('postgres',
		"SELECT setting <> '' FROM pg_settings WHERE name = 'primary_conninfo'"
	) || die "primary_conninfo is not set\n";
	return;
}

sub is_as_it_was
{
	my ($what, $script) = @_;

	is(is_sealed(), 'f', "$what: the relay is not sealed");
	wait_until(
		$standby,
		"SELECT setting = '' FROM pg_settings WHERE name = 'primary_conninfo'",
		"$what: primary_conninfo is empty");
	unlike(slurp_file($standby->data_dir . '/postgresql.auto.conf'),
		qr/primary_conninfo/, "$what: the setting is gone");
	ok(!-e $state && !-e "$state.new", "$what: there is no state");
	is_deeply([ slurp_dir($script->{tmp}) ],
		[qw(. ..)], "$what: there are no temporary files");
	is( $standby->safe_psql(
			'postgres',
			"SELECT pg_is_in_recovery(), count(*) FROM pg_stat_activity WHERE query LIKE 'CALL %walstream_receive_all%' AND state <> 'idle'"
		),
		't|0',
		"$what: the standby is one");
	return;
}

#
# The file for on_role_change cannot be written
#
my $log_offset = -s $relay->logfile;
mkdir("$base/read_only", 0555) or die "could not make a directory: $!\n";
write_script_conf($conf, %settings, state_file => "$base/read_only/state");
refuses('a state file that cannot be written',
	qr{pre_promote: could not write "$base/read_only/state\.new"});
unlike(
	slurp_file($relay->logfile, $log_offset),
	qr/relay is sealed/,
	'the relay is not sealed for that');
write_script_conf($conf, %settings);

#
# A signal while the standby receives
#
hold_standby();
my $script = start_script('pre_promote', $conf);
wait_until_sealed();
is( $standby->safe_psql('postgres', 'SHOW primary_conninfo'),
	q{host=/nowhere application_name='o\'brien \\\\ standby'},
	'the standby keeps its name');
kill('TERM', $script->{pid});
my ($status, $said) = end_script($script);
is($status, 1, 'a signal: the script fails');
like($said, qr/^pre_promote: ended by a signal$/m, 'a signal: it says so');
is_as_it_was('a signal', $script);

#
# Patroni is killed while the standby receives.
#
$script = WalstreamScript::start_command(PostgreSQL::Test::Utils::tempdir(),
	'sh', '-c', '"$@" & wait', 'sh', script_path('pre_promote'), $conf);
wait_until_sealed();
kill('KILL', $script->{pid});
end_script($script);
script_says(
	$script,
	qr/^pre_promote: Patroni has ended$/m,
	'Patroni is killed: the script ends');
WalstreamScript::wait_for(
	'no temporary files',
	sub {
		!grep { !/^\./ } slurp_dir($script->{tmp});
	});
is_as_it_was('Patroni is killed', $script);

unlink($hold);

#
# A signal when the standby has just received everything, before the script knows
#
my $bin = "$base/bin";
my $psql = $standby->config_data('--bindir') . '/psql';
mkdir($bin) or die "could not make a directory: $!\n";
append_to_file(
	"$bin/psql", qq{#!/bin/sh
'$psql' "\$@"
status=\$?
case "\$*" in
	*'-F \037'*) kill -TERM \$PPID ;;
esac
exit \$status
});
chmod(0755, "$bin/psql") or die "could not change a mode: $!\n";
{
	local $ENV{PATH} = "$bin:$ENV{PATH}";

	$script = start_script('pre_promote', $conf);
	($status, $said) = end_script($script);
}
is($status, 1, 'a signal at the end: the script fails');
like(
	$said,
	qr/^pre_promote: ended by a signal$/m,
	'a signal at the end: it says so');
like(
	slurp_file($standby->logfile),
	qr/this standby has all WAL of the synchronous standbys up to \Q$end\E/,
	'a signal at the end: all was received');
is_as_it_was('a signal at the end', $script);

#
# Nothing is in the way.
#
($status, $said) = run_script('pre_promote', $conf);
is($status, 0, 'the script succeeds');
like(
	$said,
	qr/^pre_promote: has all that was confirmed under "relay", up to \Q$end\E on timeline 1/m,
	'and says up to where');
is(is_sealed(), 't', 'the relay is sealed');
like(
	slurp_file($state),
	qr/^timeline 1\nheard port=\d+ host=\S+\n$/,
	'the state is written');
unlike($said . slurp_file($state), qr/secret/, 'no password is shown');
$standby->promote;

done_testing();
