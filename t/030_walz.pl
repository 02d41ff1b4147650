# Copyright (c) 2026, the walstream authors

# The codec walz between servers: which streams use it, how well it compresses,
# and that all WAL arrives intact.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamProxy;
use WalstreamTest;

my $conf = q{
walstream.compression = 'walz zstd lz4'
wal_retrieve_retry_interval = '100ms'
};
my $primary = walstream_primary('primary', logical => 1, conf => $conf);
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $proxy = WalstreamProxy->new($primary);
my $standby = walstream_standby(
	$primary, 'standby',
	conninfo => $proxy->connstr . ' application_name=standby',
	conf => $conf);
my $zstd_standby = walstream_standby($primary, 'zstd_standby',
	conf => "walstream.compression = 'zstd lz4'\n");

# Wait until both servers have logged the start of the stream with this codec.
sub wait_for_stream
{
	my ($node, $name, $said, $sender_log, $receiver_log) = @_;

	ok( $primary->wait_for_log(
			qr/LOG:  streaming WAL to "$name" compressed with $said\n/,
			$sender_log),
		"sender of $name says: $said");
	ok( $node->wait_for_log(
			qr/LOG:  receiving WAL for "$name" compressed with $said\n/,
			$receiver_log),
		"receiver of $name says: $said");
	return;
}

# Restart the stream to "standby".
sub reconnect
{
	my ($said) = @_;
	my $sender_log = -s $primary->logfile;
	my $receiver_log = -s $standby->logfile;

	$primary->safe_psql('postgres',
		"SELECT pg_terminate_backend(pid) FROM walstream_senders WHERE application_name = 'standby'"
	);
	wait_for_stream($standby, 'standby', $said, $sender_log, $receiver_log);
	return;
}

sub is_choice
{
	my ($node, $name, $expected, $what) = @_;

	foreach my $row (sender_row($primary, $name), receiver_row($node))
	{
		is("$row->{codec} $row->{level}", $expected, "$what: view");
	}
	return;
}

sub catch_up
{
	$primary->wait_for_catchup($_) foreach ($standby, $zstd_standby);
	return;
}

sub pgbench
{
	my (@options) = @_;

	$primary->command_ok([ 'pgbench', @options, 'postgres' ],
		"pgbench @options");
	catch_up();
	return;
}

# How much the counters have grown since the row was read.
sub added
{
	my ($name, $before) = @_;
	my $row = sender_row($primary, $name);
	my %added =
	  map { $_ => $row->{$_} - $before->{$_} }
	  qw(raw_bytes wire_bytes messages frames codec_failures);

	is($row->{pid}, $before->{pid}, "$name: the same stream");
	is($added{codec_failures}, 0, "$name: the codec has not failed");
	$added{ratio} = $added{raw_bytes} / $added{wire_bytes};
	return \%added;
}

#
# The first codec that both have is used.
#
wait_for_stream($standby, 'standby', 'walz, level 1', 0, 0);
wait_for_stream($zstd_standby, 'zstd_standby', 'zstd, level 1', 0, 0);
pgbench('--initialize', '--quiet');
is_choice($standby, 'standby', 'walz 1', 'both have walz');
is_choice($zstd_standby, 'zstd_standby', 'zstd 1',
	'the sender alone has walz');

#
# Single commits without page images.
#
$primary->safe_psql('postgres',
	'ALTER SYSTEM SET full_page_writes = off; SELECT pg_reload_conf()');
wait_until(
	$primary,
	'SELECT NOT setting::bool FROM pg_settings WHERE name = \'full_page_writes\'',
	'full_page_writes is off');
$primary->safe_psql('postgres', 'CHECKPOINT; SELECT pg_switch_wal()');
catch_up();
my %before =
  map { $_ => sender_row($primary, $_) } qw(standby zstd_standby);
pgbench('--no-vacuum', '--transactions=4000');
my %added = map { $_ => added($_, $before{$_}) } keys %before;

foreach my $name (sort keys %added)
{
	note(
		sprintf(
			'%s: %d bytes in %d messages, ratio %.2f',
			$name, $added{$name}{raw_bytes},
			$added{$name}{messages}, $added{$name}{ratio}));
}
cmp_ok(
	$added{standby}{raw_bytes},
	'>',
	1024 * 1024,
	'single commits: more than a segment');
cmp_ok($added{standby}{ratio}, '>', 5, 'single commits: ratio');
cmp_ok(
	$added{standby}{ratio},
	'>',
	2 * $added{zstd_standby}{ratio},
	'single commits: far above that of zstd');
standby_matches($primary, $standby, 'single commits, walz');
standby_matches($primary, $zstd_standby, 'single commits, zstd');

#
# Segments that end early, page images, compressed ones, long records, and a
# stream that begins in the middle of a segment.
#
foreach my $settings (
	'full_page_writes = on',
	'wal_compression = pglz',
	'wal_compression = lz4',
	'wal_compression = off')
{
	my $before = sender_row($primary, 'standby');

	$primary->safe_psql('postgres', "ALTER SYSTEM SET $settings");
	$primary->reload;
	$primary->safe_psql(
		'postgres', q{
CHECKPOINT;
UPDATE pgbench_accounts SET abalance = abalance + aid % 7 WHERE aid % 10 = 0;
SELECT pg_switch_wal();
UPDATE pgbench_tellers SET tbalance = tbalance + 1;
SELECT pg_switch_wal();
CREATE TABLE IF NOT EXISTS documents (id serial PRIMARY KEY, words text[], body text);
CREATE INDEX IF NOT EXISTS documents_words ON documents USING gin (words);
ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;
INSERT INTO documents (words, body)
	SELECT ARRAY[md5((i % 50)::text), md5((i % 7)::text)], repeat(md5(i::text), i)
	FROM generate_series(1, 300) AS i;
DELETE FROM documents WHERE id % 3 = 0;
});
	$primary->safe_psql('postgres', 'VACUUM documents');
	load_wal($primary);
	catch_up();
	cmp_ok(added('standby', $before)->{ratio}, '>', 1.5, "$settings: ratio");
	reconnect('walz, level 1');
	standby_matches($primary, $standby, $settings);
}

#
# A logical stream between two servers that prefer walz.
#
my $subscriber = walstream_primary('subscriber', logical => 1, conf => $conf);
$subscriber->safe_psql('postgres', 'CREATE EXTENSION walstream');
$_->safe_psql('postgres',
	'CREATE TABLE events (id int PRIMARY KEY, note text)')
  foreach ($primary, $subscriber);
$primary->safe_psql('postgres',
	'CREATE PUBLICATION logical FOR TABLE events');
my $connstr = $primary->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION logical CONNECTION '$connstr' PUBLICATION logical");
$subscriber->wait_for_subscription_sync($primary, 'logical');
$primary->safe_psql('postgres',
	"INSERT INTO events SELECT i, 'event ' || i FROM generate_series(1, 1000) AS i"
);
$primary->wait_for_catchup('logical');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM events'),
	1000, 'logical: rows have arrived');
is(sender_row($primary, 'logical')->{codec},
	'zstd', 'logical: takes the next codec');
like(
	slurp_file($subscriber->logfile),
	qr/LOG:  receiving logical changes for "logical" compressed with zstd, level 1\n/,
	'logical: so says the log');

# If walz is the only codec of both, the logical stream is not compressed.
my $log = -s $primary->logfile;
set_compression($primary, 'walz');
set_compression($subscriber, 'walz');
$primary->safe_psql('postgres',
	"SELECT pg_terminate_backend(pid) FROM walstream_senders WHERE application_name = 'logical'"
);
ok( $primary->wait_for_log(
		qr/LOG:  streaming logical changes to "logical" uncompressed: sender and receiver have no codec in common\n/,
		$log),
	'logical: walz alone is none');
$primary->safe_psql('postgres',
	"INSERT INTO events VALUES (0, 'uncompressed')");
$primary->wait_for_catchup('logical');
is( $subscriber->safe_psql(
		'postgres', 'SELECT note FROM events WHERE id = 0'),
	'uncompressed',
	'logical: and goes on');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION logical');
$subscriber->stop;

#
# Reloads while the stream runs take effect at the next segment.
#
set_compression($primary, 'walz zstd lz4');
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
load_wal($primary, 10);
catch_up();
my $walsender = sender_row($primary, 'standby')->{pid};
foreach my $case (
	[ 'zstd lz4', 'zstd 1' ],
	[ 'walz zstd', 'walz 1' ],
	[ 'walz:3', 'walz 3' ],
	[ 'lz4', 'lz4 0' ],
	[ 'zstd:2 walz:level=5 lz4', 'walz 5' ],
	[ 'off', undef ],
	[ 'walz zstd lz4', 'walz 1' ])
{
	my ($value, $choice) = @$case;

	$log = -s $standby->logfile;
	set_compression($primary, $value);
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
	pgbench('--no-vacuum', '--transactions=100');
	if (defined $choice)
	{
		my $said = $choice =~ s/ /, level /r;

		is_choice($standby, 'standby', $choice, "reload to \"$value\"");
		ok( $standby->wait_for_log(
				qr/LOG:  receiving WAL for "standby" compressed with $said\n/,
				$log),
			"reload to \"$value\": log");
	}
	is(sender_row($primary, 'standby')->{pid},
		$walsender, "reload to \"$value\": same walsender");
	load_wal($primary);
}
standby_matches($primary, $standby, 'reloads');

#
# Only the receiver has walz.
#
set_compression($primary, 'zstd');
reconnect('zstd, level 1');
load_wal($primary, 10);
catch_up();
is_choice($standby, 'standby', 'zstd 1', 'the receiver alone has walz');
set_compression($primary, 'walz zstd lz4');
reconnect('walz, level 1');

#
# Damaged frames.
#
my $level = 1;
foreach my $bit (70, 333, 5001)
{
	$level++;
	$log = -s $standby->logfile;
	$proxy->set_rules({ action => 'flip', bit => $bit, times => 1 });
	my $flips = $proxy->count('flip');

	load_wal($primary);
	ok( $standby->wait_for_log(
			qr/could not decode replication stream at \S+\n.*DETAIL:  Codec walz: /,
			$log),
		"bit $bit flipped: refused");
	is($proxy->count('flip'), $flips + 1, "bit $bit flipped: once");
	ok( $standby->wait_for_log(
			qr/LOG:  receiving WAL for "standby" compressed with walz, level 1\n/,
			$log),
		"bit $bit flipped: compressed again");

	# change the setting, or the third failure would suspend compression
	set_compression($standby, "walz:$level zstd lz4");
	catch_up();
}
standby_matches($primary, $standby, 'bad frames');

#
# Values of the setting.
#
foreach my $case (
	[ 'walz:23', 'Invalid specification for codec "walz": .*level.*22' ],
	[ 'walz:level=high', 'Invalid specification for codec "walz": .*level' ],
	[
		'walz:workers=2',
		'Invalid specification for codec "walz": only the option "level" applies'
	],
	[ 'walz zstd walz:3', 'Codec "walz" is named more than once.' ],
	[ 'walls', 'Unrecognized codec: "walls".\nHINT:  .*"walz"' ])
{
	my ($value, $detail) = @$case;
	my ($status, undef, $stderr) = $primary->psql('postgres',
		"ALTER SYSTEM SET walstream.compression = '$value'");

	isnt($status, 0, "ALTER SYSTEM refuses \"$value\"");
	like($stderr, qr/DETAIL:  $detail/, "\"$value\": what is wrong with it");
}

#
# The tool walz reports on the WAL that this test has generated.
#
$primary->stop;
my $pg_wal = $primary->data_dir . '/pg_wal';
command_like(
	[ 'src/cli/build/walz', '--quiet', 'verify', $pg_wal ],
	qr/^\d+ files verified/m,
	'walz verify');
command_like([ 'src/cli/build/walz', '--quiet', '--json', 'report', $pg_wal ],
	qr/"resource_managers"/, 'walz report');

done_testing();
