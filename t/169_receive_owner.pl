# Copyright (c) 2026, the walstream authors

# Two standbys are promoted from the same timeline: the first hung in the
# middle of its promotion, and continues later.  A relay follows the one that
# has sealed it last.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

# Primaries are stopped while commits wait.
declare_expected_warning(
	'canceling the wait for synchronous replication and terminating connection'
);

my $primary = walstream_primary('primary');
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $relay = walstream_relay($primary, 'relay',
	conf => "wal_retrieve_retry_interval = 200ms\n");
my ($first, $second) =
  map {
	walstream_standby($primary, $_,
		conf => "wal_receiver_status_interval = 1s\n")
  } qw(first second);
wait_for_relay_state($relay, 'streaming');
make_synchronous($primary, $relay);
load_wal($primary, 100);
wait_for_relay($primary, $relay);
wait_for_replay($primary, $_) foreach $first, $second;

sub ask
{
	my ($sql) = @_;
	my ($rc, $stdout, $stderr) = $relay->psql('postgres', $sql);

	return $rc == 0 ? $stdout : $stderr;
}

my $source = "'" . ($relay->connstr('postgres') =~ s/'/''/gr) . "'";

sub owner_of
{
	my ($node) = @_;

	return $node->safe_psql('postgres', 'SHOW walstream.seal_owner');
}

sub receive_all
{
	my ($node) = @_;

	$node->safe_psql('postgres',
			"CALL walstream_receive_all(ARRAY[$source], 1, '"
		  . patience(60)
		  . " s')");
	return;
}

is(owner_of($first), '', 'who has sealed nothing has no name');
like(
	ask("SELECT walstream_relay_seal(1, 'me')"),
	qr/the owner of a seal must have 32 hexadecimal digits/,
	'an owner that is none');

#
# The first standby seals the relay, and hangs; then the second one seals it,
# as its pre_promote script would.
#
$primary->stop('immediate');
receive_all($first);
like(owner_of($first), qr/^[0-9a-f]{32}$/, 'who seals gets a name');
is(ask('SELECT owner FROM walstream_get_relay_seal()'),
	owner_of($first), 'the seal has it');
my $name = owner_of($first);
ask('SELECT walstream_relay_unseal(token) FROM walstream_get_relay_seal()');
receive_all($second);
is(ask('SELECT owner FROM walstream_get_relay_seal()'),
	owner_of($second), 'the next one is owner then');
isnt(owner_of($second), $name, 'by another name');

# Both are promoted, and the relay connects to the first one.
foreach my $node ($first, $second)
{
	$node->append_conf('postgresql.conf',
		"synchronous_standby_names = 'relay'\n");
	$node->reload;
	$node->promote;
	$node->poll_query_until('postgres',
		'SHOW synchronous_standby_names', 'relay')
	  || die "the setting does not change\n";
}
is(owner_of($first), $name, 'the name stays');

sub refuses_the_first
{
	my ($what) = @_;

	$relay->poll_query_until('postgres',
		"SELECT state = 'sealed' AND reason LIKE '%another server%' FROM walstream_relay"
	  )
	  || die "$what: "
	  . ask('SELECT state, reason FROM walstream_relay') . "\n";
	my $row = relay_row($relay);
	is( "$row->{timeline} $row->{sealed_timeline}",
		'1 1',
		"$what: the relay does not go to the first one");
	like(
		$row->{reason},
		qr/another server than the upstream, on timeline 2, that has sealed it/,
		"$what: the reason");
	return;
}

my $commit = start_psql($first, 'CREATE TABLE confirmed_by_first (id int)');
waits_for_standby($first, 'confirmed_by_first')
  || die "the commit does not wait\n";
set_relay_upstream($relay, $first->connstr);
refuses_the_first('sealed');
$relay->restart;
refuses_the_first('restart');
is( $first->safe_psql(
		'postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"),
	1,
	'the commit of the first server is not confirmed');
like(
	slurp_file($relay->logfile),
	qr/another server than the upstream, on timeline 2, that has sealed it\n.*HINT:  It goes on when it comes to the server that has sealed it/,
	'the log says so');

#
# The relay connects to the second one
#
set_relay_upstream($relay, $second->connstr);
wait_until(
	$relay,
	"SELECT state = 'streaming' AND timeline = 2 AND sealed_timeline IS NULL FROM walstream_relay",
	'the relay goes to the one that has sealed it, which ends the seal');
$second->safe_psql('postgres', 'CREATE TABLE confirmed_by_second (id int)');

# From now on the stored bytes decide.
set_relay_upstream($relay, $first->connstr);
wait_for_relay_state($relay, 'diverged');
is( $first->safe_psql(
		'postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"),
	1,
	'no commit is confirmed by both');
$_->stop('immediate') foreach $first, $second;
eval { $commit->{run}->finish };

done_testing();
