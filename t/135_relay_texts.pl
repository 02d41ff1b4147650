# Copyright (c) 2026, the walstream authors

# Texts from an upstream may be in any encoding, or invalid.  Clients of any
# encoding can read the relay's view, and a message stays one line of the log.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;
use WalstreamUpstream;

my $upstream = WalstreamUpstream->new;
$upstream->set_answers(login => { error => 'case 0' });
my $relay;
{
	local $ENV{LC_CTYPE} = 'C.UTF-8';
	$relay = walstream_relay(
		undef, 'relay',
		conninfo => $upstream->connstr,
		conf => "wal_retrieve_retry_interval = '100ms'\n");
}
is($relay->safe_psql('postgres', 'SHOW server_encoding'),
	'UTF8', 'the relay\'s own database');
$relay->safe_psql('postgres',
	"CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
$relay->safe_psql('latin', 'CREATE EXTENSION walstream');

# Read the view as clients of several encodings, which must get the same.
sub read_view
{
	my ($name) = @_;
	my ($first, @failed);

	my %encodings = (
		postgres => [qw(UTF8 LATIN1 EUC_JP)],
		latin => [qw(LATIN1 UTF8 SQL_ASCII)]);

	foreach my $database (sort keys %encodings)
	{
		foreach my $encoding (@{ $encodings{$database} })
		{
			local $ENV{PGCLIENTENCODING} = $encoding;
			my ($status, $stdout, $stderr) = $relay->psql($database,
				'SELECT last_error, reason, upstream_host FROM walstream_relay'
			);

			$first //= $stdout;
			push @failed, "$database, $encoding: $stderr"
			  if $status != 0 || $stdout eq '';
		}
	}
	is(join("\n", @failed), '', "$name: read by every client");
	like($first, qr/^[\x20-\x7e]*$/, "$name: it is printable ASCII");
	return $first;
}

# Let the upstream give an answer, and wait for the resulting error.
sub answer
{
	my ($marker, %answers) = @_;

	$upstream->set_answers(%answers);

	# a reload ends the pause after a failure
	$relay->poll_query_until('postgres',
		"SELECT pg_reload_conf() AND EXISTS (SELECT FROM walstream_relay WHERE last_error LIKE '%$marker%')"
	) or die "no error with \"$marker\"\n";
	return read_view($marker);
}

my $bad = "caf\xe9 \xff\xfe \xf0";
my $shown = 'caf\\xe9 \\xff\\xfe \\xf0';
my $control = "a\x01b\x1b[31mc\x7f %s%n%d\n\tnext";
my $control_shown = 'a\\x01b\\x1b[31mc\\x7f %s%n%d next';
my $euro = "\xe2\x82\xac";

# During login
like(
	answer('case 1', login => { error => "case 1 $bad", code => '28000' }),
	qr/FATAL: case 1 \Q$shown\E/,
	'bytes that are no text');
like(
	answer('case 2', login => { error => "case 2 $control" }),
	qr/case 2 \Q$control_shown\E/,
	'control characters');
like(
	answer('case 3', login => { error => "case 3 $euro" }),
	qr/case 3 \\xe2\\x82\\xac/,
	'a character that others lack');
my $log = -s $relay->logfile;
my $cut = answer('case 4', login => { error => 'case 4 ' . $euro x 5000 });
like(
	$cut,
	qr/case 4 (?:\\xe2\\x82\\xac)+(?:\\xe2(?:\\x82)?)?\.\.\.\|/,
	'a long one is cut, and not within an escape');
cmp_ok(length((split /\|/, $cut)[0]),
	'<', 512, "a long text is cut to the column's size");

# Answers to commands.  Between the cases all commands fail, even within an
# existing connection, so that the next error is a new one.
my %closed = map { $_ => { error => 'closed' } } 'IDENTIFY_SYSTEM',
  map { "SHOW $_" } qw(wal_block_size wal_segment_size integer_datetimes);
like(
	answer('case 5', IDENTIFY_SYSTEM => { error => "case 5 $bad $control" }),
	qr/case 5 \Q$shown $control_shown\E/,
	'an error of a command');
foreach my $case (
	[ 'a system identifier', $bad, '1', '0/1' ],
	[ 'a system identifier', '', '1', '0/1' ],
	[ 'a system identifier', undef, '1', '0/1' ],
	[ 'a system identifier', '99999999999999999999', '1', '0/1' ],
	[ 'a timeline', '1', "1\n", '0/1' ],
	[ 'a timeline', '1', '4294967296', '0/1' ],
	[ 'a position', '1', '1', "0/1$bad" ],
	[ 'a position', '1', '1', 'Z' x 100000 ],
	[ 'a position', '1', '1', undef ])
{
	my ($expected, @values) = @$case;

	answer('case 6', %closed, login => { error => 'case 6' });
	answer("where $expected is expected",
		IDENTIFY_SYSTEM => { row => [ @values, undef ] });
}
foreach my $setting (qw(wal_block_size wal_segment_size integer_datetimes))
{
	answer('case 7', %closed, login => { error => 'case 7' });
	like(answer('upstream has', "SHOW $setting" => { row => [$bad] }),
		qr/\Q$shown\E/, "the value of $setting");
}
is(relay_row($relay)->{system_identifier},
	undef, 'none of these has become the upstream');
like(
	answer(
		'instead of',
		IDENTIFY_SYSTEM =>
		  { row => [ '7000000000000000001', '2', '0/3000000', undef ] },
		TIMELINE_HISTORY => { row => [ "../../$bad", "1\t0/1000000\tx\n" ] }),
	qr{history file "\.\./\.\./\Q$shown\E" instead of},
	'the name of a history file');

# What we have logged: one line for each message, in valid characters.
my $written = slurp_file($relay->logfile);
unlike($written, qr/[\x00-\x08\x0b-\x1f\x7f]/,
	'no control characters in the log');
like(
	$written,
	qr/LOG:  relay could not connect to its upstream: .*case 1 caf\\xe9 \\xff\\xfe \\xf0$/m,
	'what is no text');
like($written,
	qr/LOG:  relay could not connect to its upstream: .*case 3 $euro$/m,
	'text is kept');
my ($long) = slurp_file($relay->logfile, $log) =~ /(.*case 4 .*)/;
cmp_ok(length($long), '<', 3000, 'a line is not endless');

# Within a stream
like(
	answer('case 8', START_REPLICATION => { error => "case 8 $bad" }),
	qr/case 8 \Q$shown\E/,
	'an error in the place of a stream');
like(
	answer(
		'case 9', START_REPLICATION => { copy => [], error => "case 9 $bad" }
	),
	qr/case 9 \Q$shown\E/,
	'an error within a stream');

$relay->stop;
$upstream->stop;

done_testing();
