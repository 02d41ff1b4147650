# Copyright (c) 2026, the walstream authors

# A reload changes walstream.compression while streams run.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

my $off_on_sender = 'compression is off on the sender';

my $primary = walstream_primary('primary');
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $standby = walstream_standby($primary, 'standby',
	conf => "wal_retrieve_retry_interval = '100ms'\n");
load_wal($primary);
$primary->wait_for_catchup($standby);
my $walsender = sender_row($primary, 'standby')->{pid};

# Write a little WAL within the current segment and wait until the standby has
# it.  The walsender that has sent it has also seen the last reload.
sub write_little
{
	$primary->safe_psql('postgres', 'INSERT INTO load(filler) VALUES (1)');
	$primary->wait_for_catchup($standby);
	return;
}

sub current_segment
{
	return $primary->safe_psql('postgres',
		'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
}

# Switch to a new segment, so that what follows fits into one.
sub next_segment
{
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
	write_little();
	return;
}

# What both sides show for the stream, as "codec level" or the reason for none.
sub choice
{
	my ($row) = @_;

	return defined $row->{codec}
	  ? "$row->{codec} $row->{level}"
	  : $row->{plain_reason};
}

sub is_choice
{
	my ($expected, $what) = @_;
	my $row = sender_row($primary, 'standby');

	is(choice($row), $expected, "$what: sender");
	is(choice(receiver_row($standby)), $expected, "$what: receiver");
	is($row->{pid}, $walsender, "$what: same walsender");
	return;
}

# How often the pattern occurs in the node's log after the offset.
sub count_in_log
{
	my ($node, $offset, $pattern) = @_;
	my $times = () = slurp_file($node->logfile, $offset) =~ /$pattern/g;

	return $times;
}

next_segment();
is_choice('walz 1', 'at first');

# The sender's changes apply at the next segment boundary, and not before.
my $before = 'walz 1';
foreach my $case (
	[ 'lz4', 'lz4 0' ],
	[ 'off', $off_on_sender ],
	[ 'zstd:3', 'zstd 3' ],
	[ 'zstd:6', 'zstd 6' ],
	[ 'off', $off_on_sender ],
	[ 'lz4:5 zstd', 'zstd 1' ])
{
	my ($value, $after) = @$case;
	my $sender_log = -s $primary->logfile;
	my $receiver_log = -s $standby->logfile;
	my ($codec, $level) = split(/ /, $after);
	my $said =
	  $after eq $off_on_sender
	  ? "uncompressed: $after"
	  : "compressed with $codec, level $level";

	set_compression($primary, $value);
	my $segment = current_segment();
	write_little();
	write_little();
	is_choice($before, "\"$value\" in the same segment");
	is(current_segment(), $segment, 'that was the same segment');
	is(count_in_log($primary, $sender_log, qr/ing WAL (?:to|for) /),
		0, 'the sender says nothing yet');

	next_segment();
	is_choice($after, "\"$value\" in the next segment");
	is( count_in_log(
			$primary,
			$sender_log,
			qr/\[$walsender\] standby LOG:  streaming WAL to "standby" \Q$said\E\n/
		),
		1,
		"the sender says: $said");
	is( count_in_log(
			$standby, $receiver_log,
			qr/LOG:  receiving WAL for "standby" \Q$said\E\n/),
		1,
		"the receiver says: $said");

	# The counters agree with the codec that is shown.
	my $row_before = sender_row($primary, 'standby');
	load_wal($primary);
	$primary->wait_for_catchup($standby);
	my $row_after = sender_row($primary, 'standby');
	my %added =
	  map { $_ => $row_after->{$_} - $row_before->{$_} }
	  qw(raw_bytes wire_bytes messages frames bypassed_messages);

	cmp_ok($added{messages}, '>', 0, "\"$value\": messages");
	if ($after eq $off_on_sender)
	{
		is($added{frames}, 0, "\"$value\": no frames");
		is($added{wire_bytes}, $added{raw_bytes}, "\"$value\": bytes");
		is($added{bypassed_messages},
			$added{messages}, "\"$value\": all bypassed");
	}
	else
	{
		cmp_ok($added{frames}, '>=', $added{messages}, "\"$value\": frames");
		cmp_ok(
			$added{wire_bytes}, '<',
			$added{raw_bytes} / 1.5,
			"\"$value\": bytes");
		is($added{bypassed_messages}, 0, "\"$value\": none bypassed");
	}
	next_segment();
	$before = $after;
}

# A change that is taken back within the segment changes nothing.
my $log = -s $primary->logfile;
set_compression($primary, 'lz4');
write_little();
set_compression($primary, 'zstd');
write_little();
next_segment();
is_choice('zstd 1', 'taken back');
is(count_in_log($primary, $log, qr/streaming WAL/),
	0, 'taken back: nothing in the log');

# The receiver's changes apply at its next connection, and not before.
set_compression($standby, 'lz4 zstd');
next_segment();
next_segment();
is_choice('zstd 1', 'receiver changed');
foreach my $case (
	[ 'lz4 zstd', 'compressed with lz4, level 0' ],
	[ 'off', 'uncompressed: walstream.compression is off on this server' ],
	[ 'zstd', 'compressed with zstd, level 1' ])
{
	my ($value, $said) = @$case;

	set_compression($primary, 'zstd lz4');
	set_compression($standby, $value);
	$log = -s $standby->logfile;
	$primary->safe_psql('postgres',
		'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
	$standby->wait_for_log(qr/LOG:  receiving WAL for "standby" \Q$said\E\n/,
		$log);
	load_wal($primary);
	$primary->wait_for_catchup($standby);
	pass("receiver connects with \"$value\": $said");
}

# Bad values.
$primary->safe_psql('postgres',
	"ALTER SYSTEM RESET walstream.compression; SELECT pg_reload_conf()");
$primary->poll_query_until('postgres',
	"SELECT current_setting('walstream.compression') = 'walz zstd lz4'");
$primary->append_conf('postgresql.conf', "walstream.compression = 'zstd:4'");
$primary->reload;
$primary->poll_query_until('postgres',
	"SELECT current_setting('walstream.compression') = 'zstd:4'");
next_segment();
$walsender = sender_row($primary, 'standby')->{pid};
is_choice('zstd 4', 'before the bad values');

foreach my $case (
	[ 'gzip', 'Unrecognized codec: "gzip".' ],
	[ 'zstd none', 'Unrecognized codec: "none".' ],
	[
		'zstd:99',
		'Invalid specification for codec "zstd": .*level.* between -\d+ and 22 \(default 1\)'
	],
	[
		'lz4:13',
		'Invalid specification for codec "lz4": .*level.* between 0 and 12 \(default 0\)'
	],
	[
		'lz4:-1',
		'Invalid specification for codec "lz4": .*level.* between 0'
	],
	[ 'zstd:level=high', 'Invalid specification for codec "zstd": .*level' ],
	[ 'zstd:', 'Invalid specification for codec "zstd": .*empty' ],
	[
		'lz4 zstd:workers=2',
		'Invalid specification for codec "zstd": only the option "level" applies'
	],
	[
		'lz4:workers=2',
		'Invalid specification for codec "lz4": only the option "level" applies'
	],
	[ '', 'No codec is named.' ],
	[ '  ', 'No codec is named.' ],
	[ 'off zstd', '"off" cannot be combined with a codec.' ],
	[ 'zstd off', '"off" cannot be combined with a codec.' ],
	[ 'zstd lz4 zstd:5', 'Codec "zstd" is named more than once.' ])
{
	my ($value, $detail) = @$case;
	my ($status, undef, $stderr) = $primary->psql('postgres',
		"ALTER SYSTEM SET walstream.compression = '$value'");
	$detail = qr/DETAIL:  $detail/;

	isnt($status, 0, "ALTER SYSTEM refuses \"$value\"");
	like(
		$stderr,
		qr/ERROR:  invalid value for parameter "walstream.compression": "\Q$value\E"\n$detail/,
		"\"$value\": what is wrong with it");

	# The configuration file is refused for the same reason.
	$log = -s $primary->logfile;
	$primary->adjust_conf('postgresql.conf', 'walstream.compression',
		"'$value'");
	$primary->reload;
	$primary->wait_for_log(
		qr/configuration file ".*postgresql\.conf" contains errors/, $log);
	like(
		slurp_file($primary->logfile, $log),
		qr/LOG:  invalid value for parameter "walstream.compression": "\Q$value\E"\n.*$detail/,
		"reload refuses \"$value\"");
	is($primary->safe_psql('postgres', 'SHOW walstream.compression'),
		'zstd:4', 'the old value is in force');
}
next_segment();
is_choice('zstd 4', 'after the bad values');

# A server that starts with an invalid value uses the default instead, as for
# any module's setting.
declare_expected_warning(
	'invalid value for parameter "walstream.compression"');
$log = -s $primary->logfile;
$primary->restart;
like(
	slurp_file($primary->logfile, $log),
	qr/WARNING:  invalid value for parameter "walstream.compression": "zstd lz4 zstd:5"\n.*DETAIL:  Codec "zstd" is named more than once\./,
	'a server that starts with a bad value warns');
is( $primary->safe_psql('postgres', 'SHOW walstream.compression'),
	'walz zstd lz4',
	'a server that starts with a bad value uses the default');
standby_matches($primary, $standby,
	'standby and primary are the same in the end');

done_testing();
