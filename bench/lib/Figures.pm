# The charts of the results.
#
# Copyright (c) 2026, the walstream authors

package Figures;

use strict;
use warnings;

use Chart;
use Stats;

my %title = (
	tpcb_fpi => 'TPC-B, full-page images',
	single_commits => 'single commits',
	bulk => 'bulk load',
	varied => 'varied',
	incompressible => 'incompressible',
	mixed => 'mixed',
	logical => 'logical, bulk insert');

sub draw
{
	my ($results, $dir) = @_;
	ratios($results, "$dir/ratio.svg");
	link_times($results, "$dir/link.svg");
	cpu_times($results, "$dir/cpu.svg");
	ratios_to_stock($results, "$dir/stock.svg");
	relay_fan($results, "$dir/relay.svg");
	return;
}

sub value
{
	my ($results, $id) = @_;
	my $result = $results->get($id);
	return $result && $result->{value};
}

sub ratios
{
	my ($results, $path) = @_;
	my @rows;

	for my $name (
		qw(tpcb_fpi mixed varied bulk incompressible single_commits logical))
	{
		my $zstd = value($results, "wire.$name.ratio_zstd")
		  // value($results, "wire.$name.ratio");
		my $lz4 = value($results, "wire.$name.ratio_lz4");
		push @rows,
		  {
			label => $title{$name},
			values => [
				defined $zstd ? [ zstd => $zstd ] : (),
				defined $lz4  ? [ lz4 => $lz4 ]   : ()
			]
		  };
	}
	Chart::bars(
		$path,
		title => 'Bytes on the wire: stock PostgreSQL divided by walstream',
		unit => 'times fewer bytes',
		short => 'x',
		names => { zstd => 'zstd (level 1)' },
		rows => \@rows);
	return;
}

sub link_times
{
	my ($results, $path) = @_;
	my @rows;

	for my $name (qw(tpcb_fpi mixed))
	{
		push @rows, {
			label => $title{$name},
			values => [
				map {
					my $seconds = value($results, "link.$name.${_}_s");
					defined $seconds ? [ $_ => $seconds ] : ()
				} qw(stock walstream)
			]
		};
	}
	Chart::bars(
		$path,
		title => 'Catching up over 100 Mbit/s with 40 ms of delay each way',
		unit => 'seconds',
		short => 's',
		rows => \@rows);
	return;
}

# CPU time of the walsender for each GB of WAL.
sub cpu_times
{
	my ($results, $path) = @_;
	my @rows;

	for my $name (qw(tpcb_fpi mixed varied bulk incompressible))
	{
		my $result = $results->get("cpu.$name") // next;
		my @runs = @{ $result->{runs} };
		push @rows, {
			label => $title{$name},
			values => [
				map {
					my $who = $_;
					[ $who => Stats::median(map { $_->{$who} } @runs) ]
				} qw(stock walstream)
			]
		};
	}
	Chart::bars(
		$path,
		title => 'CPU time of a walsender that catches up (zstd, level 1)',
		unit => 'seconds for each GB of WAL',
		short => 's',
		rows => \@rows);
	return;
}

# What must cost nothing, or next to nothing.
sub ratios_to_stock
{
	my ($results, $path) = @_;
	my %label = (
		'commit.clients_1' => 'commits/s, 1 client',
		'commit.clients_8' => 'commits/s, 8 clients',
		'cpu.not_asking' => 'CPU, peer does not ask',
		'cpu.incompressible' => 'CPU, incompressible',
		'wall.incompressible' => 'wall time, incompressible',
		'cpu.logical' => 'CPU, logical bulk insert',
		'relay.commit.clients_1' => 'relay confirms, 1 client',
		'relay.commit.clients_8' => 'relay confirms, 8 clients',
		'relay.receive.speed' => 'relay receives, to pg_receivewal',
		'relay.serve.raw.speed' => 'relay serves',
		'relay.connect.raw' => 'relay, time to first byte');
	my @rows;

	for my $result ($results->list)
	{
		next if !$label{ $result->{id} } || !defined $result->{value};
		push @rows,
		  {
			%$result{qw(value low high)},
			label =>
			  "$label{$result->{id}} ($result->{bar}[0] $result->{bar}[1])",
			bar => $result->{bar}[1]
		  };
	}
	Chart::points(
		$path,
		title =>
		  'Commit throughput and sender cost, divided by stock PostgreSQL',
		unit => 'ratio to stock (1 = the same)',
		names => { walstream => 'median and 95 % interval', bar => 'bar' },
		rows => \@rows);
	return;
}

# What downstreams cost the primary, behind a relay and without one.
sub relay_fan
{
	my ($results, $path) = @_;
	my @rows;

	for my $count (1, 8, 32)
	{
		my %cpu = map { $_ => value($results, "fan.${_}_$count.cpu") }
		  qw(direct relay);
		push @rows,
		  {
			label => $count == 1 ? 'one standby' : "$count standbys",
			values => [
				defined $cpu{direct} ? [ stock => $cpu{direct} ]    : (),
				defined $cpu{relay}  ? [ walstream => $cpu{relay} ] : ()
			]
		  };
	}
	Chart::bars(
		$path,
		title =>
		  'CPU time of the primary under a load, by number of standbys',
		unit => 'seconds for each GB of WAL',
		short => 's',
		names => { stock => 'attached to it', walstream => 'behind a relay' },
		rows => \@rows);
	return;
}

1;
