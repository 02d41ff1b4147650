# Copyright (c) 2026, the walstream authors

# A subscription that retains dead tuples (PostgreSQL 19 and later) requests
# the publisher's status within the stream: the request and its answer pass
# through a compressed stream.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

my %options = (
	logical => 1,
	conf => q{
track_commit_timestamp = on
wal_receiver_status_interval = 1
});
my $pub = walstream_primary('pub', %options);
if ($pub->pg_version->major < 19)
{
	plan skip_all => 'there are no such subscriptions before PostgreSQL 19';
}
my $sub = walstream_primary('sub', %options);
$_->safe_psql('postgres',
	'CREATE EXTENSION walstream; CREATE TABLE t (id int PRIMARY KEY, value text)'
) foreach ($pub, $sub);

$pub->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE t');
my $connstr = $pub->connstr . ' dbname=postgres';
$sub->safe_psql('postgres',
	"CREATE SUBSCRIPTION s CONNECTION '$connstr' PUBLICATION p WITH (retain_dead_tuples = true)"
);
$sub->wait_for_subscription_sync($pub, 's');

# The xmin of the slot that retains them advances only after the publisher has
# sent its status and the subscriber has reached it.
my $xmin =
  q{SELECT xmin FROM pg_replication_slots WHERE slot_name = 'pg_conflict_detection'};
ok($sub->poll_query_until('postgres', "SELECT ($xmin) IS NOT NULL"),
	'dead tuples are retained');
for my $round (1 .. 3)
{
	my $before = $sub->safe_psql('postgres', $xmin);

	$pub->safe_psql('postgres',
		"INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series($round * 1000, $round * 1000 + 999) AS i"
	);
	$pub->wait_for_catchup('s');

	# the subscriber also needs a transaction of its own
	$sub->safe_psql('postgres', 'SELECT pg_current_xact_id()');
	ok( $sub->poll_query_until(
			'postgres', "SELECT ($xmin)::text::int > $before"),
		"round $round: no longer than needed");
}
is( $pub->safe_psql(
		'postgres',
		q{SELECT codec, codec_failures, ratio > 2 FROM walstream_senders WHERE application_name = 's'}
	),
	'zstd|0|t',
	'the stream is compressed');
is( $sub->safe_psql('postgres', 'SELECT count(*) FROM t'),
	$pub->safe_psql('postgres', 'SELECT count(*) FROM t'),
	'all rows are there');

done_testing();
