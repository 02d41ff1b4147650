#-------------------------------------------------------------------------
#
# WalstreamClient.pm
#	  A replication client that shows each message as it arrives.
#
# Unlike pg_receivewal and pg_recvlogical it can request compression without
# decoding, stay silent, and begin several streams on one connection.
#
#	my $client = WalstreamClient->new($node, application_name => 'x');
#	$client->start('START_REPLICATION 0/3000000');
#	my $message = $client->receive;		# content of a CopyData message
#	$client->end;						# of the stream, not of the connection
#	$client->close;
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------
package WalstreamClient;

use strict;
use warnings;

use IO::Select;
use PostgreSQL::Test::Utils;

# The startup packet has replication=true by default.  Further arguments become
# parameters of it, such as options or database.
sub new
{
	my ($class, $node, %parameters) = @_;
	my $self = bless { socket => $node->raw_connect, input => '' }, $class;

	# raw_connect connects without a password, as a role that may do so
	%parameters = (
		user => scalar getpwuid($>),
		replication => 'true',
		%parameters);
	my $packet = pack('N', 196608)
	  . join('',
		map { pack('Z*Z*', $_, $parameters{$_}) } sort keys %parameters)
	  . "\0";
	$self->_write(pack('N', 4 + length($packet)) . $packet);
	$self->_read_until('Z');
	return $self;
}

sub _write
{
	my ($self, $bytes) = @_;

	while (length($bytes) > 0)
	{
		my $written = syswrite($self->{socket}, $bytes);

		die "could not write to server: $!\n" unless defined $written;
		substr($bytes, 0, $written, '');
	}
	return;
}

sub _send
{
	my ($self, $type, $content) = @_;

	$self->_write($type . pack('N', 4 + length($content)) . $content);
	return;
}

# The next message, as type and content; dies if the connection ends.
sub _read
{
	my ($self) = @_;
	my $select = IO::Select->new($self->{socket});

	for (;;)
	{
		if (length($self->{input}) >= 5)
		{
			my ($type, $len) = unpack('a N', $self->{input});

			if (length($self->{input}) > $len)
			{
				my $message = substr($self->{input}, 0, $len + 1, '');

				return ($type, substr($message, 5));
			}
		}
		die "timed out waiting for a message\n"
		  unless $select->can_read($PostgreSQL::Test::Utils::timeout_default);
		my $read = sysread($self->{socket}, $self->{input}, 65536,
			length($self->{input}));
		die "could not read from server: $!\n" unless defined $read;
		die "server closed the connection\n" if $read == 0;
	}
}

# Read up to a message of this type and return its content.  Dies with the text
# of an error.
sub _read_until
{
	my ($self, $wanted) = @_;

	for (;;)
	{
		my ($type, $content) = $self->_read;

		if ($type eq 'E')
		{
			my ($text) = $content =~ /\0M([^\0]*)/;
			die "$text\n";
		}
		return $content if $type eq $wanted;
	}
}

# Run a command that is not a stream.
sub command
{
	my ($self, $command) = @_;

	$self->_send('Q', "$command\0");
	$self->_read_until('Z');
	return;
}

# Run a command that returns one row, and return its columns.
sub row
{
	my ($self, $command) = @_;
	my @values;

	$self->_send('Q', "$command\0");
	my ($count, $columns) = unpack('n a*', $self->_read_until('D'));
	foreach (1 .. $count)
	{
		(my $len, $columns) = unpack('l> a*', $columns);
		push @values, $len < 0 ? undef : substr($columns, 0, $len, '');
	}
	$self->_read_until('Z');
	return @values;
}

# Begin a stream.
sub start
{
	my ($self, $command) = @_;

	$self->_send('Q', "$command\0");
	$self->_read_until('W');
	return;
}

# The content of the next CopyData message.
sub receive
{
	my ($self) = @_;

	return $self->_read_until('d');
}

# Report a position as written, flushed and applied.
sub confirm
{
	my ($self, $lsn) = @_;
	my $position = pack('NN', map { hex } split(m{/}, $lsn));

	$self->_send('d', 'r' . $position x 3 . pack('q>', 0) . "\0");
	return;
}

# End the stream; the connection can then be used for another.
sub end
{
	my ($self) = @_;

	$self->_send('c', '');
	$self->_read_until('Z');
	return;
}

# Wait for an error that ends the stream, and return its text.  If the server
# leaves the connection open, it can be used again.
sub receive_error
{
	my ($self) = @_;

	eval { $self->_read_until('Z') };
	chomp(my $error = $@);
	return $error;
}

# Close the connection, and wait until the walsender has ended.
sub close
{
	my ($self) = @_;

	$self->_send('X', '');
	while (eval { $self->_read; 1 })
	{
	}
	die $@ if $@ ne "server closed the connection\n";
	close($self->{socket});
	return;
}

1;
