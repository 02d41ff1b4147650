# Copyright (c) 2026, the walstream authors

# A relay learns a changed synchronous_standby_names of its primary while it
# streams, by asking over a short connection again and again.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamProxy;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');
my $second = walstream_standby($primary, 'second');

# New connections of the relay go where this link leads.
my $door = PostgreSQL::Test::Utils::tempdir_short();

sub lead_to
{
	my ($node) = @_;
	my $link = "$door/.s.PGSQL.5432";

	symlink($node->host . '/.s.PGSQL.' . $node->port, "$link.new")
	  && rename("$link.new", $link)
	  || die "could not make the link: $!\n";
	return;
}

lead_to($primary);
my $relay = walstream_relay(
	$primary, 'relay',
	conninfo => "host=$door port=5432",
	conf =>
	  "walstream.relay_names_interval = 1s\nlog_min_messages = debug1\n");
wait_for_relay_state($relay, 'streaming');
my $before = relay_row($relay);

sub set_names
{
	my ($node, $list) = @_;

	$node->safe_psql('postgres',
		"ALTER SYSTEM SET synchronous_standby_names = '$list'");
	$node->reload;
	return;
}

sub learns
{
	my ($list, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	wait_until($relay,
		"SELECT upstream_standby_names = '$list' FROM walstream_relay",
		$name);
	return;
}

sub count_in_log
{
	my ($node, $pattern, $from) = @_;
	my $count = () = slurp_file($node->logfile, $from) =~ /$pattern/g;

	return $count;
}

# Wait until the relay's keeper has asked a server this many times.
sub wait_for_asking
{
	my ($node, $command, $times) = @_;
	my $from = -s $node->logfile;

	$node->wait_for_log(
		qr/(?:walstream_names LOG:  received replication command: \Q$command\E.*){$times}/s,
		$from);
	return;
}

#
# The relay learns a list that is set after it has connected, and its stream
# continues.
#
my $log = -s $relay->logfile;
is($before->{upstream_standby_names}, '', 'none when it connected');
set_names($primary, 'ANY 1 (relay, other)');
learns('ANY 1 (relay, other)', 'it learns the list');
ok( $relay->wait_for_log(
		qr/LOG:  the primary's synchronous_standby_names is now "ANY 1 \(relay, other\)"/,
		$log),
	'and logs it');
set_names($primary, '');
learns('', 'that it is empty');
set_names($primary, 'relay');
learns('relay', 'and another one');
is( $relay->safe_psql(
		'postgres',
		'SELECT timeline, names FROM walstream_get_relay_standby_names() ORDER BY first_seen'
	),
	"1|\n1|ANY 1 (relay, other)\n1|\n1|relay",
	'each of them is kept');
wait_until(
	$relay,
	"SELECT upstream_standby_names_time > '$before->{upstream_standby_names_time}'::timestamptz + interval '2 s' FROM walstream_relay",
	'the time tells that it asks');
my $after = relay_row($relay);
is($after->{$_}, $before->{$_}, "the same $_")
  foreach qw(receiver_pid reconnects keeper_pid);
$primary->safe_psql('postgres', 'CREATE TABLE t (id int)');
pass('commits are confirmed');
wait_until(
	$primary,
	"SELECT count(*) = 2 FROM pg_stat_replication",
	'no connection stays');

#
# A changed list does not count as long as the relay lacks WAL that may have been
# confirmed under the former one.
#
set_names($primary, '');
learns('', 'the list is empty again');
my $receiver = relay_row($relay)->{receiver_pid};
kill('STOP', $receiver) || die "could not stop the receiver: $!\n";
load_wal($primary, 10);
set_names($primary, 'relay');
$primary->poll_query_until('postgres',
	"SELECT current_setting('synchronous_standby_names') = 'relay'")
  || die "the primary does not reload\n";
wait_for_asking($primary, 'IDENTIFY_SYSTEM', 3);
is(relay_row($relay)->{upstream_standby_names},
	'', 'the former list counts while the relay is behind');
kill('CONT', $receiver);
learns('relay', 'the new one counts when it is not any more');

#
# A list that is too long to be kept is reported once.
#
$log = -s $relay->logfile;
set_names($primary,
	join(', ', 'relay', map { sprintf('standby%013d', $_) } 1 .. 60));
wait_for_asking($primary, 'SHOW synchronous_standby_names', 3);
wait_until(
	$relay,
	q{SELECT upstream_standby_names = '*' FROM walstream_relay},
	'a list that is too long says nothing');
is( $relay->safe_psql(
		'postgres',
		'SELECT names FROM walstream_get_relay_standby_names() ORDER BY last_seen DESC LIMIT 1'
	),
	'*',
	'and an earlier one does not come back');
set_names($primary, 'relay');
learns('relay', 'a shorter one is');
is(count_in_log($relay, qr/too long to be kept/, $log),
	1, 'the log has it once');

#
# Other servers answer at the primary's address: a standby, and after that a
# primary on another timeline.
#
wait_for_replay($primary, $second);
set_names($second, 'wrong');
lead_to($second);
foreach my $what ('a standby', 'another timeline')
{
	$log = -s $relay->logfile;
	$relay->reload;
	$relay->wait_for_log(
		qr/relay cannot ask the primary whether synchronous_standby_names has changed: another server than the one that streams has answered/,
		$log);
	is(relay_row($relay)->{upstream_standby_names},
		'relay', "$what: its list is not taken");
	$second->promote if $what eq 'a standby';
}
lead_to($primary);
set_names($primary, 'relay, other');
$relay->reload;
learns('relay, other', 'the primary is asked again');

#
# The primary refuses new connections: the stream continues, and the log has
# one line about it.
#
my $hba = slurp_file($primary->data_dir . '/pg_hba.conf');
$log = -s $relay->logfile;
unlink($primary->data_dir . '/pg_hba.conf');
$primary->append_conf('pg_hba.conf',
	"local replication all reject\nlocal all all trust\n");
$primary->reload;
my $cannot = 'relay cannot ask the primary .*: .*pg_hba.conf';
$relay->wait_for_log(qr/DEBUG:  $cannot.*LOG:  $cannot.*DEBUG:  $cannot/s,
	$log);
is(count_in_log($relay, qr/LOG:  $cannot/, $log),
	1, 'a primary that refuses is reported once');
is(relay_row($relay)->{$_}, $after->{$_}, "the same $_ all the time")
  foreach qw(receiver_pid reconnects keeper_pid state);
unlink($primary->data_dir . '/pg_hba.conf');
$primary->append_conf('pg_hba.conf', $hba);
set_names($primary, 'FIRST 1 (relay, other)');
$relay->reload;
learns('FIRST 1 (relay, other)', 'after that it is asked again');

#
# By TCP, as the second of several hosts
#
my $proxy = WalstreamProxy->new($primary);
set_relay_upstream($relay, 'host=127.0.0.1,127.0.0.1 port=1,' . $proxy->port);
wait_until(
	$relay,
	"SELECT state = 'streaming' AND upstream_port = "
	  . $proxy->port
	  . ' FROM walstream_relay',
	'connected to the second of two hosts');
set_names($primary, 'FIRST 1 (relay, tcp)');
learns('FIRST 1 (relay, tcp)', 'that one is asked');

#
# The upstream is a standby, and is promoted, which does not end the connection.
#
my $third = walstream_standby($primary, 'third');
my $cascade = walstream_relay(undef, 'cascade',
	conf => "walstream.relay_names_interval = 1s\n");
set_relay_upstream($cascade, $third->connstr);
wait_for_relay_state($cascade, 'streaming');
$before = relay_row($cascade);
is($before->{upstream_standby_names},
	undef, 'behind a standby a relay knows no list');
set_names($third, 'ANY 1 (cascade)');
$third->promote;
wait_until(
	$cascade,
	"SELECT upstream_standby_names = 'ANY 1 (cascade)' FROM walstream_relay",
	'when that is promoted, it learns the list');
set_names($third, 'cascade');
wait_until(
	$cascade,
	"SELECT upstream_standby_names = 'cascade' FROM walstream_relay",
	'and asks for it again');
is(relay_row($cascade)->{reconnects},
	$before->{reconnects}, 'over the same connection');

#
# The network hangs: the relay can be stopped while it waits.
#
$log = -s $relay->logfile;
kill('STOP', $proxy->{pid}) == 1 || die "could not stop the proxy: $!\n";
ok( $relay->wait_for_log(
		qr/DEBUG:  relay cannot ask the primary .*: no connection within the time allowed/,
		$log),
	'a primary that does not answer is given up');
$relay->stop;
kill('CONT', $proxy->{pid});
pass('the relay can be stopped');

#
# The lists that it has learned survive, even without the primary.
#
$primary->stop('immediate');
$relay->start;
is( relay_row($relay)->{upstream_standby_names},
	'FIRST 1 (relay, tcp)',
	'the list is durable');

done_testing();
