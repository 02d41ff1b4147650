# Copyright (c) 2026, the walstream authors

# A peer that is silent for too long is disconnected, and nothing is lost:
# clients of a relay, its upstream, and the relay itself.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

# Continue stopped processes at the end, or their servers could not be stopped.
my %stopped;

END
{
	local $?;
	kill('CONT', keys %stopped);
}

sub stop_process
{
	my ($pid) = @_;

	die "no process \"$pid\"\n" unless $pid =~ /^\d+$/;
	$stopped{$pid} = 1;
	kill('STOP', $pid) == 1 or die "could not stop process $pid: $!\n";
	return $pid;
}

sub continue_process
{
	my ($pid) = @_;

	delete $stopped{$pid};
	kill('CONT', $pid) == 1 or die "could not continue process $pid: $!\n";
	return;
}

my $primary = walstream_primary('primary');
my $relay = walstream_relay($primary, 'relay',
	conf => "wal_sender_timeout = '6s'\nwal_receiver_timeout = '4s'\n");
wait_for_relay_state($relay, 'streaming');
my $begin = relay_row($relay)->{first_lsn};
load_wal($primary, 30_000);
my $end = wait_for_relay($primary, $relay);
my $receiver = relay_row($relay)->{receiver_pid};

#
# Clients of a running relay: one is silent, one has sent a part of a message,
# two do not read, one replies.
#

# The time of a keepalive, in seconds like time(), and whether it requests a
# reply; an empty list for other messages.
sub keepalive
{
	my ($content) = @_;
	my ($kind, $lsn, $time, $asks) = unpack('a q> q> C', $content);

	return unless $kind eq 'k';
	return ($time / 1e6 + 946684800, $asks);
}

my %clients =
  map { $_ => WalstreamClient->new($relay, application_name => $_) }
  qw(silent stalled unread blocked answers);
my %pids = map { $_ => sender_row($relay, $_)->{pid} } keys %clients;
my $log = -s $relay->logfile;
my $began = time();
$clients{$_}->start("START_REPLICATION $end")
  foreach qw(silent stalled answers);
$clients{$_}->start("START_REPLICATION $begin") foreach qw(unread blocked);
$clients{stalled}->_write("d\0\0\0\x26r\0\0");

# The time at which the client is next asked for a reply.
sub wait_for_request
{
	my ($client) = @_;

	for (;;)
	{
		my ($time, $asks) = keepalive($client->receive);

		return $time if $asks;
	}
}

wait_for_request($clients{answers});
my $answered = time();
$clients{answers}->confirm($end);

# For a client that does not read, sent_lsn is what has left the relay, which
# is less than what exists.  The sender is stopped, so that nothing more can
# leave.
stop_process($pids{blocked});
my $sent = lsn_number(sender_row($relay, 'blocked')->{sent_lsn});
my $handed = lsn_number($begin);
{
	local $PostgreSQL::Test::Utils::timeout_default = 0.1;

	while (my $content = eval { $clients{blocked}->receive })
	{
		my ($kind, $lsn) = unpack('a q>', $content);

		$handed = $lsn + length($content) - 25 if $kind eq 'w';
	}
}
is($@, "timed out waiting for a message\n", 'blocked: all is read');
is($sent, $handed, 'blocked: sent_lsn is what was handed to it');
cmp_ok($sent, '>', lsn_number($begin), 'blocked: something');
cmp_ok($sent, '<', lsn_number($end) - 1024 * 1024, 'blocked: far from all');
close($clients{blocked}->{socket});
delete $clients{blocked};
continue_process($pids{blocked});

# The other one is disconnected after wal_sender_timeout.  Meanwhile one client
# replies.
my %states;
while (my $row = sender_row($relay, 'unread'))
{
	die "it is not given up\n"
	  if time() - $began > $PostgreSQL::Test::Utils::timeout_default;
	$states{ $row->{state} } = 1;
	$answered = time();
	$clients{answers}->confirm($end);
}
cmp_ok(time() - $began, '>=', 6,
	'unread: it is there for wal_sender_timeout');
is( $relay->safe_psql(
		'postgres',
		"SELECT pid FROM walstream_senders WHERE application_name = 'answers'"
	),
	$pids{answers},
	'one that has answered stays longer');
is_deeply([ keys %states ], ['catchup'], 'unread: it is behind');
eval { $clients{unread}->receive while 1 };
is($@, "server closed the connection\n", 'unread: given up');

# The silent ones are asked for a reply after half of the time.
foreach my $name (qw(silent stalled))
{
	my @asked;

	while (my $content = eval { $clients{$name}->receive })
	{
		my ($time, $asks) = keepalive($content);

		push @asked, $time - $began if $asks;
	}
	is($@, "server closed the connection\n", "$name: given up");
	is(scalar(@asked), 1, "$name: asked for a reply once");
	cmp_ok($asked[0], '>=', 3,
		"$name: not before half of wal_sender_timeout");
}
foreach my $name (qw(silent stalled unread))
{
	ok( $relay->wait_for_log(
			qr/\[$pids{$name}\] .*LOG:  terminating walsender process due to replication timeout/,
			$log),
		"$name: the log says why");
}
my $requested;
do
{
	$requested = wait_for_request($clients{answers});
} while ($requested < $answered);
cmp_ok($requested - $answered,
	'>=', 3, 'after an answer the time begins anew');
close($_->{socket}) foreach values %clients;

#
# An upstream that is silent for wal_receiver_timeout
#
my $before = relay_row($relay);
is($before->{receiver_pid},
	$receiver,
	'an upstream that has nothing to send, but answers, is not silent');
is($before->{last_error}, undef, 'there was no error');
is($before->{last_error_time}, undef, 'at no time');
my $since = $relay->safe_psql('postgres', 'SELECT clock_timestamp()');
my $walsender = stop_process(
	$primary->safe_psql(
		'postgres',
		"SELECT pid FROM pg_stat_replication WHERE application_name = 'relay'"
	));
load_wal($primary, 1000);
wait_until(
	$relay,
	"SELECT state = 'streaming' AND reconnects > $before->{reconnects} FROM walstream_relay",
	'a silent upstream: the relay connects anew');
my $row = relay_row($relay);
is($row->{receiver_pid}, $receiver,
	'a silent upstream: the receiver is the same process');
is( $row->{last_error},
	'upstream has been silent for longer than wal_receiver_timeout',
	'last_error says why');
is( $relay->safe_psql(
		'postgres',
		"SELECT last_error_time BETWEEN '$since' AND clock_timestamp() FROM walstream_relay"
	),
	't',
	'last_error_time says when');
is( $row->{reconnects},
	$before->{reconnects} + 1,
	'a silent upstream: the relay reconnects once');
wait_for_relay($primary, $relay);
is( $primary->safe_psql(
		'postgres',
		"SELECT count(*) FROM pg_stat_replication WHERE pid = $walsender"),
	1,
	'while the first walsender is still there');
continue_process($walsender);
wait_until(
	$primary,
	"SELECT count(*) = 0 FROM pg_stat_replication WHERE pid = $walsender",
	'the first walsender ends when it can');

#
# A relay that is silent for wal_sender_timeout
#
$primary->append_conf('postgresql.conf', "wal_sender_timeout = '4s'\n");
$primary->reload;
$log = -s $primary->logfile;
$before = relay_row($relay);
stop_process($before->{receiver_pid});
load_wal($primary, 1000);
ok( $primary->wait_for_log(
		qr/ relay LOG:  terminating walsender process due to replication timeout/,
		$log),
	'a silent relay: the upstream gives it up');
load_wal($primary, 1000);
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
load_wal($primary, 1);
continue_process($before->{receiver_pid});
wait_until(
	$relay,
	"SELECT state = 'streaming' AND reconnects = $before->{reconnects} + 1 FROM walstream_relay",
	'the relay reconnects when it can');
$end = wait_for_relay($primary, $relay);
like(
	relay_row($relay)->{last_error},
	qr/could not receive data from WAL stream/,
	'last_error says what it saw');
is( compare_store(
		store_dir($relay), 1,
		lsn_number($begin), lsn_number($end),
		$primary->data_dir . '/pg_wal'),
	undef,
	'the relay has lost nothing');

done_testing();
