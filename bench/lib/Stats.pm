# Medians, their intervals, and when a bar is held.
#
# The machine is noisy, so contestants take turns.  What counts is the median
# of the ratios of pairs, with a bootstrapped interval.
#
# Copyright (c) 2026, the walstream authors

package Stats;

use strict;
use warnings;

use constant RESAMPLES => 4000;

# How far beyond its bar a median may be if its interval reaches the bar.
use constant MARGIN => 0.03;

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	die "median of nothing\n" if !@sorted;
	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

# The 95 % interval of the median.  It is reproducible: equal values give equal
# intervals.
sub interval
{
	my @values = @_;
	return ($values[0], $values[0]) if @values == 1;

	my $state = 1;
	my @medians;
	for (1 .. RESAMPLES)
	{
		my @sample;
		for (@values)
		{
			$state = ($state * 1103515245 + 12345) % 2147483648;
			push @sample, $values[ $state / 2147483648 * @values ];
		}
		push @medians, median(@sample);
	}
	@medians = sort { $a <=> $b } @medians;
	return ($medians[ 0.025 * RESAMPLES ], $medians[ 0.975 * RESAMPLES - 1 ]);
}

# bar: [ '>=' or '<=', value ].
sub held
{
	my ($bar, $median, $low, $high) = @_;
	my ($relation, $limit) = @$bar;

	return $relation eq '>='
	  ? $high >= $limit && $median >= $limit - MARGIN
	  : $low <= $limit && $median <= $limit + MARGIN;
}

# Run two contestants in turns; which of them is first alternates.  Returns the
# pairs of what they returned.
sub alternate
{
	my ($pairs, $stock, $walstream, $progress) = @_;
	my @pairs;

	for my $n (1 .. $pairs)
	{
		my %pair;
		$progress->($n, $pairs) if $progress;
		for my $who ($n % 2 ? qw(stock walstream) : qw(walstream stock))
		{
			$pair{$who} = ($who eq 'stock' ? $stock : $walstream)->();
		}
		push @pairs, \%pair;
	}
	return @pairs;
}

1;
