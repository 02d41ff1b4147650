# A link with a long delay that loses packets: what a stream gains with bbr
# over cubic, which takes each loss for congestion.
#
# Copyright (c) 2026, the walstream authors

package Measure::Lossy;

use strict;
use warnings;

use Drain;
use Link;
use Stats;

use constant REFERENCE => 'cubic';
use constant WANTED => 'bbr';

# Seconds of each measurement, without the start of the connection.
use constant WINDOW => '3:23';

sub run
{
	my ($bench, $corpus) = @_;
	my $server = $corpus->{walstream};
	my $results = $bench->{results};

	my $obstacle = Link::obstacle() // lacking(REFERENCE) // lacking(WANTED);
	if (defined $obstacle)
	{
		$results->add_missing("lossy.$_", 'times cubic', $obstacle)
		  for qw(raw compressed_by_ratio);
		return;
	}

	# 1 Gbit/s, 100 ms there and back, 0.1 % of the packets lost
	my $link = Link->begin(
		$bench,
		rate => 1_000_000_000,
		delay_ms => 50,
		queue_bytes => 12_500_000,
		loss_ppm => 1000);
	$corpus->stop;
	$server->start(
		module => 1,
		namespace => $link->{near},
		address => Link::NEAR,
		net_admin => 1);

	my $raw = sub {
		my ($congestion) = @_;
		return { rate =>
			  measure($bench, $corpus, $link, $congestion, window => WINDOW)
			  ->{rate} };
	};
	my @pairs = Stats::alternate(
		$bench->{quick} ? 1 : 5,
		sub { $raw->(REFERENCE) },
		sub { $raw->(WANTED) });
	$results->add('lossy.' . REFERENCE . '_mbit',
		'Mbit/s', map { $_->{stock}{rate} * 8 / 1e6 } @pairs);
	$results->add('lossy.' . WANTED . '_mbit',
		'Mbit/s', map { $_->{walstream}{rate} * 8 / 1e6 } @pairs);
	$results->add_pairs('lossy.raw', 'times cubic', \@pairs, 'rate');

	# all of it, compressed: WAL per second, and per ratio
	my @compressed;
	for (1 .. @pairs)
	{
		my $result = measure(
			$bench, $corpus, $link, WANTED,
			end => $corpus->{mark},
			accept => '1 zstd');
		push @compressed,
		  {
			wal_rate => $corpus->{wal_bytes} / $result->{wall_s},
			ratio => $corpus->{wal_bytes} / $result->{bytes}
		  };
	}
	my $cubic = Stats::median(map { $_->{stock}{rate} } @pairs);
	$results->add('lossy.compressed', 'times cubic',
		map { $_->{wal_rate} / $cubic } @compressed);
	$results->add('lossy.compressed_by_ratio', 'times cubic',
		map { $_->{wal_rate} / $cubic / $_->{ratio} } @compressed);

	$server->stop;
	$link->finish;
	$corpus->start;
	return;
}

# The rate that a client gets with this congestion control, which must really
# be in use.
sub measure
{
	my ($bench, $corpus, $link, $congestion, %arg) = @_;
	my $server = $corpus->{walstream};

	$server->configure('walstream.tcp_congestion_control' => $congestion);
	my $drain = Drain->begin(
		$bench, $server,
		start => $corpus->{start},
		namespace => $link->{far},
		%arg);
	my $result = $drain->result;
	my $used = $server->sql(
		"SELECT congestion_control FROM walstream_senders WHERE application_name = 'drain'"
	);
	$drain->finish;
	die "the stream used $used instead of $congestion\n"
	  if $used ne $congestion;
	return $result;
}

# Why this congestion control cannot be used; undef if it can.
sub lacking
{
	my ($name) = @_;
	my $available =
	  Host::read_file('/proc/sys/net/ipv4/tcp_available_congestion_control');

	return if grep { $_ eq $name } split ' ', $available;

	# it may be a kernel module, which root can load
	system("modprobe tcp_$name >/dev/null 2>&1");
	$available =
	  Host::read_file('/proc/sys/net/ipv4/tcp_available_congestion_control');
	return if grep { $_ eq $name } split ' ', $available;
	return "the kernel has no $name";
}

1;
