# Copyright (c) 2026, the walstream authors

# Patroni's pre_promote script, run without Patroni: it seals the relay, and
# unseals it only if the standby was never promoted.

use strict;
use warnings;

use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

declare_expected_warning(
	'specified neither "?primary_conninfo"? nor "?restore_command"?');

my $base = PostgreSQL::Test::Utils::tempdir();
my $primary = walstream_primary('primary');
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $relay = walstream_relay($primary, 'relay',
	conf => "wal_retrieve_retry_interval = 200ms\n");
my $standby = walstream_standby($primary, 'standby');

wait_for_relay_state($relay, 'streaming');
make_synchronous($primary, $relay);

# Restart the relay: it reads the list when it connects.
$relay->restart;
wait_for_relay_state($relay, 'streaming');
wait_for_replay($primary, $standby);

# The standby lacks WAL that the relay has confirmed, and there is no leader.
$standby->stop;
load_wal($primary, 1000);
wait_for_relay($primary, $relay);
$primary->stop('immediate');
wait_for_relay_state($relay, 'waiting for upstream');
my $end = relay_row($relay)->{flushed_lsn};
$standby->append_conf('postgresql.conf', "primary_conninfo = ''\n");
$standby->start;

my $conf = "$base/failover.conf";
append_to_file($conf,
	sprintf(<<'END', map { $_->connstr('postgres') } $standby, $relay));
standby="%s"
relays="%s"
END
append_to_file($conf,
	"state_file=$base/state\nretry_seconds=5\npromote_seconds=3\n");

# While this file exists, queries of the script wait.
my $hold = "$base/hold";
my $psql = $primary->config_data('--bindir') . '/psql';
mkdir("$base/bin") or die "could not make a directory: $!\n";
append_to_file("$base/bin/psql",
	"#!/bin/sh\nwhile [ -e '$hold' ]; do sleep 0.1; done\nexec '$psql' \"\$@\"\n"
);
chmod(0755, "$base/bin/psql") or die "could not change a mode: $!\n";

# Start the script, and return its output when it has allowed the promotion.
sub pre_promote
{
	local $ENV{PATH} = "$base/bin:$ENV{PATH}";
	my $pid =
	  open(my $output, '-|',
		getcwd() . "/contrib/patroni/pre_promote $conf 2>&1")
	  or die "could not start the script: $!\n";
	my $said = '';

	while (defined(my $line = <$output>))
	{
		$said .= $line;
		last if $line =~ /has all that was confirmed/;
	}
	like(
		$said,
		qr/has all that was confirmed under "[^"]+", up to \Q$end\E on timeline 1/,
		'what was confirmed is received');
	return $output;
}

sub is_sealed
{
	return $relay->safe_psql('postgres',
		'SELECT token IS NOT NULL FROM walstream_get_relay_seal()');
}

my $output = pre_promote();
is(is_sealed(), 't', 'the relay is sealed');
is( $standby->safe_psql(
		'postgres', "SELECT pg_last_wal_receive_lsn() >= '$end'"),
	't',
	'the standby has it');
my $rest = join('', <$output>);
close($output);
like(
	$rest,
	qr/has not been promoted within 3 s.*unsealed the relay/s,
	'a standby that is not promoted');
is(is_sealed(), 'f', 'the relay is not sealed any more');

# The standby is promoted, and demoted again before the script asks.
$output = pre_promote();
append_to_file($hold, '');
$standby->promote;
$standby->stop('immediate');
$standby->set_standby_mode;
$standby->start;
unlink($hold);
$rest = join('', <$output>);
close($output);
is($rest, '', 'a standby that was promoted for a moment');
is(is_sealed(), 't', 'the relay stays sealed');

done_testing();
