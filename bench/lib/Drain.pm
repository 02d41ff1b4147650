# The drain client, and what it and the kernel report about its walsender.
#
# Copyright (c) 2026, the walstream authors

package Drain;

use strict;
use warnings;

use Host;

# server: streams its WAL. start, end, mark, accept, slot, publication: see
# bench/drain.c. ack: confirm as a synchronous standby. quiet: send a status only
# if asked for one. window: seconds, such as 2:10, in which the rate is measured.
# local: through a Unix-domain socket. namespace: where the client runs.
sub begin
{
	my ($class, $bench, $server, %arg) = @_;
	my @command = (
		"$bench->{tools}/drain", '-d',
		($arg{local} ? $server->local_conninfo : $server->conninfo)
		  . ' application_name=drain');
	my %flag = (
		start => '-s',
		end => '-e',
		mark => '-m',
		accept => '-a',
		slot => '-S',
		publication => '-p',
		window => '-w');

	for my $name (sort keys %flag)
	{
		push @command, $flag{$name}, $arg{$name} if defined $arg{$name};
	}
	push @command, '-A' if $arg{ack};
	push @command, '-q' if $arg{quiet};
	return bless {
		host => $bench->{host},
		child =>
		  $bench->{host}->spawn(\@command, namespace => $arg{namespace})
	}, $class;
}

# Wait until the end position has arrived.  The connection stays open.
sub result
{
	my ($self) = @_;
	my $line = readline $self->{child}{from};
	$self->{host}->finish($self->{child}) if !defined $line;
	return $self->{result} = Host::decode_json($line);
}

# End the stream.  Returns the result if there was no end position.
sub finish
{
	my ($self) = @_;
	my $line = $self->{host}->finish($self->{child});
	return $self->{result} // Host::decode_json($line);
}

# Stream to the end; returns also the walsender's CPU time and memory.
sub measure
{
	my ($class, $bench, $server, %arg) = @_;
	my $drain = $class->begin($bench, $server, %arg);
	my $result = $drain->result;

	if ($arg{accept} && !$result->{codec})
	{
		$drain->finish;
		die "$server->{name} did not compress\n";
	}
	$result->{cpu_s} = Host::cpu_seconds($result->{pid});
	$result->{private_mb} = Host::private_bytes($result->{pid}) / 2**20;
	$drain->finish;
	return $result;
}

1;
