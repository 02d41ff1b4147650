# Copyright (c) 2026, the walstream authors

# Faults that were found by review and must not come back: streams that survive
# the end of their range of WAL, false gaps, upstreams whose shutdown waits for
# ever, and a wait for an upstream that never answers.

use strict;
use warnings;

use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

# Write this many segments, and remove those that nothing holds any more.
sub forget_segments
{
	my ($node, $count) = @_;

	foreach (1 .. $count)
	{
		load_wal($node, 100);
		$node->safe_psql('postgres', 'SELECT pg_switch_wal(); CHECKPOINT');
	}
	load_wal($node, 1);
	return;
}

#
# The relay has stopped in the middle of a record, exactly at a segment's end,
# and the upstream no longer has the segments before that.
#
my $primary = walstream_primary('primary',
	conf =>
	  "wal_keep_size = 0\nmin_wal_size = 2MB\nmax_wal_size = 4MB\nwal_writer_flush_after = 0\nwal_writer_delay = 10ms\n"
);
my $relay = walstream_relay(
	$primary, 'relay',
	slot => 'relay',
	conf => "walstream.relay_compress = off\n");
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 100);
$primary->safe_psql('postgres', 'CHECKPOINT');
wait_for_relay($primary, $relay);
my $session = $primary->background_psql('postgres');
my $end = $session->query_safe(
	"BEGIN; SELECT pg_logical_emit_message(false, 'test', repeat('x', 3000000))"
);
$relay->poll_query_until('postgres',
	"SELECT flushed_lsn > '$end'::pg_lsn - 20000 FROM walstream_relay")
  or die "no part of the record arrives\n";
$relay->stop('immediate');

# Make it look as if the last flush had ended exactly at the segment's end.
my $store = store_dir($relay);
my ($partial) = grep { /\.partial$/ } store_files($store);
open(my $fh, '+<:raw', "$store/$partial") or die "$partial: $!\n";
print $fh "\0" x (1024 * 1024);
close($fh) or die "$partial: $!\n";
my $closed = format_lsn((hex(substr($partial, 8, 8)) << 32) +
	  (hex(substr($partial, 16, 8)) << 20));

$session->query_safe('COMMIT');
$session->quit;
forget_segments($primary, 6);
my $port = $primary->port;
my $log = -s $relay->logfile;
$relay->start;
$relay->poll_query_until('postgres',
	"SELECT state IN ('gap', 'streaming') FROM walstream_relay");
is(relay_row($relay)->{state},
	'streaming', 'a record that goes on behind what is closed is no gap');
like(
	slurp_file($relay->logfile, $log),
	qr/relay has WAL from .* up to \Q$closed\E on/,
	'all that was acknowledged is there');
wait_for_relay($primary, $relay);
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'the store is complete');

#
# A stream without a slot ends at a gap.
#
$relay->append_conf('postgresql.conf', "walstream.relay_slot = ''\n");
$relay->restart;
wait_for_relay_state($relay, 'streaming');
$primary->safe_psql('postgres', "SELECT pg_drop_replication_slot('relay')");
load_wal($primary, 1);
my $held = wait_for_relay($primary, $relay);
my $base = PostgreSQL::Test::Utils::tempdir();
my $program = start_receivewal($relay, $base);
$relay->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM walstream_senders WHERE sent_lsn >= '$held'")
  or die "pg_receivewal does not stream\n";

$held = pause_relay($relay);
$relay->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM walstream_senders WHERE sent_lsn = '$held'")
  or die "pg_receivewal is not sent all\n";
forget_segments($primary, 6);
$relay->safe_psql('postgres', 'SELECT walstream_relay_resume()');
wait_for_relay_state($relay, 'gap');
$relay->safe_psql('postgres', 'SELECT walstream_relay_restart_after_gap()');
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 1);
wait_for_relay($primary, $relay);
ok(!$program->{run}->finish, 'a stream of what was set aside ends');
like(
	${ $program->{output} },
	qr/set aside the WAL of which \Q$held\E on timeline 1 was sent last.*begins anew/s,
	'with an error, before anything else is sent');

#
# An upstream that is being stopped is told that its downstream has everything,
# even if there was nothing to send.
#
my $far = walstream_relay($relay, 'far', start => 0);
$far->start;
$far->safe_psql('postgres', 'CREATE EXTENSION walstream');
load_wal($primary, 1);
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
wait_for_relay($primary, $relay);
$primary->stop('immediate');
my $boundary = relay_row($relay)->{flushed_lsn};
SKIP:
{
	skip 'the primary has written more', 2
	  if $boundary !~ m{/[0-9A-F]+00000$};
	wait_for_relay($relay, $far, $boundary);
	$far->restart;
	wait_until(
		$relay,
		"SELECT count(*) = 1 FROM walstream_senders WHERE application_name = 'far' AND flush_lsn = '$boundary'",
		'what is stored is told before anything has come');
	$relay->stop('fast');
	$relay->start;
	pass('an upstream with nothing to send stops');
}
$far->stop;

#
# An upstream that accepts the connection and never answers
#
my $listener = IO::Socket::INET->new(
	Listen => 5,
	LocalAddr => '127.0.0.1',
	Proto => 'tcp') or die "no socket: $!\n";
cmp_ok(
	$relay->safe_psql(
		'postgres',
		"SELECT count(*) FROM walstream_relay_segments WHERE state = 'raw'"),
	'>', 0,
	'there are raw segments');
$relay->adjust_conf(
	'postgresql.conf',
	'walstream.relay_upstream',
	"'host=127.0.0.1 port=" . $listener->sockport . "'");
$relay->adjust_conf('postgresql.conf', 'walstream.relay_compress', 'zstd');
$relay->restart;
wait_until(
	$relay,
	"SELECT count(*) = 0 FROM walstream_relay_segments WHERE state = 'raw'",
	'the keeper works while the receiver waits for an answer');
is( relay_row($relay)->{state},
	'waiting for upstream',
	'the state is "waiting for upstream"');
$relay->stop('immediate');
$listener->close;

#
# A sync that takes longer than wal_receiver_timeout is not mistaken for a
# silent upstream, and a second full disk is reported like the first.
#
my $one = walstream_primary('one');
$relay = walstream_relay(
	$one, 'slow',
	start => 0,
	conf =>
	  "fsync = on\nwal_receiver_timeout = 4s\nwalstream.relay_compress = off\n"
);
my $faults = "$base/faults";
$store = store_dir($relay);
mkdir($store, 0700);
start_preloaded($relay, 'power_fault', $store, $faults);
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
load_wal($one, 10);
wait_for_relay_state($relay, 'streaming');
wait_for_relay($one, $relay);

# The relay has not caught up as long as WAL is not durable.
$relay->safe_psql('postgres', 'SELECT walstream_relay_pause()');
wait_for_relay_state($relay, 'paused');
load_wal($one, 10);
set_faults($faults, 'fdatasync *.partial hold');
$relay->safe_psql('postgres', 'SELECT walstream_relay_resume()');
wait_for_fault($faults, qr/hold/);
is(relay_row($relay)->{state}, 'catching up', 'behind, and catching up');
set_faults($faults);
wait_for_relay($one, $relay);
wait_for_relay_state($relay, 'streaming');
unlink("$faults.raised");

$log = -s $relay->logfile;
my $receiver = relay_row($relay)->{receiver_pid};
set_faults($faults, 'fdatasync *.partial hold');
load_wal($one, 1);
wait_for_fault($faults, qr/hold/);
my $since = $relay->safe_psql('postgres', 'SELECT clock_timestamp()');
load_wal($one, 1);
$relay->poll_query_until('postgres',
	"SELECT clock_timestamp() > '$since'::timestamptz + interval '5 s'");
set_faults($faults);
wait_for_relay($one, $relay);
is(relay_row($relay)->{receiver_pid}, $receiver, 'the receiver lives on');
unlike(slurp_file($relay->logfile, $log),
	qr/silent/, 'the upstream is not reported as silent');

my $spare = qr/could not make a spare WAL segment/;
$relay->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_ls_dir('$store') name WHERE name = 'walstream.spare'"
) or die "there is no spare segment\n";
foreach my $time ('a full disk', 'the next one')
{
	my $used = 0;
	$used += -s "$store/$_" foreach grep { -f "$store/$_" } slurp_dir($store);
	$log = -s $relay->logfile;
	set_faults($faults, "space $used");
	$one->safe_psql('postgres', 'SELECT pg_switch_wal()');
	load_wal($one, 1);
	ok($relay->wait_for_log($spare, $log), "$time is reported");
	set_faults($faults);
	forget_segments($one, 1);
	$relay->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_ls_dir('$store') name WHERE name = 'walstream.spare'"
	) or die "no spare segment is made again\n";
}
$relay->stop('immediate');

#
# Two servers were promoted to the same timeline.  A new range begins with the
# history of the second one, at a position before the WAL that was stored from
# the first.
#
my $two = walstream_standby($one, 'two');
my $three = walstream_standby($one, 'three');
$relay = walstream_relay($one, 'twice',
	conf => "walstream.relay_keep_size = '1MB'\n");
wait_for_relay_state($relay, 'streaming');
load_wal($one, 10);
wait_for_replay($one, $three);
$three->stop;
load_wal($one, 10);
wait_for_replay($one, $two);
wait_for_relay($one, $relay);
$one->stop;
$two->promote;
set_relay_upstream($relay, $two->connstr);
forget_segments($two, 8);
wait_for_relay($two, $relay);
$three->start;
my $below = $three->safe_psql('postgres', 'SELECT pg_last_wal_replay_lsn()');
$relay->poll_query_until('postgres',
	"SELECT first_lsn > '$below'::pg_lsn + 2000000 FROM walstream_relay")
  or die "nothing is removed\n";
$three->promote;
load_wal($three, 10);
set_relay_upstream($relay, $three->connstr);
wait_for_relay_state($relay, 'diverged');
like(
	relay_row($relay)->{reason},
	qr/history of the upstream's timeline 2 is not the stored one/,
	'the other server is not followed');
$relay->safe_psql('postgres', 'SELECT walstream_relay_restart_after_gap()');
wait_until(
	$relay,
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'it begins anew if it is told to');
load_wal($three, 10);
wait_for_relay($three, $relay);
$store = store_dir($relay);
my ($aside) = glob("$store/before-gap.*");

foreach (
	[ $aside, $two, 'the old history is set aside' ],
	[ $store, $three, 'the new one is stored' ])
{
	my ($dir, $node, $name) = @$_;

	is(slurp_file("$dir/00000002.history"),
		slurp_file($node->data_dir . '/pg_wal/00000002.history'), $name);
}
isnt(
	$relay->safe_psql(
		'postgres', "SELECT walstream_create_relay_slot('below')"),
	'',
	'a slot below what was kept before');
my $standby = walstream_standby(
	$three, 'standby',
	conninfo => $relay->connstr,
	conf => "primary_slot_name = below\n");
standby_matches($three, $standby, 'a standby of the new range');

done_testing();
