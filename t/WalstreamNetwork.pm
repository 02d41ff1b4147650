#-------------------------------------------------------------------------
#
# WalstreamNetwork.pm
#	  For tests of the options that a server sets on its TCP sockets.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------
package WalstreamNetwork;

use strict;
use warnings FATAL => 'all';

use Cwd;
use Exporter 'import';
use Test::More;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

our @EXPORT = qw(
  listen_tcp
  tcp_connstr
  start_with_options_log
  socket_options
  refuse_pacing
  congestion_controls
  monotonic
  check_pace
);

# listen_tcp($node): let a node that is not running yet listen on loopback,
# too.
sub listen_tcp
{
	my ($node) = @_;

	$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'");
	$node->append_conf('pg_hba.conf',
		"host all,replication all 127.0.0.1/32 trust");
	return;
}

sub tcp_connstr
{
	my ($node) = @_;

	return 'host=127.0.0.1 port=' . $node->port;
}

#
# start_with_options_log($node, $file): start the node with
# src/test/network/network_options.so, which writes to the file.
#
sub start_with_options_log
{
	my ($node, $file) = @_;

	system_or_bail('make', '-s', '-C', 'src/test/network');
	local $ENV{LD_PRELOAD} =
	  getcwd() . '/src/test/network/network_options.so';
	local $ENV{NETWORK_LOG} = $file;
	$node->start;
	return;
}

#
# socket_options($file, $pid): the options that the process has set, in order,
# as "NAME VALUE", with " refused" after those that the kernel refused.
#
sub socket_options
{
	my ($file, $pid) = @_;

	return () unless -e $file;
	return
	  map { / (\w+ \S*) (-?\d+)$/ ? $1 . ($2 == 0 ? '' : ' refused') : () }
	  grep { /^$pid / } split(/\n/, slurp_file($file));
}

# refuse_pacing($file, $yes): refuse SO_MAX_PACING_RATE from now on, or not.
sub refuse_pacing
{
	my ($file, $yes) = @_;

	append_to_file("$file.refuse", '') if $yes;
	unlink("$file.refuse") unless $yes;
	return;
}

#
# congestion_controls($which): those that are 'available' on this machine, or
# 'allowed' for everybody.
#
sub congestion_controls
{
	my ($which) = @_;
	my $file = "/proc/sys/net/ipv4/tcp_${which}_congestion_control";

	return -r $file ? split(' ', slurp_file($file)) : ();
}

# Seconds of a clock that never goes back.
sub monotonic
{
	return clock_gettime(CLOCK_MONOTONIC);
}

#
# check_pace($name, $client, $command, $rate, $bytes, $most): test that a
# client that begins a stream with the command never gets more than the rate
# allows in the time so far, and $most beyond that, until it has got this many
# bytes.  A slow machine can only make it take longer.
#
sub check_pace
{
	my ($name, $client, $command, $rate, $bytes, $most) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $started = monotonic();
	my $received = 0;
	my $excess = 0;

	$client->start($command);
	while ($received < $bytes)
	{
		$received += 5 + length($client->receive);
		my $allowed = $rate * (monotonic() - $started) + $most;

		$excess = $received - $allowed if $received - $allowed > $excess;
	}
	return is($excess, 0, $name);
}

1;
