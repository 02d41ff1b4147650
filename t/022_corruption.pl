# Copyright (c) 2026, the walstream authors

# Streams that are damaged in transit: nothing of a damaged message is used;
# the receiver reports what it found and connects again, and after repeated
# failures it stops requesting compression.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamProxy;
use WalstreamTest;

my $conf = q{
wal_retrieve_retry_interval = '100ms'
log_line_prefix = '%m [%p] %e %q%a '
max_wal_size = 1GB
};
my $suspended = 'suspended after repeated decoding failures';
declare_expected_warning("uncompressed: $suspended");

my $primary = walstream_primary('primary', logical => 1, conf => $conf);
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
$primary->safe_psql('postgres',
	'CREATE TABLE events (id serial PRIMARY KEY, note text)');
my $proxy = WalstreamProxy->new($primary);
my $conninfo = $proxy->connstr . ' application_name=standby';
my $standby = walstream_standby($primary, 'standby', conninfo => $conninfo);
$primary->wait_for_catchup($standby);

# Write several messages: each commit is flushed and sent by itself.
sub write_events
{
	$primary->safe_psql(
		'postgres',
		join(
			'',
			map {
				"INSERT INTO events (note) SELECT md5(i::text) FROM generate_series(1, 100) AS i;\n"
			} (1 .. 10)));
	return;
}

# Write events in two parts: if a frame of the first part is dropped or
# delayed, another frame follows it.
sub write_more_events
{
	my ($name) = @_;

	write_events();
	$primary->wait_for_catchup($name, 'sent');
	write_events();
	return;
}

# Write more, wait until it has arrived, and compare all rows.
sub check_events
{
	my ($node, $name, $what) = @_;
	my $query =
	  "SELECT count(*), md5(string_agg(e::text, ',' ORDER BY id)) FROM events AS e";

	write_events();
	$primary->wait_for_catchup($name);
	is( $node->safe_psql('postgres', $query),
		$primary->safe_psql('postgres', $query),
		"$what: same rows");
	return;
}

# What a receiver has logged after the offset about a message that it could not
# decode.
sub wait_for_failure
{
	my ($node, $offset) = @_;
	my $failure = qr{
		\[(\d+)\]\ 08P01\ .*?(?:ERROR|FATAL):\ \ could\ not\ decode\ replication\ stream\ at\ ([0-9A-F]+/[0-9A-F]+)\n
		\N*\[\1\]\ 08P01\ \N*?DETAIL:\ \ Codec\ (\w+):\ (\N*)\.\n
		\N*\[\1\]\ 08P01\ \N*?HINT:\ \ (\N*)\n
	}x;

	$node->wait_for_log($failure, $offset);
	slurp_file($node->logfile, $offset) =~ $failure
	  || die "the log has changed\n";
	return { lsn => $2, codec => $3, detail => $4, hint => $5 };
}

sub wait_for_compressed
{
	my ($node, $offset) = @_;

	return $node->wait_for_log(
		qr/LOG:  receiving [\w ]+ for "\w+" compressed with (?:walz|zstd), level 1\n/,
		$offset);
}

sub wait_for_suspended
{
	my ($node, $offset) = @_;

	return $node->wait_for_log(
		qr/01000 .*WARNING:  receiving [\w ]+ for "\w+" uncompressed: $suspended\n/,
		$offset);
}

# Change the receiver's setting, so that earlier failures no longer count and
# the next one is the first.
my $level = 1;

sub forget_failures
{
	my ($node) = @_;

	$level = $level % 22 + 1;
	set_compression($node, "walz:$level zstd:$level");
	return;
}

# End the stream, so that the receiver connects again.
sub end_stream
{
	my ($name) = @_;

	$primary->safe_psql('postgres',
		"SELECT pg_terminate_backend(pid) FROM walstream_senders WHERE application_name = '$name'"
	);
	return;
}

#
# A single failure of every kind.
#
my $again =
  'Nothing of the message was used; the receiver connects again and continues from the same position.';
my $until =
  'Compression is not asked for until primary_conninfo, the subscription or walstream.compression changes, or for 10 minutes.';
my %damage = (
	'bit of the type' => { action => 'flip', bit => 0 },
	'bit of the codec' => { action => 'flip', bit => 8 },
	'bit of a codec to come' => { action => 'flip', bit => 10 },
	'reserved bit' => { action => 'flip', bit => 15 },
	'bit of the length' => { action => 'flip', bit => 18 },
	'bit in the middle' => { action => 'flip', bit => 333 },
	'dropped' => { action => 'drop' },
	'repeated' => { action => 'repeat' },
	'swapped' => { action => 'swap' },
	'without its end' => { action => 'truncate', length => -1 },
	'only its type' => { action => 'truncate', length => 1 });

foreach my $what (sort keys %damage)
{
	my $rule = $damage{$what};

	forget_failures($standby);
	my $log = -s $standby->logfile;
	my $received = $standby->lsn('receive');
	my $times = $proxy->count($rule->{action});

	$proxy->set_rules({ %$rule, times => 1 });
	write_more_events('standby');
	my $failure = wait_for_failure($standby, $log);

	is($proxy->count($rule->{action}), $times + 1, "$what: was done");
	is( $primary->safe_psql(
			'postgres',
			"SELECT '$failure->{lsn}' BETWEEN '$received'::pg_lsn AND pg_current_wal_flush_lsn()"
		),
		't',
		"$what: position");
	is( $failure->{codec},
		$what eq 'bit of the codec' ? 'lz4' : 'walz',
		"$what: codec, with \"$failure->{detail}\"");
	is($failure->{hint}, $again, "$what: hint");

	wait_for_compressed($standby, $log);
	check_events($standby, 'standby', $what);
}

# The first frame of a connection, and one in the middle of a segment that is
# sent again.
foreach my $nth (1, 4)
{
	forget_failures($standby);
	my $log = -s $standby->logfile;

	$proxy->set_rules(
		{ action => 'flip', nth => $nth, bit => 100, times => 1 });
	end_stream('standby');

	# each makes at least one frame, however little of the segment is sent
	# again
	foreach (1 .. $nth)
	{
		write_events();
		$primary->wait_for_catchup('standby', 'sent');
	}
	wait_for_failure($standby, $log);
	wait_for_compressed($standby, $log);
	check_events($standby, 'standby', "frame $nth of a connection");
}

# A damaged hello.
forget_failures($standby);
my $log = -s $standby->logfile;
$proxy->set_rules({ action => 'flip', kind => 'H', bit => 4, times => 1 });
end_stream('standby');
my $failure = wait_for_failure($standby, $log);
is( "$failure->{codec} $failure->{lsn}",
	'none ' . format_lsn(0),
	'hello: nothing is known yet');
check_events($standby, 'standby', 'hello');

#
# Three consecutive failures.
#

# Damage the first frame of this many connections.
sub fail_repeatedly
{
	my ($name, $times) = @_;

	$proxy->set_rules(
		{ action => 'flip', nth => 1, bit => 70, times => $times });
	end_stream($name);
	write_events();
	return;
}

# The hints of all failures logged after the offset.
sub hints
{
	my ($node, $offset) = @_;

	return slurp_file($node->logfile, $offset) =~ /08P01 .*HINT:  (.*)\n/g;
}

forget_failures($standby);
$log = -s $standby->logfile;
my $primary_log = -s $primary->logfile;
fail_repeatedly('standby', 3);
wait_for_suspended($standby, $log);
is_deeply(
	[ hints($standby, $log) ],
	[ $again, $again, $until ],
	'the third failure in a row suspends compression');
$primary->wait_for_log(
	qr/LOG:  streaming WAL to "standby" uncompressed: the receiver did not ask for compression\n/,
	$primary_log);

my $frames = $proxy->count('messages_Z');
my $plain = $proxy->count('messages_w');
check_events($standby, 'standby', 'suspended');
is($proxy->count('messages_Z'), $frames, 'suspended: no frames');
cmp_ok($proxy->count('messages_w'),
	'>', $plain, 'suspended: messages as PostgreSQL sends them');
my $row = receiver_row($standby);
is($row->{codec}, undef, 'suspended: codec');
is($row->{plain_reason}, $suspended, 'suspended: plain_reason');
is($row->{frames}, 0, 'suspended: frames');
is($row->{bypassed_messages},
	$row->{messages}, 'suspended: bypassed_messages');

# Compression stays suspended over reconnections until the setting changes,
$log = -s $standby->logfile;
end_stream('standby');
wait_for_suspended($standby, $log);

forget_failures($standby);
$log = -s $standby->logfile;
end_stream('standby');
wait_for_compressed($standby, $log);
check_events($standby, 'standby', 'walstream.compression changed');
$row = receiver_row($standby);
is($row->{codec}, 'walz', 'walstream.compression changed: codec');
is($row->{plain_reason}, undef,
	'walstream.compression changed: plain_reason');
cmp_ok($row->{frames}, '>', 0, 'walstream.compression changed: frames');

# or until the upstream does.
$log = -s $standby->logfile;
fail_repeatedly('standby', 3);
wait_for_suspended($standby, $log);
$standby->append_conf('postgresql.conf',
	"primary_conninfo = '$conninfo connect_timeout=100'");
$log = -s $standby->logfile;
$standby->reload;
wait_for_compressed($standby, $log);
check_events($standby, 'standby', 'primary_conninfo changed');

# Four failures, with more than 64 MB of good WAL in between.
foreach my $round (1, 2)
{
	$log = -s $standby->logfile;
	fail_repeatedly('standby', 2);
	wait_for_compressed($standby, $log);
	check_events($standby, 'standby', "two failures, round $round");
	is_deeply(
		[ hints($standby, $log) ],
		[ $again, $again ],
		"round $round: nothing is suspended");
	$primary->safe_psql('postgres',
		"SELECT count(pg_logical_emit_message(false, '', repeat('walstream', 111111))) FROM generate_series(1, 70)"
	);
	$primary->wait_for_catchup($standby);
}
standby_matches($primary, $standby, 'rows of the standby in the end');
$standby->stop;

#
# A subscription
#
my $subscriber = walstream_primary('subscriber', logical => 1, conf => $conf);
$subscriber->safe_psql('postgres', 'CREATE EXTENSION walstream');
$subscriber->safe_psql('postgres',
	'CREATE TABLE events (id int PRIMARY KEY, note text)');
$primary->safe_psql('postgres', 'CREATE PUBLICATION events FOR TABLE events');
$conninfo = $proxy->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION events CONNECTION '$conninfo' PUBLICATION events");
$subscriber->wait_for_subscription_sync($primary, 'events');

# To an apply worker a keepalive proves that it has everything before it, even
# from a stock publisher.  So none may follow a message that was lost or
# delayed.
foreach my $what (
	'bit of a codec to come', 'bit in the middle',
	'dropped', 'repeated',
	'swapped')
{
	forget_failures($subscriber);
	$log = -s $subscriber->logfile;
	$proxy->set_rules(
		{ %{ $damage{$what} }, times => 1 },
		{ action => 'drop', kind => 'k' });
	write_more_events('events');
	$failure = wait_for_failure($subscriber, $log);
	is($failure->{codec}, 'zstd',
		"subscription, $what: codec, with \"$failure->{detail}\"");
	is($failure->{hint}, $again, "subscription, $what: hint");
	$proxy->set_rules;
	wait_for_compressed($subscriber, $log);
	check_events($subscriber, 'events', "subscription, $what");
}

# An apply worker ignores messages of unknown types.  If frames were passed to
# it because the hello is missing, it would lose rows.
forget_failures($subscriber);
$log = -s $subscriber->logfile;
$proxy->set_rules({ action => 'drop', kind => 'H', times => 1 });
end_stream('events');
write_events();
wait_for_failure($subscriber, $log);
wait_for_compressed($subscriber, $log);
check_events($subscriber, 'events', 'subscription, hello dropped');

forget_failures($subscriber);
$log = -s $subscriber->logfile;
fail_repeatedly('events', 3);
wait_for_suspended($subscriber, $log);
is_deeply(
	[ hints($subscriber, $log) ],
	[ $again, $again, $until ],
	'subscription: the third failure in a row suspends compression');
check_events($subscriber, 'events', 'subscription, suspended');
$row = fetch_row($subscriber, 'SELECT * FROM walstream_receiver');
is($row->{codec}, undef, 'subscription, suspended: codec');
is($row->{plain_reason}, $suspended, 'subscription, suspended: plain_reason');

$log = -s $subscriber->logfile;
$subscriber->safe_psql('postgres',
	"ALTER SUBSCRIPTION events CONNECTION '$conninfo connect_timeout=100'");
wait_for_compressed($subscriber, $log);
check_events($subscriber, 'events', 'subscription changed');

done_testing();
