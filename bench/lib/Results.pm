# The results of all measurements: shown as they come, compared with their
# bars, and kept for the table, the charts and results.json.
#
# Copyright (c) 2026, the walstream authors

package Results;

use strict;
use warnings;

use JSON::PP ();

use Host;
use Stats;

# The bars.  A measurement without a bar is only reported.
my %bars = (
	'wire.tpcb_fpi.vs_zstd1' => [ '<=', 1.02 ],
	'wire.bulk.vs_zstd1' => [ '<=', 1.02 ],
	'wire.single_commits.ratio' => [ '>=', 2.2 ],
	'wire.logical.ratio' => [ '>=', 3.5 ],
	'cpu.logical' => [ '<=', 1 ],
	'commit.clients_1' => [ '>=', 0.97 ],
	'commit.clients_8' => [ '>=', 0.97 ],
	'encode.tpcb_fpi.speed' => [ '>=', 0.85 ],
	'encode.bulk.speed' => [ '>=', 0.85 ],
	'encode.varied.speed' => [ '>=', 0.85 ],
	'encode.mixed.speed' => [ '>=', 0.85 ],
	'cpu.incompressible' => [ '<=', 1.2 ],
	'wall.incompressible' => [ '<=', 1.05 ],
	'cpu.not_asking' => [ '<=', 1.02 ],
	'memory.sender' => [ '<=', 4 ],
	'memory.receiver' => [ '<=', 3 ],
	'link.tpcb_fpi.speedup' => [ '>=', 9 ],
	'link.mixed.speedup' => [ '>=', 4 ],
	# per cent off the limit, from the third second on
	(   map { ("pace.$_.off" => [ '<=', 5 ]) }
		map { ($_, "local.$_") } qw(200kB 1MB 50MB)),
	'pace.timeouts' => [ '<=', 0 ],
	'pace.terminate' => [ '<=', 0.2 ],
	'lossy.raw' => [ '>=', 15 ],
	'lossy.compressed_by_ratio' => [ '>=', 15 ],
	'relay.commit.clients_1' => [ '>=', 1 ],
	'relay.commit.clients_8' => [ '>=', 1 ],
	'relay.lost.segments_16.longest' => [ '<=', 1 ],
	'relay.lost.segments_1024.longest' => [ '<=', 1 ],
	'relay.killed.segments_16.longest' => [ '<=', 2 ],
	'relay.receive.speed' => [ '>=', 1 ],
	'relay.serve.raw.speed' => [ '>=', 0.9 ],
	'relay.connect.raw' => [ '<=', 1.2 ],
	'relay.memory.receiver' => [ '<=', 32 ],
	'relay.memory.keeper' => [ '<=', 32 ],
	'relay.memory.sender' => [ '<=', 10 ],
	'fan.relay_8.growth' => [ '<=', 1.1 ],
	'fan.relay_32.growth' => [ '<=', 1.1 ],
	# relative to zstd at level 1 in the same run
	'walz.single.commit.ratio' => [ '>=', 8.3 ],
	'walz.single.commit.encode.speed' => [ '>=', 1 ],
	'walz.single.commit.decode.mb_per_s' => [ '>=', 50 ],
	'walz.single.8192.ratio' => [ '>=', 7.5 ],
	'walz.tpcb_fpi.times' => [ '>=', 2 ],
	'walz.mixed.times' => [ '>=', 1.3 ],
	'walz.mixed.encode.speed' => [ '>=', 0.55 ],
	'walz.mixed.decode.speed' => [ '>=', 0.3 ],
	'walz.copy.least' => [ '>=', 1 ],
	'walz.phases.times' => [ '>=', 1.3 ],
	'walz.phases.least' => [ '>=', 1 ],
	'walz.commit.clients_1' => [ '>=', 0.97 ],
	'walz.commit.clients_8' => [ '>=', 0.97 ],
	(   map { ("check.$_" => [ '<=', 0 ]) }
		  qw(standby.segments standby.tables standby.shutdown
		  commit.segments commit.tables commit.shutdown
		  walz.commit.segments walz.commit.tables walz.commit.shutdown
		  logical.tables)));

sub new
{
	my ($class) = @_;
	return bless { list => [] }, $class;
}

# A measurement with one value, or several of equal standing.
sub add
{
	my ($self, $id, $unit, @values) = @_;
	@values = map { 0 + $_ } @values;
	return $self->keep($id, $unit, \@values, \@values);
}

# A comparison: [{ stock => {...}, walstream => {...} }, ...], a field of each,
# and how a pair becomes a number (by default walstream / stock).
sub add_pairs
{
	my ($self, $id, $unit, $pairs, $field, $combine) = @_;
	$combine //= sub { $_[1] / $_[0] };

	my @runs = map {
		{
			stock => 0 + $_->{stock}{$field},
			walstream => 0 + $_->{walstream}{$field}
		}
	} @$pairs;
	my @values = map { $combine->(@$_{qw(stock walstream)}) } @runs;
	return $self->keep($id, $unit, \@values, \@runs);
}

# A measurement that could not be made; it counts as short if it has a bar.
sub add_missing
{
	my ($self, $id, $unit, $reason) = @_;
	my $result = {
		id => $id,
		unit => $unit,
		bar => $bars{$id},
		held => 0,
		runs => [],
		reason => $reason
	};
	push @{ $self->{list} }, $result;
	$self->show($result);
	return;
}

# A measurement that failed with an error.
sub add_failure
{
	my ($self, $id, $error) = @_;
	my $result = {
		id => $id,
		unit => '',
		bar => [ 'is', 'measured' ],
		held => 0,
		runs => [],
		reason => $error =~ s/\n.*//sr
	};
	push @{ $self->{list} }, $result;
	print "bench: $id failed: $error";
	return;
}

sub keep
{
	my ($self, $id, $unit, $values, $runs) = @_;
	my $result = {
		id => $id,
		unit => $unit,
		value => Stats::median(@$values),
		bar => $bars{$id},
		runs => $runs
	};

	@$result{qw(low high)} = Stats::interval(@$values);
	$result->{held} = Stats::held(@$result{qw(bar value low high)}) ? 1 : 0
	  if $result->{bar};
	push @{ $self->{list} }, $result;
	$self->show($result);
	return $result->{value};
}

sub get
{
	my ($self, $id) = @_;
	my ($result) = grep { $_->{id} eq $id } @{ $self->{list} };
	return $result;
}

sub list { return @{ $_[0]{list} }; }

# One line for each result, in the same columns when it is printed at once and
# in the table at the end.
sub line
{
	my ($result) = @_;
	my $bar = $result->{bar} ? "$result->{bar}[0] $result->{bar}[1]" : '';
	my $verdict = !$result->{bar} ? '' : $result->{held} ? 'held' : 'SHORT';

	return sprintf '%-30s  %s', $result->{id},
	  "not measured: $result->{reason}" . ($bar ? "  (bar $bar)  SHORT" : '')
	  if defined $result->{reason};
	return sprintf '%-30s %9s %-15s %19s  %-8s %s', $result->{id},
	  number($result->{value}), $result->{unit},
	  @{ $result->{runs} } > 1
	  ? '[' . number($result->{low}) . ' .. ' . number($result->{high}) . ']'
	  : '', $bar, $verdict;
}

sub show
{
	my ($self, $result) = @_;
	printf "  %s\n", line($result);
	return;
}

sub number
{
	my ($value) = @_;
	return $value == 0 ? '0' : sprintf abs $value >= 100 ? '%.0f' : '%.3f',
	  $value;
}

sub table
{
	my ($self) = @_;
	printf "\n%-30s %9s %-15s %19s  %-8s\n", 'measurement', 'median', 'unit',
	  '95 % interval', 'bar';
	print line($_), "\n" for $self->list;
	return;
}

# Returns the numbers of bars (held, short).
sub totals
{
	my ($self) = @_;
	my @judged = grep { $_->{bar} } $self->list;
	my $held = grep { $_->{held} } @judged;
	return ($held, @judged - $held);
}

sub write_json
{
	my ($self, $path) = @_;
	my @rows;

	for my $result ($self->list)
	{
		my %row = %$result{qw(id value unit low high runs)};
		$row{bar} = $result->{bar} && "$result->{bar}[0] $result->{bar}[1]";
		$row{held} =
		   !$result->{bar}  ? undef
		  : $result->{held} ? JSON::PP::true
		  :                   JSON::PP::false;
		push @rows, \%row;
	}
	Host::write_file($path, JSON::PP->new->canonical->pretty->encode(\@rows));
	return;
}

1;
