# Copyright (c) 2026, the walstream authors

# How long a relay keeps WAL: the minimum without slots, slots that hold more,
# slots that are lost, and a gap after which a new range begins.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

declare_expected_warning(
	'replication slot "(lost|idle)" on the upstream had to be made anew');

my $mb = 1024 * 1024;
my $primary = walstream_primary(
	'primary',
	# without a slot upstream, WAL in transit must survive a checkpoint
	conf =>
	  "wal_keep_size = 16MB\nmin_wal_size = '2MB'\nmax_wal_size = '2MB'\nwal_recycle = off\n"
);
my $relay = walstream_relay($primary, 'relay',
	conf => "walstream.relay_keep_size = '4MB'\n");
wait_for_relay_state($relay, 'streaming');
my $begin = relay_row($relay)->{first_lsn};

# relay_keep_size
write_segments($primary, $relay, 8);
wait_until(
	$relay,
	"SELECT flushed_lsn - first_lsn BETWEEN 4 * $mb AND 6 * $mb FROM walstream_relay",
	'relay_keep_size is kept, and little more');
isnt(relay_row($relay)->{first_lsn}, $begin, 'the first position has moved');
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'what is there is whole');

my $client = WalstreamClient->new($relay, application_name => 'client');
like(
	command_error($client, "START_REPLICATION $begin"),
	qr/requested WAL segment \w+ has already been removed/,
	'what was removed cannot be had');
$client->close;

# relay_keep_age
set_setting($relay, 'relay_keep_age', '1h');
my $first = relay_row($relay)->{first_lsn};
write_segments($primary, $relay, 6);
is(relay_row($relay)->{first_lsn}, $first, 'relay_keep_age keeps more');
set_setting($relay, 'relay_keep_age', '0');
wait_until(
	$relay,
	"SELECT flushed_lsn - first_lsn <= 6 * $mb FROM walstream_relay",
	'without relay_keep_age the WAL is removed');

# A slot holds more WAL than relay_keep_size.
$relay->safe_psql('postgres', "SELECT walstream_create_relay_slot('holds')");
my $restart = relay_slot_row($relay, 'holds')->{restart_lsn};
isnt($restart, undef, 'a slot with a position');
write_segments($primary, $relay, 10);
is( $relay->safe_psql(
		'postgres', "SELECT first_lsn <= '$restart' FROM walstream_relay"),
	't',
	'a slot holds WAL');
$client = WalstreamClient->new($relay, application_name => 'client');
$client->start("START_REPLICATION SLOT holds $restart");
my $user = sender_row($relay, 'client')->{pid};

# read all of it now, so that what comes next is read, too
my $held = lsn_number(relay_row($relay)->{flushed_lsn});
my $received = lsn_number($restart);
while ($received < $held)
{
	my $content = $client->receive;
	my ($kind, $lsn) = unpack('a q>', $content);

	next if $kind ne 'w';
	is($lsn, $received, 'WAL that a slot holds can be streamed')
	  if $received == lsn_number($restart);
	$received = $lsn + length($content) - 25;
}

# But not more than relay_max_slot_keep_size; the slot's user is told, and so
# is the next one.
my $log = -s $relay->logfile;
set_setting($relay, 'relay_max_slot_keep_size', '8MB');
wait_until(
	$relay,
	"SELECT lost FROM walstream_relay_slots WHERE slot_name = 'holds'",
	'a slot that wants more than relay_max_slot_keep_size is lost');
wait_until(
	$relay,
	"SELECT flushed_lsn - first_lsn <= 10 * $mb FROM walstream_relay",
	'a lost slot holds no WAL');
is( $client->receive_error,
	'terminating connection due to administrator command',
	'its user is told');
ok( $relay->wait_for_log(
		qr/LOG:  terminating process $user to release relay slot "holds"\n(?:.*\n)*.*LOG:  relay slot "holds" is lost\n.*DETAIL:  It needs WAL from \Q$restart\E on/,
		$log),
	'the log says why');
$client = WalstreamClient->new($relay, application_name => 'client');
is( command_error($client, "START_REPLICATION SLOT holds $restart"),
	'relay slot "holds" is lost',
	'a lost slot is refused');
$client->close;
$relay->restart;
wait_for_relay_state($relay, 'streaming');
is(relay_slot_row($relay, 'holds')->{lost},
	JSON::PP::true, 'a lost slot stays lost after a restart');

# A slot that advances with its standby holds no WAL for long.
$relay->safe_psql('postgres',
	"SELECT walstream_create_relay_slot('standby')");
my $standby = walstream_standby(
	$primary, 'standby',
	conninfo => $relay->connstr,
	conf => "primary_slot_name = standby\n");
write_segments($primary, $relay, 8);
wait_for_replay($primary, $standby);
wait_until(
	$relay,
	"SELECT flushed_lsn - first_lsn <= 6 * $mb FROM walstream_relay",
	'a slot in use lets go of what is flushed');
$standby->stop;
write_segments($primary, $relay, 1);

#
# The upstream no longer has the WAL that comes next.
#
$relay->stop;
foreach (1 .. 20)
{
	load_wal($primary, 1000);
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal(); CHECKPOINT');
}
$relay->start;
wait_for_relay_state($relay, 'gap');
my $row = relay_row($relay);
like(
	$row->{reason},
	qr{no longer the WAL from (\S+) on timeline 1 on; stored is WAL up to \Q$row->{flushed_lsn}\E, and the upstream is at \S+$},
	'the reason has both positions');
$log = -s $relay->logfile;
$relay->safe_psql('postgres', 'SELECT walstream_relay_resume()');
$relay->wait_for_log(qr/relay stops receiving: WAL is missing/, $log);
wait_for_relay_state($relay, 'gap');
note("gap: $row->{reason}");
my $end = $row->{flushed_lsn};
$first = $row->{first_lsn};

# The WAL before the gap is still served.
$standby->start;
$standby->poll_query_until('postgres',
	"SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) >= '$end'"
) or die "not served\n";
pass('what is stored before the gap is served');
$standby->stop;
$relay->restart;
wait_for_relay_state($relay, 'gap');
is(relay_row($relay)->{flushed_lsn}, $end, 'nothing changes by itself');

$relay->safe_psql('postgres', 'SELECT walstream_relay_restart_after_gap()');
wait_for_relay_state($relay, 'streaming');
write_segments($primary, $relay, 1);
is( $relay->safe_psql(
		'postgres', "SELECT first_lsn > '$end' FROM walstream_relay"),
	't',
	'a new range begins behind the gap');
my ($aside) = glob(store_dir($relay) . '/before-gap.*');
my @aside = defined $aside ? store_files($aside) : ();
cmp_ok(scalar(@aside), '>', 0, 'the old one is set aside');
is(relay_slot_row($relay, 'standby')->{lost},
	JSON::PP::true, 'slots are lost');
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'the new range is whole');
$client = WalstreamClient->new($relay, application_name => 'client');
like(
	command_error($client, "START_REPLICATION $first"),
	qr/requested WAL segment \w+ has already been removed/,
	'the old range is not served');
$client->close;
$relay->restart;
wait_for_relay_state($relay, 'streaming');
my $after = walstream_standby($primary, 'after', conninfo => $relay->connstr);
wait_for_replay($primary, $after);
pass('a standby of the new range');

# A slot on the upstream that was created too late is a gap, too.
$relay->stop;
$primary->safe_psql('postgres',
	"SELECT pg_create_physical_replication_slot('late')");
foreach (1 .. 20)
{
	load_wal($primary, 1000);
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal(); CHECKPOINT');
}
$primary->safe_psql('postgres',
	"SELECT pg_drop_replication_slot('late'); SELECT pg_create_physical_replication_slot('late', true)"
);
$relay->append_conf('postgresql.conf', "walstream.relay_slot = 'late'\n");
$relay->start;
wait_for_relay_state($relay, 'gap');
pass('a slot upstream that was made too late');


# A slot that the primary has invalidated is created again; its WAL is gone.
my $lost = walstream_relay($primary, 'lost', slot => 'lost');
wait_for_relay_state($lost, 'streaming');
$lost->stop;
$primary->append_conf('postgresql.conf', "max_slot_wal_keep_size = 1MB\n");
$primary->reload;
my $attempts = 100;
while (
	$attempts-- > 0
	&& $primary->safe_psql('postgres',
		"SELECT wal_status = 'lost' FROM pg_replication_slots WHERE slot_name = 'lost'"
	) ne 't')
{
	load_wal($primary, 1000);
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal(); CHECKPOINT');
}
$primary->append_conf('postgresql.conf', "max_slot_wal_keep_size = -1\n");
$primary->reload;
$lost->start;
wait_for_relay_state($lost, 'gap');
is( $primary->safe_psql(
		'postgres',
		"SELECT restart_lsn IS NOT NULL AND wal_status <> 'lost' FROM pg_replication_slots WHERE slot_name = 'lost'"
	),
	't',
	'a slot that the primary has lost is made anew');
$lost->safe_psql('postgres', 'SELECT walstream_relay_restart_after_gap()');
wait_for_relay_state($lost, 'streaming');
$lost->stop;

# PostgreSQL 18 can invalidate a slot for other reasons: it then has a
# position, but cannot be used, and is replaced.
if ($primary->pg_version >= 18)
{
	my $idle = walstream_relay($primary, 'idle', slot => 'idle');

	wait_for_relay_state($idle, 'streaming');
	$idle->stop;
	$primary->append_conf('postgresql.conf',
		"idle_replication_slot_timeout = 1s\n");
	$primary->reload;
	$attempts = 10 * $PostgreSQL::Test::Utils::timeout_default;
	select(undef, undef, undef, 0.1)
	  while $attempts-- > 0 && $primary->safe_psql(
		'postgres',
		"CHECKPOINT; SELECT invalidation_reason IS NULL FROM pg_replication_slots WHERE slot_name = 'idle'"
	  ) eq 't';
	is( $primary->safe_psql(
			'postgres',
			"SELECT invalidation_reason || ' ' || (restart_lsn IS NOT NULL) FROM pg_replication_slots WHERE slot_name = 'idle'"
		),
		'idle_timeout true',
		'a slot that was idle is invalidated');
	$idle->start;
	wait_until(
		$idle,
		"SELECT state = 'streaming' FROM walstream_relay",
		'an invalidated slot is replaced');
}

done_testing();
