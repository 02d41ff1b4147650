# A real standby that catches up over loopback: the time it takes, the memory
# of its walreceiver, and whether it then has the same data.
#
# Copyright (c) 2026, the walstream authors

package Measure::Standby;

use strict;
use warnings;

use Host;
use Measure::Check;
use Stats;

sub run
{
	my ($bench, $corpus) = @_;
	my $results = $bench->{results};
	my $last = 0;
	my @pairs = Stats::alternate(
		$bench->{pairs},
		sub { catch_up($bench, $corpus, 'stock') },
		sub { catch_up($bench, $corpus, 'walstream', check => $last) },
		sub { $last = $_[0] == $_[1] });

	$results->add_pairs('wall.standby', 'of stock', \@pairs, 'wall_s');
	$results->add_pairs('cpu.receiver', 'of stock', \@pairs, 'cpu_s');
	$results->add_pairs('memory.receiver', 'MB above stock',
		\@pairs, 'private_mb', sub { $_[1] - $_[0] });
	return;
}

# who: which of the corpus' servers is the primary; the standby has the module
# if the primary has. check: compare the two afterwards. namespace: where the
# standby runs.
sub catch_up
{
	my ($bench, $corpus, $who, %arg) = @_;
	my $primary = $corpus->{$who};
	my $module = $primary->{module};
	my $standby = $corpus->{base}->copy('standby');
	my $end = $primary->flush_lsn;
	my $me = "application_name = 'standby'";

	$standby->start(
		module => $module,
		standby_of => $primary,
		namespace => $arg{namespace});
	$primary->wait_until(
		"SELECT flush_lsn >= '$end' FROM pg_stat_replication WHERE $me", 600);
	my $result = $primary->row(
		"SELECT extract(epoch FROM clock_timestamp() - backend_start) AS wall_s
		 FROM pg_stat_replication WHERE $me");
	if ($module)
	{
		my $codec =
		  $primary->sql("SELECT codec FROM walstream_senders WHERE $me");
		die "the standby's stream is not compressed\n" if $codec ne 'zstd';
	}

	my $receiver = $standby->sql('SELECT pid FROM pg_stat_wal_receiver');
	$result->{private_mb} = Host::private_bytes($receiver) / 2**20;
	$result->{cpu_s} = Host::cpu_seconds($receiver);
	if ($arg{check})
	{
		Measure::Check::replica($bench, 'standby', $primary, $standby);
		$primary->start(module => $module);
	}
	$standby->remove;
	return $result;
}

1;
