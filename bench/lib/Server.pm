# One PostgreSQL instance of the benchmark: created, configured, started with
# or without the module, queried, copied, and stopped.
#
# Copyright (c) 2026, the walstream authors

package Server;

use strict;
use warnings;

use File::Path qw(remove_tree);

use Host;

my @all;

# Settings of every instance; none of them differs between contestants.
my %common = (
	autovacuum => 'off',
	checkpoint_timeout => '1d',
	full_page_writes => 'on',
	fsync => 'on',
	hot_standby => 'on',
	jit => 'off',
	log_min_messages => 'warning',
	logging_collector => 'off',
	max_replication_slots => 50,
	max_wal_senders => 20,
	max_wal_size => '64GB',
	shared_buffers => '256MB',
	synchronous_commit => 'on',
	wal_keep_size => '64GB',
	wal_level => 'replica',
	wal_recycle => 'off',
	wal_retrieve_retry_interval => '100ms',
	wal_sender_timeout => '60s',
	'walstream.compression' => 'zstd lz4');

# Create an empty cluster. encoding: of its databases. segment_mb: WAL segment
# size.
sub create
{
	my ($class, $bench, $name, %arg) = @_;
	my $self = $class->adopt($bench, $name, $arg{conf});

	$bench->{host}->run(
		[
			"$bench->{bindir}/initdb", '--no-sync',
			'--no-locale', '-E',
			$arg{encoding} // 'UTF8', '-A',
			'trust', '-U',
			'postgres', '-D',
			$self->data, '--wal-segsize',
			$arg{segment_mb} // 16
		]);
	Host::append_file($self->data . '/postgresql.conf',
		"include 'bench.conf'\n");

	# It listens only on loopback and in our own namespace.
	Host::append_file($self->data . '/pg_hba.conf',
		"host replication postgres 0.0.0.0/0 trust\n");
	return $self;
}

# An instance on a data directory that already exists, or will exist.
sub adopt
{
	my ($class, $bench, $name, $conf) = @_;
	my $self = bless {
		bench => $bench,
		name => $name,
		dir => $bench->{host}->dir . "/$name",
		conf => { %common, %{ $conf // {} } }
	}, $class;

	$bench->{host}->run([ 'mkdir', '-p', $self->{dir} ]);
	push @all, $self;
	return $self;
}

sub data { return "$_[0]->{dir}/data"; }
sub name { return $_[0]->{name}; }

# Copy a stopped instance.  Original and copy share the named WAL segments
# (hard links), so that both are read from the same memory and neither has an
# advantage.  The segments must be complete: nothing may write to them again.
sub copy
{
	my ($self, $name, @shared) = @_;
	my $copy = Server->adopt($self->{bench}, $name, { %{ $self->{conf} } });
	my $host = $self->{bench}{host};

	$host->run([ 'cp', '-a', '--reflink=auto', $self->data, $copy->data ]);
	$host->run(
		[
			'ln', '-f', '-t',
			$copy->data . '/pg_wal',
			map { $self->data . "/pg_wal/$_" } @shared
		]) if @shared;
	return $copy;
}

# module: preload walstream. conf: settings for this run only. standby_of:
# stream from that instance, in this run. namespace, address: where to listen,
# by default on loopback. net_admin: with the right to choose any congestion
# control.
sub start
{
	my ($self, %arg) = @_;
	my $bench = $self->{bench};
	my %conf = (
		%{ $self->{conf} },
		%{ $arg{conf} // {} },
		port => $self->{port} = $bench->{host}->free_port,
		listen_addresses => $self->{address} = $arg{address} // '127.0.0.1',
		unix_socket_directories => $self->{dir},
		shared_preload_libraries => $arg{module} ? 'walstream' : '');

	if (my $upstream = $arg{standby_of})
	{
		$conf{primary_conninfo} =
		  $upstream->conninfo . " application_name=$self->{name}";
		Host::write_file($self->data . '/standby.signal', '');
	}
	$self->{module} = $arg{module};
	$self->{running_conf} = \%conf;
	$self->write_conf;

	$bench->{host}->run(
		[
			"$bench->{bindir}/pg_ctl", 'start', '-s', '-w', '-t', '300',
			'-D', $self->data, '-l', "$self->{dir}/log"
		],
		namespace => $arg{namespace},
		net_admin => $arg{net_admin});
	$self->{running} = 1;
	$self->sql('CREATE EXTENSION IF NOT EXISTS walstream')
	  if $arg{module} && !$arg{standby_of};
	return $self;
}

sub write_conf
{
	my ($self) = @_;
	my $conf = $self->{running_conf};
	Host::write_file($self->data . '/bench.conf',
		join '', map { "$_ = '$conf->{$_}'\n" } sort keys %$conf);
	return;
}

# Change settings of the running instance; they last until its next start.
sub configure
{
	my ($self, %conf) = @_;
	%{ $self->{running_conf} } = (%{ $self->{running_conf} }, %conf);
	$self->write_conf;
	$self->sql('SELECT pg_reload_conf()');
	return;
}

sub stop
{
	my ($self, $mode) = @_;
	return if !$self->{running};

	$self->{running} = 0;
	$self->{bench}{host}->run(
		[
			"$self->{bench}{bindir}/pg_ctl",
			'stop', '-s', '-w', '-t', '300', '-m', $mode // 'fast',
			'-D', $self->data
		]);
	return;
}

# Stop it if it runs, and delete its files.
sub remove
{
	my ($self) = @_;
	$self->stop('immediate');
	remove_tree($self->{dir});
	@all = grep { $_ != $self } @all;
	return;
}

sub remove_all
{
	for my $server (splice @all)
	{
		eval { $server->remove; 1 } or warn "bench: $@";
	}
	return;
}

# Clients connect as the contestants do, over TCP.
sub conninfo
{
	my ($self) = @_;
	return "host=$self->{address} port=$self->{port} user=postgres";
}

sub local_conninfo
{
	my ($self) = @_;
	return "host=$self->{dir} port=$self->{port} user=postgres";
}

# Our own queries use a Unix socket, which is reachable from any namespace.
sub local_options
{
	my ($self) = @_;
	return ('-h', $self->{dir}, '-p', $self->{port}, '-U', 'postgres');
}

sub psql
{
	my ($self, @arg) = @_;
	my $out = $self->{bench}{host}->run(
		[
			"$self->{bench}{bindir}/psql", '-XAtq',
			'-v', 'ON_ERROR_STOP=1',
			$self->local_options, @arg
		]);
	chomp $out;
	return $out;
}

sub sql
{
	my ($self, $sql, $database) = @_;
	return $self->psql('-d', $database // 'postgres', '-c', $sql);
}

# Return one row as a hash.
sub row
{
	my ($self, $sql) = @_;
	return Host::decode_json($self->sql("SELECT row_to_json(r) FROM ($sql) r")
		  || die "$self->{name} has no row for: $sql\n");
}

# Run a file of bench/sql, with variables.
sub script
{
	my ($self, $file, %var) = @_;
	return $self->psql('-d', 'postgres',
		(map { ('-v', "$_=$var{$_}") } sort keys %var),
		'-f', "$self->{bench}{top}/sql/$file");
}

sub pgbench
{
	my ($self, @arg) = @_;
	return $self->{bench}{host}->run(
		[
			"$self->{bench}{bindir}/pgbench", $self->local_options,
			@arg, 'postgres'
		]);
}

# Wait in the server for a condition, which costs next to nothing.
sub wait_until
{
	my ($self, $condition, $timeout_s) = @_;
	$timeout_s //= 120;
	(my $text = $condition) =~ s/'/''/g;
	$self->sql(
		"DO \$\$ DECLARE give_up timestamptz := clock_timestamp() + '$timeout_s s';
		BEGIN
			WHILE ($condition) IS NOT TRUE LOOP
				IF clock_timestamp() > give_up THEN
					RAISE 'timed out waiting for: %', '$text';
				END IF;
				PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
			END LOOP;
		END \$\$");
	return;
}

sub flush_lsn
{
	my ($self) = @_;
	return $self->sql('SELECT pg_current_wal_flush_lsn()');
}

1;
