# Copyright (c) 2026, the walstream authors

# Each line that a relay logs about a client names the client and what it has
# sent.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');

# The log_line_prefix does not identify clients.
my $relay = walstream_relay(
	$primary, 'relay',
	conf => q{
log_line_prefix = '%m [%p] '
log_replication_commands = on
log_disconnections = on
wal_sender_timeout = 0
});
wait_for_relay_state($relay, 'streaming');
my $begin = relay_row($relay)->{first_lsn};
my $user = getpwuid($>);
my $number = 0;

sub connect_client
{
	my (%parameters) = @_;

	$number++;
	return WalstreamClient->new(
		$relay,
		application_name => "client $number",
		%parameters);
}

# Check the report that was logged about the latest client, with all its lines.
sub logged
{
	my ($log, $message, $what, $detail) = @_;

	$relay->wait_for_log($message, $log);
	my @reports = split /^(?=\d{4}-.* (?:LOG|ERROR|FATAL|WARNING):  )/m,
	  slurp_file($relay->logfile, $log);
	my ($report) = grep { $_ =~ $message } @reports;

	like(
		$report,
		qr/CONTEXT:  relay sender for "client $number", user "$user", host \[local\]/,
		"$what: who it was");
	like($report, $detail, "$what: what it sent") if defined $detail;
	return;
}

# Errors within a stream, and before one
my $streamed = qr/STATEMENT:  START_REPLICATION \Q$begin\E$/m;
foreach my $case (
	[
		'an unknown message',
		'',
		'#' . pack('N', 4),
		qr/FATAL:  invalid frontend message type 35/,
		qr/\A(?!.*STATEMENT:)/s
	],
	[
		'a length', '',
		'Q' . pack('N', 3),
		qr/FATAL:  invalid message length/,
		qr/DETAIL:  A message of type 81 is said to have 3 bytes/
	],
	[
		'a long command',
		'',
		'Q' . pack('N', 4 + 20001) . 'x' x 20000 . "\0",
		qr/ERROR:  replication command is too long/,
		qr/DETAIL:  It has 20001 bytes/
	],
	[
		'a command',
		'',
		'Q' . pack('N', 4 + 9) . "NONSENSE\0",
		qr/ERROR:  cannot execute SQL/,
		qr/^.*STATEMENT:  NONSENSE$/m
	],
	[
		'a slot',
		'',
		'Q' . pack('N', 4 + 35) . 'START_REPLICATION SLOT missing 0/0' . "\0",
		qr/ERROR:  relay slot "missing" does not exist/,
		qr{STATEMENT:  START_REPLICATION SLOT missing 0/0$}m
	],
	[
		'a message in a stream',
		$begin,
		'Q' . pack('N', 4),
		qr/FATAL:  invalid standby message type 81/, $streamed
	],
	[
		'a reply', $begin,
		'd' . pack('N', 5) . '#',
		qr/FATAL:  unexpected standby message type 35/, $streamed
	],
	[
		'a length in a stream',
		$begin,
		'd' . pack('N', 0x3fffffff),
		qr/FATAL:  invalid message length/,
		qr/said to have 1073741823 bytes/
	],
	[
		'the end', $begin, '',
		qr/LOG:  unexpected EOF on standby connection/, $streamed
	])
{
	my ($what, $start, $bytes, $message, $detail) = @$case;
	my $log = -s $relay->logfile;
	my $client = connect_client();

	$client->start("START_REPLICATION $start") if $start ne '';
	$client->_write($bytes);

	# half-close only: after a close a send of the relay could fail first
	shutdown($client->{socket}, 1) if $bytes eq '';
	logged($log, $message, $what, $detail);
	logged(
		$log,
		qr/LOG:  received replication command: START_REPLICATION/,
		'the command is logged') if $start ne '';
	eval { $client->close } if $bytes ne '';
	logged(
		$log,
		qr/LOG:  disconnection: /,
		'the end of the connection is logged') if $start ne '';
}

# A command is logged as one line of text, whatever it contains.
my $log = -s $relay->logfile;
my $forger = connect_client();
my $shown =
  'START_REPLICATION SLOT "a 2026-01-01 00:00:00 UTC [1] PANIC: forged\\x1b[31m%s" 0/0';

# the server log keeps bytes that are valid in its encoding
my $logged = sprintf($shown, "\xff");
like(
	command_error(
		$forger,
		qq{START_REPLICATION\nSLOT "a\n2026-01-01 00:00:00 UTC [1] PANIC:  forged\x1b[31m\xff" 0/0}
	),
	qr/does not exist/,
	'a command with other lines in it');
logged($log, qr/LOG:  received replication command: \Q$logged\E$/m,
	'that command');
logged($log, qr/ERROR:  relay slot "a 2026-01-01 .*" does not exist/,
	'its error', qr/STATEMENT:  \Q$logged\E$/m);
is( $relay->safe_psql(
		'postgres',
		"SELECT query FROM pg_stat_activity WHERE application_name = 'client $number'"
	),
	sprintf($shown, '\\xff'),
	'that command in pg_stat_activity');
like(
	command_error($forger, qq{CREATE_REPLICATION_SLOT a PHYSICAL ("b\nc")}),
	qr/unrecognized option for a physical replication slot: "b c"/,
	'an option with a line break');
unlike(
	slurp_file($relay->logfile, $log),
	qr/^2026-01-01|[\x00-\x08\x0b-\x1f\x7f]/m,
	'nothing else is in the log');
$forger->close;

$log = -s $relay->logfile;
my $silent = connect_client(options => '-c wal_sender_timeout=200ms');
$silent->start("START_REPLICATION $begin");
logged(
	$log,
	qr/LOG:  terminating walsender process due to replication timeout/,
	'silence',
	qr{DETAIL:  The client was sent WAL up to [0-9A-F]+/[0-9A-F]+ and has confirmed to have flushed it up to 0/0+\.}
);
eval { $silent->close };
$log = -s $relay->logfile;
eval { connect_client(replication => 'database') };
logged(
	$log,
	qr/FATAL:  a relay does not serve connections with "replication=database"/,
	'a database');

done_testing();
