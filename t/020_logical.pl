# Copyright (c) 2026, the walstream authors

# Logical replication: all pairs of servers with and without walstream, and
# subscription commands while a compressed stream runs.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

my %options = (
	logical => 1,
	conf => q{
wal_retrieve_retry_interval = '100ms'
max_prepared_transactions = 10
logical_decoding_work_mem = 64kB
});
my $pub = walstream_primary('pub', %options);
my $sub = walstream_primary('sub', %options);
my $pub_stock = walstream_primary('pub_stock', %options, walstream => 0);
my $sub_stock = walstream_primary('sub_stock', %options, walstream => 0);
$_->safe_psql('postgres', 'CREATE EXTENSION walstream') foreach $pub, $sub;

sub on_each
{
	my ($query) = @_;

	$_->safe_psql('postgres', $query) foreach ($pub, $sub);
	return;
}

# A column of the publisher's row for a subscription, or of the subscriber's
# row.
sub sender_value
{
	my ($name, $column) = @_;

	return $pub->safe_psql('postgres',
		"SELECT $column FROM walstream_senders WHERE application_name = '$name'"
	);
}

sub receiver_value
{
	my ($name, $column) = @_;

	return $sub->safe_psql('postgres',
		"SELECT $column FROM walstream_receiver WHERE name = '$name'");
}

# Check that the table has the same rows on both servers, and is not empty.
sub is_replicated
{
	my ($table, $what) = @_;
	my $query =
	  "SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM $table AS t";
	my $expected = $pub->safe_psql('postgres', $query);

	unlike($expected, qr/^0/, "$what: there are rows");
	is($sub->safe_psql('postgres', $query), $expected, "$what: same rows");
	return;
}

#
# Four pairs: each subscriber has a subscription to each publisher.
#
my %streams = (
	coded => [ $pub, $sub ],
	pub_only => [ $pub, $sub_stock ],
	sub_only => [ $pub_stock, $sub ],
	neither => [ $pub_stock, $sub_stock ]);

foreach my $name (sort keys %streams)
{
	my ($from, $to) = @{ $streams{$name} };

	$_->safe_psql('postgres',
		"CREATE TABLE pair_$name (id int PRIMARY KEY, value text)")
	  foreach ($from, $to);
	$from->safe_psql('postgres',
			"INSERT INTO pair_$name VALUES (0, 'at first');"
		  . "CREATE PUBLICATION $name FOR TABLE pair_$name");
	my $connstr = $from->connstr . ' dbname=postgres';
	$to->safe_psql('postgres',
		"CREATE SUBSCRIPTION $name CONNECTION '$connstr' PUBLICATION $name");
}
foreach my $name (sort keys %streams)
{
	my ($from, $to) = @{ $streams{$name} };

	$to->wait_for_subscription_sync($from, $name);
	$from->safe_psql('postgres',
		"INSERT INTO pair_$name SELECT i, 'row ' || i FROM generate_series(1, 100) AS i"
	);
	$from->wait_for_catchup($name);
	my $query =
	  "SELECT count(*), sum(id), min(value), max(value) FROM pair_$name";
	is( $to->safe_psql('postgres', $query),
		'101|5050|at first|row 99',
		"$name: rows have arrived");
}

# What each side has logged about it.
my $not_asked = 'the receiver did not ask for compression';
my $stock_peer = 'the upstream does not have walstream';
foreach my $case (
	[ $pub, 'streaming', 'to "coded" compressed with zstd, level 1' ],
	[ $sub, 'receiving', 'for "coded" compressed with zstd, level 1' ],
	[ $pub, 'streaming', "to \"pub_only\" uncompressed: $not_asked" ],
	[ $sub, 'receiving', "for \"sub_only\" uncompressed: $stock_peer" ])
{
	my ($node, $verb, $said) = @$case;

	like(
		slurp_file($node->logfile),
		qr/LOG:  $verb logical changes \Q$said\E\n/,
		$node->name . " says: $verb logical changes $said");
}
unlike(slurp_file($sub_stock->logfile),
	qr/walstream|compress/, 'a server without walstream has nothing to say');
unlike(slurp_file($pub_stock->logfile),
	qr/(?:ERROR|WARNING|FATAL):/,
	'nor does one that is asked for what it does not know');

is(sender_value('coded', 'codec, level, plain_reason IS NULL, state'),
	'zstd|1|t|streaming', 'coded: row of the publisher');
is( receiver_value(
		'coded', 'kind, codec, level, plain_reason IS NULL, status'),
	'logical receiver|zstd|1|t|',
	'coded: row of the subscriber');
is(sender_value('pub_only', 'codec, level, plain_reason, frames'),
	"||$not_asked|0", 'pub_only: row of the publisher');
is(receiver_value('sub_only', 'codec, level, plain_reason, frames'),
	"||$stock_peer|0", 'sub_only: row of the subscriber');

foreach ([ 'pub_only', \&sender_value ], [ 'sub_only', \&receiver_value ])
{
	my ($name, $value) = @$_;

	is( $value->(
			$name,
			'raw_bytes = wire_bytes AND messages >= 100 AND bypassed_messages = messages'
		),
		't',
		"$name: counted as it is, every message");
}

# All further tests use only the pair in which both have walstream.
$sub_stock->safe_psql('postgres',
	'DROP SUBSCRIPTION pub_only; DROP SUBSCRIPTION neither');
$sub->safe_psql('postgres', 'DROP SUBSCRIPTION sub_only');
$_->stop foreach ($sub_stock, $pub_stock);

on_each(
	"CREATE TABLE bulk (id int PRIMARY KEY, owner int, note text);
	 CREATE TABLE wide (id int PRIMARY KEY, document text, version int);
	 ALTER TABLE wide ALTER document SET STORAGE EXTERNAL;
	 CREATE TABLE unpublished (id int, note text)");
$pub->safe_psql('postgres', 'ALTER PUBLICATION coded ADD TABLE bulk, wide');
$sub->safe_psql('postgres', 'ALTER SUBSCRIPTION coded REFRESH PUBLICATION');
$sub->wait_for_subscription_sync($pub, 'coded');

#
# A bulk insert: rows are sent in batches.
#
my $counters = 'raw_bytes, wire_bytes, messages, frames, bypassed_messages';

sub counters
{
	my @names = split(/, /, $counters);
	my %values;

	@values{@names} = split(/\|/, sender_value('coded', $counters));
	return %values;
}

my %before = counters();
$pub->safe_psql(
	'postgres',
	"INSERT INTO bulk SELECT i, i % 7, 'a note of no great interest for owner ' || i % 7
	   FROM generate_series(1, 20000) AS i"
);
$pub->wait_for_catchup('coded');
my %after = counters();
my %delta = map { $_ => $after{$_} - $before{$_} } keys %after;

is_replicated('bulk', 'bulk insert');
cmp_ok($delta{messages}, '>=', 20000, 'bulk insert: all rows are counted');
cmp_ok($delta{frames}, '>', 0, 'bulk insert: there are frames');
cmp_ok(
	$delta{frames}, '<',
	$delta{messages} / 50,
	'bulk insert: far fewer than rows');
cmp_ok(
	$delta{raw_bytes}, '>',
	3 * $delta{wire_bytes},
	'bulk insert: over 3 to 1');
is($delta{bypassed_messages}, 0, 'bulk insert: nothing went as it is');

# Both ends count the same.
$sub->poll_query_until(
	'postgres',
	"SELECT raw_bytes = $after{raw_bytes} AND wire_bytes = $after{wire_bytes}
		AND messages = $after{messages} AND frames = $after{frames}
		AND bypassed_messages = $after{bypassed_messages}
		AND decode_time > 0
	 FROM walstream_receiver WHERE name = 'coded'"
) or die 'sender and receiver do not count the same';
pass('subscriber and publisher count the same');

#
# Every kind of change.
#
$pub->safe_psql(
	'postgres',
	"UPDATE bulk SET note = note || '!' WHERE id % 3 = 0;
	 UPDATE bulk SET id = -id WHERE id % 1000 = 0;
	 DELETE FROM bulk WHERE id % 5 = 1");
$pub->wait_for_catchup('coded');
is_replicated('bulk', 'updates and deletes');

# A message of more than 64 kB is not encoded.
%before = counters();
$pub->safe_psql(
	'postgres',
	"INSERT INTO wide SELECT i, string_agg(md5((i * 100000 + j)::text), ''), 1
	   FROM generate_series(1, 5) AS i, generate_series(1, 3000) AS j GROUP BY i;
	 INSERT INTO wide SELECT i, 'small ' || i, 1 FROM generate_series(6, 50) AS i"
);
$pub->wait_for_catchup('coded');
%after = counters();
is_replicated('wide', 'rows of 96 kB among small ones');
is($after{bypassed_messages} - $before{bypassed_messages},
	5, 'each of them went as it is');
cmp_ok($after{messages} - $before{messages},
	'>=', 50, 'bypassed messages count as messages');

# An unchanged TOASTed column is not sent, so the message is small.
%before = counters();
$pub->safe_psql('postgres', 'UPDATE wide SET version = 2');
$pub->wait_for_catchup('coded');
%after = counters();
is_replicated('wide', 'rows whose large column did not change');
is($after{bypassed_messages}, $before{bypassed_messages},
	'all of them coded');

# TRUNCATE, rollbacks, and transactions without published changes.
$pub->safe_psql(
	'postgres',
	"TRUNCATE wide;
	 INSERT INTO wide VALUES (1, 'after', 3);
	 BEGIN; INSERT INTO wide VALUES (2, 'never', 3); ROLLBACK;
	 BEGIN; INSERT INTO wide VALUES (3, 'kept', 3);
	 SAVEPOINT s; INSERT INTO wide VALUES (4, 'never', 3); ROLLBACK TO s; COMMIT"
);
$pub->safe_psql('postgres', "INSERT INTO unpublished VALUES ($_, 'nothing')")
  foreach (1 .. 20);
$pub->safe_psql(
	'postgres',
	"INSERT INTO unpublished SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i;
	 BEGIN; INSERT INTO wide VALUES (5, 'before', 3);
	 INSERT INTO unpublished SELECT i, 'x' FROM generate_series(1, 20000) AS i;
	 INSERT INTO wide VALUES (6, 'behind', 3); COMMIT"
);
$pub->wait_for_catchup('coded');
is( $sub->safe_psql(
		'postgres',
		'SELECT string_agg(id || document, $$ $$ ORDER BY id) FROM wide'),
	'1after 3kept 5before 6behind',
	'truncate, rollbacks and what is not published');
is($sub->safe_psql('postgres', 'SELECT count(*) FROM unpublished'),
	'0', 'an unpublished table has not arrived');

#
# Streaming of transactions in progress, two-phase commit and binary values, in
# a separate subscription.
#
on_each(
	'CREATE TABLE various (id int PRIMARY KEY, at timestamptz, what bytea, amount numeric, tags text[])'
);
my $values = q{i, '2026-01-01'::timestamptz + i * interval '1 s',
	decode(md5(i::text), 'hex'), i / 7.0, ARRAY['a', i::text]};
$pub->safe_psql(
	'postgres',
	"INSERT INTO various SELECT $values FROM generate_series(-100, 0) AS i;
	 CREATE PUBLICATION various FOR TABLE various");
my $connstr = $pub->connstr . ' dbname=postgres';
my $streaming = $pub->pg_version >= 16 ? 'parallel' : 'on';
$sub->safe_psql(
	'postgres',
	"CREATE SUBSCRIPTION various CONNECTION '$connstr' PUBLICATION various
		WITH (streaming = $streaming, two_phase = true, binary = true)");
$sub->wait_for_subscription_sync($pub, 'various');
is_replicated('various', 'binary copy');
$sub->poll_query_until('postgres',
	"SELECT subtwophasestate = 'e' FROM pg_subscription WHERE subname = 'various'"
) or die 'two-phase commit was not enabled';

$pub->safe_psql(
	'postgres',
	"BEGIN; INSERT INTO various SELECT $values FROM generate_series(1, 5000) AS i;
	 SAVEPOINT s;
	 INSERT INTO various SELECT $values FROM generate_series(5001, 8000) AS i;
	 ROLLBACK TO s;
	 INSERT INTO various SELECT $values FROM generate_series(8001, 10000) AS i; COMMIT"
);
$pub->wait_for_catchup('various');
is_replicated('various', 'a transaction sent while in progress, binary');
is( $pub->safe_psql(
		'postgres',
		"SELECT stream_count > 0 FROM pg_stat_replication_slots WHERE slot_name = 'various'"
	),
	't',
	'it was sent while in progress');
is( sender_value(
		'various',
		'codec, frames < messages / 20, raw_bytes > 2 * wire_bytes'),
	'zstd|t|t',
	'compressed in batches');

$pub->safe_psql(
	'postgres',
	"BEGIN; DELETE FROM various; ROLLBACK;
	 BEGIN; INSERT INTO various SELECT $values FROM generate_series(10001, 15000) AS i;
	 PREPARE TRANSACTION 'large';
	 BEGIN; INSERT INTO various SELECT $values FROM generate_series(20001, 20002) AS i;
	 PREPARE TRANSACTION 'small'"
);
$pub->wait_for_catchup('various');
is($sub->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'),
	'2', 'prepared on the subscriber');
$pub->safe_psql('postgres', "COMMIT PREPARED 'large'");
$pub->safe_psql('postgres', "ROLLBACK PREPARED 'small'");
$pub->wait_for_catchup('various');
is($sub->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'),
	'0', 'and committed or rolled back there');
is_replicated('various', 'prepared transactions');
$sub->safe_psql('postgres', 'DROP SUBSCRIPTION various');

#
# An incomplete batch does not wait for more.  Nothing but the walsender's own
# flush can send it: keepalives, requests for replies and timeouts are off.
#
foreach my $node ($pub, $sub)
{
	$node->append_conf(
		'postgresql.conf', q{
wal_sender_timeout = 0
wal_receiver_timeout = 0
wal_receiver_status_interval = 1h
});
	$node->reload;
}

# Let the subscriber confirm at once, without waiting for its WAL writer.
$sub->safe_psql('postgres',
	'ALTER SUBSCRIPTION coded SET (synchronous_commit = local)');

# A walsender becomes synchronous only once a position has been confirmed.
$pub->safe_psql('postgres', "INSERT INTO wide VALUES (99, 'first', 4)");
$pub->wait_for_catchup('coded');
$pub->append_conf('postgresql.conf', "synchronous_standby_names = 'coded'");
$pub->reload;
$pub->poll_query_until('postgres',
	"SELECT sync_state = 'sync' FROM walstream_senders WHERE application_name = 'coded'"
) or die 'the subscription did not become synchronous';

# A commit that is not confirmed within this time ends with a warning.  Without
# the flush each would wait for a keepalive or wal_receiver_status_interval,
# which takes seconds.
my $hundred_commits = patience(60);
my $behind = patience(180);
my $commits = join('',
	map { "INSERT INTO wide VALUES ($_, 'confirmed', 4);\n" } (100 .. 199));
my ($status, $stdout, $stderr) =
  $pub->psql('postgres',
	"SET statement_timeout = '${hundred_commits}s';\n$commits");
is("$status$stderr", '0', 'commits are confirmed without delay');
is( $sub->safe_psql(
		'postgres', 'SELECT count(*) FROM wide WHERE version = 4'),
	'101',
	'confirmed commits have been applied');
($status, $stdout, $stderr) = $pub->psql(
	'postgres',
	"SET statement_timeout = '${behind}s'; SET synchronous_commit = remote_apply;
	 BEGIN; INSERT INTO wide VALUES (200, 'first', 5);
	 INSERT INTO unpublished SELECT i, 'x' FROM generate_series(1, 50000) AS i; COMMIT;
	 INSERT INTO unpublished VALUES (0, 'x');
	 INSERT INTO wide VALUES (201, 'last', 5)");
is("$status$stderr", '0', 'also behind much that is not published');
is( $sub->safe_psql(
		'postgres', 'SELECT count(*) FROM wide WHERE version = 5'),
	'2',
	'the commit after unpublished changes has been applied');
$pub->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$pub->reload;

#
# Interruptions: the subscription is disabled and enabled, and each server is
# restarted while changes are sent.
#
my $log_offset = -s $pub->logfile;
$sub->safe_psql('postgres', 'ALTER SUBSCRIPTION coded DISABLE');
$pub->poll_query_until('postgres',
	"SELECT count(*) = 0 FROM walstream_senders WHERE application_name = 'coded'"
) or die 'the walsender of a disabled subscription is still there';
wait_until(
	$sub,
	"SELECT count(*) = 0 FROM walstream_receiver WHERE name = 'coded'",
	'a disabled subscription receives nothing');
is( $sub->safe_psql(
		'postgres',
		"SELECT kind, streams >= 1, raw_bytes > 3 * wire_bytes
		   FROM walstream_totals WHERE name = 'coded'"
	),
	'logical receiver|t|t',
	'but what it has received is in the totals');
$pub->safe_psql('postgres',
	"INSERT INTO bulk SELECT i, 8, 'while disabled' FROM generate_series(100001, 105000) AS i"
);
$sub->safe_psql('postgres', 'ALTER SUBSCRIPTION coded ENABLE');
$pub->wait_for_log(
	qr/streaming logical changes to "coded" compressed with zstd/,
	$log_offset);
$pub->wait_for_catchup('coded');
is_replicated('bulk', 'disabled and enabled');

my $session = $pub->background_psql('postgres');
$session->query_safe(
	"BEGIN; INSERT INTO bulk SELECT i, 9, 'before the restart' FROM generate_series(200001, 210000) AS i"
);
$pub->safe_psql('postgres',
	"INSERT INTO bulk VALUES (250000, 9, 'another transaction')");
$sub->stop('immediate');
$session->query_safe(
	"INSERT INTO bulk SELECT i, 9, 'subscriber away' FROM generate_series(210001, 220000) AS i; COMMIT"
);
$session->quit;
$sub->start;
$pub->wait_for_catchup('coded');
is_replicated('bulk', 'subscriber restarted in the middle');

# A fast shutdown of the publisher first sends everything.
$pub->safe_psql('postgres', "UPDATE bulk SET owner = 10 WHERE id > 200000");
$pub->stop('fast');
is( $sub->safe_psql('postgres', 'SELECT count(*) FROM bulk WHERE owner = 10'),
	'20001',
	'a publisher that stops has sent everything');
$pub->start;
$pub->wait_for_catchup('coded');
is_replicated('bulk', 'publisher restarted');

# No message was refused, and none could not be applied.
unlike(
	slurp_file($_->logfile),
	qr/could not decode/,
	$_->name . ': no message was refused') foreach ($pub, $sub);

done_testing();
