#-------------------------------------------------------------------------
#
# PatroniNode.pm
#	  For tests: a node of a PatroniCluster, which is Patroni and its server.
#
# A node has those methods of PostgreSQL::Test::Cluster that tests need.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------
package PatroniNode;

use strict;
use warnings FATAL => 'all';

use Carp;
use File::Basename;
use File::Path qw(rmtree);
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my @all;

sub all
{
	return @all;
}

sub new
{
	my ($class, $cluster, $name) = @_;
	my $base = $cluster->{base};
	my $self = bless {
		cluster => $cluster,
		name => $name,
		port => PatroniCluster::free_port(),
		rest => PatroniCluster::free_port(),
		data => "$base/$name",
		config => "$base/$name.yml",
		failover_conf => "$base/$name.conf",
	}, $class;

	push @all, $self;
	return $self;
}

sub name
{
	my ($self) = @_;

	return $self->{name};
}

sub port
{
	my ($self) = @_;

	return $self->{port};
}

sub connstr
{
	my ($self, $database) = @_;
	$database //= 'postgres';

	return
	  "host=127.0.0.1 port=$self->{port} user=postgres dbname=$database connect_timeout=10";
}

# Returns exit status, output, error.
sub query
{
	my ($self, $sql) = @_;
	my ($stdout, $stderr) = ('', '');

	IPC::Run::run(
		[
			'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1',
			'-d', $self->connstr, '-c', $sql
		],
		'<',
		\'',
		'>',
		\$stdout,
		'2>',
		\$stderr,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	my $status = $?;
	chomp($stdout, $stderr);
	return ($status, $stdout, $stderr);
}

sub safe_psql
{
	my ($self, $database, $sql) = @_;
	my ($status, $stdout, $stderr) = $self->query($sql);

	croak "$self->{name}: $stderr" if $status != 0;
	return $stdout;
}

sub poll_query_until
{
	my ($self, $database, $sql) = @_;

	PatroniCluster::wait_for(
		"$self->{name}: $sql",
		sub {
			my ($status, $stdout) = $self->query($sql);
			return $status == 0 && $stdout eq 't';
		});
	return 1;
}

sub is_primary
{
	my ($self) = @_;
	my ($status, $stdout) = $self->query('SELECT pg_is_in_recovery()');

	return $status == 0 && $stdout eq 'f';
}

sub is_standby
{
	my ($self) = @_;
	my ($status, $stdout) = $self->query('SELECT pg_is_in_recovery()');

	return $status == 0 && $stdout eq 't';
}

# The postmaster's process ID; undef if the server is not running.
sub postmaster
{
	my ($self) = @_;
	my $pid;

	open(my $file, '<', "$self->{data}/postmaster.pid") or return;
	$pid = <$file>;
	close($file);
	chomp($pid) if defined $pid;
	return unless $pid && (readlink("/proc/$pid/cwd") // '') eq $self->{data};
	return $pid;
}

sub write_config
{
	my ($self) = @_;
	my $cluster = $self->{cluster};
	my $base = $cluster->{base};
	my @relays = map { $_->name } $cluster->relays;
	my $names = join(', ', @relays);
	my $bindir = dirname(qx(which pg_ctl) =~ s/\n//r);
	my %config = (
		scope => $self->{scope} // $cluster->{scope},
		name => $self->{name},
		log => { level => 'INFO' },
		restapi => {
			map { $_ => "127.0.0.1:$self->{rest}" }
			  qw(listen connect_address)
		},
		etcd3 => { hosts => $cluster->{etcd} },
		bootstrap => {
			dcs => {
				ttl => $PatroniCluster::ttl,
				loop_wait => 2,
				retry_timeout => 8,
				maximum_lag_on_failover => 1024**3,
				slots => { map { $_ => { type => 'physical' } } @relays },
				postgresql => {
					use_pg_rewind => JSON::PP::true,
					use_slots => JSON::PP::true,
					parameters => {
						wal_log_hints => 'on',
						shared_preload_libraries => 'walstream',
						synchronous_standby_names =>
						  "$cluster->{sync} ($names)",
						wal_keep_size => '128MB',
						max_connections => 50,
						shared_buffers => '16MB',
						fsync => 'off',
						log_replication_commands => 'on',
					},
				},
			},
			initdb => [ { encoding => 'UTF8' }, 'data-checksums' ],
			pg_hba => [
				'local all all trust',
				'host all all 127.0.0.1/32 trust',
				'host replication all 127.0.0.1/32 trust'
			],
			users => {},
		},
		postgresql => {
			listen => "127.0.0.1:$self->{port}",
			connect_address => "127.0.0.1:$self->{port}",
			data_dir => $self->{data},
			bin_dir => $bindir,
			pgpass => "$base/$self->{name}.pgpass",
			authentication => {
				superuser => { username => 'postgres', password => 'secret' },
				replication =>
				  { username => 'replicator', password => 'secret' },
				rewind => { username => 'rewind_user', password => 'secret' },
			},
			parameters => { unix_socket_directories => '' },
			pre_promote =>
			  "$cluster->{scripts}/pre_promote $self->{failover_conf}",
			callbacks => {
				on_role_change =>
				  "$cluster->{scripts}/on_role_change $self->{failover_conf}"
			},
		},);

	if ($self->{standby_cluster})
	{
		my $dcs = $config{bootstrap}->{dcs};

		$dcs->{standby_cluster} = $self->{standby_cluster};
		delete $dcs->{slots};
		delete $dcs->{postgresql}->{parameters}->{synchronous_standby_names};
		$config{postgresql}->{clone_from_cluster} = {
			command => "$cluster->{scripts}/clone_from_cluster",
			source => $self->{clone_source},
			no_leader => 1,
			no_master => 1,
			keep_data => JSON::PP::false,
		};
	}

	# JSON is YAML
	open(my $file, '>', $self->{config}) or die "$self->{config}: $!\n";
	print $file JSON::PP->new->canonical->pretty->encode(\%config);
	close($file);
	return;
}

sub log_file
{
	my ($self) = @_;

	return
		"$PostgreSQL::Test::Utils::log_path/"
	  . basename($0, '.pl')
	  . "_$self->{name}.txt";
}

sub start_patroni
{
	my ($self) = @_;

	$self->{patroni} =
	  PatroniCluster::start_daemon(basename($0, '.pl') . "_$self->{name}",
		'patroni', $self->{config});
	return;
}

# Restart only Patroni, before its leader key expires.
sub restart_patroni
{
	my ($self) = @_;

	PatroniCluster::end_daemon($self->{patroni}, 'KILL');
	$self->start_patroni;
	return;
}

# Stop Patroni as an administrator does: it stops the server, and gives up its
# leader key.
sub stop_patroni
{
	my ($self) = @_;

	PatroniCluster::end_daemon(delete $self->{patroni}, 'TERM');
	return;
}

# Kill Patroni and the server, like a machine that loses its power.
sub kill9
{
	my ($self, @more) = @_;
	my $postmaster = $self->postmaster // croak "$self->{name} does not run";

	kill('KILL', $self->{patroni}, $postmaster, @more);
	PatroniCluster::end_daemon($self->{patroni}, 'KILL');
	delete $self->{patroni};

	# a backend that waits for a lock of a killed one would never end by itself
	PatroniCluster::wait_for(
		"$self->{name} ends",
		sub {
			my @pids = map { m{(\d+)$} } $self->has_processes;

			kill('KILL', @pids);
			return !@pids;
		});
	return;
}

# True as long as server processes run in its data directory.
sub has_processes
{
	my ($self) = @_;

	return grep {
		(readlink("$_/cwd") // '') =~ /^\Q$self->{data}\E( \(deleted\))?$/
	} glob('/proc/[0-9]*');
}

sub kill_server
{
	my ($self) = @_;
	my $pid = $self->postmaster // return;

	kill('QUIT', $pid);
	foreach (1 .. 100)
	{
		return unless $self->has_processes;
		sleep(0.1);
	}
	kill('KILL', $pid);
	return;
}

sub remove_data
{
	my ($self) = @_;

	rmtree($self->{data});
	return;
}

#
# run_pre_promote($promote_seconds): run the script by hand; returns true if it
# succeeds.
#
sub run_pre_promote
{
	my ($self, $promote_seconds) = @_;
	my $conf = "$self->{failover_conf}.by_hand";
	my $log = $self->log_file;

	append_to_file($conf,
		slurp_file($self->{failover_conf})
		  . "promote_seconds=$promote_seconds\n");
	return
	  system("$self->{cluster}->{scripts}/pre_promote '$conf' 2>>'$log'") ==
	  0;
}

# The process ID of the script, if it runs.
sub pre_promote
{
	my ($self) = @_;

	foreach my $dir (glob('/proc/[0-9]*'))
	{
		open(my $file, '<', "$dir/cmdline") or next;
		my @words = split(/\0/, <$file> // '');

		return basename($dir)
		  if @words == 3
		  && $words[1] =~ /pre_promote$/
		  && $words[2] eq $self->{failover_conf};
	}
	return;
}

sub timeline
{
	my ($self) = @_;

	return hex(
		$self->safe_psql(
			'postgres',
			'SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)'));
}

# The process IDs of its walsenders, by the receivers' names.
sub walsenders
{
	my ($self, @names) = @_;
	my $names = join(', ', map { "'$_'" } @names);

	return split(
		/\n/,
		$self->safe_psql(
			'postgres',
			"SELECT pid FROM pg_stat_replication WHERE application_name IN ($names)"
		));
}

1;
