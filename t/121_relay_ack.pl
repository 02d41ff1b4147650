# Copyright (c) 2026, the walstream authors

# A relay acknowledges nothing to a primary that has diverged on the same
# timeline, not even WAL before the segment in which it resumes: a commit that
# waits there is not in the relay's WAL.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $one = walstream_primary('one');
my $relay = walstream_relay($one, 'relay');
wait_for_relay_state($relay, 'streaming');
load_wal($one, 100);
wait_for_relay($one, $relay);
$relay->stop;
$one->stop;
$one->backup_fs_cold('cold');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($one, 'cold');
$copy->append_conf('postgresql.conf',
	"synchronous_standby_names = 'relay'\n");
$_->start foreach $one, $copy, $relay;
wait_for_relay_state($relay, 'streaming');

# The relay receives some segments from "one" ...
foreach (1 .. 2)
{
	$one->safe_psql('postgres', 'SELECT pg_switch_wal()');
	load_wal($one, 100);
}
wait_for_relay($one, $relay);
$one->stop('immediate');
wait_for_relay_state($relay, 'waiting for upstream');
my $flushed = relay_row($relay)->{flushed_lsn};

# ... while a commit waits on "copy", whose WAL then grows to the same
# position.
my $session = start_psql($copy, 'CREATE TABLE waits (id int)');
my $waiting = sub {
	return $copy->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
};
$copy->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
  or die "the commit does not wait\n";
while (
	$copy->safe_psql('postgres',
		"SELECT pg_current_wal_flush_lsn() <= '$flushed'::pg_lsn") eq 't')
{
	$copy->safe_psql('postgres',
		"SET synchronous_commit = local; SELECT pg_logical_emit_message(true, 'x', repeat(md5(random()::text), 1000))"
	);
}

# Try several times: a wrong acknowledgement only sometimes arrives before the
# walsender ends.
set_relay_upstream($relay, $copy->connstr);
wait_for_relay_state($relay, 'diverged');
for (my $try = 1; $try < 10 && $waiting->() == 1; $try++)
{
	my $log = -s $relay->logfile;

	$relay->safe_psql('postgres', 'SELECT walstream_relay_follow()');
	$relay->wait_for_log(qr/stops receiving/, $log);
}
is($waiting->(), 1, 'a commit that the relay does not hold waits still');
$copy->stop('immediate');
eval { $session->{run}->finish };

done_testing();
