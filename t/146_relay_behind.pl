# Copyright (c) 2026, the walstream authors

# A primary that was put back to an earlier state within the segment in which
# the relay's WAL ends, and an upstream on which the relay's slot was dropped.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

declare_expected_warning(
	'replication slot "relay" on the upstream had to be made anew');
declare_expected_warning(
	'specified neither "?primary_conninfo"? nor "?restore_command"?');

my $primary = walstream_primary('primary');
my $relay = walstream_relay($primary, 'relay', slot => 'relay');
wait_for_relay_state($relay, 'streaming');

sub warnings_since
{
	my ($log) = @_;

	return slurp_file($relay->logfile, $log) =~
	  /WARNING:  (replication slot .*)\n.*DETAIL:  (.*)\n.*HINT:  (.*)\n/g;
}

#
# The relay's slot
#
like(
	slurp_file($relay->logfile),
	qr/LOG:  created replication slot "relay" on the upstream\n/,
	'the first slot is no surprise');
load_wal($primary, 100);
wait_for_relay($primary, $relay);
my $end = pause_relay($relay);
$relay->stop;
$primary->safe_psql('postgres', "SELECT pg_drop_replication_slot('relay')");
load_wal($primary, 100);
my $log = -s $relay->logfile;
$relay->start;
wait_for_relay($primary, $relay);
my @warning = warnings_since($log);
is( $warning[0],
	'replication slot "relay" on the upstream had to be made anew',
	'one that was dropped is');
like(
	$warning[1],
	qr{The relay has WAL up to \Q$end\E on timeline 1; the new slot keeps the upstream's from [0-9A-F]+/[0-9A-F]+ on\.},
	'the warning has both positions');
$log = -s $relay->logfile;
$relay->restart;
wait_for_relay_state($relay, 'streaming');
my @none = warnings_since($log);
is(scalar(@none), 0, 'after a restart there is no warning');

# A slot that was created without a position holds nothing either.
$relay->stop;
$primary->safe_psql('postgres',
	"SELECT pg_drop_replication_slot('relay'); SELECT pg_create_physical_replication_slot('relay')"
);
$log = -s $relay->logfile;
$relay->start;
wait_for_relay_state($relay, 'streaming');
is( (warnings_since($log))[0],
	'replication slot "relay" on the upstream had to be made anew: it held no WAL',
	'one without position is replaced');

#
# An earlier state: for a primary the relay's state is "behind", a standby is
# waited for.
#
sub in_one_segment
{
	my ($node) = @_;

	$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
	load_wal($node, 100);
	wait_for_relay($node, $relay);
	return;
}

in_one_segment($primary);
$relay->stop;
$primary->stop;
$primary->backup_fs_cold('cold');
$_->start foreach $primary, $relay;
load_wal($primary, 500);
$end = wait_for_relay($primary, $relay);
my %earlier;

foreach my $name (qw(standby copy))
{
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init_from_backup($primary, 'cold');
	append_to_file($node->data_dir . '/standby.signal', '')
	  if $name eq 'standby';
	$node->append_conf('postgresql.conf', "primary_conninfo = ''\n");
	$node->append_conf('postgresql.conf',
		"synchronous_standby_names = 'relay'\n")
	  if $name eq 'copy';
	$node->start;
	$earlier{$name} = $node;
}
$log = -s $relay->logfile;
set_relay_upstream($relay, $earlier{standby}->connstr);
$relay->wait_for_log(qr/relay receives WAL from/, $log);
wait_for_relay_state($relay, 'streaming');
is(relay_row($relay)->{reason}, undef, 'a standby with less is waited for');

# Read it now: the primary may have written more meanwhile.
$end = relay_row($relay)->{flushed_lsn};

my $copy = $earlier{copy};
my $at = $copy->lsn('flush');
is( lsn_number($at) >> 20,
	lsn_number($end) >> 20,
	'a primary with less, in the same segment');
cmp_ok(lsn_number($at), '<', lsn_number($end),
	'the primary is behind the relay');
set_relay_upstream($relay, $copy->connstr);
wait_for_relay_state($relay, 'behind');
like(
	relay_row($relay)->{reason},
	qr{^the upstream is a primary at [0-9A-F]+/[0-9A-F]+ on timeline 1, and WAL is stored up to \Q$end\E: it was put back to an earlier state$},
	'the state says why');
like(
	slurp_file($relay->logfile, $log),
	qr/LOG:  relay waits until its upstream has what is stored\n.*DETAIL:  .*put back to an earlier state\.\n.*HINT:  .*walstream_relay_restart_after_gap\(\)/,
	'the log has the hint');
my $waiting = start_psql($copy, 'CREATE TABLE waiting (id int)');
ok(waits_for_standby($copy, 'CREATE TABLE waiting'), 'a commit waits');

# The primary writes past the stored WAL, with other bytes.
$copy->safe_psql('postgres',
	'SET synchronous_commit = local; CREATE TABLE filler AS SELECT g FROM generate_series(1, 20000) g'
);
wait_for_relay_state($relay, 'diverged');
like(
	relay_row($relay)->{reason},
	qr/other bytes than the stored ones/,
	'diverged when it has passed that');
is( $copy->safe_psql(
		'postgres',
		"SELECT count(*) FROM pg_stat_replication WHERE flush_lsn >= '$end'"),
	0,
	'nothing was confirmed');
ok(waits_for_standby($copy, 'CREATE TABLE waiting'),
	'the commit still waits');
is(relay_row($relay)->{flushed_lsn}, $end, 'what is stored is as it was');

# The way out
$relay->safe_psql('postgres', 'SELECT walstream_relay_restart_after_gap()');
wait_for_relay_state($relay, 'streaming');
ok($waiting->{run}->finish, 'begun anew, the commit goes on');

done_testing();
