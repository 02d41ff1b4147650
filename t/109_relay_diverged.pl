# Copyright (c) 2026, the walstream authors

# A new primary that lacks WAL which the relay has; another primary on the same
# timeline.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamPower;
use WalstreamRelay;
use WalstreamTest;

# Make a primary, its standby, and a relay that connects to whichever of them
# is the primary.
sub make_three
{
	my ($n, %options) = @_;
	my $one = walstream_primary("one$n",
		conf => "wal_writer_flush_after = 0\nwal_writer_delay = 10ms\n");
	my $two = walstream_standby($one, "two$n");
	my $hosts = join(' ',
		'host=' . join(',', map { $_->host } $one, $two),
		'port=' . join(',', map { $_->port } $one, $two),
		'target_session_attrs=read-write');
	my $relay =
	  walstream_relay($one, "relay$n", conninfo => $hosts, %options);

	return ($one, $two, $relay);
}

#
# The relay has a part of a record that no other server can have completely: it
# follows, and never reports more of the new timeline than it has.
#
my $base = PostgreSQL::Test::Utils::tempdir();
mkdir("$base/watched");
my ($one, $two, $relay) = make_three(
	1,
	directory => "$base/watched/store",
	start => 0,
	conf => "fsync = on\nwal_retrieve_retry_interval = 100ms\n");
start_preloaded($relay, 'power_record', "$base/watched", "$base/record");
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
wait_for_relay_state($relay, 'streaming');
load_wal($one, 1000);
wait_for_relay($one, $relay);
wait_for_replay($one, $two);
my $follower = walstream_standby(
	$one, 'follower',
	walstream => 0,
	conninfo => $relay->connstr);
$one->safe_psql('postgres', 'CHECKPOINT');
wait_for_replay($one, $_) foreach $two, $follower;
my $first = relay_row($relay)->{first_lsn};
my $client = WalstreamClient->new($relay, application_name => 'client');
$client->start("START_REPLICATION $first TIMELINE 1");

# This record ends on an incomplete page, which is not flushed before the
# transaction ends.  But the background writer may log something after it,
# every 15 s, and then the page is flushed: try again.
my ($session, $end, $held);
foreach (1 .. 5)
{
	$session->quit if defined $session;
	$session = $one->background_psql('postgres');
	$end = $session->query_safe(
		"BEGIN; SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000))"
	);
	$_->poll_query_until('postgres',
		$_ == $relay
		? "SELECT flushed_lsn > '$end'::pg_lsn - 20000 FROM walstream_relay"
		: "SELECT pg_last_wal_receive_lsn() > '$end'::pg_lsn - 20000")
	  || die "no part of the record arrives\n"
	  foreach $relay, $two, $follower;
	$held = relay_row($relay)->{flushed_lsn};
	last if lsn_number($held) < lsn_number($end);
}
is($relay->safe_psql('postgres', "SELECT '$held'::pg_lsn < '$end'"),
	't', 'the relay holds a part of a record');
my $streamed = '';
while (lsn_number($first) + length($streamed) < lsn_number($held))
{
	my $message = $client->receive;

	$streamed .= substr($message, 25) if $message =~ /^w/;
}
$one->kill9;
eval { $session->quit };
wait_for_relay_state($relay, 'waiting for upstream');
$held = relay_row($relay)->{flushed_lsn};

# read it now: a new timeline resets this position
my $follower_has =
  $follower->safe_psql('postgres', 'SELECT pg_last_wal_receive_lsn()');
$two->promote;
$two->append_conf('postgresql.conf',
	"synchronous_standby_names = 'relay1'\n");
$two->reload;
wait_until(
	$relay,
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'a part of a record does not keep it from following');
load_wal($two, 100);
my ($switch) =
  slurp_file("$base/watched/store/00000002.history") =~ m{^1\s+(\S+)}m;
is($relay->safe_psql('postgres', "SELECT '$switch'::pg_lsn < '$held'"),
	't', 'it was behind the switch point');

# All downstreams follow.  Those that have a part of the record, too, are sent
# nothing more of the old timeline; those that do not have it get no WAL after
# the switch point; and all are told where the new timeline begins.
is( $follower->safe_psql(
		'postgres',
		"SELECT '$switch'::pg_lsn < '$held'::pg_lsn AND '$follower_has'::pg_lsn > '$switch'"
	),
	't',
	'a standby of the relay has a part of the record as well');
wait_until(
	$follower,
	'SELECT received_tli = 2 FROM pg_stat_wal_receiver',
	'it follows to the new timeline');
my $row2 = pack('n N a1 N a*', 2, 1, '2', length($switch), $switch);

# Return all WAL up to the CopyDone; check the row that follows.
sub stream_to_the_end
{
	my ($what) = @_;
	my $wal = '';

	for (;;)
	{
		my ($type, $content) = $client->_read;

		die $content if $type eq 'E';
		$wal .= substr($content, 25) if $type eq 'd' && $content =~ /^w/;
		$client->_send('c', '') if $type eq 'c';
		is($content, $row2, "$what: is told of the new timeline")
		  if $type eq 'D';
		return $wal if $type eq 'Z';
	}
}

sub old_wal
{
	my ($bytes) = @_;
	my $begin = lsn_number($first);
	my $wal = join(
		'',
		map {
			slurp_file($one->data_dir
				  . '/pg_wal/'
				  . sprintf('00000001%08X%08X', $_ >> 12, $_ & 0xfff))
		} $begin >> 20 .. ($begin + $bytes - 1) >> 20);

	return substr($wal, 0, $bytes);
}

$streamed .= stream_to_the_end('a client that has streamed');
my $behind = lsn_number($first) + length($streamed);
cmp_ok($behind, '>', lsn_number($switch),
	'the client has a part of the record');
cmp_ok($behind, '<=', lsn_number($held),
	'and not more than the relay had when the upstream went');
ok($streamed eq old_wal(length($streamed)),
	'all of it is of the old primary');
$client->start("START_REPLICATION $first TIMELINE 1");
$streamed = stream_to_the_end('one that asks now');
is( length($streamed),
	lsn_number($switch) - lsn_number($first),
	'it gets WAL up to the switch point');
ok( $streamed eq old_wal(length($streamed)),
	'all of it is of the old primary too');
$client->close;
$relay->stop;

# The first positions acknowledged on the new timeline.
my $record = WalstreamPower->new("$base/record");
my $replay = $record->replay;
my @wrong;
my %right;
foreach my $ack ($record->find('ack'))
{
	$replay->advance($ack + 1);
	my ($name, $pid, %told);
	($name, $pid, @told{qw(written flushed)}) = @{ $record->{records}[$ack] };

	next if ($replay->{connection}{$pid} // 0) != 2;
	foreach my $what (sort keys %told)
	{
		my $lsn = hex($told{$what});
		next if $lsn <= lsn_number($switch);
		my $segment =
		  sprintf('00000002%08X%08X', $lsn >> 32, ($lsn & 0xffffffff) >> 20);
		my $file = "store/$segment.partial";
		my $bytes = $lsn & 0xfffff;

		# WAL that is only written need not be synced
		my $object = $replay->look_up($file);
		my $stored =
			$what eq 'flushed' ? $replay->files->{$file}
		  : defined $object    ? $object->{content}
		  :                      undef;
		push @wrong, "$what $told{$what}"
		  if substr($stored // '', 0, $bytes) ne
		  substr(slurp_file($two->data_dir . "/pg_wal/$segment"), 0, $bytes);
		$right{$what}++;
	}
}
cmp_ok($right{$_} // 0,
	'>', 0, "positions of the new timeline were acknowledged as $_")
  foreach qw(written flushed);
is_deeply(\@wrong, [],
	'no position of the new timeline is acknowledged before its bytes are held'
);
$relay->start;
load_wal($two, 100);
standby_matches($two, $follower, 'the standby that had a part of the record');
$_->stop foreach $follower, $two;

#
# The relay has a commit that the new primary lacks.
#
($one, $two, $relay) = make_three(2);
wait_for_relay_state($relay, 'streaming');
make_synchronous($one, $relay);
$one->safe_psql('postgres', 'CREATE TABLE acked (id bigint)');
wait_for_replay($one, $two);
my $standby = walstream_standby($one, 'standby', conninfo => $relay->connstr);
$two->stop;
my $before = $one->lsn('flush');
$one->safe_psql('postgres', 'INSERT INTO acked VALUES (1)');
my $commit = $one->lsn('flush');
wait_for_relay($one, $relay);
$one->stop('immediate');
$two->start;
$two->promote;
my $log = -s $relay->logfile;
wait_for_relay_state($relay, 'diverged');
my $row = relay_row($relay);
note("diverged: $row->{reason}");
is($row->{timeline}, 1, 'the relay does not follow');

# The primary may have written records of its own after the commit.
my ($told) = $row->{reason} =~
  m{; stored are \d+ bytes more, .*, the last commit up to (\S+)$};
ok( defined $told
	  && lsn_number($told) > lsn_number($before)
	  && lsn_number($told) <= lsn_number($commit),
	'the position of the last commit is told');
is( $standby->poll_query_until('postgres', 'SELECT count(*) = 1 FROM acked'),
	1,
	'the old timeline is served');
$two->append_conf('postgresql.conf',
	"synchronous_standby_names = 'relay2'\n");
$two->reload;
$two->poll_query_until('postgres', "SHOW synchronous_standby_names", 'relay2')
  or die;
$session = start_psql($two, 'CREATE TABLE waits (id int)');
$two->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
  or die "a commit does not wait\n";
is( $two->safe_psql(
		'postgres',
		"SELECT count(*) FROM pg_stat_replication WHERE flush_lsn >= '$commit'"
	),
	0,
	'nothing is confirmed to the new primary');
$relay->restart;
wait_for_relay_state($relay, 'diverged');
is(relay_row($relay)->{timeline}, 1, 'not after a restart either');

$relay->safe_psql('postgres', 'SELECT walstream_relay_follow()');
wait_until(
	$relay,
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'it follows when it is told to');
ok($session->{run}->finish, 'the commit goes on');
my $other = walstream_standby($two, 'other', conninfo => $relay->connstr);
load_wal($two);
standby_matches($two, $other, 'a standby of the new timeline');
$_->stop foreach $standby, $other, $relay, $two;

#
# Two primaries on one timeline
#
$one = walstream_primary('one');
$relay = walstream_relay($one, 'relay');
wait_for_relay_state($relay, 'streaming');
load_wal($one, 100);
wait_for_relay($one, $relay);
$relay->stop;
$one->stop;
$one->backup_fs_cold('cold');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($one, 'cold');
$_->start foreach $one, $copy, $relay;
wait_for_relay_state($relay, 'streaming');
$one->safe_psql('postgres', "INSERT INTO load (filler) VALUES ('one')");
wait_for_relay($one, $relay);
my $flushed = relay_row($relay)->{flushed_lsn};
load_wal($copy, 200);
set_relay_upstream($relay, $copy->connstr);
wait_for_relay_state($relay, 'diverged');
note('diverged: ' . relay_row($relay)->{reason});
is(relay_row($relay)->{flushed_lsn},
	$flushed, 'nothing that was acknowledged is given up');
wait_for_relay($one, $relay, $flushed);
is( compare_store(
		store_dir($relay), 1,
		lsn_number(relay_row($relay)->{first_lsn}), lsn_number($flushed),
		$one->data_dir . '/pg_wal'),
	undef,
	'what is stored was not overwritten');

# Another cluster
my $stranger = walstream_primary('stranger');
$log = -s $relay->logfile;
set_relay_upstream($relay, $stranger->connstr);
$relay->restart;
$relay->wait_for_log(qr/system identifier/, $log);
is(relay_row($relay)->{flushed_lsn}, $flushed, 'another cluster is refused');

# Back to the right upstream
set_relay_upstream($relay, $one->connstr);
wait_for_relay_state($relay, 'streaming');
load_wal($one, 100);
wait_for_relay($one, $relay);
pass('it goes on with its own upstream');

done_testing();
