# How many bytes the WAL of a workload has on the wire, and how fast the
# encoder makes them.
#
# Copyright (c) 2026, the walstream authors

package Measure::Wire;

use strict;
use warnings;

use Drain;
use Host;

# Bytes on the wire, as counted by a client that receives them; the views must
# show the same numbers.
sub run
{
	my ($bench, $corpus) = @_;
	my $results = $bench->{results};
	my $name = $corpus->{name};
	my $server = $corpus->{walstream};
	my %range = (
		start => $corpus->{start},
		mark => $corpus->{mark},
		end => $server->flush_lsn);

	my $stock = Drain->measure($bench, $server, %range);
	my %received;
	for my $codec (qw(zstd lz4))
	{
		my $drain =
		  Drain->begin($bench, $server, %range, accept => "1 $codec");
		$received{$codec} = $drain->result;
		my $shown = $server->row(
			"SELECT codec, raw_bytes, wire_bytes FROM walstream_senders
			 WHERE pid = $received{$codec}{pid}");
		$drain->finish;

		die "asked for $codec, got $shown->{codec}\n"
		  if $shown->{codec} ne $codec;
		$results->add("wire.$name.ratio_$codec", 'x',
			$stock->{bytes} / $received{$codec}{bytes});

		# ignore a record that the server wrote meanwhile
		my $error = abs($shown->{raw_bytes} - $stock->{total_bytes}) +
		  abs($shown->{wire_bytes} - $received{$codec}{total_bytes});
		die "walstream_senders shows raw_bytes $shown->{raw_bytes} and "
		  . "wire_bytes $shown->{wire_bytes}, but received were "
		  . "$stock->{total_bytes} and $received{$codec}{total_bytes}\n"
		  if $error > 1000;
	}

	my $sizes = encode($bench, $corpus, 1);
	$results->add("wire.$name.vs_zstd1", 'wire/zstd -1',
		$received{zstd}{bytes} / $sizes->{zstd_bytes});
	return;
}

# Speed of the encoder, compared with zstd's own, without a server.
sub run_speed
{
	my ($bench, $corpus) = @_;
	my $times = encode($bench, $corpus, $bench->{pairs});
	my @pairs = map {
		{
			stock =>
			  { speed => $times->{wal_bytes} / $times->{zstd_s}[$_] / 1e6 },
			walstream => {
				speed => $times->{wal_bytes} / $times->{encoder_s}[$_] / 1e6
			}
		}
	} 0 .. $#{ $times->{zstd_s} };

	my $id = "encode.$corpus->{name}";
	$bench->{results}
	  ->add("$id.mb_per_s", 'MB/s', map { $_->{walstream}{speed} } @pairs);
	$bench->{results}
	  ->add_pairs("$id.speed", 'of zstd -b1', \@pairs, 'speed');
	return;
}

# Each round encodes at most a quarter of a GB, since the WAL is uniform.
sub encode
{
	my ($bench, $corpus, $rounds) = @_;
	my @files = $corpus->files;
	splice @files, 16 if $rounds > 1 && @files > 16;
	return Host::decode_json($bench->{host}
		  ->run([ "$bench->{tools}/encode", '-n', $rounds, @files ]));
}

1;
