# How long synchronous commits wait for a relay that has lost its connection to
# the primary, and for one whose receiver was killed, which restarts the
# server.
#
# Copyright (c) 2026, the walstream authors

package Measure::RelayLink;

use strict;
use warnings;

use Time::HiRes ();

use Measure::Commit;
use Relay;
use Server;

# The amount of WAL in the open segment when the connection is lost.
my %filled_mb = (16 => 8, 1024 => 500);

sub run
{
	my ($bench) = @_;

	for my $mb (16, 1024)
	{
		my ($primary, $relay) = make_servers($bench, $mb);
		my $results = $bench->{results};

		add($results, "relay.lost.segments_$mb",
			map { commit_after($primary, $relay, \&lose_connection) }
			  1 .. $bench->{pairs});
		add($results, "relay.killed.segments_$mb",
			map { commit_after($primary, $relay, \&kill_receiver) }
			  1 .. ($bench->{quick} ? 2 : $mb == 16 ? $bench->{pairs} : 3));
		$_->remove for $primary, $relay;
	}
	return;
}

# Report each value, and the longest, to which the bar applies.
sub add
{
	my ($results, $id, @seconds) = @_;

	$results->add("$id.time", 's', @seconds);
	$results->add("$id.longest", 's', (sort { $b <=> $a } @seconds)[0]);
	return;
}

sub make_servers
{
	my ($bench, $mb) = @_;
	my $primary = Server->create($bench, "primary_$mb", segment_mb => $mb);
	my $relay = Relay->create($bench, "relay_$mb");

	$primary->start(module => 1);
	$relay->start(upstream => $primary, slot => 'relay');
	$primary->sql("SELECT pg_switch_wal()");
	$primary->sql(
		'CREATE TABLE filler AS SELECT g, repeat(md5(g::text), 30) AS filler FROM generate_series(1, '
		  . $filled_mb{$mb} * 1000
		  . ') AS g');
	$relay->wait_for_lsn($primary->flush_lsn);
	Relay::wait_for(sub { -e $relay->directory . '/walstream.spare' },
		'the spare segment');
	Measure::Commit::make_synchronous($primary, $relay->server);
	return ($primary, $relay);
}

# Cause the failure, begin a commit, and return the seconds until it is
# confirmed.
sub commit_after
{
	my ($primary, $relay, $happens) = @_;
	my $begin;

	# wait until everything is as before
	$relay->server->wait_until(
		"SELECT state = 'streaming' FROM walstream_relay");
	Relay::wait_for(sub { -e $relay->directory . '/walstream.spare' },
		'the spare segment');
	$primary->sql("SELECT pg_logical_emit_message(true, '', '')");
	Time::HiRes::sleep(1);
	$begin = $happens->($primary, $relay);
	$primary->sql("SELECT pg_logical_emit_message(true, '', '')");
	return Time::HiRes::time() - $begin;
}

sub lose_connection
{
	my ($primary) = @_;
	my $begin = Time::HiRes::time();

	$primary->sql(
		'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
	return $begin;
}

sub kill_receiver
{
	my ($primary, $relay) = @_;
	my ($receiver) = $relay->workers;
	my $begin = Time::HiRes::time();

	kill('KILL', $receiver) == 1 or die "could not kill the receiver: $!\n";
	return $begin;
}

1;
