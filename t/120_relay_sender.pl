# Copyright (c) 2026, the walstream authors

# Relay senders and slots when downstreams behave as standbys seldom do.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

# Use transaction ids of epoch 5, so that earlier ones are too old.
my $primary = walstream_primary('primary', start => 0);
command_ok([ 'pg_resetwal', '-e', 5, $primary->data_dir ], 'epoch 5');
$primary->start;
my $relay = walstream_relay(
	$primary, 'relay',
	slot => 'relay',
	conf => qq(
walstream.relay_compress = off
wal_receiver_status_interval = 1
wal_sender_timeout = 0
));
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 20_000);
my $end = wait_for_relay($primary, $relay);

sub start_client
{
	my ($lsn) = @_;
	my $client = WalstreamClient->new($relay, application_name => 'client');

	$client->start("START_REPLICATION $lsn");
	return $client;
}

# The primary's WAL between two positions, given as numbers.
sub primary_wal
{
	my ($from, $to) = @_;
	my $wal = '';

	for (my $segno = $from >> 20; $segno << 20 < $to; $segno++)
	{
		$wal .=
		  slurp_file($primary->data_dir
			  . '/pg_wal/'
			  . sprintf('00000001%08X%08X', $segno >> 12, $segno & 0xfff));
	}
	return substr($wal, $from & 0xfffff, $to - $from);
}

sub process_title
{
	my ($pid) = @_;

	return (run_command([ 'ps', '-ww', '-o', 'args=', '-p', $pid ]))[0];
}

# The title may change a moment after the client has got the message that it is
# about.
sub wait_for_title
{
	my ($pid, $is_right, $name) = @_;
	my $attempts = 10 * $PostgreSQL::Test::Utils::timeout_default;
	my $title = process_title($pid);

	while ($attempts-- > 0 && !$is_right->($title))
	{
		select(undef, undef, undef, 0.1);
		$title = process_title($pid);
	}
	ok($is_right->($title), "the title becomes $name")
	  or diag("the title is $title");
	return;
}

# RESERVE_WAL holds all stored WAL.
my $client = WalstreamClient->new($relay);
$client->command('CREATE_REPLICATION_SLOT reserved PHYSICAL RESERVE_WAL');
$client->close;
is( $relay->safe_psql(
		'postgres',
		"SELECT restart_lsn = s.start_lsn
			FROM walstream_relay_slots, (SELECT min(start_lsn) AS start_lsn FROM walstream_relay_segments) s
			WHERE slot_name = 'reserved' AND restart_lsn < '$end'"),
	't',
	'RESERVE_WAL: from the oldest segment on');

# WAL is sent as PostgreSQL sends it: in messages of 16 pages that end at a
# page boundary, except the last one, which ends with the WAL.
my $oldest = $relay->safe_psql('postgres',
	'SELECT min(start_lsn) FROM walstream_relay_segments');
my $first = lsn_number($oldest) + 100;
$client = start_client(format_lsn($first));
my ($sent, $wal, @pieces) = ($first, '');
while ($sent < lsn_number($end))
{
	my ($type, $start_lsn, $limit_lsn) =
	  unpack('a Q> Q>', my $message = $client->receive);

	next if $type ne 'w';
	my $bytes = length($message) - 25;
	my $after = $start_lsn + $bytes;
	my $most = 16 * 8192 - $start_lsn % 8192;
	push @pieces, sprintf('%X to %X of %X', $start_lsn, $after, $limit_lsn)
	  if $start_lsn != $sent
	  || $bytes == 0
	  || ($after == $limit_lsn ? $bytes > 16 * 8192 : $bytes != $most);
	$wal .= substr($message, 25);
	$sent = $after;
}
is_deeply(\@pieces, [],
	'each piece has 16 pages, or ends with what there is');
cmp_ok(
	length($wal), '>',
	1024 * 1024,
	'there were many, over the end of a segment');
is( $wal,
	primary_wal($first, $sent),
	'together they are the WAL of the primary');

# Process titles are like PostgreSQL's.
foreach my $case (
	[ $relay, sender_row($relay, 'client')->{pid} ],
	[
		$primary,
		$primary->safe_psql(
			'postgres', 'SELECT pid FROM pg_stat_replication')
	])
{
	my ($node, $pid) = @$case;
	my $title =
	  qr{^postgres: (?:\w+: )?walsender \S+ \[local\] streaming [0-9A-F]{1,8}/[0-9A-F]{1,8}\s*$};

	like(process_title($pid), $title, $node->name . ': title of a walsender');
}
# More may be sent meanwhile, for example the snapshot that the primary logs
# every 15 seconds.
wait_for_title(
	sender_row($relay, 'client')->{pid},
	sub {
		return $_[0] =~ m{ streaming (\w+/\w+)\s*$}
		  && lsn_number($1) >= $sent;
	},
	'what was sent');
$client->end;
wait_for_title(sender_row($relay, 'client')->{pid},
	sub { $_[0] =~ m{ \[local\] idle\s*$} }, 'idle');
$client->close;

# The log names the command that started the stream, whatever the client has
# sent since.
$client = start_client($end);
$client->confirm($end) foreach 1 .. 3;
my $offset = -s $relay->logfile;
$client->_send('d', 'x' . 'y' x 33);
$client->receive_error;
$relay->wait_for_log(qr/unexpected standby message type/, $offset);
like(
	slurp_file($relay->logfile, $offset),
	qr/STATEMENT:  START_REPLICATION \Q$end\E/,
	'the statement in the log');

# For a client that does not read, a sender prepares no more than the message
# that the socket does not take, however often it is woken.
sub private_bytes
{
	my ($pid) = @_;
	my $bytes = 0;

	$bytes += $_ * 1024
	  foreach slurp_file("/proc/$pid/smaps_rollup") =~
	  /^Private_\w+:\s+(\d+) kB/mg;
	return $bytes;
}

my $commits = PostgreSQL::Test::Utils::tempdir() . '/commits';
append_to_file($commits,
	"INSERT INTO load (filler) VALUES ('news');\n" x 500);
$client = start_client($oldest);
my $pid = sender_row($relay, 'client')->{pid};
wait_until(
	$relay,
	"SELECT wait_event = 'WalSenderMain' FROM pg_stat_activity WHERE pid = $pid",
	'the sender of a client that does not read waits');
my $memory = private_bytes($pid);
cmp_ok(
	lsn_number($end) - lsn_number(sender_row($relay, 'client')->{sent_lsn}),
	'>',
	2 * 1024 * 1024,
	'there is much to send');
command_ok(
	[ 'psql', '-XAtq', '-d', $primary->connstr('postgres'), '-f', $commits ],
	'news');
$end = wait_for_relay($primary, $relay);
cmp_ok(private_bytes($pid) - $memory,
	'<', 512 * 1024, 'it takes no more memory for it');

# Nor does memory grow if the client requests replies without end.
my $request =
  'd' . pack('N', 4 + 34) . 'r' . pack('Q> Q> Q> q> C', 0, 0, 0, 0, 1);
$memory = private_bytes($pid);
$client->_write($request x 10_000) foreach 1 .. 100;
cmp_ok(private_bytes($pid) - $memory,
	'<', 512 * 1024, 'no more memory for requested replies');
$wal = '';
my $answers = 0;
while (length($wal) < 1024 * 1024)
{
	my $message = $client->receive;

	$answers++ if $message =~ /^k/;
	$wal .= substr($message, 25) if $message =~ /^w/;
}
is( $wal,
	primary_wal(lsn_number($oldest), lsn_number($oldest) + length($wal)),
	'the client gets the WAL when it reads');
cmp_ok($answers, '>', 0, 'the client gets a reply');
$client->close;

# One downstream sends impossible feedback, another one valid feedback.
sub send_feedback
{
	my ($from, $epoch, $xid) = @_;

	$from->_send('d', 'h' . pack('q>N4', 0, $xid, $epoch, 0, 0));
	return;
}

my $xid = $primary->safe_psql('postgres',
	'SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint');
cmp_ok($xid, '>', 5 * 4294967296, 'transactions are of epoch 5');
my @clients = map { start_client($end) } 1, 2;
$offset = -s $relay->logfile;
send_feedback($clients[0], 0, 1000);
send_feedback($clients[1], 5, $xid & 0xffffffff);
wait_until(
	$primary,
	'SELECT xmin::text::bigint = '
	  . ($xid & 0xffffffff)
	  . " FROM pg_replication_slots WHERE slot_name = 'relay'",
	'the sound feedback reaches the primary');
$relay->wait_for_log(qr/since a transaction that is too long ago/, $offset);
my @told =
  slurp_file($relay->logfile, $offset) =~
  /wants rows kept since a transaction that is too long ago/g;
is(scalar(@told), 1, 'the other one is told of once');
$_->close foreach @clients;

# A client that was sent nothing cannot confirm anything, and does not block a
# stop.
sub stop_in_time
{
	local $ENV{PGCTLTIMEOUT} = patience(90);

	return 1 if $relay->stop('fast', fail_ok => 1);
	$relay->stop('immediate');
	return 0;
}
$client = start_client(pause_relay($relay));
ok(stop_in_time(), 'stop with a client that was sent nothing');
like(
	$client->receive_error,
	qr/closed the connection|^$/,
	"the client's connection was closed");

# A client that replies at once but confirms nothing is not asked in a tight
# loop; the stop ends when it confirms.
$relay->start;
wait_for_relay_state($relay, 'streaming');
$end =
  $relay->safe_psql('postgres', 'SELECT flushed_lsn FROM walstream_relay');
$client = start_client(
	$relay->safe_psql(
		'postgres', 'SELECT min(start_lsn) FROM walstream_relay_segments'));
wait_until(
	$relay,
	"SELECT count(*) = 1 FROM walstream_senders WHERE application_name = 'client'",
	'the client streams');
my $last = 0;

# Read the next message, and remember the end of WAL so far.
sub receive_on
{
	my $message = $client->receive;
	my ($type, $high, $low) = unpack('a NN', $message);

	$last = ($high << 32) + $low + length($message) - 25 if $type eq 'w';
	return $message;
}
receive_on() while $last < lsn_number($end);
command_ok([ 'pg_ctl', '-W', '-m', 'fast', '-D', $relay->data_dir, 'stop' ],
	'stop');
my ($asked, $began) = (0, undef);
while ($asked < 6)
{
	next unless receive_on() =~ /^k.{16}\x01/s;
	$began //= time;
	$asked++;
	$client->confirm('0/0');
}
cmp_ok(time - $began, '>', 0.3, 'asked six times, with pauses');
$client->confirm(format_lsn($last));
like(
	$client->receive_error,
	qr/closed the connection|^$/,
	'the stop ends after the confirmation');
my $attempts = 10 * $PostgreSQL::Test::Utils::timeout_default;
my $pid_file = $relay->data_dir . '/postmaster.pid';
select(undef, undef, undef, 0.1) while -e $pid_file && $attempts-- > 0;
ok(!-e $pid_file, 'stop when all is confirmed');
$relay->_update_pid(0);

# In single-user mode nothing of the relay runs.
my ($stdout, $stderr) = ('', '');
my $input =
  "SELECT * FROM walstream_relay;\nSELECT * FROM walstream_senders;\n";
ok( IPC::Run::run(
		[ 'postgres', '--single', '-D', $relay->data_dir, 'postgres' ],
		'<', \$input, '>', \$stdout, '2>', \$stderr),
	'views in single-user mode') || diag($stderr);

# A keeper that is terminated while it writes that a slot is lost releases the
# slot.
my $faults = PostgreSQL::Test::Utils::tempdir() . '/faults';
my $faulty = walstream_relay(
	$primary, 'faulty',
	start => 0,
	conf => qq(
fsync = on
walstream.relay_compress = off
walstream.relay_keep_size = 1MB
walstream.relay_max_slot_keep_size = 2MB
));
mkdir(store_dir($faulty), 0700);
start_preloaded($faulty, 'power_fault', store_dir($faulty), $faults);
$faulty->safe_psql('postgres', 'CREATE EXTENSION walstream');
wait_for_relay_state($faulty, 'streaming');
load_wal($primary, 100);
wait_for_relay($primary, $faulty);
$faulty->safe_psql('postgres', "SELECT walstream_create_relay_slot('held')");
set_faults($faults, 'fsync slots/held.tmp hold');
load_wal($primary, 50_000);
wait_for_fault($faults, qr{slots/held});
my $keeper = relay_row($faulty)->{keeper_pid};
is(relay_slot_row($faulty, 'held')->{active_pid},
	$keeper, 'the keeper owns the slot');
kill('TERM', $keeper);
set_faults($faults);
wait_until(
	$faulty,
	"SELECT keeper_pid <> $keeper FROM walstream_relay",
	'another keeper');
wait_until(
	$faulty,
	"SELECT lost AND active_pid IS NULL FROM walstream_relay_slots WHERE slot_name = 'held'",
	'the slot is lost, and nobody owns it');
$faulty->safe_psql('postgres', "SELECT walstream_drop_relay_slot('held')");

# If the directory of slots cannot be synced, only that command fails.
set_faults($faults, 'fsync slots EIO');
my (undef, undef, $error) =
  $faulty->psql('postgres', "SELECT walstream_create_relay_slot('unsynced')");
like(
	$error,
	qr/could not fsync/,
	'a slot is not made if that cannot be fsynced');
set_faults($faults);
$faulty->stop('immediate');
start_preloaded($faulty, 'power_fault', store_dir($faulty), $faults);
is(relay_slot_row($faulty, 'unsynced'),
	undef, 'nor is it there after a restart');
$faulty->safe_psql('postgres',
	"SELECT walstream_create_relay_slot('unsynced')");
set_faults($faults, 'fsync slots EIO');
(undef, undef, $error) =
  $faulty->psql('postgres', "SELECT walstream_drop_relay_slot('unsynced')");
like(
	$error,
	qr/could not fsync/,
	'a slot is not dropped if the directory cannot be synced');
set_faults($faults);
$faulty->safe_psql('postgres',
	"SELECT walstream_drop_relay_slot('unsynced')");
is(relay_slot_row($faulty, 'unsynced'),
	undef, 'the slot is dropped when syncing works again');
unlike(slurp_file($faulty->logfile), qr/PANIC/, 'no panic');

$faulty->stop;
$primary->stop;
done_testing();
