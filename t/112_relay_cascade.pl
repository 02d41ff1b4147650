# Copyright (c) 2026, the walstream authors

# A relay of a relay.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

declare_expected_warning(
	'replication slot "far" on the upstream had to be made anew');

my $primary = walstream_primary('primary');
my $near = walstream_relay($primary, 'near', slot => 'near');
wait_for_relay_state($near, 'streaming');
make_synchronous($primary, $near);
my $far = walstream_relay(
	$near, 'far',
	slot => 'far',
	conf => "walstream.relay_compress = lz4\n");
wait_for_relay_state($far, 'streaming');
my $standby = walstream_standby(
	$primary, 'standby',
	conninfo => $far->connstr,
	conf => "hot_standby_feedback = on\nwal_receiver_status_interval = 1\n");
load_wal($primary, 20_000);
standby_matches($primary, $standby, 'behind two relays');

is( relay_row($far)->{system_identifier},
	relay_row($near)->{system_identifier},
	'one cluster');
isnt(relay_slot_row($near, 'far')->{active_pid},
	undef, 'the second has made its slot on the first');
is(sender_row($near, 'far')->{codec},
	'walz', 'compressed from relay to relay');
is(sender_row($far, 'standby')->{codec},
	'walz', 'compressed from relay to standby');
wait_until(
	$far,
	"SELECT count(*) > 1 FROM walstream_relay_segments WHERE state = 'lz4'",
	'the second stores in its own way');

foreach my $relay ($near, $far)
{
	wait_for_relay($primary, $relay);
	my $row = relay_row($relay);
	is( compare_store(
			store_dir($relay), 1,
			lsn_number($row->{first_lsn}), lsn_number($row->{flushed_lsn}),
			$primary->data_dir . '/pg_wal'),
		undef,
		$relay->name . ': all bytes');
}

# Feedback passes both relays.
wait_until(
	$primary,
	"SELECT xmin IS NOT NULL FROM pg_replication_slots WHERE slot_name = 'near'",
	'feedback arrives at the primary');

# The first relay is down, and then the primary, too: the second one continues
# to serve.
$near->stop;
wait_for_relay_state($far, 'waiting for upstream');
$standby->restart;
$near->start;
my $session =
  start_psql($primary, "INSERT INTO load (filler) VALUES ('after')");
ok($session->{run}->finish, 'a commit');
wait_for_relay_state($far, 'streaming');
standby_matches($primary, $standby, 'after the first was away');
$primary->stop('immediate');
my $log = -s $far->logfile;
$near->stop('immediate');
$near->start;
$far->wait_for_log(qr/relay receives WAL from/, $log);
wait_for_relay_state($far, 'streaming');
pass('a relay streams from one that has no upstream');
my $all = relay_row($near)->{flushed_lsn};
wait_until(
	$far,
	"SELECT flushed_lsn = '$all' FROM walstream_relay",
	'the second relay has all WAL of the first');
cmp_ok(relay_row($far)->{reconnects}, '>=', 2, 'reconnects are counted');

# A relay is not taken for a primary.
my ($stdout, $stderr) = run_command(
	[
		'psql',
		'-XAtd',
		$near->connstr
		  . ' dbname=postgres replication=true target_session_attrs=read-write',
		'-c',
		'IDENTIFY_SYSTEM'
	]);
is($stdout, '',
	'target_session_attrs=read-write does not take a relay for a primary');
($stdout, $stderr) = run_command(
	[
		'psql',
		'-XAtd',
		$near->connstr
		  . ' dbname=postgres replication=true target_session_attrs=standby',
		'-c',
		'IDENTIFY_SYSTEM'
	]);
isnt($stdout, '', 'a relay is taken for a standby');

# Of two hosts the relay connects to the primary.
$primary->start;
my $hosts = join(' ',
	'host=' . join(',', $near->host, $primary->host),
	'port=' . join(',', $near->port, $primary->port),
	'target_session_attrs=read-write');
set_relay_upstream($far, $hosts);
wait_until(
	$primary,
	"SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = 'far'",
	'a relay finds the primary in its host list');
wait_until(
	$far,
	"SELECT upstream_port = "
	  . $primary->port
	  . " AND state = 'streaming' FROM walstream_relay",
	'the view shows the host in use');


# If the first relay has lost the slot of the second, the second can still
# continue.
set_relay_upstream($far, $near->connstr);
wait_for_relay_state($far, 'streaming');
$far->stop;
set_setting($near, 'relay_keep_size', '1MB');
set_setting($near, 'relay_max_slot_keep_size', '2MB');
write_segments($primary, $near, 6);
wait_until(
	$near,
	"SELECT lost FROM walstream_relay_slots WHERE slot_name = 'far'",
	'its slot is lost');
is_deeply(
	[ WalstreamClient->new($near)->row('READ_REPLICATION_SLOT far') ],
	[ 'physical', undef, undef ],
	'which has no position then, as on a primary');
$far->start;
wait_for_relay_state($far, 'gap');
is(relay_slot_row($near, 'far')->{lost},
	JSON::PP::false, 'the lost slot on the first relay is replaced');
$far->safe_psql('postgres', 'SELECT walstream_relay_restart_after_gap()');
wait_for_relay_state($far, 'streaming');
pass('and the second can go on');

done_testing();
