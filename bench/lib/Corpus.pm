# WAL that a workload has generated, and two servers that stream it, one with
# the module and one without.
#
# Copyright (c) 2026, the walstream authors

package Corpus;

use strict;
use warnings;

use Server;
use Workload;

# segments: the minimum amount of WAL; a workload of phases generates what it
# generates. seed: instead of the benchmark's. keep_base: keep a copy of the
# cluster from before the workload, from which standbys can be made. slot:
# create a slot of that name, which holds all of the WAL.
sub generate
{
	my ($class, $bench, $name, $segments, %arg) = @_;
	my $self = bless { bench => $bench, name => $name }, $class;
	my $server = Server->create($bench, $name);
	my %quick = (conf => { fsync => 'off' });
	my $seed = $self->{seed} = $arg{seed} // $bench->{seed};
	my $round = 0;

	$server->start(%quick);
	Workload::setup($name, $server, $seed);
	if ($arg{keep_base})
	{
		$server->stop;
		$self->{base} = $server->copy("${name}_base");
		$server->start(%quick);
	}

	# begin with a segment, so that cuts and history are alike everywhere
	$server->sql('CHECKPOINT');
	$server->sql('SELECT pg_switch_wal()');
	$self->{segment_size} = $server->sql(
		"SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'");
	my $segment_start = "pg_current_wal_insert_lsn() - '0/0' - "
	  . "(pg_current_wal_insert_lsn() - '0/0') % $self->{segment_size}";
	my $start = $server->sql("SELECT $segment_start");
	if (defined($self->{slot} = $arg{slot}))
	{
		# the slot holds what comes after the last checkpoint
		$server->sql('CHECKPOINT');
		$server->sql(
			"SELECT pg_create_physical_replication_slot('$arg{slot}', true)");
	}
	my $end;
	if (Workload::phases($name))
	{
		$self->run_phases($server, $seed);
		$server->sql('SELECT pg_switch_wal()');
		$server->sql('CHECKPOINT');
		$end = $server->sql("SELECT $segment_start");
	}
	else
	{
		$end = $start + $segments * $self->{segment_size};
		do
		{
			Workload::round($name, $server, $seed, $round++);
		} while ($server->sql("SELECT $segment_start") < $end);
	}

	$self->{wal_bytes} = $end - $start;
	@$self{qw(start mark)} = map { format_lsn($_) } $start, $end;
	@{ $self->{segments} } = split /\n/, $server->sql(
		"SELECT pg_walfile_name('0/0'::pg_lsn + n + 1)
		 FROM generate_series($start, $end - 1, $self->{segment_size}) n");

	$server->stop;
	$self->{walstream} = $server;
	$self->{stock} = $server->copy("${name}_stock", @{ $self->{segments} });
	return $self;
}

# Fill $self->{phases} with the name of each phase and the end of its WAL.
sub run_phases
{
	my ($self, $server, $seed) = @_;
	my $name = $self->{name};
	my $number = 0;

	for my $phase (Workload::phases($name))
	{
		Workload::run_phase($name, $server, $seed, $number++);
		push @{ $self->{phases} },
		  [ $phase, $server->sql('SELECT pg_current_wal_insert_lsn()') ];
	}
	return;
}

# Start both servers; the arguments are those of Server::start.
sub start
{
	my ($self, %arg) = @_;
	$self->{walstream}->start(%arg, module => 1);
	$self->{stock}->start(%arg, module => 0);
	return;
}

sub stop
{
	my ($self) = @_;
	$_->stop for $self->servers;
	return;
}

sub remove
{
	my ($self) = @_;
	$_->remove for $self->servers, $self->{base} // ();
	return;
}

sub servers { return @{ $_[0] }{qw(walstream stock)}; }

# Paths of the segment files.
sub files
{
	my ($self) = @_;
	return
	  map { $self->{walstream}->data . "/pg_wal/$_" } @{ $self->{segments} };
}

sub format_lsn
{
	my ($lsn) = @_;
	return sprintf '%X/%X', $lsn >> 32, $lsn & 0xffffffff;
}

1;
