# Catching up over a slow link.
#
# Copyright (c) 2026, the walstream authors

package Measure::Slow;

use strict;
use warnings;

use Drain;
use Link;
use Measure::Standby;
use Measure::Walz;
use Stats;

sub run
{
	my ($bench, $corpus) = @_;
	my $results = $bench->{results};
	my $id = "link.$corpus->{name}";

	if (defined(my $obstacle = Link::obstacle()))
	{
		$results->add_missing("$id.speedup", 'times faster', $obstacle);
		return;
	}
	my $link = $bench->{link} //= Link->begin($bench);
	$corpus->stop;
	$corpus->start(
		conf => { 'walstream.compression' => Measure::Walz::CODECS },
		namespace => $link->{near},
		address => Link::NEAR);

	my $drain = sub {
		my ($who, $accept) = @_;
		return Drain->measure(
			$bench, $corpus->{$who},
			start => $corpus->{start},
			end => $corpus->{mark},
			accept => $accept,
			namespace => $link->{far});
	};
	my @pairs = Stats::alternate(
		$bench->{link_pairs},
		sub { $drain->('stock') },
		sub { $drain->('walstream', '1 zstd') });
	report($results, $id, \@pairs);

	# The line is what limits stock, so its times serve for walz, too.
	my @walz = map {
		{
			stock => $_->{stock},
			walstream => $drain->('walstream', '1 walz1')
		}
	} @pairs;
	report($results, "walz.$id", \@walz);

	# A real standby must give the same result as the client.
	if ($corpus->{base} && !$bench->{quick})
	{
		my $standby = sub {
			return Measure::Standby::catch_up($bench, $corpus, $_[0],
				namespace => $link->{far});
		};
		@pairs = Stats::alternate(
			3,
			sub { $standby->('stock') },
			sub { $standby->('walstream') });
		report($results, "$id.standby", \@pairs);
	}

	$corpus->stop;
	$corpus->start;
	return;
}

sub report
{
	my ($results, $id, $pairs) = @_;

	for my $who (qw(stock walstream))
	{
		$results->add("$id.${who}_s", 's',
			map { $_->{$who}{wall_s} } @$pairs);
	}
	$results->add_pairs("$id.speedup", 'times faster', $pairs, 'wall_s',
		sub { $_[0] / $_[1] });
	return;
}

1;
