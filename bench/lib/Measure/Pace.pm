# walstream.rate_limit: how exactly the rate is kept, seen from the receiver,
# and what it must not delay.
#
# Copyright (c) 2026, the walstream authors

package Measure::Pace;

use strict;
use warnings;

use Time::HiRes ();

use Drain;
use Link;
use Stats;

# Name and bytes per second.
my @rates = (
	[ '200kB' => 200 * 1024 ],
	[ '1MB' => 1024 * 1024 ],
	[ '50MB' => 50 * 1024 * 1024 ]);

# From the third second on.
use constant WINDOW => '2:8';

sub run
{
	my ($bench, $corpus) = @_;
	my $server = $corpus->{walstream};
	my $results = $bench->{results};

	if (defined(my $obstacle = Link::obstacle()))
	{
		$results->add_missing("pace.$_.off", '% off', $obstacle)
		  for map { ($_->[0], "local.$_->[0]") } @rates;
		$results->add_missing("pace.$_", '', $obstacle)
		  for qw(timeouts terminate);
		return;
	}

	# the queue has room for many times the rate times the round trip
	my $link = Link->begin(
		$bench,
		rate => 1_000_000_000,
		delay_ms => 1,
		queue_bytes => 1_000_000);
	$corpus->stop;
	$server->start(
		module => 1,
		namespace => $link->{near},
		address => Link::NEAR);

	for my $rate (@rates)
	{
		accuracy($bench, $corpus, "pace.$rate->[0]", @$rate,
			namespace => $link->{far});
		accuracy($bench, $corpus, "pace.local.$rate->[0]", @$rate,
			local => 1);
	}
	timeouts($bench, $corpus, $link);
	$results->add('pace.terminate', 's',
		map { terminate($bench, $corpus, $link) }
		  1 .. ($bench->{quick} ? 3 : 9));

	$server->stop;
	$link->finish;
	$corpus->start;
	return;
}

# The deviation of a client's rate, after the first two seconds.
sub accuracy
{
	my ($bench, $corpus, $id, $name, $rate, @where) = @_;
	my $server = $corpus->{walstream};
	my @shares;

	$server->configure('walstream.rate_limit' => "*=$name");
	for (1 .. ($bench->{quick} ? 3 : 5))
	{
		my $drain = Drain->begin(
			$bench, $server,
			start => $corpus->{start},
			window => WINDOW,
			@where);
		my $result = $drain->result;

		$drain->finish;
		push @shares, $result->{rate} / $rate;
	}
	$bench->{results}->add("$id.rate", 'of the limit', @shares);
	$bench->{results}
	  ->add("$id.off", '% off', map { 100 * abs($_ - 1) } @shares);
	return;
}

# With a backlog, the lowest rate and a short timeout, a client that speaks
# only when it is asked is not disconnected.
sub timeouts
{
	my ($bench, $corpus, $link) = @_;
	my $server = $corpus->{walstream};

	$server->configure(
		'walstream.rate_limit' => '*=200kB',
		wal_sender_timeout => '5s');
	my $drain = Drain->begin(
		$bench, $server,
		start => $corpus->{start},
		window => '2:22',
		quiet => 1,
		namespace => $link->{far});
	my $ended = !eval { $drain->result; 1 };
	$bench->{results}->add('pace.timeouts', 'of a stream', $ended ? 1 : 0);
	$drain->finish if !$ended;
	$server->configure(wal_sender_timeout => '60s');
	return;
}

# Seconds that a delayed walsender takes to end when it is terminated.
sub terminate
{
	my ($bench, $corpus, $link) = @_;
	my $server = $corpus->{walstream};

	$server->configure('walstream.rate_limit' => '*=200kB');
	my $drain = Drain->begin(
		$bench, $server,
		start => $corpus->{start},
		namespace => $link->{far});
	$server->wait_until(
		"SELECT raw_bytes > 400000 FROM walstream_senders WHERE application_name = 'drain'"
	);
	my $pid = $server->sql(
		"SELECT pid FROM walstream_senders WHERE application_name = 'drain'");
	my $begin = Time::HiRes::time();

	kill('TERM', $pid) == 1 or die "could not end the walsender: $!\n";
	Time::HiRes::sleep(0.001) while -d "/proc/$pid";
	my $seconds = Time::HiRes::time() - $begin;

	# the client reports that its connection was ended
	eval { $drain->finish };
	return $seconds;
}

1;
