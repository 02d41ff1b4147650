# Copyright (c) 2026, the walstream authors

# A failover seals the relay.  From then on the relay acknowledges nothing of
# the old primary's timeline, whatever the old primary does and however the
# relay is restarted, until it is unsealed or has a newer timeline.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamProxy;
use WalstreamRelay;
use WalstreamTest;

# The relay's receiver is killed once, and primaries are stopped while commits
# wait.
declare_expected_warning('was terminated by signal 9: Killed');
declare_expected_warning(
	'terminating connection because of crash of another server process');
declare_expected_warning(
	'canceling the wait for synchronous replication and terminating connection'
);

my $one = walstream_primary('one');
my $two = walstream_standby($one, 'two', start => 0);
my $hosts = join(' ',
	'host=' . join(',', map { $_->host } $one, $two),
	'port=' . join(',', map { $_->port } $one, $two),
	'target_session_attrs=read-write');
my $relay = walstream_relay(
	$one, 'relay',
	conninfo => $hosts,
	conf => "wal_retrieve_retry_interval = 200ms\n");
wait_for_relay_state($relay, 'streaming');
$two->append_conf('postgresql.conf',
	"primary_conninfo = '" . $relay->connstr . " application_name=two'\n");
$two->start;
make_synchronous($one, $relay);

# Run a statement on the relay; returns its output or its error.
sub ask
{
	my ($sql) = @_;
	my ($rc, $stdout, $stderr) = $relay->psql('postgres', $sql);

	return $rc == 0 ? $stdout : $stderr;
}

# Start a commit that has to wait.  The session must end before its primary is
# stopped.
sub start_commit
{
	my ($node, $name) = @_;
	my $session = start_psql($node, "CREATE TABLE $name (id int)");

	waits_for_standby($node, $name)
	  || die "the commit \"$name\" does not wait\n";
	return $session;
}

# Check that no more commits are confirmed while the relay connects to its
# upstream several times.
sub nothing_is_confirmed
{
	my ($node, $count, $what) = @_;
	my $reconnects = relay_row($relay)->{reconnects};
	my $query =
	  "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

	$relay->poll_query_until('postgres',
		"SELECT reconnects >= $reconnects + 3 FROM walstream_relay")
	  || die "the relay does not ask its upstream\n";
	is($node->safe_psql('postgres', $query), $count, "$what: commits wait");
	return;
}

sub seal
{
	my ($tli) = @_;

	return $relay->safe_psql('postgres', "SELECT walstream_relay_seal($tli)");
}

#
# The primary's synchronous_standby_names, as the relay has read them when it
# connected.
#
sub shown_names
{
	my $row = relay_row($relay);

	return
	  defined $row->{upstream_standby_names_time}
	  ? $row->{upstream_standby_names}
	  : 'none';
}

is(shown_names(), '', 'there was none when the relay connected');
$relay->safe_psql('postgres', 'SELECT walstream_relay_pause()');
wait_for_relay_state($relay, 'paused');
$relay->safe_psql('postgres', 'SELECT walstream_relay_resume()');
wait_for_relay_state($relay, 'streaming');
is(shown_names(), 'relay', 'when it has connected again it sees itself');
is( ask('SELECT timeline, names FROM walstream_get_relay_standby_names() ORDER BY first_seen'
	),
	"1|\n1|relay",
	'both are kept');
is( ask('SELECT count(*) FROM walstream_get_relay_standby_names() WHERE first_seen > last_seen OR last_seen > now()'
	),
	'0',
	'the lists have plausible times');

#
# Waiting until the relay holds a position.
#
load_wal($one, 100);
my $end = $one->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
is(ask("SELECT walstream_relay_wait('$end', '1 hour')"),
	't', 'the relay comes to hold a position');
my $far = format_lsn(((lsn_number($end) >> 20) + 1 << 20) + 100);
is(ask("SELECT walstream_relay_wait('$far', '10 ms')"),
	'f', 'not one that is not there');
is(ask("SELECT walstream_relay_wait('$far', '-1 hour')"),
	'f', 'nor before the timeout has begun');
is(ask("SELECT walstream_relay_wait('$end', '-1 hour')"),
	't', 'a position that the relay holds needs no waiting');
is(ask("SELECT walstream_relay_wait('$end', NULL) IS NULL"),
	't', 'null for a timeout');
like(
	ask("SET statement_timeout = 100; SELECT walstream_relay_wait('$far', '1 year')"
	),
	qr/canceling statement/,
	'waiting can be interrupted');
my $waiter = start_psql($relay,
	"SELECT walstream_relay_wait('$far', '1 hour') AS waited_for");
$relay->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%waited_for' AND wait_event_type = 'Extension'"
) || die "nobody waits\n";
$one->safe_psql('postgres', 'SELECT pg_switch_wal()');
load_wal($one, 100);
$waiter->{run}->finish;
is(${ $waiter->{output} }, "t\n", 'who waits is told when it is there');

is(ask("SELECT walstream_relay_wait_confirmed('two', '1 hour')"),
	't', 'a downstream has all of it');
is(ask("SELECT walstream_relay_wait_confirmed('nobody', '1 hour')"),
	'f', 'one that there is not has nothing');
my ($pid) =
  $two->safe_psql('postgres', 'SELECT pid FROM pg_stat_wal_receiver');
kill('STOP', $pid);
load_wal($one, 100);
is(ask("SELECT walstream_relay_wait_confirmed('two', '50 ms')"),
	'f', 'one that does not answer has not');
$waiter = start_psql($relay,
	"SELECT walstream_relay_wait_confirmed('two', '1 hour') AS confirmed");
$relay->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%confirmed' AND wait_event_type = 'Extension'"
) || die "nobody waits\n";
kill('CONT', $pid);
$waiter->{run}->finish;
is(${ $waiter->{output} }, "t\n", 'when it has confirmed, who waits is told');
$waiter = start_psql($relay,
	"SELECT walstream_relay_wait_confirmed('gone', '1 hour') AS confirmed");
$waiter->{run}->finish;
is(${ $waiter->{output} }, "f\n", 'nobody is waited for who is not there');

#
# Seals that are refused.
#
like(
	ask('SELECT walstream_relay_seal(0)'),
	qr/there is no timeline 0/,
	'timeline 0');
like(
	ask('SELECT walstream_relay_seal(-1)'),
	qr/there is no timeline -1/,
	'a negative timeline');
like(
	ask('SELECT walstream_relay_seal(2)'),
	qr/timeline 2 is not in the line of the relay's WAL.*It is on timeline 1|The relay is on timeline 1/s,
	'a timeline of which the relay has nothing');
is(ask("SELECT walstream_relay_unseal('x')"), 'f', 'no seal to take back');
is(relay_row($relay)->{sealed_timeline}, undef, 'the relay is not sealed');
is( ask('SELECT timeline IS NULL AND since IS NULL AND token IS NULL FROM walstream_get_relay_seal()'
	),
	't',
	'an unsealed relay has no token');

#
# Seal the relay under load: all commits wait when the function has returned.
#
my $client = start_commits($one);
$one->poll_query_until('postgres', 'SELECT count(*) > 50 FROM acked')
  || die "no commits\n";
my $token = seal(1);
my $row = relay_row($relay);
my $sealed_end = $row->{flushed_lsn};
is($row->{sealed_timeline},
	1, 'the view shows for which timeline it is sealed');
like($row->{sealed_since}, qr/^\d{4}-/,
	'the view shows since when it is sealed');
is(length($token), 32, 'there is a token');
waits_for_standby($one, 'INSERT INTO acked') || die "commits do not wait\n";
my $confirmed = scalar(acked_ids($client));
my $commit = start_commit($one, 'sealed');
nothing_is_confirmed($one, 2, 'sealed');
wait_for_relay_state($relay, 'sealed');
is(scalar(acked_ids($client)), $confirmed, 'no client has heard of a commit');
is(relay_row($relay)->{flushed_lsn},
	$sealed_end, 'the end of what is stored stays where it is');
is( $one->safe_psql(
		'postgres',
		"SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"),
	0,
	'the primary has no stream to the relay');
is(ask("SELECT walstream_relay_wait_confirmed('two', '1 hour')"),
	't', 'downstreams get all that it holds');

like(
	ask('SELECT walstream_relay_seal(1)'),
	qr/is sealed already.*for timeline 1 since \d{4}-/s,
	'a relay cannot be sealed twice');
like(
	ask("SELECT walstream_relay_unseal('" . 'x' x 32 . "')"),
	qr/not sealed with this token/,
	'another token does not unseal');
like(
	ask("SELECT walstream_relay_unseal('')"),
	qr/not sealed with this token/,
	'an empty token does not unseal');
like(
	ask("SELECT walstream_relay_seal(1, '', '" . 'x' x 32 . "')"),
	qr/not sealed with this token/,
	'a seal is not replaced without its token');
is(ask('SELECT token FROM walstream_get_relay_seal()'),
	$token, 'a superuser finds the token');
my $former = $token;
$token = ask("SELECT walstream_relay_seal(1, '', '$former')");
like($token, qr/^\w{32}$/, 'a seal is replaced with its token');
like(
	ask("SELECT walstream_relay_unseal('$former')"),
	qr/not sealed with this token/,
	'the former token does not unseal any more');
$row = relay_row($relay);

#
# Restarts while sealed.
#
sub still_sealed
{
	my ($what, $waiting) = @_;

	wait_for_relay_state($relay, 'sealed');
	my $now = relay_row($relay);
	is( "$now->{sealed_timeline} $now->{sealed_since}",
		"1 $row->{sealed_since}",
		"$what: it is sealed still");

	# less, if the WAL ends with an incomplete record, which is received again
	cmp_ok(lsn_number($now->{flushed_lsn}),
		'<=', lsn_number($sealed_end), "$what: with no more WAL");
	nothing_is_confirmed($one, $waiting, $what);
	return;
}

$relay->restart;
still_sealed('restart', 2);
kill_and_wait($relay, relay_row($relay)->{receiver_pid});
$relay->start;
still_sealed('receiver killed', 2);
my @pids = split(
	/\n/,
	$relay->safe_psql(
		'postgres',
		'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() UNION SELECT pid FROM walstream_senders'
	));
push @pids, $relay->{_pid};
$relay->kill9;

foreach (@pids)
{
	select(undef, undef, undef, 0.01) while kill(0, $_);
}
$relay->start;
still_sealed('server killed', 2);
is(scalar(acked_ids($client)), $confirmed, 'no client has heard of a commit');

is(ask("SELECT walstream_relay_unseal('$token')"), 't', 'the token unseals');
is(relay_row($relay)->{sealed_timeline}, undef, 'the view shows no seal');
ok(!-e store_dir($relay) . '/walstream.seal', "the seal's file is removed");
$commit->{run}->finish;
wait_until(
	$one,
	"SELECT count(*) > $confirmed + 50 FROM acked",
	'commits go on');
is(ask("SELECT walstream_relay_unseal('$token')"),
	'f', 'the same token unseals only once');
stop_commits($client);

# Sealing is interrupted while the receiver hangs: the relay is left unsealed.
$pid = relay_row($relay)->{receiver_pid};
kill('STOP', $pid);
like(
	ask("SET statement_timeout = '200ms'; SELECT walstream_relay_seal(1)"),
	qr/canceling statement/,
	'a receiver that hangs in its stream is waited for');
kill('CONT', $pid);
is(relay_row($relay)->{sealed_timeline}, undef, 'the relay is as it was');
ok( !-e store_dir($relay) . '/walstream.seal',
	'an interrupted seal leaves no file');
wait_for_relay_state($relay, 'streaming');

#
# The primary stays alive while a standby takes its place, and what the relay
# has told it arrives late.
#
my $proxy = WalstreamProxy->new($one);
set_relay_upstream($relay, $proxy->connstr);
$relay->poll_query_until('postgres',
		"SELECT state = 'streaming' AND upstream_port = "
	  . $proxy->port
	  . ' FROM walstream_relay')
  || die "the relay is not connected\n";
$client = start_commits($one, first => 1_000_000);
$one->poll_query_until('postgres', 'SELECT max(id) > 1000050 FROM acked')
  || die "no commits\n";
kill('STOP', $proxy->{pid});
waits_for_standby($one, 'INSERT INTO acked') || die "commits do not wait\n";
$token = seal(1);
$sealed_end = relay_row($relay)->{flushed_lsn};

# A receiver that hangs while it connects is not waited for.
is(ask("SELECT walstream_relay_unseal('$token')"),
	't', 'a relay whose receiver hangs can be unsealed');
$token = seal(1);
is(relay_row($relay)->{sealed_timeline},
	1, 'and sealed again, while the receiver hangs');
kill('CONT', $proxy->{pid});
wait_for_relay_state($relay, 'sealed');
waits_for_standby($one, 'INSERT INTO acked') || die "commits do not wait\n";
nothing_is_confirmed($one, 1, 'the primary lives on');
is(ask("SELECT walstream_relay_wait_confirmed('two', '1 hour')"),
	't', 'the standby has all');
is(relay_row($relay)->{flushed_lsn},
	$sealed_end, 'the end of the sealed relay has not moved');
$one->safe_psql('postgres',
	"SET synchronous_commit = local; SELECT pg_logical_emit_message(true, 'x', repeat('y', 100000))"
);
$two->promote;
$two->append_conf('postgresql.conf', "synchronous_standby_names = 'relay'\n");
$two->reload;

# Both servers are primaries now, and the relay is told to receive from the new
# one.  A newer timeline ends the seal.
set_relay_upstream($relay, $two->connstr);
wait_until(
	$relay,
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'the relay follows');
wait_until(
	$relay,
	'SELECT sealed_timeline IS NULL FROM walstream_relay',
	'a newer timeline ends the seal');
ok(!-e store_dir($relay) . '/walstream.seal', 'the ended seal has no file');
is(ask("SELECT walstream_relay_unseal('$token')"),
	'f', 'there is nothing to take back');
$two->safe_psql('postgres', 'CREATE TABLE after_failover (id int)');
my @missing = missing_ids($two, acked_ids($client));
is("@missing", '', 'all commits that were confirmed are on the new primary');
$confirmed = join(' ', acked_ids($client));
like(
	ask('SELECT walstream_relay_seal(1)'),
	qr/on a newer timeline than 1.*timeline 1 was left at/s,
	'the old timeline cannot be sealed any more');

#
# A relay that is sealed for the new timeline acknowledges nothing of the
# timelines before.
#
$token = seal(2);
set_relay_upstream($relay, $one->connstr);
wait_for_relay_state($relay, 'sealed');
like(
	relay_row($relay)->{reason},
	qr/upstream is on timeline 1/,
	'an upstream on an older timeline');
nothing_is_confirmed($one, 1, 'an older timeline');
is(join(' ', acked_ids($client)),
	$confirmed, 'the old primary has confirmed nothing');
set_relay_upstream($relay, $two->connstr);
$commit = start_commit($two, 'waits');
nothing_is_confirmed($two, 1, 'its own timeline');

# The file of an ended seal may come back in a crash.
my $seal_file = store_dir($relay) . '/walstream.seal';
my $content = slurp_file($seal_file);
is(ask("SELECT walstream_relay_unseal('$token')"),
	't', 'the seal for the new timeline can be removed');
$commit->{run}->finish;
$relay->stop;
$one->stop('immediate');
eval { stop_commits($client) };

# With a damaged file the seal is not known, so nothing is acknowledged.
append_to_file($seal_file, $content =~ s/timeline 2/timeline 1/r);
$relay->start;
wait_for_relay_state($relay, 'failed');
like(
	relay_row($relay)->{last_error},
	qr/walstream\.seal" is damaged/,
	'a damaged file is refused');
like(
	ask('SELECT walstream_relay_seal(2)'),
	qr/cannot be sealed: the end of what it holds is not known.*Its state is "failed"/s,
	'nothing can be sealed then');
$relay->stop;
unlink($seal_file);
append_to_file($seal_file, $content);
$relay->start;
wait_for_relay_state($relay, 'sealed');
is( ask("SELECT walstream_relay_unseal(token) FROM walstream_get_relay_seal()"
	),
	't',
	'unsealed without the token at hand');
wait_for_relay_state($relay, 'streaming');

# The lists of standby names are known without the primary; a damaged file with
# them is ignored.
my $names_file = store_dir($relay) . '/walstream.standby_names';
is(shown_names(), 'relay', 'the new primary has the relay, too');
like(ask('SELECT timeline, names FROM walstream_get_relay_standby_names()'),
	qr/^2\|relay$/m, 'on its timeline');
$two->stop('immediate');
$relay->restart;
$relay->poll_query_until('postgres',
	'SELECT flushed_lsn IS NOT NULL FROM walstream_relay')
  || die "not open\n";
is(shown_names(), 'relay', 'it is known without the primary');
$relay->stop;
append_to_file($names_file, 'x');
my $log_end = -s $relay->logfile;
$relay->start;
$relay->poll_query_until('postgres',
	'SELECT flushed_lsn IS NOT NULL FROM walstream_relay')
  || die "not open\n";
is(shown_names(), 'none', 'a damaged file says nothing');
like(
	slurp_file($relay->logfile, $log_end),
	qr/LOG:  file ".*walstream\.standby_names" is damaged/,
	'the damaged file is reported');

done_testing();
