# A relay of the benchmark: an instance that receives WAL of another one,
# stores it, and serves it.
#
# Copyright (c) 2026, the walstream authors

package Relay;

use strict;
use warnings;

use File::Path qw(remove_tree);
use Time::HiRes ();

use Host;
use Server;

# Create an instance that has received nothing yet, with these settings.
sub create
{
	my ($class, $bench, $name, %conf) = @_;
	return bless {
		bench => $bench,
		name => $name,
		server => Server->create(
			$bench, $name,
			conf => {
				cluster_name => $name,
				max_wal_senders => 50,
				'walstream.relay' => 'on',
				'walstream.relay_keep_size' => '64GB',
				%conf
			})
	}, $class;
}

sub server { return $_[0]->{server}; }

# upstream: the server to receive from. slot: name of the slot there. compress:
# walstream.relay_compress, if not the default.
sub start
{
	my ($self, %arg) = @_;
	my %conf;

	$conf{'walstream.relay_upstream'} = $arg{upstream}->conninfo
	  if $arg{upstream};
	$conf{'walstream.relay_slot'} = $arg{slot} if defined $arg{slot};
	$conf{'walstream.relay_compress'} = $arg{compress} if $arg{compress};
	$self->{server}->start(module => 1, conf => \%conf);
	return $self;
}

sub stop
{
	my ($self) = @_;
	$self->{server}->stop;
	return;
}

sub remove
{
	my ($self) = @_;
	$self->{server}->remove;
	return;
}

# Remove all WAL of a stopped relay.
sub clear
{
	my ($self) = @_;
	remove_tree($self->directory);
	return;
}

sub directory
{
	my ($self) = @_;
	return $self->{server}->data . '/walstream_relay';
}

# Process IDs of receiver and keeper.
sub workers
{
	my ($self) = @_;
	return
	  @{ $self->{server}
		  ->row('SELECT receiver_pid, keeper_pid FROM walstream_relay') }
	  {qw(receiver_pid keeper_pid)};
}

# Wait until all WAL up to this position is durable in the relay.
sub wait_for_lsn
{
	my ($self, $lsn) = @_;
	$self->{server}
	  ->wait_until("SELECT flushed_lsn >= '$lsn' FROM walstream_relay", 600);
	return;
}

# Wait until these segments are stored with this suffix: '', '.zst' or '.lz4'.
sub wait_for_segments
{
	my ($self, $suffix, @segments) = @_;
	my @files = map { $self->directory . "/$_" } @segments;

	Relay::wait_for_file("$_$suffix") for @files;
	return if $suffix eq '';
	for my $file (@files)
	{
		Relay::wait_for(sub { !-e $file }, "$file to be removed");
	}
	return;
}

# Replace a stopped relay's files by hard links to these, so that readers of
# either read the same memory and none has an advantage.
sub share_segments
{
	my ($self, @files) = @_;
	$self->{bench}{host}->run([ 'ln', '-f', '-t', $self->directory, @files ]);
	return;
}

# Wait until a file exists: a sign that every receiver gives, and that costs
# next to nothing to look for. meanwhile: called between looks.
sub wait_for_file
{
	my ($path, $meanwhile) = @_;
	return wait_for(sub { -e $path }, $path, $meanwhile);
}

sub wait_for
{
	my ($condition, $what, $meanwhile) = @_;
	my $give_up = Time::HiRes::time() + 300;

	until ($condition->())
	{
		die "timed out waiting for $what\n" if Time::HiRes::time() > $give_up;
		$meanwhile->() if $meanwhile;
		Time::HiRes::sleep(0.002);
	}
	return Time::HiRes::time();
}

1;
