# A real standby that catches up over loopback: the time it takes, the memory
# of its walreceiver, and whether it then has the same data.
#
# Copyright (c) 2026, the walstream authors

package Measure::Standby;

use strict;
use warnings;

use Host;
use Measure::Check;
use Measure::Walz;
use Stats;

sub run
{
	my ($bench, $corpus) = @_;

	compare($bench, $corpus, '', 'zstd');
	$corpus->stop;
	$corpus->start(
		conf => { 'walstream.compression' => Measure::Walz::CODECS });
	compare($bench, $corpus, 'walz.', 'walz');
	$corpus->stop;
	$corpus->start;
	return;
}

# prefix: of the results' names.  codec: the one that the stream must use.
sub compare
{
	my ($bench, $corpus, $prefix, $codec) = @_;
	my $results = $bench->{results};
	my $last = 0;
	my @pairs = Stats::alternate(
		$bench->{pairs},
		sub { catch_up($bench, $corpus, 'stock') },
		sub {
			catch_up(
				$bench, $corpus,
				'walstream',
				codec => $codec,
				check => $last && $codec eq 'zstd');
		},
		sub { $last = $_[0] == $_[1] });

	$results->add_pairs("${prefix}wall.standby", 'of stock', \@pairs,
		'wall_s');
	$results->add_pairs("${prefix}cpu.receiver", 'of stock', \@pairs,
		'cpu_s');
	$results->add_pairs("${prefix}memory.receiver", 'MB above stock',
		\@pairs, 'private_mb', sub { $_[1] - $_[0] });
	return;
}

# who: which of the corpus' servers is the primary; the standby has the module
# if the primary has. codec: the one that the stream must use, by default zstd.
# check: compare the two afterwards. namespace: where the standby runs.
sub catch_up
{
	my ($bench, $corpus, $who, %arg) = @_;
	my $primary = $corpus->{$who};
	my $module = $primary->{module};
	my $standby = $corpus->{base}->copy('standby');
	my $end = $primary->flush_lsn;
	my $me = "application_name = 'standby'";
	my $codec = $arg{codec} // 'zstd';

	$standby->start(
		module => $module,
		conf => { 'walstream.compression' => "$codec lz4" },
		standby_of => $primary,
		namespace => $arg{namespace});
	$primary->wait_until(
		"SELECT flush_lsn >= '$end' FROM pg_stat_replication WHERE $me", 600);
	my $result = $primary->row(
		"SELECT extract(epoch FROM clock_timestamp() - backend_start) AS wall_s
		 FROM pg_stat_replication WHERE $me");
	if ($module)
	{
		my $used =
		  $primary->sql("SELECT codec FROM walstream_senders WHERE $me");
		die "the standby's stream does not use $codec\n" if $used ne $codec;
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
