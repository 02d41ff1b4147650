# Copyright (c) 2026, the walstream authors

# Two timeline switches while standbys, pg_receivewal and another relay follow
# the relay.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

my $one = walstream_primary('one');
my $two = walstream_standby($one, 'two');
my $three = walstream_standby($one, 'three');
my $hosts = join(' ',
	'host=' . join(',', map { $_->host } $one, $two, $three),
	'port=' . join(',', map { $_->port } $one, $two, $three),
	'target_session_attrs=read-write');
my $relay = walstream_relay($one, 'relay', conninfo => $hosts);
wait_for_relay($one, $relay);
my $second = walstream_relay($relay, 'second');
wait_for_relay_state($_, 'streaming') foreach $relay, $second;

my $standby = walstream_standby(
	$one, 'standby',
	walstream => 0,
	conninfo => $relay->connstr);
my $far = walstream_standby($one, 'far', conninfo => $second->connstr);
my $late = walstream_standby(
	$one, 'late',
	conninfo => $relay->connstr,
	start => 0);
my $dir = PostgreSQL::Test::Utils::tempdir();
my $receivewal = start_receivewal($relay, $dir);
load_wal($one, 10_000);
wait_for_replay($one, $_) foreach $standby, $far, $two, $three;

# "three" follows directly from one upstream to the next.
sub switch_over
{
	my ($old, $new, $timeline) = @_;

	$old->stop;
	$new->promote;
	load_wal($new, 10_000);
	foreach my $node ($relay, $second)
	{
		wait_until(
			$node,
			"SELECT timeline = $timeline AND state = 'streaming' FROM walstream_relay",
			$node->name . " follows to timeline $timeline");
		wait_for_relay($new, $node);
	}
	foreach my $node ($standby, $far)
	{
		standby_matches($new, $node, $node->name . " on timeline $timeline");
		is( $node->safe_psql(
				'postgres', 'SELECT received_tli FROM pg_stat_wal_receiver'),
			$timeline,
			$node->name . " receives timeline $timeline");
	}
	return;
}

my $walreceiver =
  $standby->safe_psql('postgres', 'SELECT pid FROM pg_stat_wal_receiver');
my $three_conninfo = $two->connstr =~ s/'/''/gr;
wait_for_replay($one, $_) foreach $two, $three;
switch_over($one, $two, 2);
is($standby->safe_psql('postgres', 'SELECT pid FROM pg_stat_wal_receiver'),
	$walreceiver, 'a standby keeps its connection over the switch');
$three->append_conf('postgresql.conf',
	"primary_conninfo = '$three_conninfo'\nrecovery_target_timeline = latest\n"
);
$three->restart;
wait_for_replay($two, $three);
switch_over($two, $three, 3);

# The store has the WAL of each timeline from its first segment to its switch
# point.
foreach my $node ($relay, $second)
{
	my @files = store_files(store_dir($node));
	my $history = slurp_file(store_dir($node) . '/00000003.history');

	is( $history,
		slurp_file($three->data_dir . '/pg_wal/00000003.history'),
		$node->name . ': history file');
	my @switch = map { lsn_number($_) } $history =~ m{^\d+\s+(\S+)}mg;
	is(scalar(@switch), 2, 'two switches');
	my $first = lsn_number(relay_row($node)->{first_lsn});
	my $end = lsn_number(relay_row($node)->{flushed_lsn});
	my @begin = ($first, map { $_ & ~0xfffff } @switch);

	foreach my $case (
		[ 1, $begin[0], $switch[0], $one ],
		[ 2, $begin[1], $switch[1], $two ],
		[ 3, $begin[2], $end, $three ])
	{
		my ($tli, $from, $to, $source) = @$case;

		is( compare_store(
				store_dir($node), $tli,
				$from, $to,
				$source->data_dir . '/pg_wal'),
			undef,
			$node->name . ": all bytes of timeline $tli");
	}
	is( $node->safe_psql(
			'postgres', 'SELECT ok FROM walstream_relay_verify()'),
		't',
		$node->name . ': verified');
}

# A standby that was down during both switches, and a client that checks how
# the stream of a timeline ends.
$late->start;
standby_matches($three, $late, 'a standby that was away over both switches');
$receivewal->{run}->pump
  until ${ $receivewal->{output} } =~ /switched to timeline 3 at/;
ok(stop_receivewal($receivewal), 'pg_receivewal ends well')
  || diag(${ $receivewal->{output} });
like(
	${ $receivewal->{output} },
	qr/switched to timeline 3 at/,
	'pg_receivewal followed both switches');

my ($switch) =
  slurp_file(store_dir($relay) . '/00000002.history') =~ m{^1\s+(\S+)}m;
my $client = WalstreamClient->new($relay, application_name => 'client');

# Stream a timeline up to its end.  Returns the types of the messages, all WAL,
# and the contents of the messages that follow the WAL.
sub stream_to_the_end
{
	my ($from, $lsn, $timeline, $slot) = @_;
	my ($wal, @types, @contents) = ('');

	$from->_send('Q', "START_REPLICATION $slot $lsn TIMELINE $timeline\0");
	for (;;)
	{
		my ($type, $content) = $from->_read;

		$wal .= substr($content, 25) if $type eq 'd' && $content =~ /^w/;
		push @types, $type if $type ne 'd';
		push @contents, $content if $type =~ /[TDCE]/;
		if ($type eq 'c')
		{
			# an impossible position in a reply is not believed
			$from->confirm('FFFFFFFF/0') if $slot ne '';
			$from->_send('c', '');
		}
		return { types => "@types", wal => $wal, contents => \@contents }
		  if $type eq 'Z';
	}
}

sub lsn_behind
{
	my ($lsn, $bytes) = @_;

	return format_lsn(lsn_number($lsn) + $bytes);
}

# PostgreSQL's own walsender must give the same answers.
my $stock = WalstreamClient->new($three);
my $first = relay_row($relay)->{first_lsn};
my $row = pack('n N a1 N a*', 2, 1, '2', length($switch), $switch);
my $to_switch = lsn_number($switch) - lsn_number($first);
$client->command('CREATE_REPLICATION_SLOT ended PHYSICAL RESERVE_WAL');
foreach my $case (
	[ 'the oldest segment', $first, $to_switch, 'W c T D C C Z' ],
	[
		'the oldest segment, with a slot',
		$first, $to_switch, 'W c T D C C Z',
		'SLOT ended'
	],
	[
		'within the timeline',
		lsn_behind($switch, -1000),
		1000,
		'W c T D C C Z'
	],
	[
		'the byte before the switch point',
		lsn_behind($switch, -1),
		1, 'W c T D C C Z'
	],
	[ 'the switch point', $switch, 0, 'T D C C Z' ])
{
	my ($what, $lsn, $bytes, $types, $slot) = @$case;
	my $answer = stream_to_the_end($client, $lsn, 1, $slot // '');
	my $expected = stream_to_the_end($stock, $lsn, 1, '');

	is($answer->{types}, $types, "from $what: what comes");
	is(length($answer->{wal}), $bytes, 'all WAL up to the switch point');
	is($answer->{contents}[1], $row, 'the next timeline and where it begins');
	is_deeply($answer, $expected, 'all as from PostgreSQL');
}
is_deeply(
	[ $client->row('READ_REPLICATION_SLOT ended') ],
	[ 'physical', $switch, 1 ],
	'a slot does not pass the end of the timeline that its client has');

# A client may have bytes after the switch point, of an incomplete record.  It
# gets no WAL, and is told of the next timeline.
foreach my $bytes (1, 1000, 1024 * 1024)
{
	my $answer =
	  stream_to_the_end($client, lsn_behind($switch, $bytes), 1, '');

	is( $answer->{types},
		'W c T D C C Z',
		"$bytes bytes behind the switch point: what comes");
	is($answer->{wal}, '', 'no WAL');
	is($answer->{contents}[1], $row, 'the next timeline and where it begins');
}
$stock->close;

$client->start("START_REPLICATION $switch TIMELINE 2");
$client->_read_until('c');
$client->_send('c', '');
$client->_read_until('Z');
$client->command('TIMELINE_HISTORY 2');
$client->close;

# Restart the relay while it has three timelines.
my $flushed = relay_row($relay)->{flushed_lsn};
$three->stop('immediate');
$relay->restart;
wait_until(
	$relay,
	"SELECT timeline = 3 AND flushed_lsn >= '$flushed' FROM walstream_relay",
	'a restarted relay knows its timeline');

done_testing();
