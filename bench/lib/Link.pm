# Two network namespaces, joined by a slow line with a long delay.
#
# Copyright (c) 2026, the walstream authors

package Link;

use strict;
use warnings;

use Host;

use constant {
	NEAR => '10.173.94.1',
	FAR => '10.173.94.2'
};

# What a line has if nothing else is said: queue_bytes is rate times round trip.
my %usual = (
	rate => 100_000_000,
	delay_ms => 40,    # each way
	queue_bytes => 1_000_000,
	loss_ppm => 0);

my $made = 0;

# Why this machine cannot have such a line; undef if it can.
sub obstacle
{
	return 'needs root' if $> != 0;
	return 'there is no /dev/net/tun' if !-c '/dev/net/tun';
	return 'there is no program "ip"'
	  if !grep { -x "$_/ip" } split /:/, $ENV{PATH};
	return;
}

# A line as said above, or with another rate (bits per second), delay_ms,
# queue_bytes or loss_ppm.
sub begin
{
	my ($class, $bench, %arg) = @_;
	my $host = $bench->{host};
	my %line = (%usual, %arg);
	my $number = ++$made;
	my $self = bless {
		host => $host,
		near => "walstream_near_${$}_$number",
		far => "walstream_far_${$}_$number"
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
			"$bench->{tools}/slowlink", '-r',
			$line{rate}, '-d',
			$line{delay_ms}, '-q',
			$line{queue_bytes}, '-l',
			$line{loss_ppm}, @$self{qw(near far)}
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
