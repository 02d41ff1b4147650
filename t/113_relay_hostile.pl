# Copyright (c) 2026, the walstream authors

# A client that has logged in and then sends invalid messages is disconnected,
# without effect on other clients.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');
my $relay = walstream_relay($primary, 'relay');
wait_for_relay_state($relay, 'streaming');
my $begin = relay_row($relay)->{first_lsn};
my $standby =
  walstream_standby($primary, 'standby', conninfo => $relay->connstr);
load_wal($primary, 5000);
wait_for_replay($primary, $standby);
my $sender = sender_row($relay, 'standby')->{pid};

srand($ENV{WALSTREAM_TEST_SEED} // 4711);
my $start = "START_REPLICATION $begin\0";
my $far = 'START_REPLICATION ' . 'FFFFFFFF/0' . "\0";

sub message
{
	my ($type, $content) = @_;

	return $type . pack('N', 4 + length($content)) . $content;
}

sub garbage
{
	my ($bytes) = @_;

	return join('', map { chr(int(rand(256))) } 1 .. $bytes);
}

# What a client sends, and what happens to the connection.  After an "error" it
# stays open.
foreach my $case (
	[ 'an unknown message type', message('#', ''), 'end' ],
	[ 'garbage', garbage(5000), 'any' ],
	[ 'a negative length', "Q\xff\xff\xff\xff", 'end' ],
	[ 'a length of 3', "Q\0\0\0\3", 'end' ],
	[ 'a huge length', "Q\x3f\xff\xff\xff", 'end' ],
	[ 'a message without end', "Q\0\0\0\x10abc", 'hang' ],
	[ 'a command without end', message('Q', 'IDENTIFY_SYSTEM'), 'error' ],
	[ 'an empty command', message('Q', "\0"), 'error' ],
	[ 'a command that is none', message('Q', "FROBNICATE\0"), 'error' ],
	[
		'a command that is too long',
		message('Q', 'x' x 200_000 . "\0"),
		'any'
	],
	[ 'a command of quotes', message('Q', ('"' x 1000) . "\0"), 'error' ],
	[
		'a command of bytes',
		message('Q', garbage(2000) =~ tr/\0//dr . "\0"), 'error'
	],
	[ 'Parse', message('P', "\0SELECT 1\0\0\0"), 'any' ],
	[ 'Sync', message('S', ''), 'any' ],
	[ 'a function call', message('F', "\0\0\0\1\0\0\0\0\0\0"), 'any' ],
	[ 'CopyData without a stream', message('d', 'r' . "\0" x 33), 'hang' ],
	[ 'CopyDone without a stream', message('c', ''), 'hang' ],
	[ 'START_REPLICATION far ahead', message('Q', $far), 'error' ],
	[
		'START_REPLICATION of another timeline',
		message('Q', "START_REPLICATION $begin TIMELINE 7\0"),
		'error'
	],
	[
		'START_REPLICATION at 0/0',
		message('Q', "START_REPLICATION 0/0\0"),
		'error'
	],
	[
		'TIMELINE_HISTORY of none',
		message('Q', "TIMELINE_HISTORY 4000000000\0"),
		'error'
	],
	[ 'TIMELINE_HISTORY 1', message('Q', "TIMELINE_HISTORY 1\0"), 'error' ],
	[
		'a slot with a bad name',
		message('Q', "CREATE_REPLICATION_SLOT \"../../x\" PHYSICAL\0"),
		'error'
	],
	[
		'a reply of a wrong size',
		message('Q', $start) . message('d', 'r123'),
		'error'
	],
	[
		'a feedback of a wrong size',
		message('Q', $start) . message('d', 'h123'),
		'error'
	],
	[
		'an unknown reply',
		message('Q', $start) . message('d', 'x' . "\0" x 33), 'end'
	],
	[ 'an empty reply', message('Q', $start) . message('d', ''), 'error' ],
	[
		'a huge reply',
		message('Q', $start) . "d\x3f\xff\xff\xff" . 'x' x 1000, 'end'
	],
	[
		'a reply of positions beyond all',
		message('Q', $start) . message('d', 'r' . "\xff" x 32 . "\1"), 'any'
	],
	[
		'a command in a stream',
		message('Q', $start) . message('Q', "IDENTIFY_SYSTEM\0"), 'end'
	],
	[ 'garbage in a stream', message('Q', $start) . garbage(3000), 'any' ],
	[
		'CopyFail in a stream',
		message('Q', $start) . message('f', "no\0"), 'any'
	],
	[
		'CopyDone twice',
		message('Q', $start) . message('c', '') . message('c', ''), 'any'
	],
	[ 'a connection that is cut in a stream', message('Q', $start), 'cut' ])
{
	my ($what, $bytes, $expected) = @$case;
	my $client = WalstreamClient->new($relay, application_name => 'hostile');
	my ($ended, $error, $ready) = ('', '', '');

	eval { $client->_write($bytes) };
	if ($expected ne 'hang' && $expected ne 'cut')
	{
		# "any" includes no answer at all: do not wait long for one
		local $PostgreSQL::Test::Utils::timeout_default =
		  $expected eq 'any' ? 3 : $PostgreSQL::Test::Utils::timeout_default;
		while (!$ended)
		{
			my ($type, $content) = eval { $client->_read };

			if (!defined $type)
			{
				$ended = $@;
				last;
			}
			($error) = $content =~ /\0M([^\0]*)/ if $type eq 'E';
			$ready = 1 if $type eq 'Z';
			last if $ready && $expected eq 'error';
			last if $expected eq 'any';
		}
	}
	if ($expected eq 'end')
	{
		like(
			$ended,
			qr/closed|could not read/,
			"$what: the connection is ended");
		isnt($error, '', "$what: $error");
	}
	elsif ($expected eq 'error')
	{
		isnt($error, '', "$what: $error");
		eval { $client->command('IDENTIFY_SYSTEM') };
		is($@, '', "$what: the connection goes on");
	}
	else
	{
		pass("$what: sent");
	}
	close($client->{socket});
}

# Random bytes, within a stream and outside
foreach my $n (1 .. 40)
{
	my $client = WalstreamClient->new($relay, application_name => 'random');
	my @types = qw(Q d c f X r h P B S H C D);

	$client->_send('Q', $start) if $n % 2;
	foreach (1 .. 5)
	{
		eval {
			$client->_write(
				message($types[ int(rand(@types)) ], garbage(int(rand(60)))));
		};
	}
	close($client->{socket});
}

# All of these clients are gone, no process has crashed, and other clients
# continue.
wait_until(
	$relay,
	"SELECT count(*) = 1 FROM walstream_senders",
	'no sender is left behind');
is(sender_row($relay, 'standby')->{pid},
	$sender, 'the standby\'s is the same');
is( $relay->safe_psql(
		'postgres', 'SELECT count(*) FROM walstream_relay_slots'),
	0,
	'no slot either');
load_wal($primary, 1000);
standby_matches($primary, $standby, 'the standby');

# As many clients as max_wal_senders allows
my @clients;
eval {
	foreach (1 .. 9)
	{
		push @clients,
		  WalstreamClient->new($relay, application_name => "client $_");
	}
};
is($@, '', 'max_wal_senders clients can connect');
eval { WalstreamClient->new($relay, application_name => 'one more') };
like(
	$@,
	qr/exceeds "?max_wal_senders"? \(currently 10\)/,
	'one client more is refused');
$_->close foreach @clients;
wait_until(
	$relay,
	"SELECT count(*) = 1 FROM walstream_senders",
	'all are free again');
my $again = WalstreamClient->new($relay, application_name => 'again');
$again->command('IDENTIFY_SYSTEM');
$again->close;

# A client of a slot confirms more than exists: the slot advances only to the
# relay's end, and holds what comes next.
my $greedy = WalstreamClient->new($relay, application_name => 'greedy');
$greedy->command('CREATE_REPLICATION_SLOT greedy PHYSICAL RESERVE_WAL');
$greedy->start("START_REPLICATION SLOT greedy $begin");
foreach my $claimed ('FFFFFFFF/0', 'FFFFFFFF/FFFFFFFF')
{
	load_wal($primary, 100);
	my $flushed = wait_for_relay($primary, $relay);
	my ($type, $start_lsn, $bytes) = ('', 0, 0);
	while ($type ne 'w' || $start_lsn + $bytes < lsn_number($flushed))
	{
		($type, $start_lsn) = unpack('a Q>', my $message = $greedy->receive);
		$bytes = length($message) - 25;
	}
	$greedy->confirm($claimed);
	wait_until(
		$relay,
		"SELECT restart_lsn >= '$flushed' FROM walstream_relay_slots WHERE slot_name = 'greedy'",
		"$claimed confirmed: the slot has gone on");
	my $restart = relay_slot_row($relay, 'greedy')->{restart_lsn};
	is( $relay->safe_psql(
			'postgres',
			"SELECT '$restart' <= flushed_lsn FROM walstream_relay"),
		't',
		'but not past what the relay has');
	is( $relay->safe_psql(
			'postgres',
			"SELECT lost FROM walstream_relay_slots WHERE slot_name = 'greedy'"
		),
		'f',
		'the slot of a greedy client is not lost');
}
$greedy->close;
wait_until(
	$relay,
	"SELECT active_pid IS NULL AND restart_lsn <= flushed_lsn
		FROM walstream_relay_slots, walstream_relay WHERE slot_name = 'greedy'",
	'the slot stays within the stored WAL when its client leaves');
my $kept = relay_slot_row($relay, 'greedy')->{restart_lsn};
$relay->restart;
is(relay_slot_row($relay, 'greedy')->{restart_lsn},
	$kept, 'that is what its file says');

done_testing();
