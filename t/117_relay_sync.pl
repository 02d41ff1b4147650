# Copyright (c) 2026, the walstream authors

# A relay is a synchronous standby, at both levels that it can satisfy, while
# its fsync is slow.  One sync makes all WAL durable that has arrived
# meanwhile.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamPower;
use WalstreamRelay;
use WalstreamTest;

my $base = PostgreSQL::Test::Utils::tempdir();
my $faults = "$base/faults";
my $primary = walstream_primary('primary');
my $relay =
  walstream_relay($primary, 'relay', start => 0, conf => "fsync = on\n");
my $dir = store_dir($relay);
mkdir($dir, 0700);
start_preloaded($relay, 'power_fault', $dir, $faults);
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
wait_for_relay_state($relay, 'streaming');
$primary->safe_psql('postgres', 'CREATE TABLE written (level text)');
make_synchronous($primary, $relay);
my $standby = walstream_standby(
	$primary, 'standby',
	walstream => 0,
	conninfo => $relay->connstr);
wait_for_replay($primary, $standby);

# Start a commit in a session of its own, which reports when it returns.
sub commit_at
{
	my ($level) = @_;

	return start_psql($primary,
		"SET synchronous_commit = $level; INSERT INTO written VALUES ('$level')"
	);
}

set_faults($faults, 'fdatasync *.partial hold');
my $written = commit_at('remote_write');
wait_for_fault($faults, qr/hold/);
ok($written->{run}->finish, 'remote_write does not wait for the fsync');
my $row = relay_row($relay);
is( $relay->safe_psql(
		'postgres', 'SELECT written_lsn > flushed_lsn FROM walstream_relay'),
	't',
	'written is before flushed');
is( $primary->safe_psql(
		'postgres',
		"SELECT write_lsn > flush_lsn FROM pg_stat_replication WHERE application_name = 'relay'"
	),
	't',
	'the primary sees the written position');
my $flushed = commit_at('on');
ok(waits_for_standby($primary, 'on'), 'on waits for the fsync');
my $received =
  $standby->safe_psql('postgres', 'SELECT pg_last_wal_receive_lsn()');
is( $relay->safe_psql(
		'postgres',
		"SELECT '$received'::pg_lsn <= flushed_lsn FROM walstream_relay"),
	't',
	'what is not flushed is not served');
set_faults($faults);
ok($flushed->{run}->finish, 'on returns after it');
wait_for_replay($primary, $standby);
is( $standby->safe_psql(
		'postgres', 'SELECT string_agg(level, $$ $$) FROM written'),
	'remote_write on',
	'the standby has both');

# One fsync serves all commits that arrived meanwhile.
unlink("$faults.raised");
set_faults($faults, 'fdatasync *.partial hold');
my @sessions = commit_at('on');
wait_for_fault($faults, qr/hold/);
push @sessions, map { commit_at('on') } 1 .. 5;
$primary->poll_query_until('postgres',
	"SELECT count(*) = 6 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
  or die "they do not wait\n";
set_faults($faults);
is(scalar(grep { $_->{run}->finish } @sessions), 6, 'all return');

# A relay cannot confirm remote_apply.
my $session = commit_at('remote_apply');
waits_for_standby($primary, 'remote_apply') or die 'the commit does not wait';
is( $primary->safe_psql(
		'postgres',
		"SELECT replay_lsn IS NULL FROM pg_stat_replication WHERE application_name = 'relay'"
	),
	't',
	'a relay never reports that it has applied');
declare_expected_warning(
	'canceling wait for synchronous replication due to user request');
$primary->safe_psql('postgres',
	"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
);
$session->{run}->finish;
like(
	${ $session->{output} },
	qr/WARNING:  canceling wait/,
	'remote_apply waits for ever');

#
# Messages arrive one by one while the receiver is stopped.  When it continues,
# it writes them and reports that, then makes all durable with one sync and
# reports that.
#
my $log = "$base/record";
my $messages = 25;
$relay->stop;
start_preloaded($relay, 'power_record', $dir, $log);
wait_for_relay_state($relay, 'streaming');

# keep everything within one segment
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
$primary->safe_psql('postgres', "INSERT INTO written VALUES ('before')");
my $receiver = $relay->safe_psql('postgres',
	"SELECT pid FROM pg_stat_activity WHERE backend_type = 'walstream relay receiver'"
);

# The end of WAL if the relay has reported all of it as flushed, else ''.
sub quiet_lsn
{
	return $primary->safe_psql('postgres',
		"SELECT flush_lsn FROM pg_stat_replication WHERE application_name = 'relay' AND flush_lsn = pg_current_wal_flush_lsn()"
	);
}

# Stop the receiver while it is idle, or the syncs that it is doing would
# count.
for (;;)
{
	my $lsn = quiet_lsn();

	add_mark($log, 'stopped');
	kill('STOP', $receiver) == 1 or die "could not stop the receiver: $!\n";
	last if $lsn ne '' && quiet_lsn() eq $lsn;
	kill('CONT', $receiver) == 1
	  or die "could not continue the receiver: $!\n";
}
my $end;
foreach (1 .. $messages)
{
	$end = $primary->safe_psql('postgres',
		"SET synchronous_commit = local; INSERT INTO written VALUES ('one more'); SELECT pg_current_wal_flush_lsn()"
	);
	$primary->poll_query_until('postgres',
		"SELECT sent_lsn >= '$end' FROM pg_stat_replication WHERE application_name = 'relay'"
	) or die "WAL is not sent\n";
}
kill('CONT', $receiver) == 1 or die "could not continue the receiver: $!\n";
wait_for_relay($primary, $relay, $end);
$primary->poll_query_until('postgres',
	"SELECT flush_lsn >= '$end' FROM pg_stat_replication WHERE application_name = 'relay'"
) or die "the flush is not told\n";
$relay->stop;

# What was done to the open segment until everything was reported as flushed.
my $record = WalstreamPower->new($log);
my ($stopped) = reverse $record->find('mark');
my %writes;    # by inode
my $inode = 0;
my %syncs = (fdatasync => 0, fsync => 0);
my @told;
foreach my $number ($stopped + 1 .. $record->count - 1)
{
	my ($name, @fields) = $record->fields($number);

	$writes{ $fields[0] }++ if $name eq 'write';
	if ($name =~ /^f(data)?sync$/ && $fields[1] =~ /\.partial$/)
	{
		$inode = $fields[0];
		$syncs{$name}++;
	}
	next if $name ne 'ack';
	my ($write, $flush) =
	  map { hex($_) >= lsn_number($end) ? 1 : 0 } @fields[ 1, 2 ];
	push @told, "all written, durable: $flush, after $syncs{fdatasync}"
	  if $write;
	last if $flush;
}
cmp_ok($writes{$inode} // 0, '>=', $messages, 'messages arrive one by one');
is_deeply(
	\%syncs,
	{ fdatasync => 1, fsync => 0 },
	'one fdatasync for all of them');
is_deeply(
	\@told,
	[
		'all written, durable: 0, after 0',
		'all written, durable: 1, after 1'
	],
	'the write is told before it, the flush after it');

done_testing();
