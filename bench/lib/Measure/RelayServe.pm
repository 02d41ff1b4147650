# One stream served by a relay, compared with a stock walsender that reads the
# same files: rate, CPU time, memory, and the time to the first byte.
#
# Copyright (c) 2026, the walstream authors

package Measure::RelayServe;

use strict;
use warnings;

use Corpus;
use Drain;
use Measure::RelayReceive;
use Relay;
use Stats;

sub run
{
	my ($bench, $corpus) = @_;
	my $relay = Relay->create($bench, 'relay_serve');
	my @memory;

	Measure::RelayReceive::copy_slot($corpus->{stock}, $corpus);
	$relay->start(
		upstream => $corpus->{stock},
		slot => 'receive',
		compress => 'off');
	$relay->wait_for_segments('', @{ $corpus->{segments} });
	$relay->stop;
	$relay->share_segments($corpus->files);

	for my $form (qw(raw zst))
	{
		my $compress = $form eq 'raw' ? 'off' : 'zstd';

		$relay->start(
			upstream => $corpus->{stock},
			slot => 'receive',
			compress => $compress);
		$relay->wait_for_segments($compress eq 'off' ? '' : '.zst',
			@{ $corpus->{segments} });
		$relay->wait_for_lsn($corpus->{mark});
		push @memory, serve($bench, $corpus, $relay, $form);
		connect_times($bench, $corpus, $relay, $form);
		$relay->stop;
	}
	$bench->{results}->add('relay.memory.sender', 'MB', @memory);
	$relay->remove;
	Measure::RelayReceive::drop_slot($corpus->{stock});
	return;
}

# Serve a client that does not request compression, to which the bar applies,
# and one that does, which is compared with a server that has the module.
# Returns the memory of the senders.
sub serve
{
	my ($bench, $corpus, $relay, $form) = @_;
	my $results = $bench->{results};
	my @memory;

	for my $kind ([ 'stock', undef, '' ],
		[ 'walstream', '1 zstd', '.compressed' ])
	{
		my ($who, $accept, $suffix) = @$kind;
		my $id = "relay.serve.$form$suffix";
		my @pairs =
		  pairs($bench, $corpus, $corpus->{$who}, $relay->server, $accept);

		$results->add("$id.mb_per_s", 'MB/s',
			map { $corpus->{wal_bytes} / $_->{walstream}{wall_s} / 1e6 }
			  @pairs);
		$results->add_pairs("$id.speed", "of ${who}'s", \@pairs, 'wall_s',
			sub { $_[0] / $_[1] });
		$results->add_pairs("$id.cpu", "of ${who}'s", \@pairs, 'cpu_s');
		push @memory, map { $_->{walstream}{private_mb} } @pairs;
	}
	return @memory;
}

sub pairs
{
	my ($bench, $corpus, $direct, $relay, $accept) = @_;
	my $measure = sub {
		my ($server) = @_;
		return Drain->measure(
			$bench, $server,
			start => $corpus->{start},
			end => $corpus->{mark},
			accept => $accept);
	};

	# warm up: the first to read the WAL may have to read it from disk
	$measure->($_) for $direct, $relay;
	return Stats::alternate(
		$bench->{many_pairs},
		sub { $measure->($direct) },
		sub { $measure->($relay) });
}

# The time from connecting to the first byte of WAL, from a position within a
# segment.
sub connect_times
{
	my ($bench, $corpus, $relay, $form) = @_;
	my $results = $bench->{results};
	my $id = "relay.connect.$form";
	my ($start, $end) = middle($corpus);
	my $measure = sub {
		my ($server) = @_;
		my $drain = Drain->begin(
			$bench, $server,
			start => $start,
			end => $end);
		my $result = $drain->result;
		$drain->finish;
		return { first_ms => $result->{first_s} * 1e3 };
	};
	my @pairs = Stats::alternate(
		$bench->{connects},
		sub { $measure->($corpus->{stock}) },
		sub { $measure->($relay->server) });

	for my $who (qw(stock walstream))
	{
		$results->add("$id.${who}_ms", 'ms',
			map { $_->{$who}{first_ms} } @pairs);
	}
	$results->add_pairs($id, 'of stock', \@pairs, 'first_ms');
	return;
}

# A position within a segment in the middle of the corpus, and the next one.
sub middle
{
	my ($corpus) = @_;
	my ($high, $low) = map { hex } split m{/}, $corpus->{start};
	my $size = $corpus->{segment_size};
	my $lsn =
	  ($high << 32 | $low) +
	  $size * int(@{ $corpus->{segments} } / 2) +
	  $size / 2;

	return map { Corpus::format_lsn($_) } $lsn, $lsn + 1;
}

1;
