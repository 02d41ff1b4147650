# What the benchmark uses of the machine: a work directory, a user for the
# servers, free ports and processes; and what the kernel knows of a process.
#
# PostgreSQL refuses to run as root.  If the benchmark runs as root, each
# command runs as another user unless the caller asks for root.
#
# Copyright (c) 2026, the walstream authors

package Host;

use strict;
use warnings;

use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Handle;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Time::HiRes ();

sub new
{
	my ($class) = @_;
	my $self = bless { children => {}, at_end => [] }, $class;

	# the servers' user must be able to read what we write
	umask 022;
	$self->{dir} = tempdir('walstream_bench_XXXXXX', TMPDIR => 1);
	chmod 0755, $self->{dir} or die "chmod $self->{dir}: $!\n";
	if ($> == 0)
	{
		my ($user) = grep { defined getpwnam $_ } qw(postgres nobody);
		die "no user to run the servers as\n" if !defined $user;
		my (undef, undef, $uid, $gid) = getpwnam $user;
		@$self{qw(user uid gid)} = ($user, $uid, $gid);
		chown $uid, $gid, $self->{dir} or die "chown $self->{dir}: $!\n";
	}
	$self->{log} = "$self->{dir}/log";
	return $self;
}

sub dir  { return $_[0]->{dir}; }
sub user { return $_[0]->{user}; }

# Call this before the benchmark ends, however it ends; last registered, first
# called.
sub at_end
{
	my ($self, $code) = @_;
	unshift @{ $self->{at_end} }, $code;
	return;
}

sub clean_up
{
	my ($self) = @_;
	local ($@, $?);

	for my $code (@{ $self->{at_end} })
	{
		eval { $code->(); 1 } or warn "bench: $@";
	}
	for my $pid (keys %{ $self->{children} })
	{
		kill 'TERM', $pid;
		waitpid $pid, 0;
	}
	remove_tree($self->{dir});
	return;
}

# The command as the servers' user, in a network namespace if one is given;
# net_admin: with that capability.
sub command
{
	my ($self, $command, %how) = @_;
	my @command = @$command;

	unshift @command, 'setpriv', "--reuid=$self->{uid}",
	  "--regid=$self->{gid}", '--clear-groups',
	  $how{net_admin}
	  ? ('--inh-caps=+net_admin', '--ambient-caps=+net_admin')
	  : (), '--'
	  if defined $self->{uid} && !$how{root};
	unshift @command, 'ip', 'netns', 'exec', $how{namespace}
	  if defined $how{namespace};
	return @command;
}

# Start a program.  Pipes connect us with its standard input and output; its
# standard error goes to the log.
sub spawn
{
	my ($self, $command, %how) = @_;
	my @command = $self->command($command, %how);

	pipe my $child_in, my $to_child or die "pipe: $!\n";
	pipe my $from_child, my $child_out or die "pipe: $!\n";
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0)
	{
		$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE);
		open STDIN, '<&', $child_in or POSIX::_exit(126);
		open STDOUT, '>&', $child_out or POSIX::_exit(126);
		open STDERR, '>>', $self->{log} or POSIX::_exit(126);
		close $_ for $to_child, $from_child;
		chdir $self->{dir};
		exec { $command[0] } @command or POSIX::_exit(127);
	}
	$self->{children}{$pid} = 1;
	$to_child->autoflush(1);
	return {
		name => $command->[0],
		pid => $pid,
		to => $to_child,
		from => $from_child,
		log_start => -s $self->{log} // 0
	};
}

# Close a child's input, wait for its end, and return the rest of its output.
sub finish
{
	my ($self, $child) = @_;

	close $child->{to};
	my $rest = do { local $/; readline $child->{from} };
	close $child->{from};
	waitpid $child->{pid}, 0;
	my $status = $?;
	delete $self->{children}{ $child->{pid} };
	die "$child->{name} failed:\n" . $self->log_since($child->{log_start})
	  if $status != 0;
	return $rest // '';
}

# Run a command to its end and return its output.
sub run
{
	my ($self, $command, %how) = @_;
	return $self->finish($self->spawn($command, %how));
}

# What children have written to standard error since this offset.
sub log_since
{
	my ($self, $offset) = @_;
	open my $file, '<', $self->{log} or return '';
	seek $file, $offset, 0;
	local $/;
	return readline($file) // '';
}

sub free_port
{
	my ($self) = @_;
	my $socket = IO::Socket::INET->new(
		Listen => 1,
		LocalAddr => '127.0.0.1',
		Proto => 'tcp') or die "no free port: $@\n";
	return $socket->sockport;
}

# Decode JSON that a tool has printed.
sub decode_json
{
	my ($text) = @_;
	return JSON::PP::decode_json($text);
}

# CPU time of a process in seconds.  The kernel updates it when the process
# stops running, so wait until it sleeps.
sub cpu_seconds
{
	my ($pid) = @_;
	my $give_up = Time::HiRes::time() + 10;

	while (1)
	{
		my ($state) = read_file("/proc/$pid/stat") =~ /^.*\) (\w)/s;
		my ($run_ns) = split ' ', read_file("/proc/$pid/schedstat");
		return $run_ns / 1e9 if $state eq 'S';
		die "process $pid does not come to rest\n"
		  if Time::HiRes::time() > $give_up;
		Time::HiRes::sleep(0.002);
	}
}

# Bytes of memory that belong to this process alone: private mappings, and
# pages that no other process maps.
sub private_bytes
{
	my ($pid) = @_;
	my $kb = 0;
	my $private = 0;

	for my $line (split /\n/, read_file("/proc/$pid/smaps"))
	{
		if ($line =~ /^[0-9a-f]+-[0-9a-f]+ ...(.)/)
		{
			$private = $1 eq 'p';
		}
		elsif ($private && $line =~ /^Private_(?:Clean|Dirty):\s+(\d+) kB/)
		{
			$kb += $1;
		}
	}
	return $kb * 1024;
}

sub read_file
{
	my ($path) = @_;
	open my $file, '<', $path or die "$path: $!\n";
	local $/;
	return readline($file) // '';
}

sub write_file
{
	my ($path, $text, $mode) = @_;
	open my $file, $mode // '>', $path or die "$path: $!\n";
	print $file $text;
	close $file or die "$path: $!\n";
	return;
}

sub append_file
{
	my ($path, $text) = @_;
	return write_file($path, $text, '>>');
}

1;
