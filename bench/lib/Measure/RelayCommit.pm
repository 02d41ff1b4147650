# Commit throughput with a relay as the synchronous standby, against a stock
# standby.
#
# The servers exist side by side and take short turns, as in Measure::Commit.
#
# Copyright (c) 2026, the walstream authors

package Measure::RelayCommit;

use strict;
use warnings;

use Measure::Commit;
use Relay;
use Server;
use Stats;

sub run
{
	my ($bench) = @_;
	my ($primaries, @synchronous) = make_servers($bench);

	for my $clients (1, 8)
	{
		# The bar is for the comparison with the same protocol on the wire.
		compare(
			$bench,
			"relay.commit.clients_$clients",
			$bench->{commit_pairs},
			$clients, @$primaries{qw(stock plain)});
		compare($bench, "relay.commit.compressed_$clients",
			$bench->{pairs}, $clients, @$primaries{qw(stock compressed)});
	}
	$_->remove for values %$primaries, @synchronous;
	return;
}

sub compare
{
	my ($bench, $id, $pairs, $clients, @primaries) = @_;
	my $results = $bench->{results};
	my @pairs = Stats::alternate(
		$pairs,
		map {
			my $primary = $_;
			sub { Measure::Commit::throughput($bench, $primary, $clients) }
		} @primaries);

	$results->add("$id.tps_standby", 'commits/s',
		map { $_->{stock}{tps} } @pairs);
	$results->add("$id.tps_relay", 'commits/s',
		map { $_->{walstream}{tps} } @pairs);
	$results->add_pairs($id, 'of stock', \@pairs, 'tps');
	return;
}

# Create primaries, by what confirms their commits: a stock standby, a relay,
# and a relay to which the primary sends compressed.
sub make_servers
{
	my ($bench) = @_;
	my $origin = Server->create($bench, 'commit');
	my (%primaries, @synchronous);

	$origin->start;
	$origin->pgbench('-i', '-q', '-s', 10);
	$origin->sql('VACUUM');
	$origin->stop;
	for my $who (qw(stock plain compressed))
	{
		my $primary = $origin->copy("${who}_primary");
		my $confirming;

		$primary->start(module => $who eq 'compressed' ? 1 : 0);
		if ($who eq 'stock')
		{
			$confirming = $origin->copy('stock_standby');
			$confirming->start(module => 0, standby_of => $primary);
			Measure::Commit::make_synchronous($primary, $confirming);
		}
		else
		{
			$confirming = Relay->create($bench, "${who}_relay");
			$confirming->start(upstream => $primary, slot => 'relay');
			Measure::Commit::make_synchronous($primary, $confirming->server);
		}
		$primaries{$who} = $primary;
		push @synchronous, $confirming;
	}
	$origin->remove;
	return (\%primaries, @synchronous);
}

1;
