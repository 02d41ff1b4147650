# Commit throughput with one synchronous standby.
#
# Two pairs of servers, with the module and without, exist side by side and
# take short turns, so that a disk that is busy for a while affects both.
#
# Copyright (c) 2026, the walstream authors

package Measure::Commit;

use strict;
use warnings;

use Host;
use Measure::Check;
use Measure::Walz;
use Server;
use Stats;

sub run
{
	my ($bench) = @_;
	compare($bench, 'commit', 'zstd');
	return;
}

sub run_walz
{
	my ($bench) = @_;
	compare($bench, 'walz.commit', 'walz');
	return;
}

# name: prefix of the results' names.
sub compare
{
	my ($bench, $name, $codec) = @_;
	my $results = $bench->{results};
	my %servers = make_servers($bench, $codec);

	for my $clients (1, 8)
	{
		my $id = "$name.clients_$clients";
		my @pairs = Stats::alternate(
			$bench->{commit_pairs},
			map {
				my $primary = $servers{$_}[0];
				sub { throughput($bench, $primary, $clients) }
			} qw(stock walstream));

		for my $who (qw(stock walstream))
		{
			$results->add("$id.tps_$who", 'commits/s',
				map { $_->{$who}{tps} } @pairs);
		}
		$results->add_pairs($id, 'of stock', \@pairs, 'tps');
	}

	my ($stock, $walstream) =
	  map { receiver_memory($servers{$_}[1]) } qw(stock walstream);
	$results->add(
		"$name.memory.receiver",
		'MB above stock',
		$walstream - $stock);
	Measure::Check::replica($bench, $name, @{ $servers{walstream} });
	$_->remove for map { @$_ } values %servers;
	return;
}

# Create a primary and a standby, with and without the module.
sub make_servers
{
	my ($bench, $codec) = @_;
	my $origin = Server->create(
		$bench, 'commit',
		conf => {
			  'walstream.compression' => $codec eq 'zstd'
			? 'zstd lz4'
			: Measure::Walz::CODECS
		});
	my %servers;

	$origin->start;
	$origin->pgbench('-i', '-q', '-s', 10);
	$origin->sql('VACUUM');
	$origin->stop;
	for my $who (qw(stock walstream))
	{
		my $module = $who eq 'walstream' ? 1 : 0;
		my $primary = $origin->copy("${who}_primary");
		my $standby = $origin->copy("${who}_standby");

		$primary->start(module => $module);
		$standby->start(module => $module, standby_of => $primary);
		make_synchronous($primary, $standby, $codec);
		$servers{$who} = [ $primary, $standby ];
	}
	$origin->remove;
	return %servers;
}

# codec: the codec that the stream must be compressed with, if any.
sub make_synchronous
{
	my ($primary, $standby, $codec) = @_;
	my $me = "application_name = '$standby->{name}'";

	$primary->configure(synchronous_standby_names => $standby->{name});
	$primary->wait_until(
		"SELECT sync_state = 'sync' FROM pg_stat_replication WHERE $me");
	return if !$primary->{module} || !defined $codec;

	my $used = $primary->sql("SELECT codec FROM walstream_senders WHERE $me");
	die "the standby's stream is not compressed with $codec\n"
	  if $used ne $codec;
	return;
}

# Private memory of the walreceiver, in MB.
sub receiver_memory
{
	my ($standby) = @_;
	return Host::private_bytes(
		$standby->sql('SELECT pid FROM pg_stat_wal_receiver')) / 2**20;
}

sub throughput
{
	my ($bench, $primary, $clients) = @_;
	my $out = $primary->pgbench('-n', '-M', 'prepared', '-c', $clients,
		'-T', $bench->{commit_seconds});
	my ($tps) = $out =~ /^tps = ([\d.]+)/m or die "pgbench said: $out\n";
	return { tps => $tps };
}

1;
