# Single commits without full-page images, one commit in each message: the
# smallest gain that a physical stream can have.
#
# Copyright (c) 2026, the walstream authors

package Measure::Single;

use strict;
use warnings;

use Drain;
use Server;

sub run
{
	my ($bench) = @_;
	my $results = $bench->{results};
	my $transactions = $bench->{quick} ? 10000 : 50000;
	my $server = Server->create($bench, 'single',
		conf => { full_page_writes => 'off', fsync => 'off' });

	$server->start(module => 1);
	$server->pgbench('-i', '-q', '-s', 10);
	$server->sql('VACUUM');
	my $start = $server->flush_lsn;

	# The client confirms each message, and each commit waits for that, so that
	# no two commits share a message.
	my $drain = Drain->begin(
		$bench, $server,
		start => $start,
		accept => '1 zstd',
		ack => 1);
	$server->wait_until(
		"SELECT count(*) = 1 FROM pg_stat_replication
		WHERE application_name = 'drain' AND state = 'streaming'");
	$server->configure(synchronous_standby_names => 'drain');
	$server->wait_until(
		"SELECT sync_state = 'sync' FROM pg_stat_replication
		WHERE application_name = 'drain'");

	my $before = counts($server);
	$server->pgbench('-n', '-c', 1, '-t', $transactions,
		"--random-seed=$bench->{seed}");
	my $after = counts($server);
	my $received = $drain->finish;
	my %spent = map { $_ => $after->{$_} - $before->{$_} } keys %$after;

	$results->add('wire.single_commits.ratio', 'x',
		$spent{raw_bytes} / $spent{wire_bytes});
	$results->add('wire.single_commits.bytes', 'bytes/commit',
		$spent{wire_bytes} / $transactions);
	$results->add('wire.single_commits.messages',
		'per commit', $spent{messages} / $transactions);
	die "received were $received->{total_bytes} bytes, but walstream_senders "
	  . "shows wire_bytes $after->{wire_bytes}\n"
	  if abs($received->{total_bytes} - $after->{wire_bytes}) > 1000;
	$server->remove;
	return;
}

# The counters of the stream, once everything has been sent.
sub counts
{
	my ($server) = @_;
	$server->wait_until(
		"SELECT flush_lsn >= pg_current_wal_flush_lsn()
		FROM pg_stat_replication WHERE application_name = 'drain'");
	return $server->row(
		"SELECT raw_bytes, wire_bytes, messages
		FROM walstream_senders WHERE application_name = 'drain'");
}

1;
