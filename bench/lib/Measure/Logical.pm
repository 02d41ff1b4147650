# A bulk insert through a subscription.
#
# Copyright (c) 2026, the walstream authors

package Measure::Logical;

use strict;
use warnings;

use Drain;
use Host;
use Measure::Check;
use Server;
use Stats;
use Workload;

# The texts contain every byte.
use constant ENCODING => 'SQL_ASCII';

sub run
{
	my ($bench) = @_;
	my $results = $bench->{results};
	my %publisher = publishers($bench);
	my %subscriber = subscribers($bench);
	my %end = map { $_ => $publisher{$_}->flush_lsn } keys %publisher;

	my @pairs = Stats::alternate(
		$bench->{many_pairs},
		map {
			my $who = $_;
			sub { apply($publisher{$who}, $subscriber{$who}, $end{$who}) }
		} qw(stock walstream));

	$results->add('wire.logical.ratio', 'x',
		map { $_->{walstream}{ratio} } @pairs);
	$results->add_pairs('cpu.logical', 'of stock', \@pairs, 'cpu_s');
	$results->add_pairs('wall.logical', 'of stock', \@pairs, 'wall_s');
	drain($bench, \%publisher, \%end);
	check($bench, @publisher{qw(walstream)}, @subscriber{qw(walstream)});
	$_->remove for values %publisher, values %subscriber;
	return;
}

# Two servers with the same rows to send: the slot "base" holds the WAL of the
# bulk insert.
sub publishers
{
	my ($bench) = @_;
	my $server = Server->create(
		$bench, 'publisher',
		encoding => ENCODING,
		conf => { wal_level => 'logical', fsync => 'off' });
	my $rows = $bench->{quick} ? 20000 : 100000;

	$server->start;
	$server->script('words.sql', seed => Workload::fraction($bench->{seed}));
	$server->script('logical_setup.sql');
	$server->script('logical_bytes.sql', part => 'copied');
	$server->sql('CREATE PUBLICATION bench FOR TABLE items, first_bytes');
	$server->sql(
		"SELECT pg_create_logical_replication_slot('base', 'pgoutput')");
	for my $chunk (0 .. 4)
	{
		$server->script(
			'logical_bulk.sql',
			seed => Workload::fraction($bench->{seed} * 1000 + $chunk),
			chunk => $chunk,
			rows => $rows);
	}
	$server->stop;

	my $stock = $server->copy('publisher_stock');
	$server->start(module => 1);
	$stock->start(module => 0);
	return (walstream => $server, stock => $stock);
}

sub subscribers
{
	my ($bench) = @_;
	my $server = Server->create(
		$bench, 'subscriber',
		encoding => ENCODING,
		conf => { fsync => 'off' });

	$server->start;
	$server->script('logical_setup.sql');
	$server->stop;

	my $stock = $server->copy('subscriber_stock');
	$server->start(module => 1);
	$stock->start(module => 0);
	return (walstream => $server, stock => $stock);
}

# Copy the slot, so that the same rows can be sent again.
sub copy_slot
{
	my ($publisher, $name) = @_;
	$publisher->sql(
		"SELECT pg_copy_logical_replication_slot('base', '$name')");
	return;
}

sub subscribe
{
	my ($publisher, $subscriber, $options) = @_;
	$subscriber->sql(
		"CREATE SUBSCRIPTION bench
		CONNECTION '" . $publisher->conninfo . " dbname=postgres'
		PUBLICATION bench WITH ($options)");
	return;
}

# Let the subscriber apply the bulk insert.
sub apply
{
	my ($publisher, $subscriber, $end) = @_;
	my $sender = "application_name = 'bench'";

	copy_slot($publisher, 'bench');
	subscribe($publisher, $subscriber,
		'create_slot = false, copy_data = false');
	$publisher->wait_until(
		"SELECT replay_lsn >= '$end' FROM pg_stat_replication WHERE $sender",
		600);
	my $result = $publisher->row(
		"SELECT pid, extract(epoch FROM clock_timestamp() - backend_start) AS wall_s
		 FROM pg_stat_replication WHERE $sender");
	$result->{cpu_s} = Host::cpu_seconds($result->{pid});
	if ($publisher->{module})
	{
		my $row = $publisher->row(
			"SELECT codec, raw_bytes, wire_bytes FROM walstream_senders WHERE $sender"
		);
		die "the subscription's stream is not compressed\n" if !$row->{codec};
		$result->{ratio} = $row->{raw_bytes} / $row->{wire_bytes};
	}
	$subscriber->sql('DROP SUBSCRIPTION bench');
	$subscriber->sql('TRUNCATE items');
	return $result;
}

# Send it to a client that discards it, and count the bytes that arrive.
sub drain
{
	my ($bench, $publisher, $end) = @_;
	my $results = $bench->{results};
	my %accept = (walstream => '1 zstd');
	my @pairs = Stats::alternate(
		$bench->{pairs},
		map {
			my $who = $_;
			sub {
				copy_slot($publisher->{$who}, 'drain');
				my $result = Drain->measure(
					$bench, $publisher->{$who},
					start => '0/0',
					end => $end->{$who},
					slot => 'drain',
					publication => 'bench',
					accept => $accept{$who});
				$publisher->{$who}->wait_until(
					"SELECT NOT active FROM pg_replication_slots
					 WHERE slot_name = 'drain'");
				$publisher->{$who}
				  ->sql("SELECT pg_drop_replication_slot('drain')");
				return $result;
			}
		} qw(stock walstream));

	$results->add_pairs('wire.logical.drained', 'x', \@pairs, 'total_bytes',
		sub { $_[0] / $_[1] });
	$results->add_pairs('cpu.logical.drained', 'of stock', \@pairs, 'cpu_s');
	return;
}

# Check the initial copy and changes after it: both sides must end with the
# same rows.
sub check
{
	my ($bench, $publisher, $subscriber) = @_;

	subscribe($publisher, $subscriber, 'copy_data = true');
	$subscriber->wait_until(
		"SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel", 600);
	$publisher->script('logical_bytes.sql', part => 'streamed');
	$publisher->sql(
		"UPDATE first_bytes SET content = content || content
		WHERE byte % 3 = 0");
	$publisher->sql('DELETE FROM first_bytes WHERE byte % 7 = 0');
	$publisher->wait_until(
		"SELECT replay_lsn >= pg_current_wal_flush_lsn()
		FROM pg_stat_replication WHERE application_name = 'bench'", 600);
	Measure::Check::tables($bench, 'logical', $publisher, $subscriber,
		qw(items first_bytes));
	$subscriber->sql('DROP SUBSCRIPTION bench');
	return;
}

1;
