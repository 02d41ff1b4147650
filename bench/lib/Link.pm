# Two network namespaces, joined by a slow line with a long delay.
#
# Copyright (c) 2026, the walstream authors

package Link;

use strict;
use warnings;

use Host;

use constant {
	RATE => 100_000_000,
	DELAY_MS => 40,              # each way
	QUEUE_BYTES => 1_000_000,    # rate times round trip
	NEAR => '10.173.94.1',
	FAR => '10.173.94.2'
};

# Why this machine cannot have such a line; undef if it can.
sub obstacle
{
	return 'needs root' if $> != 0;
	return 'there is no /dev/net/tun' if !-c '/dev/net/tun';
	return 'there is no program "ip"'
	  if !grep { -x "$_/ip" } split /:/, $ENV{PATH};
	return;
}

sub begin
{
	my ($class, $bench) = @_;
	my $host = $bench->{host};
	my $self = bless {
		host => $host,
		near => "walstream_near_$$",
		far => "walstream_far_$$"
	}, $class;

	for my $namespace (@$self{qw(near far)})
	{
		$host->run([ 'ip', 'netns', 'add', $namespace ], root => 1);
		$host->at_end(
			sub {
				$host->run([ 'ip', 'netns', 'delete', $namespace ],
					root => 1);
			});
	}
	$self->{child} = $host->spawn(
		[
			"$bench->{tools}/slowlink", '-r', RATE, '-d', DELAY_MS,
			'-q', QUEUE_BYTES, @$self{qw(near far)}
		],
		root => 1);
	if (!defined readline $self->{child}{from})
	{
		$host->finish($self->{child});
		die "slowlink ended\n";
	}
	$self->configure($self->{near}, NEAR, FAR);
	$self->configure($self->{far}, FAR, NEAR);
	return $self;
}

# Set the addresses, and keep TCP from remembering earlier connections.
sub configure
{
	my ($self, $namespace, $address, $peer) = @_;
	my $ip =
	  sub { $self->{host}->run([ 'ip', '-n', $namespace, @_ ], root => 1) };

	$ip->(qw(link set lo up));
	$ip->('address', 'add', $address, 'peer', $peer, 'dev', 'slow');
	$ip->(qw(link set slow up mtu 1500 txqueuelen 10000));
	$self->{host}->run(
		[ 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/tcp_no_metrics_save' ],
		root => 1,
		namespace => $namespace);
	return;
}

# End the line; returns what it has carried.
sub finish
{
	my ($self) = @_;
	return Host::decode_json($self->{host}->finish($self->{child}));
}

1;
