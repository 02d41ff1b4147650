# Copyright (c) 2026, the walstream authors

# A relay that loses the connection to its upstream connects again at once, in
# the same process and without rewriting anything, however often that happens.
# So synchronous commits continue.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamProxy;
use WalstreamRelay;
use WalstreamTest;

my $cuts = 12;

my $primary = walstream_primary('primary');
my $proxy = WalstreamProxy->new($primary);
my $relay = walstream_relay($primary, 'relay', conninfo => $proxy->connstr);
my $dir = store_dir($relay);
wait_for_relay_state($relay, 'streaming');
make_synchronous($primary, $relay);

my $start = relay_row($relay);

# The name and inode number of the open segment's file.
sub open_segment
{
	my ($file) = grep { /\.partial$/ } store_files($dir);

	return defined $file ? "$file " . (stat("$dir/$file"))[1] : undef;
}

# The relay reports the loss, and continues in the same process.
sub wait_for_loss
{
	my ($pattern, $what) = @_;

	wait_until(
		$relay,
		"SELECT last_error ~ '$pattern' FROM walstream_relay",
		"$what: it is told");
	wait_for_relay_state($relay, 'streaming');
	is( relay_row($relay)->{receiver_pid},
		$start->{receiver_pid},
		"$what: the process goes on");
	return;
}

# A connection that is lost again and again, in the middle of messages
my $client = start_commits($primary);
$proxy->set_rules({ action => 'cut', nth => 20 });
my $attempts = 10 * $PostgreSQL::Test::Utils::timeout_default;
while ($proxy->count('cut') < $cuts && $attempts-- > 0)
{
	last
	  if (
		$relay->safe_psql('postgres',
			'SELECT receiver_pid FROM walstream_relay')
		|| 0) != $start->{receiver_pid};
	select(undef, undef, undef, 0.1);
}
cmp_ok($proxy->count('cut'), '>=', $cuts, 'the link was cut again and again');
$proxy->set_rules();
stop_commits($client);
wait_until(
	$relay,
	"SELECT reconnects >= $start->{reconnects} + $cuts FROM walstream_relay",
	'it connected again each time');
my $row = relay_row($relay);
is($row->{receiver_pid}, $start->{receiver_pid}, 'the process went on');
like(
	$row->{last_error},
	qr/could not receive data|could not send data/,
	'the view shows the lost connection');
cmp_ok(scalar(acked_ids($client)), '>', 2 * $cuts, 'commits went on');
wait_for_relay($primary, $relay);
$row = relay_row($relay);
is( compare_store(
		$dir, 1,
		lsn_number($row->{first_lsn}), lsn_number($row->{flushed_lsn}),
		$primary->data_dir . '/pg_wal'),
	undef,
	'all that was acknowledged is stored');

# A connection that is lost once: no file is rewritten,
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
load_wal($primary, 10);
my $file = open_segment();
$primary->safe_psql('postgres',
	"SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE application_name = 'relay'"
);
wait_for_loss('terminating connection due to administrator command',
	'terminated');
load_wal($primary, 10);
is(open_segment(), $file, 'terminated: the open segment is the same file');

# and only the end of the stored WAL is received again.
load_wal($primary, 3500);
my $written = wait_for_relay($primary, $relay);
my $log = -s $relay->logfile;
$primary->safe_psql('postgres',
	"SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE application_name = 'relay'"
);
$relay->wait_for_log(qr/relay receives WAL from/, $log);
my ($from) = map { lsn_number($_) }
  slurp_file($relay->logfile, $log) =~ m{relay receives WAL from (\S+) on};
cmp_ok(
	$from, '>',
	lsn_number($written) - 512 * 1024,
	'terminated: only the end comes again');
cmp_ok(
	$from, '<=',
	lsn_number($written) - 256 * 1024,
	'terminated: and is compared');
cmp_ok($from % 1048576, '>', 0, 'terminated: which is not a whole segment');
wait_for_relay_state($relay, 'streaming');
$file = open_segment();

# An upstream that breaks the protocol
$proxy->set_rules({ action => 'drop', times => 1 });
$primary->safe_psql('postgres',
	"SET synchronous_commit = local; SELECT pg_logical_emit_message(true, '', 'x')"
) foreach 1, 2;
wait_for_loss('upstream sent WAL from|could not decode', 'gap in the stream');

# An upstream that falls silent
$proxy->set_rules({ action => 'hold', times => 1, kind => 'Z' });
my $commit =
  start_psql($primary, "SELECT pg_logical_emit_message(true, '', 'silent')");
$attempts = 100 * $PostgreSQL::Test::Utils::timeout_default;
select(undef, undef, undef, 0.01)
  while !$proxy->count('hold') && $attempts-- > 0;
$relay->append_conf('postgresql.conf', "wal_receiver_timeout = 500ms\n");
$relay->reload;
wait_until(
	$relay,
	"SELECT last_error ~ 'upstream has been silent' FROM walstream_relay",
	'silent: it is told');
$relay->append_conf('postgresql.conf', "wal_receiver_timeout = 60s\n");
$relay->reload;
ok($commit->{run}->finish, 'silent: a commit goes on');
is( relay_row($relay)->{receiver_pid},
	$start->{receiver_pid},
	'silent: the process goes on');
is(open_segment(), $file, 'the open segment is still the same file');

# A receiver that is terminated when everything is durable does not rewrite it
# either, and no position goes back.
my $flushed = relay_row($relay)->{flushed_lsn};
$log = -s $relay->logfile;
$proxy->set_rules({ action => 'hold', kind => 'Z' });
$relay->safe_psql('postgres',
	"SELECT pg_terminate_backend($start->{receiver_pid})");
$relay->wait_for_log(qr/relay receives WAL from/, $log);
$row = relay_row($relay);
isnt($row->{receiver_pid}, $start->{receiver_pid}, 'ended: another process');
is(open_segment(), $file, 'ended: the open segment is the same file');
cmp_ok(lsn_number($row->{flushed_lsn}),
	'>=', lsn_number($flushed), 'ended: nothing is taken back');
cmp_ok(
	lsn_number($row->{received_lsn}),
	'>=',
	lsn_number($row->{flushed_lsn}),
	'ended: what is durable was received');
$proxy->set_rules();
load_wal($primary, 10);
wait_for_relay($primary, $relay);
$row = relay_row($relay);
is( compare_store(
		$dir, 1,
		lsn_number($row->{first_lsn}), lsn_number($row->{flushed_lsn}),
		$primary->data_dir . '/pg_wal'),
	undef,
	'all is stored in the end');

done_testing();
