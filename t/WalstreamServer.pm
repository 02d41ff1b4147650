#-------------------------------------------------------------------------
#
# WalstreamServer.pm
#	  What the servers have in common that tests simulate: a process of their
#	  own that ends with the test, and the form of messages.
#
#	package WalstreamUpstream;
#	use parent 'WalstreamServer';
#	... $self->run(sub { my ($listener, $lifeline) = @_; ... });
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------
package WalstreamServer;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOMAXCONN);

our @EXPORT_OK = qw(
  SSL_REQUEST
  GSSENC_REQUEST
  CANCEL_REQUEST
  message
  error_message
);

# Codes that replace the protocol version in a startup packet.
use constant SSL_REQUEST => 80877103;
use constant GSSENC_REQUEST => 80877104;
use constant CANCEL_REQUEST => 80877102;

my @running;

#
# $self->run($serve): start the process, which calls $serve with a listening
# socket, whose port is $self->port, and a handle that becomes readable when
# the test has ended or has stopped the server.
#
sub run
{
	my ($self, $serve) = @_;
	my $listener = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1',
		LocalPort => 0,
		Proto => 'tcp',
		ReuseAddr => 1,
		Listen => SOMAXCONN) || die "could not listen: $!";

	$self->{port} = $listener->sockport;
	$self->{owner} = $$;

	# The child sees the end of this pipe when all other processes have closed
	# it.
	pipe(my $lifeline, $self->{lifeline}) || die "could not make a pipe: $!";

	my $pid = fork;
	die "could not fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		close($_->{lifeline}) foreach $self, grep { $_->{pid} } @running;

		# No destructor or END block of the test may run here.
		eval { $serve->($listener, $lifeline); 1; } || print STDERR $@;
		POSIX::_exit($@ ? 1 : 0);
	}
	$self->{pid} = $pid;
	close($listener);
	close($lifeline);
	push @running, $self;
	return;
}

sub port
{
	my ($self) = @_;

	return $self->{port};
}

sub connstr
{
	my ($self) = @_;

	return "host=127.0.0.1 port=$self->{port}";
}

sub stop
{
	my ($self) = @_;

	return unless defined $self->{pid} && $self->{owner} == $$;
	close($self->{lifeline});
	waitpid($self->{pid}, 0);
	delete $self->{pid};
	return;
}

END
{
	# keep the test's exit status
	local $?;
	$_->stop foreach @running;
}

# A message with its type and length.
sub message
{
	my ($type, $content) = @_;

	return pack('a N', $type, 4 + length($content)) . $content;
}

sub error_message
{
	my ($severity, $code, $text) = @_;

	return message('E',
		join("\0", "S$severity", "V$severity", "C$code", "M$text", '')
		  . "\0");
}

1;
