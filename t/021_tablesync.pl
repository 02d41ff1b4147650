# Copyright (c) 2026, the walstream authors

# Initial synchronization of tables: rows of a COPY pass through the same
# function as a stream, and may begin with any byte.

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
max_sync_workers_per_subscription = 3
});
my $pub = walstream_primary('pub', %options);
my $sub = walstream_primary('sub', %options);
$_->safe_psql('postgres', 'CREATE EXTENSION walstream') foreach $pub, $sub;

# In SQL_ASCII any byte is a character.
foreach my $node ($pub, $sub)
{
	$node->safe_psql('postgres',
		"CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
	);
	# no primary key in front of the text, which then begins the row
	$node->safe_psql('bytes',
		"CREATE TABLE first_$_ (value text, id int PRIMARY KEY)")
	  foreach (1 .. 6);
	$node->safe_psql('bytes',
		'CREATE TABLE alone (value text); ALTER TABLE alone REPLICA IDENTITY FULL'
	);
	$node->safe_psql('bytes',
		'CREATE TABLE numbers (id int PRIMARY KEY, value int)');
}

# Rows that begin with every possible byte, in all sizes around those of a
# hello, a frame and the header of a stock message.  The first row of a COPY
# matters most: that is where the decoder of a stream would expect a hello.
my @lengths = (0, 1, 16, 17, 24, 25, 40);
my @first_bytes = map { ord } ('H', 'h', 'I', 'Z', 'w', 'k');
foreach my $table (1 .. 6)
{
	my $length = $lengths[$table];
	my $first_byte = $first_bytes[ $table - 1 ];
	$pub->safe_psql(
		'bytes',
		"INSERT INTO first_$table SELECT repeat(chr(b), 1 + $length), b
		   FROM generate_series(1, 255) AS b ORDER BY (b + 255 - $first_byte) % 255"
	);
	is( $pub->safe_psql(
			'bytes', "SELECT ascii(value) FROM first_$table LIMIT 1"),
		$first_byte,
		"first_$table begins with " . chr($first_byte));
}
$pub->safe_psql(
	'bytes',
	"INSERT INTO alone SELECT chr(b) || repeat('x', l)
	   FROM generate_series(1, 255) AS b, unnest(ARRAY["
	  . join(',', @lengths) . "]) AS l;
	 INSERT INTO alone VALUES (''), (NULL), ('\\N'), ('\\.'), (E'\\\\\\n'), ('H' || chr(1) || chr(1) || repeat(chr(1), 15));
	 INSERT INTO first_1 VALUES ('', 0), (NULL, 256);
	 INSERT INTO numbers SELECT i, 0 FROM generate_series(1, 1000) AS i;
	 CREATE PUBLICATION bytes FOR ALL TABLES");
is( $pub->safe_psql(
		'bytes',
		'SELECT count(DISTINCT ascii(value)) FROM alone WHERE ascii(value) > 0'
	),
	'255',
	'rows begin with every byte');

# Let the copying of rows wait for a lock, so that the tables change meanwhile
# and each has changes to catch up with over a stream of its own.
$sub->safe_psql(
	'bytes', q{
	CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END';
});
foreach my $table ((map { "first_$_" } (1 .. 6)), 'alone', 'numbers')
{
	$sub->safe_psql(
		'bytes', qq{
		CREATE TRIGGER wait_for_test BEFORE INSERT ON $table
			FOR EACH ROW EXECUTE FUNCTION wait_for_test();
		ALTER TABLE $table ENABLE ALWAYS TRIGGER wait_for_test;
	});
}
my $gate = $sub->background_psql('bytes');
$gate->query_safe('SELECT pg_advisory_lock(1)');

my $connstr = $pub->connstr . ' dbname=bytes';
$sub->safe_psql('bytes',
	"CREATE SUBSCRIPTION bytes CONNECTION '$connstr' PUBLICATION bytes");
$sub->poll_query_until('bytes',
	"SELECT count(*) = 3 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
) or die 'table synchronization did not begin';

foreach my $table (1 .. 6)
{
	$pub->safe_psql(
		'bytes',
		"UPDATE first_$table SET value = value || 'changed' WHERE id % 2 = 0;
		 DELETE FROM first_$table WHERE id % 10 = 3;
		 INSERT INTO first_$table SELECT chr(b) || 'later', 1000 + b FROM generate_series(1, 255) AS b"
	);
}
$pub->safe_psql(
	'bytes',
	"INSERT INTO alone SELECT chr(b) || 'later' FROM generate_series(1, 255) AS b;
	 DELETE FROM alone WHERE ascii(value) = 90 AND length(value) = 18;
	 UPDATE numbers SET value = id");
$gate->query_safe('SELECT pg_advisory_unlock(1)');
$gate->quit;

# and the tables continue to change
$pub->safe_psql('bytes', "UPDATE numbers SET value = value + 1")
  foreach (1 .. 10);
$sub->wait_for_subscription_sync($pub, 'bytes', 'bytes');
$pub->safe_psql('bytes', "UPDATE numbers SET value = value + 1");
$pub->wait_for_catchup('bytes');

foreach my $table ((map { "first_$_" } (1 .. 6)), 'alone', 'numbers')
{
	my $query =
	  "SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM $table AS t";
	my $expected = $pub->safe_psql('bytes', $query);

	unlike($expected, qr/^0/, "$table: there are rows");
	is($sub->safe_psql('bytes', $query), $expected, "$table: same rows");
}

# Streams of table synchronization are compressed too.
like(
	slurp_file($sub->logfile),
	qr/LOG:  receiving logical changes for "pg_\d+_sync_\d+_\d+" compressed with zstd, level 1$/m,
	'a table catches up over a compressed stream');
like(
	slurp_file($pub->logfile),
	qr/LOG:  streaming logical changes to "pg_\d+_sync_\d+_\d+" compressed with zstd, level 1$/m,
	'the publisher logs the same');
is( $sub->safe_psql(
		'postgres',
		"SELECT codec FROM walstream_receiver WHERE name = 'bytes'"),
	'zstd',
	'as is the subscription itself');
unlike(
	slurp_file($sub->logfile),
	qr/could not decode/,
	'nothing was taken for a frame');

# These streams share one row of the totals, since their names never occur
# again.
is( $pub->safe_psql(
		'postgres', q{
	SELECT count(*) FILTER (WHERE name = '(table synchronization)'),
		count(*) FILTER (WHERE name LIKE '%\_sync\_%')
	FROM walstream_totals WHERE kind = 'logical sender'}),
	'1|0',
	'streams of table synchronization share a row of the totals');

done_testing();
