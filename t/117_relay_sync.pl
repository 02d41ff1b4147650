# Copyright (c) 2026, the walstream authors

# A relay as synchronous standby, at both levels that it can satisfy, while its
# fsync takes its time.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $base = PostgreSQL::Test::Utils::tempdir();
my $faults = "$base/faults";
my $primary = walstream_primary('primary');
my $relay = walstream_relay($primary, 'relay', start => 0, conf => "fsync = on\n");
my $dir = store_dir($relay);
mkdir($dir, 0700);
start_preloaded($relay, 'power_fault', $dir, $faults);
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
wait_for_relay_state($relay, 'streaming');
$primary->safe_psql('postgres', 'CREATE TABLE written (level text)');
make_synchronous($primary, $relay);
my $standby = walstream_standby($primary, 'standby', walstream => 0, conninfo => $relay->connstr);
wait_for_replay($primary, $standby);

# Each wait has its own session, and says that it is over.
sub commit_at
{
	my ($level) = @_;

	return start_psql($primary,
		"SET synchronous_commit = $level; INSERT INTO written VALUES ('$level')");
}

sub waits
{
	my ($level) = @_;

	$primary->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%$level%' AND pid <> pg_backend_pid()")
	  or die "a commit at $level does not wait\n";
	return;
}

set_faults($faults, 'fdatasync *.partial hold');
my $written = commit_at('remote_write');
wait_for_fault($faults, qr/hold/);
ok($written->{run}->finish, 'remote_write does not wait for the fsync');
my $row = relay_row($relay);
is($relay->safe_psql('postgres', 'SELECT written_lsn > flushed_lsn FROM walstream_relay'),
	't', 'written is before flushed');
is($primary->safe_psql('postgres',
		"SELECT write_lsn > flush_lsn FROM pg_stat_replication WHERE application_name = 'relay'"),
	't', 'so the primary sees it');
my $flushed = commit_at('on');
waits('on');
pass('on waits for the fsync');
my $received = $standby->safe_psql('postgres', 'SELECT pg_last_wal_receive_lsn()');
is($relay->safe_psql('postgres', "SELECT '$received'::pg_lsn <= flushed_lsn FROM walstream_relay"),
	't', 'what is not flushed is not served');
set_faults($faults);
ok($flushed->{run}->finish, 'on returns after it');
wait_for_replay($primary, $standby);
is($standby->safe_psql('postgres', 'SELECT string_agg(level, $$ $$) FROM written'),
	'remote_write on', 'the standby has both');

# One fsync serves all that arrived meanwhile.
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

# remote_apply can be confirmed by nobody here.
my $session = commit_at('remote_apply');
waits('remote_apply');
is($primary->safe_psql('postgres',
		"SELECT replay_lsn IS NULL FROM pg_stat_replication WHERE application_name = 'relay'"),
	't', 'a relay never reports that it has applied');
declare_expected_warning('canceling wait for synchronous replication due to user request');
$primary->safe_psql('postgres',
	"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
$session->{run}->finish;
like(${ $session->{output} }, qr/WARNING:  canceling wait/, 'remote_apply waits for ever');

done_testing();
