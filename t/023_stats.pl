# Copyright (c) 2026, the walstream authors

# What the views count and show: totals over connections, resets, walsender
# slots, the oldest position, and names of every kind.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamTest;

my $primary = walstream_primary(
	'primary',
	logical => 1,
	conf => "wal_retrieve_retry_interval = '100ms'\nmax_wal_senders = 6\n");
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $standby = walstream_standby($primary, 'standby');


sub total
{
	my ($node, $name, $kind) = @_;

	return fetch_row($node,
		"SELECT * FROM walstream_totals WHERE name = '$name' AND kind = '$kind'"
	);
}

#
# Totals
#
load_wal($primary);
$primary->wait_for_catchup($standby);
wait_until(
	$primary, "
	SELECT t.streams = 1 AND t.last_end IS NULL AND
		t.raw_bytes = s.raw_bytes AND t.wire_bytes = s.wire_bytes AND
		t.messages = s.messages AND t.frames = s.frames AND
		t.bypassed_messages = s.bypassed_messages AND
		t.coding_time = s.encode_time AND t.ratio = s.ratio AND s.ratio > 1.5
	FROM walstream_totals AS t, walstream_senders AS s
	WHERE t.name = 'standby' AND t.kind = 'physical sender' AND s.application_name = 'standby'",
	'totals of the only stream are those of its row');
wait_until(
	$standby, "
	SELECT t.streams = 1 AND t.last_end IS NULL AND
		t.raw_bytes = r.raw_bytes AND t.wire_bytes = r.wire_bytes AND
		t.messages = r.messages AND t.frames = r.frames AND
		t.coding_time = r.decode_time
	FROM walstream_totals AS t, walstream_receiver AS r
	WHERE t.name = 'standby' AND t.kind = 'physical receiver' AND r.name = 'standby'",
	'also on the standby');

# The counts of a stream that has ended are kept, and later streams of the same
# name are added to them.
foreach my $streams (1, 2)
{
	my $live = sender_row($primary, 'standby');

	$standby->stop;
	$primary->poll_query_until(
		'postgres',
		"SELECT last_end IS NOT NULL FROM walstream_totals WHERE name = 'standby'
		   AND streams = $streams AND NOT EXISTS (SELECT FROM walstream_senders)"
	) || die "the stream does not end\n";
	my $ended = total($primary, 'standby', 'physical sender');
	is($ended->{streams}, $streams, "stream $streams: counted");
	cmp_ok($ended->{raw_bytes}, '>=', $live->{raw_bytes},
		"stream $streams: its bytes are in the totals");

	$standby->start;
	load_wal($primary);
	$primary->wait_for_catchup($standby);
	wait_until(
		$primary, "
		SELECT t.streams = $streams + 1 AND
			t.raw_bytes = $ended->{raw_bytes} + s.raw_bytes AND
			t.wire_bytes = $ended->{wire_bytes} + s.wire_bytes AND
			t.messages = $ended->{messages} + s.messages AND
			t.frames = $ended->{frames} + s.frames AND
			t.last_end = '$ended->{last_end}' AND s.raw_bytes > 0
		FROM walstream_totals AS t, walstream_senders AS s
		WHERE t.name = 'standby' AND s.application_name = 'standby'",
		"stream $streams: the next one adds to it");
}

# One connection with a logical stream and then a physical one, under the same
# name as the standby.
$primary->safe_psql('postgres',
	"SELECT pg_create_logical_replication_slot('changes', 'pgoutput')");
$primary->safe_psql('postgres', 'CREATE PUBLICATION changes FOR ALL TABLES');
load_wal($primary, 1000);
my $physical = total($primary, 'standby', 'physical sender');
my $client = WalstreamClient->new(
	$primary,
	application_name => 'standby',
	database => 'postgres',
	replication => 'database',
	options => '-c walstream.accept=1\\ lz4');

# Read up to the first frame, after a hello that announces lz4.
sub receive_frame
{
	my ($what) = @_;
	my $message = $client->receive;

	like($message, qr/^H\x01\x02/,
		"$what: a client that asks for lz4 gets it");
	$message = $client->receive while $message !~ /^Z/;
	is(ord(substr($message, 1)) & 7, 2, "$what: frames are in lz4");
	return;
}

$client->start(
	"START_REPLICATION SLOT changes LOGICAL 0/0 (proto_version '1', publication_names 'changes')"
);
receive_frame('logical');
$client->end;
$client->start('START_REPLICATION ' . $primary->lsn('flush'));
load_wal($primary, 1000);
receive_frame('physical');
wait_until(
	$primary, "
	SELECT array_agg(kind || ' ' || streams ORDER BY kind) =
		ARRAY['logical sender 1', 'physical sender ' || $physical->{streams} + 1]
	FROM walstream_totals WHERE name = 'standby'",
	'each kind of stream has its own totals');
is( $primary->safe_psql(
		'postgres', "SELECT level FROM walstream_senders WHERE codec = 'lz4'"
	),
	0,
	'the row shows what the client was given');
$client->close;
is( $primary->safe_psql('postgres', 'SELECT count(*) FROM walstream_senders'),
	1,
	'and goes with it');
$primary->safe_psql('postgres', "SELECT pg_drop_replication_slot('changes')");

#
# Resets while streams continue
#
load_wal($primary);
$primary->wait_for_catchup($standby);
my $before = sender_row($primary, 'standby');
my $total_before = total($primary, 'standby', 'physical sender');
my $received_before = receiver_row($standby);
$primary->safe_psql('postgres', 'SELECT walstream_reset_stats()');
my $after = sender_row($primary, 'standby');
my $total_after = total($primary, 'standby', 'physical sender');

cmp_ok(
	$after->{raw_bytes}, '<',
	$before->{raw_bytes} / 10,
	'reset: the row starts from zero');
is($after->{pid}, $before->{pid}, 'reset: the stream goes on');
is( $after->{streaming_since},
	$before->{streaming_since},
	'reset: streaming_since is not a counter');
is($after->{codec}, 'walz', 'reset: nor is the codec');
is($total_after->{streams}, 1,
	'reset: streams that have ended are forgotten');
is($total_after->{last_end}, undef, 'reset: also when the last one did');
is( $primary->safe_psql(
		'postgres',
		"SELECT '$total_after->{stats_reset}'::timestamptz > '$total_before->{stats_reset}' AND
		   '$total_after->{stats_reset}'::timestamptz > pg_postmaster_start_time()"
	),
	't',
	'reset: stats_reset has moved');
is( $primary->safe_psql('postgres', 'SELECT count(*) FROM walstream_totals'),
	1,
	'reset: only the live stream is left');
cmp_ok(
	receiver_row($standby)->{raw_bytes},
	'>=',
	$received_before->{raw_bytes},
	'reset: each server has its own');

load_wal($primary, 1000);
$primary->wait_for_catchup($standby);
$after = sender_row($primary, 'standby');
cmp_ok($after->{raw_bytes}, '>', 100_000, 'reset: counting goes on');
cmp_ok($after->{raw_bytes}, '<', $before->{raw_bytes}, 'reset: from zero');
cmp_ok($after->{ratio}, '>', 1.5, 'reset: both kinds of bytes');

$standby->safe_psql('postgres', 'SELECT walstream_reset_stats()');
cmp_ok(
	receiver_row($standby)->{raw_bytes},
	'<',
	$received_before->{raw_bytes} / 10,
	'reset on the standby');

#
# Slots
#
my $second = WalstreamClient->new(
	$primary,
	application_name => 'second',
	options => '-c wal_sender_timeout=0');
# temporary slots belong to the session, and must not give it more rows
$second->command("CREATE_REPLICATION_SLOT $_ TEMPORARY PHYSICAL")
  foreach qw(temporary_1 temporary_2);
$second->start('START_REPLICATION ' . $primary->lsn('flush'));

is( $primary->safe_psql(
		'postgres',
		'SELECT string_agg(slot::text, $$ $$ ORDER BY slot), count(pid) FROM walstream_get_sender_slots()'
	),
	'0 1 2 3 4 5|2',
	'all max_wal_senders slots, of which two are in use');
is( $primary->safe_psql(
		'postgres',
		"SELECT DISTINCT jsonb_strip_nulls(to_jsonb(s) - 'slot') FROM walstream_get_sender_slots() AS s WHERE pid IS NULL"
	),
	'{}',
	'the others are null in everything else');
is( $primary->safe_psql(
		'postgres',
		'SELECT count(*), count(DISTINCT slot) FROM walstream_senders'),
	'2|2',
	'the view shows those in use');

# Columns that also exist in pg_stat_replication have the same values.
my $stock_columns = $primary->safe_psql(
	'postgres', "
	SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
	WHERE attrelid = 'walstream_senders'::regclass AND attname IN
		(SELECT attname FROM pg_attribute WHERE attrelid = 'pg_stat_replication'::regclass AND attnum > 0)"
);
like(
	$stock_columns,
	qr/pid.*sent_lsn.*replay_lag.*sync_state.*reply_time/,
	'columns to compare');
foreach
  my $names ('', 'standby, second', 'ANY 1 (*)', 'FIRST 1 (nobody, standby)')
{
	$primary->safe_psql('postgres',
		"ALTER SYSTEM SET synchronous_standby_names = '$names'");
	$primary->reload;
	$second->confirm($primary->lsn('flush'));
	wait_until(
		$primary, "
		SELECT count(*) = 2 AND bool_and(same) FROM (
			SELECT (SELECT ROW($stock_columns)::text FROM pg_stat_replication AS r WHERE r.pid = s.pid) =
				(SELECT ROW($stock_columns)::text FROM walstream_senders AS w WHERE w.pid = s.pid) AS same
			FROM walstream_senders AS s) AS x",
		"as in pg_stat_replication, with \"$names\"");
}
$primary->safe_psql('postgres',
	'ALTER SYSTEM RESET synchronous_standby_names');
$primary->reload;

#
# The oldest position, and the WAL that slots retain
#

# The position of a stopped walsender stays where it is.
my $stopped = sender_row($primary, 'second')->{pid};
wait_until(
	$primary,
	"SELECT state = 'streaming' AND sent_lsn = pg_current_wal_flush_lsn() FROM walstream_senders WHERE pid = $stopped",
	'a walsender has sent everything');
kill('STOP', $stopped);
my $stopped_at = $primary->safe_psql('postgres',
	"SELECT sent_lsn FROM pg_stat_replication WHERE pid = $stopped");
load_wal($primary, 1000);
$primary->wait_for_catchup($standby);
is($primary->safe_psql('postgres', 'SELECT walstream_oldest_send_lsn()'),
	$stopped_at, 'the slowest walsender');
is( $primary->safe_psql(
		'postgres', "
		SELECT senders, compressed, oldest_send_lsn,
			unsent_bytes = current_lsn - oldest_send_lsn AND unsent_bytes > 100000
		FROM walstream_overview"),
	"2|1|$stopped_at|t",
	'the overview shows the WAL that it has not sent');
kill('CONT', $stopped);
wait_until(
	$primary,
	"SELECT walstream_oldest_send_lsn() > '$stopped_at'",
	'the walsender sends again');

# An unused slot retains WAL whether or not it has been sent.
$primary->safe_psql('postgres',
	"SELECT pg_create_physical_replication_slot('unused', true)");
load_wal($primary, 1000);
$primary->wait_for_catchup($standby);
is( $primary->safe_psql(
		'postgres', "
		SELECT o.oldest_slot, o.oldest_restart_lsn = s.restart_lsn,
			o.retained_bytes = o.current_lsn - s.restart_lsn, o.retained_bytes > 100000,
			o.oldest_send_lsn > o.oldest_restart_lsn
		FROM walstream_overview AS o, pg_replication_slots AS s
		WHERE NOT s.temporary"),
	'unused|t|t|t|t',
	'a slot that is not in use');
$primary->safe_psql('postgres', "SELECT pg_drop_replication_slot('unused')");

$second->close;
$standby->stop;
wait_until(
	$primary,
	'SELECT walstream_oldest_send_lsn() IS NULL',
	'null without walsenders');
is( $primary->safe_psql(
		'postgres', "
		SELECT senders, compressed, oldest_send_lsn IS NULL, unsent_bytes IS NULL, oldest_slot IS NULL
		FROM walstream_overview"),
	'0|0|t|t|t',
	'the overview shows null without walsenders');

#
# Names
#
my $long = 'n' x 100;
foreach my $name (q{it's "odd" \\ %s%n $1;--, },
	'(others)', '', "t\x{c3}\x{a4}b\ttab", $long)
{
	my $log = -s $primary->logfile;

	$client = WalstreamClient->new($primary, application_name => $name);
	$client->start('START_REPLICATION ' . $primary->lsn('flush'));
	my $shown = $primary->safe_psql('postgres',
		'SELECT application_name FROM pg_stat_replication');
	like(
		slurp_file($primary->logfile, $log),
		qr/LOG:  streaming WAL to "\Q$shown\E/,
		"name \"$shown\": log");
	is( $primary->safe_psql(
			'postgres', 'SELECT application_name FROM walstream_senders'),
		$shown,
		"name \"$shown\": row");
	is( $primary->safe_psql(
			'postgres',
			'SELECT name FROM walstream_totals WHERE last_end IS NULL'),
		$shown,
		"name \"$shown\": totals");
	$client->close;
}

# A subscription's name is stored in the encoding of its database, but is read
# in databases of other encodings.  This subscription is on the publisher
# itself.
$primary->safe_psql('postgres',
	"CREATE DATABASE $_ ENCODING $_ TEMPLATE template0 LOCALE 'C'")
  foreach qw(latin1 utf8);
$primary->safe_psql('utf8', 'CREATE EXTENSION walstream');
$primary->safe_psql('postgres',
	"SELECT pg_create_logical_replication_slot('changes', 'pgoutput')");
$primary->safe_psql('postgres', 'CREATE PUBLICATION nothing');
$primary->safe_psql(
	'latin1', "
	SET client_encoding = latin1;
	CREATE SUBSCRIPTION \"gr\xf6\xdfer\" CONNECTION '"
	  . $primary->connstr . " dbname=postgres'
		PUBLICATION nothing WITH (slot_name = changes, create_slot = off, copy_data = off)"
);
wait_until(
	$primary,
	'SELECT count(codec) = 1 FROM walstream_receiver',
	'a subscription whose name is not ASCII streams');
foreach my $view ('walstream_receiver', 'walstream_totals')
{
	my ($status, $stdout, $stderr) = $primary->psql('utf8',
		"SELECT count(*) FROM $view WHERE kind = 'logical receiver' AND name ~ '^gr[ -~]+er\$'"
	);
	is("$status $stderr", '0 ', "$view can be read in another encoding");
	cmp_ok($stdout, '>=', 1, "$view has the subscription's name");
}
$primary->safe_psql(
	'latin1', "
	SET client_encoding = latin1;
	ALTER SUBSCRIPTION \"gr\xf6\xdfer\" DISABLE;
	ALTER SUBSCRIPTION \"gr\xf6\xdfer\" SET (slot_name = NONE);
	DROP SUBSCRIPTION \"gr\xf6\xdfer\"");
wait_until(
	$primary,
	'SELECT count(*) = 0 FROM walstream_senders',
	"the subscription's stream ends");

# The number of rows in the totals is limited.
my $names = 140;
$primary->safe_psql('postgres', 'SELECT walstream_reset_stats()');
my $lsn = $primary->lsn('flush');
foreach my $i (1 .. $names, 1)
{
	$client = WalstreamClient->new($primary,
		application_name => sprintf('name_%03d', $i));
	$client->start("START_REPLICATION $lsn");
	$client->close;
}
is( $primary->safe_psql(
		'postgres',
		'SELECT sum(streams), count(*), count(last_end) FROM walstream_totals'
	),
	$names + 1 . '|129|129',
	'128 names and one row for the others');
is( $primary->safe_psql(
		'postgres',
		"SELECT kind IS NULL, streams FROM walstream_totals WHERE name = '(others)'"
	),
	't|' . ($names - 128),
	'the row "(others)" counts the other streams');
is( $primary->safe_psql(
		'postgres',
		"SELECT streams FROM walstream_totals WHERE name = 'name_001'"),
	2,
	'a name that has its row keeps it');
$standby->start;
$primary->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM walstream_senders WHERE application_name = 'standby' AND state = 'streaming'"
) || die "the standby does not stream\n";
is( $primary->safe_psql(
		'postgres',
		"SELECT streams FROM walstream_totals WHERE name = 'standby'"),
	1,
	'a stream that goes on has one too');
$standby->stop;
wait_until(
	$primary,
	"SELECT streams = $names - 128 + 1 FROM walstream_totals WHERE name = '(others)'",
	'a stream that has ended counts under "(others)"');
$primary->safe_psql('postgres', 'SELECT walstream_reset_stats()');
is( $primary->safe_psql('postgres', 'SELECT count(*) FROM walstream_totals'),
	0,
	'a reset makes place');

done_testing();
