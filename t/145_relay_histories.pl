# Copyright (c) 2026, the walstream authors

# The upstream lacks history files of its ancestors, as it can after base
# backups and promotions; here that happens three times.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

declare_expected_warning(
	'replication slot "(relay|old|older)" on the upstream had to be made anew'
);

# Each node is made from the one before, after that was promoted.
my @nodes = walstream_primary('one');
foreach my $name (qw(two three four))
{
	my $node = walstream_standby($nodes[-1], $name);

	$node->safe_psql('postgres',
		"SELECT pg_create_physical_replication_slot(name, true) FROM unnest(ARRAY['old', 'older']) name"
	) if $name eq 'four';
	$nodes[-1]->stop;
	$node->promote;
	push @nodes, $node;
}
my $four = $nodes[-1];
my $pg_wal = $four->data_dir . '/pg_wal';
is_deeply(
	[ sort grep { /history$/ } slurp_dir($pg_wal) ],
	[qw(00000003.history 00000004.history)],
	'the upstream has no history of timeline 2');

sub histories
{
	my ($relay) = @_;

	return join(' ',
		map { /0+(\d)\.history$/ }
		sort { $a cmp $b } slurp_dir(store_dir($relay)));
}

sub streams
{
	my ($relay, $timeline, $what) = @_;

	return wait_until(
		$relay,
		"SELECT state = 'streaming' AND timeline = $timeline FROM walstream_relay",
		$what);
}

# The error that a client of the node gets for a history file.
sub history_error
{
	my ($node, $timeline) = @_;
	my $client = WalstreamClient->new($node);
	my ($error, $state);

	$client->_send('Q', "TIMELINE_HISTORY $timeline\0");
	for (;;)
	{
		my ($type, $content) = $client->_read;

		($error, $state) =
		  ($content =~ /\0M([^\0]*)/, $content =~ /\0C([^\0]*)/)
		  if $type eq 'E';
		last if $type eq 'Z';
	}
	$client->close;
	return join(': ', $state // 'no error', $error // '');
}

#
# A new relay, another one behind it, and downstreams
#
my $relay = walstream_relay($four, 'relay', slot => 'relay');
streams($relay, 4, 'a relay begins');
my $second = walstream_relay($relay, 'second');
streams($second, 4, 'a relay behind that relay begins');
foreach my $node ($relay, $second)
{
	is(histories($node), '3 4',
		$node->name . ' has the history files that there are');
	like(
		history_error($node, 2),
		qr{^58P01: could not open file ".*00000002.history": No such file},
		$node->name . ' says of the other what PostgreSQL does');
}
like(
	history_error($four, 2),
	qr{^58P01: could not open file ".*00000002.history": No such file},
	'the primary has no history file of its ancestor');

my $standby = walstream_standby(
	$four, 'standby',
	walstream => 0,
	conninfo => $second->connstr);
my $dir = PostgreSQL::Test::Utils::tempdir();
my $receivewal = start_receivewal($relay, $dir);
write_segments($four, $relay, 2);
standby_matches($four, $standby, 'a standby behind both');

# wait for pg_receivewal's files: it ends when the relay is restarted
my $attempts = 100 * $PostgreSQL::Test::Utils::timeout_default;
select(undef, undef, undef, 0.01)
  until $attempts-- <= 0
  || -s "$dir/00000004.history" && grep { /^00000004.{16}/ } slurp_dir($dir);
$relay->restart;
streams($relay, 4, 'after a restart');
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't', 'verified');

#
# The relays follow the next promotion.
#
my $five = walstream_standby($four, 'five', conninfo => $relay->connstr);
wait_for_replay($four, $five);
wait_for_relay($four, $_) foreach $relay, $second;
ok(-s "$dir/00000004.history",
	'pg_receivewal has the history of its timeline');
like(join(' ', slurp_dir($dir)),
	qr/\b00000004[0-9A-F]{16}\b/, 'pg_receivewal has WAL of its timeline');
stop_receivewal($receivewal);

#
# A range begins on an ancestor of which the upstream has no history file.  The
# ancestor's WAL is stored together with a history file.
#
unlink("$pg_wal/00000003.history") or die "$pg_wal/00000003.history: $!\n";
my $early = walstream_relay($four, 'early', slot => 'old');
streams($early, 4, 'a relay begins on the timeline before');
is(relay_row($early)->{first_timeline}, 3, 'the range begins on timeline 3');
is(histories($early), '3 4', 'it has the history that it needs');
my ($derived, $true) = map {
	join(' ',
		slurp_file(store_dir($_) . '/00000003.history') =~ /^(\d+\s+\S+)/mg)
} $early, $relay;
is($derived, $true, 'the derived history is right');

# A history file that contradicts that of the upstream's own timeline belongs
# to another server.
append_to_file("$pg_wal/00000003.history",
	"1\t0/1000028\tof another server\n");
my $other = walstream_relay($four, 'other', slot => 'older');
streams($other, 4,
	'a relay begins where there is a history of another server');
is(relay_row($other)->{first_timeline}, 3, 'on the timeline before too');
is( join(' ',
		slurp_file(store_dir($other) . '/00000003.history') =~
		  /^(\d+\s+\S+)/mg),
	$true,
	'the relay has the right history');
$other->restart;
streams($other, 4, 'after a restart');
$other->stop;
unlink("$pg_wal/00000003.history") or die "$pg_wal/00000003.history: $!\n";
$early->restart;
streams($early, 4, 'after a restart too');
is( $early->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'verified too');
my $client = WalstreamClient->new($early);
$client->start(
	'START_REPLICATION ' . relay_row($early)->{first_lsn} . ' TIMELINE 3');
like($client->receive, qr/^w/, 'the relay serves the timeline before');
$client->close;

# Follow a promotion to a server with fewer history files than the first relay
# has.
$four->stop;
$five->promote;
set_relay_upstream($_, $five->connstr) foreach $relay, $early;
streams($_, 5, $_->name . ' follows')  foreach $relay, $second, $early;
standby_matches($five, $standby, 'the standby follows too');
is(histories($second), '3 4 5', 'the second relay has the histories');
is($_->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't', $_->name . ' is verified')
  foreach $relay, $second, $early;

done_testing();
