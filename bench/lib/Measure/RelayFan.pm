# What many downstreams cost the primary: behind a relay no more than one does.
#
# The same load runs with 1, 8 and 32 streaming clients, behind a relay and,
# for comparison, connected directly to a stock primary.
#
# Copyright (c) 2026, the walstream authors

package Measure::RelayFan;

use strict;
use warnings;

use Drain;
use Host;
use POSIX ();
use Relay;
use Server;
use Time::HiRes ();

my @counts = (1, 8, 32);

sub run
{
	my ($bench) = @_;
	my %servers = make_servers($bench);
	my %runs;

	# Each round runs every case, in alternating order.
	my @turns = map { ([ relay => $_ ], [ direct => $_ ]) } @counts;
	for my $round (0 .. $bench->{pairs})
	{
		for my $turn ($round % 2 ? @turns : reverse @turns)
		{
			my ($how, $count) = @$turn;
			my $result = stream($bench, @{ $servers{$how} }, $count);

			# discard the first round, which has empty tables and cold files
			push @{ $runs{$how}{$count} }, $result if $round > 0;
		}
	}
	report($bench->{results}, \%runs);
	$servers{relay}[1]->remove;
	$_->[0]->remove for values %servers;
	return;
}

# Create the primary of each case, and the relay if there is one.
sub make_servers
{
	my ($bench) = @_;
	my $direct = Server->create($bench, 'fan_direct',
		conf => { fsync => 'off', max_wal_senders => 50 });
	my $primary = $direct->copy('fan_primary');
	my $relay = Relay->create($bench, 'fan_relay');

	$direct->start;
	$primary->start;
	$relay->start(upstream => $primary, slot => 'relay');
	return (relay => [ $primary, $relay ], direct => [ $direct, undef ]);
}

# Let this many clients stream from the relay, or from the primary if there is
# no relay, while the primary is under load, until all have everything.
sub stream
{
	my ($bench, $primary, $relay, $count) = @_;
	my ($source, $view) =
	  $relay
	  ? ($relay->server, 'walstream_senders')
	  : ($primary, 'pg_stat_replication');
	my $clients = "FROM $view WHERE application_name = 'drain'";
	my $start = $primary->flush_lsn;

	$relay->wait_for_lsn($start) if $relay;
	my @drains =
	  map { Drain->begin($bench, $source, start => $start, ack => 1) }
	  1 .. $count;
	$source->wait_until("SELECT count(flush_lsn) = $count $clients");

	my $cpu_s = cpu_seconds($primary);
	my $began = Time::HiRes::time();
	$primary->pgbench('-i', '-q', '-s', $bench->{quick} ? 2 : 10);
	my $end = $primary->flush_lsn;
	$source->wait_until("SELECT min(flush_lsn) >= '$end' $clients", 600);
	my $wall_s = Time::HiRes::time() - $began;
	$cpu_s = cpu_seconds($primary) - $cpu_s;

	$_->finish for @drains;
	$source->wait_until("SELECT count(*) = 0 $clients");
	my $bytes = $primary->sql("SELECT '$end'::pg_lsn - '$start'");
	return {
		cpu_s_per_gb => $cpu_s / $bytes * 1e9,
		mb_per_s => $bytes / $wall_s / 1e6
	};
}

# CPU time of all processes of an instance since its start: of the running
# ones, and of those whose end the postmaster has seen.
sub cpu_seconds
{
	my ($server) = @_;
	my ($postmaster) =
	  Host::read_file($server->data . '/postmaster.pid') =~ /^(\d+)/;

	# repeat it if a process ends meanwhile, which would count twice or not at
	# all
	for (1 .. 100)
	{
		my $ended_s = ended_cpu_seconds($postmaster);
		my @children = split ' ',
		  Host::read_file("/proc/$postmaster/task/$postmaster/children");
		my $running_s = 0;

		next if !eval {
			$running_s += Host::cpu_seconds($_) for $postmaster, @children;
			1;
		};
		return $running_s + $ended_s
		  if $ended_s == ended_cpu_seconds($postmaster);
	}
	die "the processes of $server->{name} do not come to rest\n";
}

# User and system time of children that have ended.
sub ended_cpu_seconds
{
	my ($postmaster) = @_;
	my ($fields) = Host::read_file("/proc/$postmaster/stat") =~ /^.*\) (.*)/s;
	my ($user, $system) = (split ' ', $fields)[ 13, 14 ];
	return ($user + $system) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

sub report
{
	my ($results, $runs) = @_;

	for my $count (@counts)
	{
		for my $how (qw(relay direct))
		{
			my @runs = @{ $runs->{$how}{$count} };
			$results->add(
				"fan.${how}_$count.cpu",
				's/GB of primary',
				map { $_->{cpu_s_per_gb} } @runs);
			$results->add("fan.${how}_$count.mb_per_s", 'MB/s',
				map { $_->{mb_per_s} } @runs);
		}
	}

	# Compare each with the run of the same round that had one client.
	for my $count (grep { $_ > 1 } @counts)
	{
		for my $how (qw(relay direct))
		{
			my ($one, $many) = @{ $runs->{$how} }{ 1, $count };
			$results->add(
				"fan.${how}_$count.growth",
				'of CPU with one',
				map { $many->[$_]{cpu_s_per_gb} / $one->[$_]{cpu_s_per_gb} }
				  0 .. $#$one);
		}
	}
	return;
}

1;
