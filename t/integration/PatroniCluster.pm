#-------------------------------------------------------------------------
#
# PatroniCluster.pm
#	  For tests: etcd, Patroni's nodes, and relays that are their synchronous
#	  standbys, with the scripts of contrib/patroni.
#
# Everything listens on free ports of localhost and lies in the test's
# temporary directory.  Patroni and etcd end with the test, however it ends
# (the kernel sends them a signal when their parent has ended), and Patroni
# stops its server.
#
# A node has those methods of PostgreSQL::Test::Cluster that tests need.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------
package PatroniCluster;

use strict;
use warnings FATAL => 'all';

use Carp;
use Cwd;
use File::Basename;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use WalstreamRelay;

# The minimum that Patroni accepts; it must not be less than loop_wait + 2 *
# retry_timeout.
our $ttl = 20;

my @daemons;

#
# new(%options): create relays and nodes, without starting any of them.
#
#	relays		names
#	nodes		names
#	retry		pre_promote tries again for so many seconds
#	sync		of synchronous_standby_names, before the list of relays
#
sub new
{
	my ($class, %options) = @_;
	my $self = bless {
		base => PostgreSQL::Test::Utils::tempdir(),
		scripts => getcwd() . '/contrib/patroni',
		scope => 'ws',
		sync => $options{sync} // 'ANY 1',
	}, $class;

	chmod(0755, $self->{base});
	$self->start_etcd;
	foreach my $name (@{ $options{nodes} })
	{
		push @{ $self->{nodes} }, PatroniNode->new($self, $name);
	}
	foreach my $name (@{ $options{relays} })
	{
		push @{ $self->{relays} }, $self->make_relay($name);
	}
	foreach my $node ($self->nodes)
	{
		$self->write_failover_conf($node, $options{retry} // 60);
		$node->write_config;
	}
	return $self;
}

#
# add_standby_cluster($name, $relay, %remote): create a node that is a cluster
# of its own, with the relay as its remote.  It is not started, and not one of
# nodes().
#
sub add_standby_cluster
{
	my ($self, $name, $relay, %remote) = @_;
	my $node = PatroniNode->new($self, $name);
	my ($member) = $self->nodes;

	$node->{scope} = $name;
	$node->{standby_cluster} = {
		host => '127.0.0.1',
		port => $relay->port,
		create_replica_methods => ['clone_from_cluster'],
		%remote
	};
	$node->{clone_source} = $member->connstr;
	$node->write_config;
	return $node;
}

sub nodes
{
	my ($self) = @_;

	return @{ $self->{nodes} };
}

sub relays
{
	my ($self) = @_;

	return @{ $self->{relays} };
}

sub free_port
{
	return PostgreSQL::Test::Cluster::get_free_port();
}

#
# start_daemon($name, @command): returns its process ID.
#
sub start_daemon
{
	my ($name, @command) = @_;
	my $log = "$PostgreSQL::Test::Utils::log_path/$name.txt";
	my $pid = fork() // die "could not fork: $!\n";

	if ($pid == 0)
	{
		open(STDIN, '<', '/dev/null');
		open(STDOUT, '>>', $log);
		open(STDERR, '>&', \*STDOUT);
		exec('setpriv', '--pdeathsig', 'TERM', @command);
		die "could not execute $command[0]: $!\n";
	}
	push @daemons, $pid;
	return $pid;
}

sub end_daemon
{
	my ($pid, $signal) = @_;

	kill('CONT', $pid);
	kill($signal, $pid);
	waitpid($pid, 0);
	@daemons = grep { $_ != $pid } @daemons;
	return;
}

sub start_etcd
{
	my ($self) = @_;
	my ($client, $peer) = map { 'http://127.0.0.1:' . free_port() } 1 .. 2;

	$self->{etcd} = $client =~ s{^http://}{}r;
	start_daemon(
		basename($0, '.pl') . '_etcd', 'etcd',
		'--name' => 'e1',
		'--data-dir' => "$self->{base}/etcd",
		'--listen-client-urls' => $client,
		'--advertise-client-urls' => $client,
		'--listen-peer-urls' => $peer,
		'--initial-advertise-peer-urls' => $peer,
		'--initial-cluster' => "e1=$peer",
		'--unsafe-no-fsync');
	wait_for(
		'etcd',
		sub {
			HTTP::Tiny->new(timeout => 5)->get("$client/health")->{success};
		});
	return;
}

#
# Create a relay that receives from whichever node is the primary.
#
sub make_relay
{
	my ($self, $name) = @_;
	my $hosts = join(',', map { '127.0.0.1' } $self->nodes);
	my $ports = join(',', map { $_->port } $self->nodes);

	return walstream_relay(
		undef, $name,
		conninfo =>
		  "host=$hosts port=$ports user=replicator target_session_attrs=read-write connect_timeout=5",
		slot => $name,
		conf => qq(
cluster_name = '$name'
wal_retrieve_retry_interval = 500ms
));
}

# Write the configuration of contrib/patroni/pre_promote and on_role_change.
sub write_failover_conf
{
	my ($self, $node, $retry) = @_;
	my $relays = join("\n", map { $_->connstr } $self->relays);

	PostgreSQL::Test::Utils::append_to_file(
		$node->{failover_conf}, qq{
standby="host=127.0.0.1 port=$node->{port} user=postgres"
relays="
$relays
"
retry_seconds=$retry
state_file=$self->{base}/$node->{name}.failover
});
	return;
}

# wait_for($what, $code): wait until the code returns true, twice as long as in
# other tests, since a step may include initdb, a base backup and some cycles
# of Patroni.
sub wait_for
{
	my ($what, $code) = @_;
	my $limit = 2 * $PostgreSQL::Test::Utils::timeout_default;
	my $until = time() + $limit;

	until ($code->())
	{
		croak "$what: not within $limit s"
		  if time() > $until;
		sleep(0.2);
	}
	return;
}

#
# start(): start all nodes, and wait until all stream.  The first one
# initializes the cluster.
#
sub start
{
	my ($self) = @_;
	my ($first, @others) = $self->nodes;

	$first->start_patroni;
	wait_for('the first node becomes a primary', sub { $first->is_primary });

	# the relays are synchronous: without them nothing can be committed
	$_->start_patroni foreach @others;
	$self->wait_until_complete;
	return $first;
}

# The node that is a primary; undef if there is none.
sub leader
{
	my ($self) = @_;
	my @primaries = grep { $_->is_primary } $self->nodes;

	return @primaries ? $primaries[0] : undef;
}

# wait_for_leader(@candidates): wait until one of them is a primary.
sub wait_for_leader
{
	my ($self, @candidates) = @_;
	my $leader;

	wait_for(
		'a node is promoted',
		sub {
			($leader) = grep { $_->is_primary } @candidates;
			defined $leader;
		});
	return $leader;
}

# Wait until all running members stream from the leader, and the relays are
# synchronous.
sub wait_until_complete
{
	my ($self) = @_;
	my @standbys = map { $_->name } grep { $_->{patroni} } $self->nodes;
	my $standbys = @standbys - 1;
	my $relays = $self->relays;
	my $names = join(', ', map { "'$_'" } @standbys);

	wait_for(
		'relays and standbys stream',
		sub {
			my $leader = $self->leader // return;
			my ($rc, $out) = $leader->query(
				qq{SELECT count(*) FILTER (WHERE application_name LIKE 'relay%' AND sync_state = 'quorum'),
	count(*) FILTER (WHERE application_name IN ($names)) FROM pg_stat_replication WHERE state = 'streaming'}
			);
			return $rc == 0 && $out eq "$relays|$standbys";
		});
	return $self->leader;
}

# The members of the cluster, as Patroni's REST API shows them on some node.
sub members
{
	my ($self) = @_;

	foreach my $node (grep { $_->{patroni} } $self->nodes)
	{
		my $answer = HTTP::Tiny->new(timeout => 10)
		  ->get("http://127.0.0.1:$node->{rest}/cluster");

		return @{ decode_json($answer->{content})->{members} }
		  if $answer->{success};
	}
	return ();
}

# Stop everything, whatever happened to the test.
END
{
	my $status = $?;

	kill('KILL', @daemons) if @daemons;
	waitpid($_, 0)  foreach @daemons;
	$_->kill_server foreach PatroniNode->all;
	$? = $status;
}

package PatroniNode;

use strict;
use warnings FATAL => 'all';

use Carp;
use File::Basename;
use File::Path qw(rmtree);
use HTTP::Tiny;
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
