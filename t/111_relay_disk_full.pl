# Copyright (c) 2026, the walstream authors

# When the relay's disk is full, it says so, stays connected, loses nothing,
# and continues by itself when there is room.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $mb = 1024 * 1024;
my $base = PostgreSQL::Test::Utils::tempdir();
my $faults = "$base/faults";
my $primary =
  walstream_primary('primary', conf => "wal_sender_timeout = '4s'\n");
my $relay = walstream_relay(
	$primary, 'relay',
	start => 0,
	conf => "walstream.relay_compress = off\n");
my $dir = store_dir($relay);
mkdir($dir, 0700);
start_preloaded($relay, 'power_fault', $dir, $faults);
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
wait_for_relay_state($relay, 'streaming');
make_synchronous($primary, $relay);
load_wal($primary, 10_000);
$relay->safe_psql('postgres',
	"SELECT walstream_create_relay_slot('standby')");
my $standby = walstream_standby(
	$primary, 'standby',
	conninfo => $relay->connstr,
	conf => "primary_slot_name = standby\n");
wait_for_replay($primary, $standby);

sub used_bytes
{
	my $bytes = 0;
	$bytes += -s "$dir/$_" foreach grep { -f "$dir/$_" } slurp_dir($dir);
	return $bytes;
}

# Leave room for a few segments.
set_faults($faults, 'space ' . (used_bytes() + 2 * $mb + 1000));
my $log = -s $relay->logfile;
my $client = start_commits($primary);
my $load = start_psql(
	$primary, q{DO $$
BEGIN
	FOR i IN 1..60 LOOP
		INSERT INTO load (filler) SELECT md5(g::text) || repeat('x', 60) FROM generate_series(1, 1000) g;
		COMMIT;
	END LOOP;
END
$$});
wait_for_relay_state($relay, 'disk full');
wait_for_fault($faults, qr/ENOSPC/);
my $row = relay_row($relay);
like(
	$row->{reason},
	qr/No space left|full|room/i,
	"the reason is told: $row->{reason}");
like(slurp_file($relay->logfile, $log), qr/no space left/i,
	'the log says so');

#
# Wait until the relay has sent replies for this long.  It tries again before
# each reply: the keeper's spare segment may have used the last space, and can
# then be taken.
#
sub wait_for_replies
{
	my ($seconds) = @_;
	my $sender = fetch_row($primary,
		"SELECT pid, reply_time FROM pg_stat_replication WHERE application_name = 'relay'"
	);

	$primary->poll_query_until('postgres',
		"SELECT reply_time > timestamptz '$sender->{reply_time}' + interval '$seconds s' FROM pg_stat_replication WHERE pid = $sender->{pid}"
	) or die "the connection is lost, or there are no replies\n";
	return $sender->{pid};
}

my $flushed = '';
while ($flushed ne relay_row($relay)->{flushed_lsn})
{
	$flushed = relay_row($relay)->{flushed_lsn};
	wait_for_replies(2);
	wait_for_relay_state($relay, 'disk full');
}

# It replies for longer than the primary would wait for a silent receiver.
my $sender = wait_for_replies(6);
pass('the connection stays, and replies go on');
is(relay_row($relay)->{flushed_lsn}, $flushed,
	'nothing more is acknowledged');
is(relay_row($relay)->{state}, 'disk full', 'the disk is still full');

# It serves what it has.
$standby->restart;
$standby->poll_query_until('postgres',
	"SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) >= '$flushed'"
) or die "not served\n";
pass('what is there is served');

# Make room again.
set_faults($faults);
wait_for_relay_state($relay, 'streaming');
ok($load->{run}->finish, 'the load goes on') || diag(${ $load->{output} });
stop_commits($client);
is( $primary->safe_psql(
		'postgres',
		"SELECT pid FROM pg_stat_replication WHERE application_name = 'relay'"
	),
	$sender,
	'it was the same connection all the time');
standby_matches($primary, $standby, 'nothing was lost');
is_deeply([ missing_ids($standby, acked_ids($client)) ],
	[], 'no commit either');

# Retention makes room while the disk is full; an exceeded quota is handled in
# the same way.
set_faults($faults, 'quota ' . (used_bytes() + $mb));
my $keeper = relay_row($relay)->{keeper_pid};
$load = start_psql($primary,
	"INSERT INTO load (filler) SELECT md5(g::text) || repeat('x', 60) FROM generate_series(1, 50000) g"
);
wait_for_relay_state($relay, 'disk full');
is(relay_row($relay)->{keeper_pid},
	$keeper, 'the keeper goes on without room for a spare segment');
$relay->safe_psql('postgres',
	"ALTER SYSTEM SET walstream.relay_keep_size = '3MB'");
$relay->reload;
ok($load->{run}->finish, 'the keeper removes what retention allows');
wait_for_relay_state($relay, 'streaming');
is(relay_row($relay)->{keeper_pid}, $keeper,
	'the keeper is the same process');
set_faults($faults);
wait_for_replay($primary, $standby);

# The disk is full when the relay starts.
$relay->safe_psql('postgres', 'ALTER SYSTEM RESET walstream.relay_keep_size');
$relay->stop;
set_faults($faults, 'space ' . (used_bytes() - $mb));
start_preloaded($relay, 'power_fault', $dir, $faults);
$load = start_psql($primary,
	"INSERT INTO load (filler) SELECT md5(g::text) || repeat('x', 60) FROM generate_series(1, 50000) g"
);
wait_for_relay_state($relay, 'disk full');
set_faults($faults);
ok($load->{run}->finish, 'it goes on when there is room');

# Not even a file can be created, and there is no spare segment.
$relay->stop;
unlink("$faults.raised", "$dir/walstream.spare");
set_faults($faults, 'create *.partial.tmp ENOSPC');
start_preloaded($relay, 'power_fault', $dir, $faults);
wait_for_relay_state($relay, 'streaming');
wait_for_fault($faults, qr/^create .*\.partial\.tmp/m);
pass('it starts where no file can be made');
$primary->safe_psql('postgres',
	"INSERT INTO load (filler) VALUES ('in the end')");
wait_for_relay_state($relay, 'streaming');
standby_matches($primary, $standby,
	'standby and primary are the same in the end');

done_testing();
