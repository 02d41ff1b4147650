#-------------------------------------------------------------------------
#
# WalstreamProxy.pm
#	  A TCP proxy between a standby and its upstream that understands the
#	  protocol and damages chosen CopyData messages on their way down.
#
#	my $proxy = WalstreamProxy->new($upstream_node);
#	... standby's primary_conninfo is $proxy->connstr ...
#	$proxy->set_rules({ action => 'flip', nth => 3, bit => 17, times => 1 });
#	... $proxy->count('flip') ...
#	$proxy->stop;
#
# A rule is a hash:
#
#	action		flip		turn one bit of the message's content over
#				drop		leave the message out
#				repeat		send it twice
#				swap		send it after the next message of its kind
#				truncate	send only its beginning
#				cut			close the connection instead of it
#				hold		keep it, and all CopyData that comes after it, until
#							a message comes after other rules were given
#				flood		send it, and from then on nothing but "bytes", or if not
#							given the message itself, without end
#				refuse_options
#							answer a startup packet that has an "options"
#							parameter with an error, as poolers do
#	kind		what the content begins with, by default 'Z'
#	nth			which one of its kind in a connection, from 1 on; 0, the
#				default, is each one
#	bit			for flip: from 0 on, modulo the length of the message
#	length		for truncate: how many bytes are left, or if negative how
#				many are cut off; by default -1
#	bytes		for flood: messages, as hexadecimal digits
#	vary		for flood: the offset of a byte, of which every other message has
#				the lowest bit turned over
#	times		how often the rule acts in all; 0, the default, is no limit
#
# The first rule that matches a message acts on it.  Rules given while
# connections are open apply from the next message on.
#
# Counts are kept of connections ("connections"), of each action, of the
# messages of each kind and their bytes as the upstream sent them, with their
# CopyData header ("messages_Z", "bytes_Z"), of the bytes of floods
# ("flooded"), and of the upstream's bytes in connections that switch to TLS
# ("bytes_tls").  Also kept are the parameters of the last startup packet that
# was passed on ("startup"), the content of ParameterStatus messages
# ("status"), the times of connections, even if there was no upstream
# ("connection_times"), and the xmin and catalog_xmin of each hot standby
# feedback message, without epochs ("feedback").  A count is updated before
# what it counts is passed on.
#
# The upstream is reached at the node's own host, or at the host given to new()
# as "host => ...".
#
# The proxy is a process of its own that ends with the test; rules and counts
# pass through files.  Connections that switch to TLS are passed on unchanged.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------
package WalstreamProxy;

use strict;
use warnings FATAL => 'all';

use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time);
use WalstreamServer
  qw(SSL_REQUEST GSSENC_REQUEST CANCEL_REQUEST message error_message);
use parent -norequire, 'WalstreamServer';

# Stop reading from one side while this many bytes wait to be written to the
# other.
use constant MAX_PENDING => 4 * 1024 * 1024;
use constant READ_SIZE => 256 * 1024;

sub new
{
	my ($class, $node, %options) = @_;
	my $host = $options{host} // $node->host;
	my $self = bless {
		dir => PostgreSQL::Test::Utils::tempdir('walstream_proxy'),
		rules_given => 0,
	}, $class;

	write_file("$self->{dir}/counts", {});
	$self->run(sub { serve($self->{dir}, @_, $host, $node->port); });
	return $self;
}

sub set_rules
{
	my ($self, @rules) = @_;

	foreach my $rule (@rules)
	{
		die "unknown action \"$rule->{action}\""
		  unless $rule->{action} =~
		  /^(?:flip|drop|repeat|swap|truncate|cut|hold|flood|refuse_options)$/;
	}
	my $number = ++$self->{rules_given};
	write_file("$self->{dir}/rules.$number", \@rules);
	return;
}

sub count
{
	my ($self, $name) = @_;

	return read_file("$self->{dir}/counts")->{$name} // 0;
}

# Replace the file as a whole, so that a reader sees the old or the new
# content.
sub write_file
{
	my ($file, $content) = @_;

	open(my $fh, '>', "$file.new") || die "could not write \"$file.new\": $!";
	print $fh encode_json($content);
	close($fh) || die "could not write \"$file.new\": $!";
	rename("$file.new", $file) || die "could not rename \"$file.new\": $!";
	return;
}

sub read_file
{
	my ($file) = @_;

	return decode_json(PostgreSQL::Test::Utils::slurp_file($file));
}

#-------------------------------------------------------------------------
# The following functions run in the child.
#
# A connection has two sides, each a hash: its socket, the connection, the
# other side, "in" with what was read but not parsed yet, and "out" with what
# waits to be written.
#-------------------------------------------------------------------------

my ($dir, %side_of, $reading, $writing);
my (%counts, $counts_changed);
my ($rules_taken, @rules, @rules_done) = (0);

sub serve
{
	my ($own_dir, $listener, $lifeline, @upstream) = @_;

	$dir = $own_dir;
	$SIG{PIPE} = 'IGNORE';
	$reading = IO::Select->new($listener, $lifeline);
	$writing = IO::Select->new;
	while (1)
	{
		my ($readable, $writable) = IO::Select->select($reading, $writing);

		next unless defined $readable;
		take_rules();
		foreach my $socket (@$writable)
		{
			write_side($side_of{$socket}) if $side_of{$socket};
		}
		foreach my $socket (@$readable)
		{
			return if $socket == $lifeline;
			if ($socket == $listener)
			{
				accept_client($listener, @upstream);
			}
			elsif ($side_of{$socket})
			{
				read_side($side_of{$socket});
			}
		}
	}
}

sub take_rules
{
	while (-e "$dir/rules." . ($rules_taken + 1))
	{
		$rules_taken++;
		@rules = @{ read_file("$dir/rules.$rules_taken") };
		@rules_done = (0) x @rules;
	}
	return;
}

# The first rule that matches and has not been used up; undef if there is none.
sub use_rule
{
	my ($fits) = @_;

	foreach my $i (0 .. $#rules)
	{
		my $rule = $rules[$i];

		next if $rule->{times} && $rules_done[$i] >= $rule->{times};
		next unless $fits->($rule);
		$rules_done[$i]++;
		add_count($rule->{action});
		return $rule;
	}
	return;
}

sub add_count
{
	my ($name, $number) = @_;

	$counts{$name} = ($counts{$name} // 0) + ($number // 1);
	$counts_changed = 1;
	return;
}

sub save_counts
{
	write_file("$dir/counts", \%counts) if $counts_changed;
	$counts_changed = 0;
	return;
}

sub note
{
	my ($name, $value) = @_;

	$counts{$name} = $value;
	$counts_changed = 1;
	return;
}

sub add_to_list
{
	my ($name, $value) = @_;

	push @{ $counts{$name} }, $value;
	$counts_changed = 1;
	return;
}

sub accept_client
{
	my ($listener, $host, $port) = @_;

	my $client_socket = $listener->accept || return;
	add_to_list('connection_times', time());
	save_counts();
	my $server_socket =
	  $host =~ m{^/}
	  ? IO::Socket::UNIX->new(Peer => "$host/.s.PGSQL.$port")
	  : IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port);

	# behave as if the client had found no upstream
	if (!$server_socket)
	{
		close($client_socket);
		return;
	}

	my $connection = { seen => {}, held => {} };
	my $client = {
		socket => $client_socket,
		connection => $connection,
		understand => \&understand_startup,
		in => '',
		out => ''
	};
	my $server = {
		socket => $server_socket,
		is_upstream => 1,
		connection => $connection,
		understand => \&understand_messages,
		in => '',
		out => ''
	};
	$client->{other} = $server;
	$server->{other} = $client;
	foreach my $side ($client, $server)
	{
		$side->{socket}->blocking(0);
		$side_of{ $side->{socket} } = $side;
		$reading->add($side->{socket});
	}
	add_count('connections');
	save_counts();
	return;
}

sub close_connection
{
	my ($side) = @_;

	foreach my $each ($side, $side->{other})
	{
		$reading->remove($each->{socket});
		$writing->remove($each->{socket});
		delete $side_of{ $each->{socket} };
		close($each->{socket});
	}

	# break the circular reference
	delete $side->{other}{other};
	delete $side->{other};
	return;
}

sub read_side
{
	my ($side) = @_;

	my $got =
	  sysread($side->{socket}, $side->{in}, READ_SIZE, length($side->{in}));
	if (!defined $got)
	{
		close_connection($side)
		  unless $!{EAGAIN} || $!{EWOULDBLOCK} || $!{EINTR};
		return;
	}

	$side->{stuck} = 0;
	$side->{understand}->($side) while $side->{in} ne '' && !$side->{stuck};
	save_counts();

	if ($side->{connection}{is_cut})
	{
		close_connection($side);
		return;
	}
	if ($got == 0)
	{
		$side->{other}{close_when_written} = 1;
		$reading->remove($side->{socket});
	}
	elsif (length($side->{other}{out}) > MAX_PENDING)
	{
		$reading->remove($side->{socket});
	}
	foreach my $each ($side->{other}, $side)
	{
		write_side($each) if $side_of{ $each->{socket} };
	}
	return;
}

sub write_side
{
	my ($side) = @_;
	my $flood = $side->{is_upstream} ? undef : $side->{connection}{flood};

	if (defined $flood && $side->{out} eq '')
	{
		add_count('flooded', length($side->{out} = $flood));
		save_counts();
	}
	if ($side->{out} ne '')
	{
		my $sent = syswrite($side->{socket}, $side->{out});
		if (defined $sent)
		{
			substr($side->{out}, 0, $sent, '');
		}
		elsif (!$!{EAGAIN} && !$!{EWOULDBLOCK} && !$!{EINTR})
		{
			close_connection($side);
			return;
		}
	}
	if ($side->{out} ne '')
	{
		$writing->add($side->{socket});
	}
	elsif ($side->{close_when_written})
	{
		close_connection($side);
	}
	elsif (!defined $flood)
	{
		$writing->remove($side->{socket});
		$reading->add($side->{other}{socket})
		  unless $side->{close_when_written};
	}
	return;
}

# The functions that {understand} refers to move complete messages from {in} to
# the other side's {out}, and set {stuck} if they need more input.

sub understand_nothing
{
	my ($side) = @_;

	add_count('bytes_tls', length($side->{in})) if $side->{is_upstream};
	$side->{other}{out} .= $side->{in};
	$side->{in} = '';
	return;
}

# The client's first packets have a length and a code, but no type.
sub understand_startup
{
	my ($side) = @_;
	my $server = $side->{other};

	# a TLS handshake without SSLRequest
	if ($side->{in} =~ /^\x16/)
	{
		$_->{understand} = \&understand_nothing foreach $side, $server;
		return;
	}

	my ($length, $code) =
	  length($side->{in}) >= 8 ? unpack('N N', $side->{in}) : ();
	if (!defined $length || length($side->{in}) < $length)
	{
		$side->{stuck} = 1;
		return;
	}
	my $packet = substr($side->{in}, 0, $length, '');
	if ($code == SSL_REQUEST || $code == GSSENC_REQUEST)
	{
		$server->{understand} = \&understand_encryption_answer;
	}
	elsif ($code != CANCEL_REQUEST)
	{
		my %parameters = split(/\0/, substr($packet, 8));

		if (exists $parameters{options}
			&& use_rule(sub { $_[0]->{action} eq 'refuse_options' }))
		{
			refuse_client($side);
			return;
		}
		note(startup => \%parameters);
		$side->{understand} = \&understand_client_messages;
	}
	$server->{out} .= $packet;
	return;
}

sub refuse_client
{
	my ($side) = @_;

	$side->{out} .= error_message('FATAL', '08P01',
		'unsupported startup parameter: options');
	$side->{in} = '';
	$side->{close_when_written} = 1;
	$reading->remove($_->{socket}) foreach $side, $side->{other};
	return;
}

# The client's messages are passed on unchanged.
sub understand_client_messages
{
	my ($side) = @_;
	my $at = 0;

	while (length($side->{in}) - $at >= 5)
	{
		my ($type, $length) = unpack('a N', substr($side->{in}, $at, 5));

		last if length($side->{in}) - $at < 1 + $length;
		my $content = substr($side->{in}, $at + 5, $length - 4);
		if ($type eq 'd' && length($content) == 25 && $content =~ /^h/)
		{
			my ($xmin, $catalog_xmin) = unpack('x9 N x4 N', $content);

			add_to_list('feedback', [ $xmin, $catalog_xmin ]);
		}
		$side->{other}{out} .= substr($side->{in}, $at, 1 + $length);
		$at += 1 + $length;
	}
	substr($side->{in}, 0, $at, '');
	$side->{stuck} = 1;
	return;
}

# The answer to a request for encryption is one byte, yes or no.
sub understand_encryption_answer
{
	my ($side) = @_;

	my $answer = substr($side->{in}, 0, 1, '');
	$side->{other}{out} .= $answer;
	$side->{understand} = \&understand_messages;
	if ($answer eq 'S' || $answer eq 'G')
	{
		$_->{understand} = \&understand_nothing foreach $side, $side->{other};
	}
	return;
}

# The server's messages have type, length and content.
sub understand_messages
{
	my ($side) = @_;
	my $at = 0;

	while (length($side->{in}) - $at >= 5 && !$side->{connection}{is_cut})
	{
		my ($type, $length) = unpack('a N', substr($side->{in}, $at, 5));

		last if length($side->{in}) - $at < 1 + $length;
		if ($type eq 'd' && $length > 4)
		{
			$side->{other}{out} .= join(
				'',
				map { message('d', $_) } treat_content(
					$side->{connection},
					substr($side->{in}, $at + 5, $length - 4)));
		}
		else
		{
			note(
				status => {
					%{ $counts{status} // {} },
					unpack(
						'Z* Z*', substr($side->{in}, $at + 5, $length - 4))
				}) if $type eq 'S';
			$side->{other}{out} .= substr($side->{in}, $at, 1 + $length);
		}
		$at += 1 + $length;
	}
	substr($side->{in}, 0, $at, '');
	$side->{stuck} = 1;
	return;
}

# The bytes that a flood repeats.
sub make_flood
{
	my ($rule, $content) = @_;
	my $bytes = pack('H*', $rule->{bytes} // '');

	if ($bytes eq '')
	{
		my $other = $content;

		vec($other, 8 * $rule->{vary}, 1) ^= 1 if defined $rule->{vary};
		$bytes = join('', map { message('d', $_) } $other, $content);
	}
	return $bytes x (1 + READ_SIZE / length($bytes));
}

# The messages to send instead of a CopyData message with this content.
sub treat_content
{
	my ($connection, $content) = @_;
	return () if defined $connection->{flood};

	my $kind = substr($content, 0, 1);
	my $nth = ++$connection->{seen}{$kind};
	my @out = ($content);

	# in rows of a table the first byte, and so the kind, may be any
	my $name = $kind =~ /^\w$/a ? $kind : 'other';
	add_count("messages_$name");
	add_count("bytes_$name", 5 + length($content));

	# no rule acts on messages that are held back
	if (defined $connection->{hold})
	{
		my $waiting = $connection->{waiting};

		push @$waiting, $content;
		return () if $connection->{hold} == $rules_taken;
		delete @{$connection}{qw(hold waiting)};
		return @$waiting;
	}

	my @held = @{ delete $connection->{held}{$kind} // [] };
	my $rule = use_rule(
		sub {
			return
				 $_[0]->{action} ne 'refuse_options'
			  && ($_[0]->{kind} // 'Z') eq $kind
			  && (!$_[0]->{nth} || $_[0]->{nth} == $nth);
		});
	if ($rule)
	{
		my $action = $rule->{action};

		if ($action eq 'flip')
		{
			my $bit = ($rule->{bit} // 0) % (8 * length($content));

			vec($out[0], $bit, 1) ^= 1;
		}
		elsif ($action eq 'drop')
		{
			@out = ();
		}
		elsif ($action eq 'repeat')
		{
			push @out, $content;
		}
		elsif ($action eq 'truncate')
		{
			$out[0] = substr($content, 0, $rule->{length} // -1);
		}
		elsif ($action eq 'cut')
		{
			$connection->{is_cut} = 1;
			return ();
		}
		elsif ($action eq 'hold')
		{
			$connection->{hold} = $rules_taken;
			$connection->{waiting} = \@out;
			return @held;
		}
		elsif ($action eq 'flood')
		{
			$connection->{flood} = make_flood($rule, $content);
		}
		elsif ($action eq 'swap')
		{
			$connection->{held}{$kind} = [$content];
			@out = ();
		}
	}
	return (@out, @held);
}

1;
