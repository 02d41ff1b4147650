# The cost of a walsender: CPU time, wall time and memory while it streams a
# workload's WAL to a client that discards it, compared with a server without
# the module on the same WAL.
#
# Copyright (c) 2026, the walstream authors

package Measure::Sender;

use strict;
use warnings;

use Drain;
use Stats;

# With a client that requests compression.
sub run
{
	my ($bench, $corpus) = @_;
	my $name = $corpus->{name};
	my @pairs = pairs($bench, $corpus, '1 zstd');
	my $results = $bench->{results};

	$results->add_pairs("cpu.$name", 'of stock', \@pairs, 'cpu_s_per_gb');
	$results->add_pairs("wall.$name", 'of stock', \@pairs, 'wall_s');
	$results->add_pairs('memory.sender', 'MB above stock',
		\@pairs, 'private_mb', sub { $_[1] - $_[0] })
	  if $name eq 'tpcb_fpi';
	return;
}

# With a client that does not know walstream.
sub run_not_asking
{
	my ($bench, $corpus) = @_;
	my @pairs = pairs($bench, $corpus, undef);

	$bench->{results}
	  ->add_pairs('cpu.not_asking', 'of stock', \@pairs, 'cpu_s_per_gb');
	return;
}

sub pairs
{
	my ($bench, $corpus, $accept) = @_;
	my %end = map { $_ => $corpus->{$_}->flush_lsn } qw(stock walstream);
	my $measure = sub {
		my ($who, $asked) = @_;
		my $result = Drain->measure(
			$bench, $corpus->{$who},
			start => $corpus->{start},
			end => $end{$who},
			accept => $asked);
		$result->{cpu_s_per_gb} =
		  $result->{cpu_s} / $corpus->{wal_bytes} * 1e9;
		return $result;
	};

	# warm up: the first to read the WAL may have to read it from disk
	$measure->('stock');
	return Stats::alternate(
		$bench->{many_pairs},
		sub { $measure->('stock') },
		sub { $measure->('walstream', $accept) });
}

1;
