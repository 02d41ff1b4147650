# The codec walz compared with zstd at level 1: the same WAL, cut into the same
# messages, and each byte decoded and compared.
#
# Copyright (c) 2026, the walstream authors

package Measure::Walz;

use strict;
use warnings;

use List::Util qw(min sum);

use Drain;
use Host;
use Stats;

# The setting with which servers and clients use walz.
use constant CODECS => 'walz zstd lz4';

# At most this many segments, an eighth of a GB, of a uniform workload; "mixed"
# begins with a load, and becomes mixed only later.
use constant MOST_SEGMENTS => 8;
sub most_segments { return $_[0] eq 'mixed' ? 32 : MOST_SEGMENTS; }

# How often the codecs take turns.
sub rounds { return $_[0]->{quick} ? 5 : $_[0]->{pairs}; }

# The segments of a corpus that are measured.
sub files
{
	my ($corpus) = @_;
	my @files = $corpus->files;
	my $most = most_segments($corpus->{name});
	splice @files, $most if @files > $most;
	return @files;
}

# Measure a corpus in messages of 128 kB.
sub run
{
	my ($bench, $corpus) = @_;
	my $outcome =
	  encode($bench, [ files($corpus) ], rounds => rounds($bench));

	ratios($bench, "walz.$corpus->{name}", $outcome);
	speeds($bench, "walz.$corpus->{name}", $outcome);
	return;
}

# The same for a workload of phases; none of them may lose.
sub run_phases
{
	my ($bench, $corpus) = @_;
	my $results = $bench->{results};
	my $id = "walz.$corpus->{name}";
	my @phases = @{ $corpus->{phases} };
	my $outcome = encode(
		$bench,
		[ $corpus->files ],
		rounds => rounds($bench),
		marks => [ map { $_->[1] } @phases ]);
	my ($zstd, $walz) = map { $_->{wire_bytes} } @{ $outcome->{codecs} };

	$results->add("$id.seed", '', $corpus->{seed});
	my @times = map { $zstd->[$_] / $walz->[$_] } 0 .. $#phases;
	for my $i (0 .. $#phases)
	{
		$results->add("$id.$phases[$i][0]", 'times zstd', $times[$i]);
	}
	$results->add("$id.least", 'times zstd', min(@times));
	ratios($bench, $id, $outcome);
	speeds($bench, $id, $outcome);
	return;
}

# Single commits, in messages of one commit and of 8 kB.
sub run_single
{
	my ($bench) = @_;
	my $results = $bench->{results};
	my $id = 'walz.single';
	my ($server, @range) = make_single($bench);

	for my $unit (qw(commit 8192))
	{
		my $outcome = encode(
			$bench, $range[0],
			rounds => rounds($bench),
			unit => $unit,
			marks => [ $range[1] ]);
		ratios($bench, "$id.$unit", $outcome);
		speeds($bench, "$id.$unit", $outcome);
	}
	sizes($bench, $id, @range);
	$server->remove;
	return;
}

# Create a server with WAL of single commits; returns its segments and the ends
# of the commits.
sub make_single
{
	my ($bench) = @_;
	my $server = Server->create($bench, 'walz_single',
		conf => { full_page_writes => 'off', fsync => 'off' });

	$server->start;
	$server->pgbench('-i', '-q', '-s', 10);
	$server->sql('VACUUM');
	$server->sql('SELECT pg_switch_wal()');
	my $first =
	  $server->sql('SELECT pg_walfile_name(pg_current_wal_insert_lsn() + 1)');
	$server->pgbench(
		'-n', '-c', 1, '-t',
		$bench->{quick} ? 40000 : 100000,
		"--random-seed=$bench->{seed}");
	my $mark = $server->flush_lsn;
	my $last = $server->sql("SELECT pg_walfile_name('$mark'::pg_lsn - 1)");
	$server->stop;

	my $dir = $server->data . '/pg_wal';
	my @files =
	  grep { m{/[0-9A-F]{24}$} && $_ ge "$dir/$first" && $_ le "$dir/$last" }
	  sort glob "$dir/*";
	return ($server, \@files, $mark);
}

# What more or less memory would gain: the tool is built with other sizes.
sub sizes
{
	my ($bench, $id, $files, $mark) = @_;
	my $results = $bench->{results};

	for my $size (qw(small default large))
	{
		my $tool = $size eq 'default' ? 'messages' : "messages_$size";
		my $outcome = encode(
			$bench, $files,
			tool => $tool,
			rounds => 0,
			unit => 'commit',
			marks => [$mark]);
		my $walz = $outcome->{codecs}[1];

		$results->add("$id.$size.encoder", 'MB',
			$walz->{encoder_bytes} / 2**20);
		$results->add("$id.$size.decoder", 'MB',
			$walz->{decoder_bytes} / 2**20);
		$results->add("$id.$size.ratio", 'x',
			sum(@{ $outcome->{stock_bytes} }) / sum(@{ $walz->{wire_bytes} })
		);
	}
	return;
}

# The same for a corpus.
sub run_sizes
{
	my ($bench, $corpus) = @_;
	for my $size (qw(small default large))
	{
		my $outcome = encode(
			$bench, [ files($corpus) ],
			tool => $size eq 'default' ? 'messages' : "messages_$size",
			rounds => 0);
		$bench->{results}->add("walz.$corpus->{name}.$size.ratio", 'x',
			sum(@{ $outcome->{stock_bytes} }) /
			  sum(@{ $outcome->{codecs}[1]{wire_bytes} }));
	}
	return;
}

# A walsender that catches up with walz, compared with a stock one.
sub run_sender
{
	my ($bench, $corpus) = @_;
	my $results = $bench->{results};
	my $name = $corpus->{name};

	$corpus->stop;
	$corpus->start(conf => { 'walstream.compression' => CODECS });
	my %end = map { $_ => $corpus->{$_}->flush_lsn } qw(stock walstream);
	my $measure = sub {
		my ($who, $accept) = @_;
		my $result = Drain->measure(
			$bench, $corpus->{$who},
			start => $corpus->{start},
			end => $end{$who},
			accept => $accept);
		$result->{cpu_s_per_gb} =
		  $result->{cpu_s} / $corpus->{wal_bytes} * 1e9;
		return $result;
	};

	$measure->('stock');
	my @pairs = Stats::alternate(
		$bench->{pairs},
		sub { $measure->('stock') },
		sub { $measure->('walstream', '1 walz1') });
	$results->add_pairs("walz.cpu.$name", 'of stock', \@pairs,
		'cpu_s_per_gb');
	$results->add_pairs('walz.memory.sender', 'MB above stock',
		\@pairs, 'private_mb', sub { $_[1] - $_[0] });
	$corpus->stop;
	$corpus->start;
	return;
}

sub ratios
{
	my ($bench, $id, $outcome) = @_;
	my $results = $bench->{results};
	my $stock = sum(@{ $outcome->{stock_bytes} });
	my ($zstd, $walz) =
	  map { sum(@{ $_->{wire_bytes} }) } @{ $outcome->{codecs} };

	$results->add("$id.ratio_zstd", 'x', $stock / $zstd);
	$results->add("$id.ratio", 'x', $stock / $walz);
	$results->add("$id.times", 'times zstd', $zstd / $walz);
	return;
}

sub speeds
{
	my ($bench, $id, $outcome) = @_;
	my ($zstd, $walz) = @{ $outcome->{codecs} };
	my $speed = sub { $outcome->{wal_bytes} / $_[0] / 1e6 };

	for my $what (qw(encode decode))
	{
		my @pairs = map {
			{
				stock => { speed => $speed->($zstd->{"${what}_s"}[$_]) },
				walstream => { speed => $speed->($walz->{"${what}_s"}[$_]) }
			}
		} 0 .. $#{ $zstd->{"${what}_s"} };
		$bench->{results}->add("$id.$what.mb_per_s", 'MB/s',
			map { $_->{walstream}{speed} } @pairs);
		$bench->{results}
		  ->add_pairs("$id.$what.speed", 'of zstd', \@pairs, 'speed');
	}
	return;
}

# files: segments. unit: how they are cut into messages. marks: ends of parts.
# tool: another build.
sub encode
{
	my ($bench, $files, %arg) = @_;
	return Host::decode_json(
		$bench->{host}->run(
			[
				"$bench->{tools}/" . ($arg{tool} // 'messages'),
				'-c',
				'zstd',
				'-c',
				'walz',
				'-u',
				$arg{unit} // 'block',
				'-n',
				$arg{rounds},
				(map { ('-m', $_) } @{ $arg{marks} // [] }),
				@$files
			]));
}

1;
