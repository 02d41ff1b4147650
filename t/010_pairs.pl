# Copyright (c) 2026, the walstream authors

# Pairs of servers with and without walstream, and every way to choose a codec.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamProxy;
use WalstreamTest;

my $not_asked = 'the receiver did not ask for compression';
my $stock_peer = 'the upstream does not have walstream';

# Compare a row's column with what it should be; undef is SQL's null.
sub is_column
{
	my ($row, $column, $expected, $what) = @_;

	is($row->{$column}, $expected, "$what: $column");
	return;
}

# What sender and receiver of a compressed stream show.
sub check_compressed
{
	my ($row, $codec, $level, $what) = @_;

	is_column($row, 'codec', $codec, $what);
	is_column($row, 'level', $level, $what);
	is_column($row, 'plain_reason', undef, $what);
	cmp_ok($row->{ratio}, '>', 1.5, "$what: ratio");
	cmp_ok(
		$row->{wire_bytes}, '<',
		$row->{raw_bytes} / 1.5,
		"$what: wire_bytes");
	cmp_ok($row->{frames}, '>', 0, "$what: frames");
	return;
}

# What sender and receiver of an uncompressed stream show.
sub check_plain
{
	my ($row, $reason, $what) = @_;

	is_column($row, 'codec', undef, $what);
	is_column($row, 'level', undef, $what);
	is_column($row, 'plain_reason', $reason, $what);
	is($row->{ratio}, 1, "$what: ratio");
	is_column($row, 'wire_bytes', $row->{raw_bytes}, $what);
	is_column($row, 'frames', 0, $what);
	cmp_ok($row->{messages}, '>', 0, "$what: messages");
	is_column($row, 'bypassed_messages', $row->{messages}, $what);
	return;
}

my $primary = walstream_primary('primary');
my $plain_primary = walstream_primary('plain_primary', walstream => 0);
$_->safe_psql('postgres', 'CREATE EXTENSION walstream')
  foreach $primary, $plain_primary;

# The stream to this standby passes through a proxy, which counts its bytes.
my $proxy = WalstreamProxy->new($primary);
my $ws_ws = walstream_standby($primary, 'ws_ws', conninfo => $proxy->connstr);
my $ws_plain = walstream_standby($primary, 'ws_plain', walstream => 0);
my $plain_ws = walstream_standby($plain_primary, 'plain_ws');
my $plain_plain =
  walstream_standby($plain_primary, 'plain_plain', walstream => 0);

load_wal($primary);
load_wal($plain_primary);
foreach my $pair (
	[ $primary, $ws_ws ],
	[ $primary, $ws_plain ],
	[ $plain_primary, $plain_ws ],
	[ $plain_primary, $plain_plain ])
{
	my ($upstream, $standby) = @$pair;

	$upstream->wait_for_catchup($standby);
}

check_compressed(sender_row($primary, 'ws_ws'),
	'walz', 1, 'sender, both have it');
check_compressed(receiver_row($ws_ws), 'walz', 1, 'receiver, both have it');
check_plain(sender_row($primary, 'ws_plain'),
	$not_asked, 'sender, standby without');
check_plain(receiver_row($plain_ws), $stock_peer,
	'receiver, primary without');

# The logs of both sides.
my %logs =
  map { $_->name => slurp_file($_->logfile) }
  ($primary, $plain_primary, $ws_ws, $ws_plain, $plain_ws, $plain_plain);
foreach my $case (
	[ 'primary', 'streaming WAL to "ws_ws" compressed with walz, level 1' ],
	[ 'ws_ws', 'receiving WAL for "ws_ws" compressed with walz, level 1' ],
	[ 'primary', "streaming WAL to \"ws_plain\" uncompressed: $not_asked" ],
	[
		'plain_ws',
		"receiving WAL for \"plain_ws\" uncompressed: $stock_peer"
	])
{
	my ($node, $line) = @$case;
	my $times = () = $logs{$node} =~ /LOG:  \Q$line\E\n/g;

	is($times, 1, "log of $node: $line");
}
foreach my $node (qw(plain_primary ws_plain plain_plain))
{
	unlike(
		$logs{$node},
		qr/streaming WAL to|receiving WAL for/,
		"log of $node says nothing");
}

# Begin a new stream to ws_ws and wait until walsender and walreceiver have said
# in the log what they do.  There is WAL to catch up with, so that messages are
# as large as they can be, and ratios can be compared.
sub reconnect
{
	my ($sent, $received) = @_;
	my $sender_log = -s $primary->logfile;
	my $receiver_log = -s $ws_ws->logfile;

	$ws_ws->stop;

	# what the old walsender still sends into the closed connection would be
	# counted
	$primary->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM walstream_senders WHERE application_name = 'ws_ws'"
	) || die "the walsender does not end\n";
	load_wal($primary);
	$ws_ws->start;
	$primary->wait_for_log(qr/LOG:  streaming WAL to "ws_ws" \Q$sent\E\n/,
		$sender_log);
	$ws_ws->wait_for_log(qr/LOG:  receiving WAL for "ws_ws" \Q$received\E\n/,
		$receiver_log);
	return;
}

# Codecs: which one the two servers choose, and how well it compresses.
my %ratio;
foreach my $case (
	[ 'zstd', 'zstd', 'zstd', 1 ],
	[ 'zstd:19 lz4', 'zstd lz4', 'zstd', 19 ],
	[ 'zstd:level=3', 'zstd:19', 'zstd', 3 ],
	[ 'lz4', 'zstd lz4', 'lz4', 0 ],
	[ 'lz4:9 zstd', 'lz4', 'lz4', 9 ],
	# the receiver decides the order, the sender decides the level
	[ 'zstd lz4:3', 'lz4:7 zstd:7', 'lz4', 3 ])
{
	my ($sends, $receives, $codec, $level) = @$case;
	my $what = "\"$sends\" to \"$receives\"";

	set_compression($primary, $sends);
	set_compression($ws_ws, $receives);
	reconnect(
		"compressed with $codec, level $level",
		"compressed with $codec, level $level");
	$primary->wait_for_catchup($ws_ws);
	check_compressed(sender_row($primary, 'ws_ws'),
		$codec, $level, "sender, $what");
	check_compressed(receiver_row($ws_ws), $codec, $level, "receiver, $what");
	$ratio{"$codec:$level"} = sender_row($primary, 'ws_ws')->{ratio};
}
note(map { "$_ $ratio{$_}\n" } sort keys %ratio);
cmp_ok($ratio{'zstd:19'}, '>', $ratio{'zstd:1'},
	"zstd's level has an effect");
cmp_ok($ratio{'lz4:9'}, '>', $ratio{'lz4:0'}, "lz4's level has an effect");

foreach my $case (
	[
		'off',
		'zstd',
		'compression is off on the sender',
		'compression is off on the sender'
	],
	[
		'zstd', 'off',
		$not_asked, 'walstream.compression is off on this server'
	],
	[
		'zstd', 'lz4',
		'sender and receiver have no codec in common',
		'sender and receiver have no codec in common'
	])
{
	my ($sends, $receives, $sender_reason, $receiver_reason) = @$case;
	my $what = "\"$sends\" to \"$receives\"";

	set_compression($primary, $sends);
	set_compression($ws_ws, $receives);
	reconnect("uncompressed: $sender_reason",
		"uncompressed: $receiver_reason");
	$primary->wait_for_catchup($ws_ws);
	check_plain(sender_row($primary, 'ws_ws'),
		$sender_reason, "sender, $what");
	check_plain(receiver_row($ws_ws), $receiver_reason, "receiver, $what");
}

sub ws_ws_total
{
	return fetch_row($primary,
		"SELECT * FROM walstream_totals WHERE name = 'ws_ws'");
}

# The totals of all these streams agree with the bytes that passed the proxy.
# They are read until they are the same twice: nothing was sent in between.
my ($total, $again, $bytes, $frames);
do
{
	$total = ws_ws_total();
	wait_for_replay($primary, $ws_ws);
	$bytes = $proxy->count('bytes_Z') + $proxy->count('bytes_w');
	$frames = $proxy->count('messages_Z');
	$again = ws_ws_total();
} while ($again->{messages} != $total->{messages});
is($total->{streams}, 10, 'streams in walstream_totals');
is($total->{wire_bytes}, $bytes, 'wire_bytes are those on the wire');
is($total->{frames}, $frames, 'frames are those on the wire');

standby_matches($primary, $ws_ws, 'both have walstream');
standby_matches($primary, $ws_plain, 'only the primary has walstream');
standby_matches($plain_primary, $plain_ws, 'only the standby has walstream');
standby_matches($plain_primary, $plain_plain, 'neither has walstream');

done_testing();
