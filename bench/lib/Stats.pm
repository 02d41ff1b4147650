# Medians, their intervals, and when a bar is held.
#
# These machines are noisy, so contestants take turns and what counts is the
# median of the ratios of pairs, with the interval that bootstrapping them
# gives.
#
# Copyright (c) 2026, the walstream authors

package Stats;

use strict;
use warnings;

use constant RESAMPLES => 4000;

# How far beyond its bar a median may be when its interval reaches the bar.
use constant MARGIN => 0.03;

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	die "median of nothing\n" if !@sorted;
	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

# The 95 % interval of the median.  The same values give the same interval.
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

# Run two contestants in turns, each first in every other pair; give the list
# of pairs of what they returned.
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
