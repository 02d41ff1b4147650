# A relay that catches up, compared with pg_receivewal with a slot: speed, CPU
# time, memory, and whether it then has the same WAL.
#
# For both, a segment counts as received when its file gets its final name.
#
# Copyright (c) 2026, the walstream authors

package Measure::RelayReceive;

use strict;
use warnings;

use File::Path qw(remove_tree);
use List::Util qw(max);

use Host;
use Measure::Check;
use Relay;
use Stats;

sub run
{
	my ($bench, $corpus) = @_;
	my $results = $bench->{results};
	my $relay = Relay->create($bench, 'relay_receive');
	my $stock = sub { receivewal($bench, $corpus) };

	# The other kinds have no bar: with the keeper compressing closed segments,
	# and with a compressed stream.
	my @kinds = (
		[ 'receive', $corpus->{stock}, 'off' ],
		[ 'receive.stored_zstd', $corpus->{stock}, 'zstd' ],
		[ 'receive.compressed', $corpus->{walstream}, 'zstd' ]);
	for my $kind (@kinds)
	{
		my ($name, $upstream, $compress) = @$kind;
		my $walstream = sub {
			return receive($relay, $corpus, $upstream, $compress);
		};
		my @pairs = Stats::alternate($bench->{pairs}, $stock, $walstream);

		for my $pair (map { values %$_ } @pairs)
		{
			$pair->{mb_per_s} = $corpus->{wal_bytes} / $pair->{wall_s} / 1e6;
		}
		$results->add("relay.$name.mb_per_s", 'MB/s',
			map { $_->{walstream}{mb_per_s} } @pairs);
		$results->add_pairs("relay.$name.speed", 'of receivewal',
			\@pairs, 'mb_per_s');
		$results->add_pairs("relay.$name.cpu", 'of receivewal',
			\@pairs, 'cpu_s');
	}

	measure_memory($bench, $corpus, $relay);
	$relay->remove;
	return;
}

sub receivewal
{
	my ($bench, $corpus) = @_;
	my $server = $corpus->{stock};
	my $dir = $bench->{host}->dir . '/receivewal';

	copy_slot($server, $corpus);
	$bench->{host}->run([ 'mkdir', $dir ]);
	my $child = $bench->{host}->spawn(
		[
			"$bench->{bindir}/pg_receivewal",
			'--no-loop',
			'-S',
			'receive',
			'-D',
			$dir,
			'-d',
			$server->conninfo . ' application_name=relay_receive'
		]);
	my $end = Relay::wait_for_file("$dir/$corpus->{segments}[-1]");
	my $result = {
		wall_s => $end - began($server),
		cpu_s => Host::cpu_seconds($child->{pid})
	};
	kill 'INT', $child->{pid};
	$bench->{host}->finish($child);
	remove_tree($dir);
	drop_slot($server);
	return $result;
}

# meanwhile: called repeatedly while it receives.
sub receive
{
	my ($relay, $corpus, $upstream, $compress, $meanwhile) = @_;

	copy_slot($upstream, $corpus);
	$relay->start(
		upstream => $upstream,
		slot => 'receive',
		compress => $compress);

	# or its compressed form, if the keeper is that fast
	my $last = $relay->directory . "/$corpus->{segments}[-1]";
	my $end =
	  Relay::wait_for(sub { -e $last || -e "$last.zst" }, $last, $meanwhile);
	my $wall_s = $end - began($upstream);
	$relay->wait_for_segments('.zst', @{ $corpus->{segments} })
	  if $compress eq 'zstd';
	my $result = { wall_s => $wall_s, cpu_s => 0 };
	$result->{cpu_s} += Host::cpu_seconds($_) for $relay->workers;
	compare_segments($relay, $corpus) if $compress eq 'off';
	$relay->stop;
	$relay->clear;
	drop_slot($upstream);
	return $result;
}

# When the connection was made, by the upstream's clock, which is ours.
sub began
{
	my ($server) = @_;
	return $server->sql(
		"SELECT extract(epoch FROM backend_start) FROM pg_stat_replication
		 WHERE application_name = 'relay_receive'");
}

# Copy a slot that holds all of the corpus.
sub copy_slot
{
	my ($server, $corpus) = @_;
	$server->sql(
		"SELECT pg_copy_physical_replication_slot('$corpus->{slot}', 'receive')"
	);
	return;
}

sub drop_slot
{
	my ($server) = @_;
	$server->wait_until(
		"SELECT NOT active FROM pg_replication_slots
		WHERE slot_name = 'receive'");
	$server->sql("SELECT pg_drop_replication_slot('receive')");
	return;
}

sub compare_segments
{
	my ($relay, $corpus) = @_;
	my $differ = grep {
		Measure::Check::sum_of_file($_) ne
		  Measure::Check::sum_of_file($relay->directory . '/' . s{.*/}{}r)
	} $corpus->files;
	die "$differ segments in the relay differ\n" if $differ;
	return;
}

# The maximum of private memory of receiver and keeper while they decompress,
# write and compress.  This is a separate run, since measuring takes time.
sub measure_memory
{
	my ($bench, $corpus, $relay) = @_;
	my %mb = map { $_ => [] } qw(receiver keeper);

	receive(
		$relay, $corpus,
		$corpus->{walstream},
		'zstd',
		sub {
			my %pid;
			@pid{qw(receiver keeper)} = eval { $relay->workers };
			for my $worker (grep { $pid{$_} } keys %pid)
			{
				my $bytes = eval { Host::private_bytes($pid{$worker}) };
				push @{ $mb{$worker} }, $bytes / 2**20 if $bytes;
			}
		});
	for my $worker (sort keys %mb)
	{
		die "the relay's $worker was not seen\n" if !@{ $mb{$worker} };
		$bench->{results}
		  ->add("relay.memory.$worker", 'MB', max(@{ $mb{$worker} }));
	}
	return;
}

1;
