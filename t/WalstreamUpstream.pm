#-------------------------------------------------------------------------
#
# WalstreamUpstream.pm
#	  A server that speaks the replication protocol and gives the answers that
#	  a test wants.
#
#	my $upstream = WalstreamUpstream->new;
#	$upstream->set_answers(IDENTIFY_SYSTEM => { error => "caf\xe9" });
#	... primary_conninfo is $upstream->connstr ...
#	$upstream->stop;
#
# By default it is an idle primary of the version under test, on timeline 1 at
# 0/3000000.  Answers can be given for "login", for a command by its first
# word, and for SHOW by "SHOW name":
#
#	row			the columns of a row, all of type text, undef for null
#	columns		their number, if it differs from that
#	error		an error with this message
#	code		and this SQLSTATE, by default XX000
#	copy		CopyBothResponse, then CopyData messages with these contents
#	times		how often to send all of them, by default once
#	growing		the timeline in the row grows with each request
#	next_tli	end the COPY after that, and name this timeline as the next one
#
# An answer with copy and error gives the error within the COPY.  After a COPY
# the connection stays open until the client ends it.  Strings are bytes.
#
# It is a process of its own that ends with the test.  Answers pass through a
# file, and apply from the next command on. count('START_REPLICATION') returns
# how often that command came, count('login') the number of connections, and
# count('reply') how often a client reported positions; times() returns when.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------
package WalstreamUpstream;

use strict;
use warnings FATAL => 'all';

use IO::Select;
use JSON::PP;
use PostgreSQL::Test::Utils;
use POSIX ();
use Time::HiRes qw(time);
use WalstreamServer qw(SSL_REQUEST GSSENC_REQUEST message error_message);
use parent -norequire, 'WalstreamServer';

# Strings are bytes, not characters.
my $json = JSON::PP->new->latin1;

sub new
{
	my ($class, %options) = @_;
	my $version = $options{version};
	($version) = `pg_config --version` =~ /([\d.]+)/ unless defined $version;

	my $self = bless {
		version => $version,
		file => PostgreSQL::Test::Utils::tempdir('walstream_upstream')
		  . '/answers',
	}, $class;
	$self->set_answers;
	$self->run(sub { $self->_serve(@_); });
	return $self;
}

sub connstr
{
	my ($self) = @_;

	return $self->SUPER::connstr . ' user=any';
}

sub set_answers
{
	my ($self, %answers) = @_;
	my $file = $self->{file};

	open(my $fh, '>:raw', "$file.new")
	  || die "could not write \"$file.new\": $!";
	print $fh $json->encode(\%answers);
	close($fh) || die "could not write \"$file.new\": $!";
	rename("$file.new", $file) || die "could not rename \"$file.new\": $!";
	return;
}

# How often a command came.
sub count
{
	my ($self, $name) = @_;

	return scalar(my @times = $self->times($name));
}

# The times at which it came.
sub times
{
	my ($self, $name) = @_;
	my $file = "$self->{file}.$name";

	return unless -e $file;
	return PostgreSQL::Test::Utils::slurp_file($file) =~ /(.+)\n/g;
}

#-------------------------------------------------------------------------
# The following functions run in the child, which forks for each connection.
#-------------------------------------------------------------------------

sub _serve
{
	my ($self, $listener, $lifeline) = @_;
	my $select = IO::Select->new($listener, $lifeline);

	$SIG{PIPE} = 'IGNORE';
	$SIG{CHLD} = 'IGNORE';
	while (1)
	{
		foreach my $ready ($select->can_read)
		{
			return if $ready == $lifeline;
			my $socket = $listener->accept || next;
			my $pid = fork;
			die "could not fork: $!" unless defined $pid;
			if ($pid == 0)
			{
				close($listener);
				eval { $self->_talk($socket, $lifeline); };
				POSIX::_exit(0);
			}
			close($socket);
		}
	}
	return;
}

# Read this many bytes; dies at the end of the connection, or of the test.
sub _read
{
	my ($self, $want) = @_;
	my $select = IO::Select->new($self->{socket}, $self->{parent});
	my $bytes = '';

	while (length($bytes) < $want)
	{
		my @ready = $select->can_read;

		die "the test has ended\n" if grep { $_ == $self->{parent} } @ready;
		sysread($self->{socket}, $bytes, $want - length($bytes),
			length($bytes))
		  || die "the client is gone\n";
	}
	return $bytes;
}

sub _write
{
	my ($self, $bytes) = @_;

	while ($bytes ne '')
	{
		my $written = syswrite($self->{socket}, $bytes)
		  || die "the client is gone\n";
		substr($bytes, 0, $written, '');
	}
	return;
}

sub error
{
	my ($severity, $answer) = @_;

	return error_message($severity, $answer->{code} // 'XX000',
		$answer->{error});
}

sub row_message
{
	my ($values, $columns) = @_;
	my @values = @$values;

	$columns //= scalar(@values);
	push @values, 'x' while @values < $columns;
	return message(
		'T',
		pack('n', $columns) . join(
			'',
			map {
				pack('Z* N n N n N n', "c$_", 0, 0, 25, 65535, 0xffffffff, 0)
			} 1 .. $columns))
	  . message(
		'D',
		pack('n', $columns) . join(
			'',
			map {
				defined $_
				  ? pack('N', length($_)) . $_
				  : pack('N', 0xffffffff)
			} @values));
}

sub _answers
{
	my ($self) = @_;

	return $json->decode(
		PostgreSQL::Test::Utils::slurp_file($self->{file}, 0));
}

# Add a line for times().
sub _note
{
	my ($self, $name) = @_;

	append_to_file("$self->{file}.$name", time() . "\n") if $name =~ /^\w+$/;
	return;
}

sub _log_in
{
	my ($self) = @_;

	while (1)
	{
		my ($length, $code) = unpack('N N', $self->_read(8));

		$self->_read($length - 8);
		last unless $code == SSL_REQUEST || $code == GSSENC_REQUEST;
		$self->_write('N');
	}

	$self->_note('login');
	my $answer = $self->_answers->{login};
	if ($answer)
	{
		$self->_write(error('FATAL', $answer));
		die "refused\n";
	}
	my %parameters = (
		server_version => $self->{version},
		server_encoding => 'UTF8',
		client_encoding => 'UTF8',
		in_hot_standby => 'off',
		integer_datetimes => 'on',
		standard_conforming_strings => 'on');
	$self->_write(
		message('R', pack('N', 0))
		  . join('',
			map { message('S', pack('Z* Z*', $_, $parameters{$_})) }
			sort keys %parameters)
		  . message('K', pack('N N', $$, 1))
		  . message('Z', 'I'));
	return;
}

my %default = (
	IDENTIFY_SYSTEM =>
	  { row => [ '7000000000000000001', '1', '0/3000000', undef ] },
	READ_REPLICATION_SLOT => { row => [ 'physical', '0/3000000', '1' ] },
	START_REPLICATION => { copy => [] },
	'SHOW wal_block_size' => { row => ['8192'] },
	'SHOW wal_segment_size' => { row => ['16MB'] },
	'SHOW integer_datetimes' => { row => ['on'] },
	'SHOW in_hot_standby' => { row => ['off'] },
	'SHOW synchronous_standby_names' => { row => [''] });

# End the timeline: the client answers CopyDone with its own.
sub _end_copy
{
	my ($self, $next_tli) = @_;
	my $type = '';

	$self->_write(message('c', ''));
	while ($type ne 'c')
	{
		($type, my $length) = unpack('a N', $self->_read(5));
		$self->_read($length - 4);
	}
	$self->_write(row_message([ $next_tli, '0/3000000' ])
		  . message('C', "SELECT\0")
		  . message('C', "START_STREAMING\0")
		  . message('Z', 'I'));
	return;
}

sub _talk
{
	my ($self, $socket, $parent) = @_;

	@{$self}{qw(socket parent)} = ($socket, $parent);
	$self->_log_in;
	while (1)
	{
		my ($type, $length) = unpack('a N', $self->_read(5));
		my ($command) = unpack('Z*', $self->_read($length - 4) . "\0");

		return if $type eq 'X';
		$self->_note('reply') if $type eq 'd' && $command =~ /^r/;
		next unless $type eq 'Q';
		my ($name) = $command =~ /^\s*(SHOW\s+\w+|\w+)/;
		$self->_note($name);
		my $answer = $self->_answers->{$name} // $default{$name} // {};

		$answer->{row}[1] = 1 + $self->count($name) if $answer->{growing};
		$answer->{row} //=
		  [ sprintf('%08X.history', $1), "1\t0/2000000\tno reason\n" ]
		  if $command =~ /^TIMELINE_HISTORY (\d+)/;
		if ($answer->{copy})
		{
			my $messages =
			  join('', map { message('d', $_) } @{ $answer->{copy} });

			$self->_write(message('W', pack('C n', 0, 0)));
			$self->_write($messages) foreach 1 .. $answer->{times} // 1;
			$self->_write(error('ERROR', $answer) . message('Z', 'I'))
			  if defined $answer->{error};
			$self->_end_copy($answer->{next_tli})
			  if defined $answer->{next_tli};
			next;
		}
		$self->_write(
			(   defined $answer->{error} ? error('ERROR', $answer)
				: ( $answer->{row}
					? row_message($answer->{row}, $answer->{columns})
					: '')
				  . message('C', "$name\0"))
			. message('Z', 'I'));
	}
	return;
}

1;
