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
use PatroniNode;
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

#
# A port that is still free when its server is started again.  Outgoing
# connections get ports of a range, and of that only every second one as long as
# there are enough; and they keep them for a minute after they have ended.
#
sub free_port
{
	my ($low, $high) = split(
		' ',
		PostgreSQL::Test::Utils::slurp_file(
			'/proc/sys/net/ipv4/ip_local_port_range'));

	while (1)
	{
		my $port = PostgreSQL::Test::Cluster::get_free_port();

		return $port
		  if $port < $low || $port > $high || ($port - $low) % 2 == 1;
	}
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

# Start etcd for the first time, or again with its data.
sub start_etcd
{
	my ($self) = @_;

	$self->{etcd_urls} //=
	  [ map { 'http://127.0.0.1:' . free_port() } 1 .. 2 ];
	my ($client, $peer) = @{ $self->{etcd_urls} };

	$self->{etcd} = $client =~ s{^http://}{}r;
	$self->{etcd_pid} = start_daemon(
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

sub kill_etcd
{
	my ($self) = @_;

	end_daemon(delete $self->{etcd_pid}, 'KILL');
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

1;
