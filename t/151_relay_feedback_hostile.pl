# Copyright (c) 2026, the walstream authors

# The replies of one client of a relay harm no other client, neither by what is
# sent to the primary nor by what they cost: impossible xmins, epochs and
# clocks, positions that go back and forth.

use strict;
use warnings;
no warnings 'portable';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamProxy;
use WalstreamRelay;
use WalstreamTest;

my $base = PostgreSQL::Test::Utils::tempdir();
my ($watched, $record) = ("$base/watched", "$base/record");
mkdir($watched);

# Use a later epoch, so that xids of an earlier one exist.
my $primary = walstream_primary('primary', start => 0);
system_or_bail('pg_resetwal', '-e', '5', '-D', $primary->data_dir);
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $proxy = WalstreamProxy->new($primary);
my $relay = walstream_relay(
	$primary, 'relay',
	slot => 'relay',
	conninfo => $proxy->connstr,
	directory => "$watched/store",
	start => 0,
	conf =>
	  "fsync = on\nwal_receiver_status_interval = 1\nwal_sender_timeout = 0\n"
);
start_preloaded($relay, 'power_record', $watched, $record);
$relay->safe_psql('postgres',
	'CREATE EXTENSION walstream; CREATE ROLE liar REPLICATION LOGIN');
wait_for_relay_state($relay, 'streaming');
$relay->safe_psql('postgres', "SELECT walstream_create_relay_slot('honest')");
load_wal($primary, 100);
my $begin = relay_row($relay)->{first_lsn};

# A client with a slot that sends the feedback of a real standby.
my $honest = WalstreamClient->new($relay, application_name => 'honest');
$honest->start("START_REPLICATION SLOT honest $begin");

# feedback($client, $xmin, $catalog_xmin): the high half of each is its epoch.
sub feedback
{
	my ($client, $xmin, $catalog_xmin, $time) = @_;
	my @xids = map { ($_ & 0xFFFFFFFF, $_ >> 32) } $xmin, $catalog_xmin // 0;

	$client->_send('d', 'h' . pack('q> N4', $time // 0, @xids));
	return;
}

# A new xid of the primary, whose commit the relay has received.
sub next_xid
{
	my $xid = $primary->safe_psql('postgres', 'SELECT pg_current_xact_id()');

	load_wal($primary, 1);
	wait_for_relay($primary, $relay);
	return $xid;
}

# The xid as views show it, without the epoch.
sub low
{
	my ($xid) = @_;

	return $xid & 0xFFFFFFFF;
}

sub primary_has
{
	my ($condition, $what) = @_;

	return wait_until(
		$primary,
		"SELECT $condition FROM pg_replication_slots WHERE slot_name = 'relay'",
		$what);
}

sub liar
{
	my ($slot) = @_;
	my $client = WalstreamClient->new(
		$relay,
		user => 'liar',
		application_name => 'teller of tales');

	$client->start(
		'START_REPLICATION ' . ($slot ? "SLOT $slot " : '') . $begin);
	return $client;
}

# How often a line occurs in the relay's log.
sub logged
{
	my ($pattern, $offset) = @_;

	return
	  scalar(() = slurp_file($relay->logfile, $offset // 0) =~ /$pattern/g);
}

#
# xmins
#
my $held = next_xid();
feedback($honest, $held);
primary_has("xmin = '" . low($held) . "'", 'an honest xmin arrives');

foreach my $case (
	[ 'of the next epoch', 1 << 32 ],
	[ 'a billion ahead', 1_000_000_000 ],
	[ 'of the last epoch', 0xFFFFFFFF_00000000 ])
{
	my ($what, $ahead) = @$case;

	foreach my $slot ('', 'liar')
	{
		my $offset = -s $relay->logfile;
		my $with = ($slot ? 'with' : 'without') . ' a slot';

		$relay->safe_psql('postgres',
			"SELECT walstream_create_relay_slot('liar')")
		  if $slot;
		my $client = liar($slot);

		# the honest client's xmin is held, and advances
		$held = next_xid();
		feedback($honest, $held);
		primary_has("xmin = '" . low($held) . "'",
			"$what, $with: an honest xmin");
		feedback($client, ($held + $ahead) x 2) foreach 1 .. 20;
		primary_has(
			'catalog_xmin IS NOT NULL AND xmin = \'' . low($held) . "'",
			"$what, $with: holds");
		my $later = next_xid();
		feedback($honest, $later);
		primary_has("xmin = '" . low($later) . "'",
			"$what, $with: and goes on");

		# without it, at most the last known xid counts
		feedback($honest, 0);
		primary_has(
			sprintf(
				'xmin::text::bigint BETWEEN %1$d + 1 AND %1$d + 100 AND catalog_xmin::text::bigint BETWEEN %1$d AND %1$d + 100',
				low($later)),
			"$what, $with: as far as the stored WAL");
		feedback($client, 0);
		primary_has('xmin IS NULL AND catalog_xmin IS NULL',
			"$what, $with: and lets go");
		feedback($client, $later + $ahead);

		my $line =
			'client "teller of tales"'
		  . ($slot ? ' with relay slot "liar"' : '')
		  . ' wants rows kept since a transaction that has not begun\n'
		  . '.*DETAIL: .*\n.*CONTEXT:  relay sender for "teller of tales", user "liar", host ';
		$relay->wait_for_log(qr/$line/, $offset);
		is(logged($line, $offset),
			1, "$what, $with: the log names the client, once");
		$client->close;
		next unless $slot;
		is( $relay->safe_psql(
				'postgres',
				"SELECT xmin::text::bigint <= $later + 100 FROM walstream_relay_slots WHERE slot_name = 'liar'"
			),
			't',
			"$what: what is stored in the slot");
		$relay->safe_psql('postgres',
			"SELECT walstream_drop_relay_slot('liar')");
	}
}

# An xmin that is impossibly old is ignored, as PostgreSQL does; an old one
# that is possible is held.
{
	my $client = liar();
	my $offset = -s $relay->logfile;

	$held = next_xid();
	feedback($honest, $held);
	primary_has("xmin = '" . low($held) . "'", 'an honest xmin');
	feedback($client, $_)
	  foreach $held - (2 << 30), low($held), low($held) + (1 << 32);
	$relay->wait_for_log(
		qr/client "teller of tales" wants rows kept .*too long ago/, $offset);
	$held = next_xid();
	feedback($honest, $held);
	primary_has(
		"xmin = '" . low($held) . "'",
		'one that is too old is passed over');
	feedback($honest, 0);
	primary_has('xmin IS NULL', 'nothing is held');
	feedback($client, $held - 2_000_000_000);
	primary_has("xmin = '" . low($held - 2_000_000_000) . "'",
		'an old one that can be is held');
	$client->close;
	primary_has('xmin IS NULL',
		'the old xmin is withdrawn when its client has gone');
}

#
# Clocks
#
foreach my $time (0x7FFFFFFF_FFFFFFFF, 0x7FFFFFFF_FFFFFFFE,
	-0x7FFFFFFF_FFFFFFFF - 1,
	-0x7FFFFFFF_FFFFFFFF, -1)
{
	foreach my $node ($relay, $primary)
	{
		my $client = WalstreamClient->new($node, application_name => 'clock');

		$client->start('START_REPLICATION '
			  . ($node == $relay ? $begin : $primary->lsn('flush')));
		$client->_send('d', 'r' . pack('Q>3 q> C', 1, 1, 1, $time, 0));
		feedback($client, 0, 0, $time);
		wait_until(
			$node,
			"SELECT count(*) = 1 FROM walstream_senders WHERE application_name = 'clock' AND write_lsn = '0/1'",
			$node->name . ": reply time $time is taken");
		my ($result, $stdout, $stderr) =
		  $node->psql('postgres', 'SELECT * FROM walstream_senders');
		is($stderr, '', '... and shown');
		$client->close;
	}
}

#
# Costs
#

# Number of fsyncs below slots/ so far.
sub syncs
{
	return scalar(() = slurp_file($record) =~ /^fsync \d+ store\/slots\//mg);
}

# Number of feedback messages that the primary got.
sub told
{
	return scalar(@{ $proxy->count('feedback') || [] });
}

foreach my $temporary ('', 'TEMPORARY ')
{
	my $client = WalstreamClient->new(
		$relay,
		user => 'liar',
		application_name => 'flapping');
	my ($before, $told_before, $began) = (syncs(), told(), time());
	my $end = lsn_number(relay_row($relay)->{flushed_lsn});
	my $first = lsn_number($begin);

	$client->command(
		"CREATE_REPLICATION_SLOT flapping ${temporary}PHYSICAL RESERVE_WAL");
	$client->start("START_REPLICATION SLOT flapping $begin");
	load_wal($primary, 10);
	my $now = next_xid();
	foreach my $i (1 .. 20_000)
	{
		my $lsn = $i % 2 ? $end - $i : $first + 20_000 - $i;

		$client->_send('d', 'r' . pack('Q>3 q> C', $lsn, $lsn, $lsn, 0, 0));
		feedback($client, $i % 2 ? $now - 2 : $now);
	}
	$client->_send('d',
		'r' . pack('Q>3 q> C', $first + 1, $first + 1, $first + 1, 0, 0));
	wait_until(
		$relay,
		"SELECT restart_lsn - '$begin' = 1 FROM walstream_relay_slots WHERE slot_name = 'flapping'",
		"${temporary}positions that go to and fro are taken at once");
	my $seconds = time() - $began + 2;
	my $syncs = syncs() - $before;
	my $told = told() - $told_before;
	cmp_ok(
		$syncs, '<=',
		3 * $seconds + 10,
		"... and cost few fsyncs ($syncs in $seconds s)");
	cmp_ok(
		$told, '<=',
		2 * $seconds,
		"... and few messages to the primary ($told)");

	# the last position reaches the disk without another message
	if (!$temporary)
	{
		my $attempts = 100 * $PostgreSQL::Test::Utils::timeout_default;
		my $lsn =
		  sprintf('%X/%X', ($first + 1) >> 32, ($first + 1) & 0xFFFFFFFF);

		select(undef, undef, undef, 0.01)
		  while slurp_file("$watched/store/slots/flapping") !~
		  /^restart_lsn $lsn$/m && $attempts-- > 0;
		like(
			slurp_file("$watched/store/slots/flapping"),
			qr/^restart_lsn $lsn$/m,
			'the last position is written soon');
	}
	$client->close;
	$relay->safe_psql('postgres',
		"SELECT walstream_drop_relay_slot('flapping')")
	  unless $temporary;
}

#
# A stop
#
{
	my $end = relay_row($relay)->{flushed_lsn};
	my $client = WalstreamClient->new(
		$relay,
		user => 'liar',
		application_name => 'to and fro');
	my $begun;

	$client->start("START_REPLICATION $end");
	load_wal($primary, 100);
	my $sent = wait_for_relay($primary, $relay);

	$honest->close;
	wait_until(
		$relay,
		"SELECT sent_lsn >= '$sent' FROM walstream_senders WHERE application_name = 'to and fro'",
		'a client that confirms now this, now that');
	$relay->safe_psql('postgres',
		"ALTER SYSTEM SET wal_sender_timeout = '3s'");
	$relay->reload;
	wait_until(
		$relay,
		"SELECT current_setting('wal_sender_timeout') = '3s'",
		'wal_sender_timeout is set');

	my $output = '';
	my $stop = IPC::Run::start(
		[ 'pg_ctl', '-D', $relay->data_dir, '-m', 'fast', '-t', 60, 'stop' ],
		'>&' => \$output,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	my $words = 0;

	$SIG{PIPE} = 'IGNORE';
	$begun = time();
	$client->{socket}->blocking(0);
	while ($stop->pumpable)
	{
		my $bytes;

		foreach my $lsn (map { pack('Q>', lsn_number($end) + $_) } 100, 200)
		{
			eval {
				$client->_send('d', 'r' . $lsn x 3 . pack('q> C', 0, 0));
				$words++;
			};
		}
		sysread($client->{socket}, $bytes, 1_000_000);
		$stop->pump_nb;
		select(undef, undef, undef, 0.02);
	}
	ok($stop->finish, "a fast stop ends while it goes on ($words words)");
	cmp_ok(time() - $begun, '<', patience(30), 'the fast stop ends soon');
	$relay->_update_pid(0);
}

#
# Slot files of an earlier version
#
sub crc32c
{
	my ($bytes) = @_;
	my $crc = 0xFFFFFFFF;

	foreach my $byte (unpack('C*', $bytes))
	{
		$crc ^= $byte;
		$crc = $crc & 1 ? ($crc >> 1) ^ 0x82F63B78 : $crc >> 1 foreach 1 .. 8;
	}
	return $crc ^ 0xFFFFFFFF;
}

# Write the slot's file as a version did that did not check xmins.
sub write_old_file
{
	my ($slot, $xmin) = @_;
	my $file = "$watched/store/slots/$slot";
	my $content = slurp_file($file);

	$content =~ s/^walstream slot \d/walstream slot 1/;
	$content =~ s/^xmin .*/xmin $xmin/m;
	$content =~ s/^crc .*\n//m;
	write_file($file, $content . sprintf("crc %08x\n", crc32c($content)));
	return;
}

sub write_file
{
	my ($file, $content) = @_;

	open(my $fh, '>', $file) or die "could not write \"$file\": $!\n";
	print $fh $content;
	close($fh);
	return;
}

$relay->start;
wait_for_relay_state($relay, 'streaming');

# From here on clients may stay silent.
$relay->safe_psql('postgres', 'ALTER SYSTEM RESET wal_sender_timeout');
$relay->safe_psql('postgres', "SELECT walstream_create_relay_slot('old')");
$held = next_xid();
$relay->stop;
write_old_file('old', '9007199254740992');
$relay->start;
wait_for_relay_state($relay, 'streaming');
my $client = WalstreamClient->new($relay, application_name => 'other');
$client->start("START_REPLICATION $begin");
my $now = next_xid();
feedback($client, $now);

# Until this has arrived the old slot wants the next transaction's rows: that is
# two after what next_xid() has returned.  A slot's xmin does not go back.
primary_has(
	sprintf(
		'xmin::text::bigint BETWEEN %d AND %d', low($held), low($now) + 2),
	'a nonsense xmin in a slot from before holds nobody up');
next_xid();
my $later = next_xid();
feedback($client, $later);
primary_has(
	sprintf(
		'xmin::text::bigint BETWEEN %d AND %d',
		low($later), low($later) + 2),
	'feedback of other clients advances');
is( $relay->safe_psql(
		'postgres',
		"SELECT xmin::text::bigint <= $later + 10 FROM walstream_relay_slots WHERE slot_name = 'old'"
	),
	't',
	'the view does not show the nonsense xmin');
$client->close;

#
# While the relay does not know how far xids have come, it sends nothing, and
# the last feedback stays in force.
#
my $xids_file = "$watched/store/walstream.xids";

# Wait until the relay has replied several times, with nothing new in its
# replies.
sub wait_for_replies
{
	my ($what) = @_;
	my $query = "SELECT max(reply_time) FROM pg_stat_replication";

	foreach (1 .. 3)
	{
		my $time = $primary->safe_psql('postgres', $query);

		wait_until(
			$primary,
			"SELECT ($query) > '$time'",
			"$what: the relay replies");
	}
	return;
}

# Only a checkpoint tells the relay the epoch: prevent unexpected ones.
$primary->safe_psql('postgres', "ALTER SYSTEM SET checkpoint_timeout = '1d'");
$primary->reload;
$held = next_xid();
$relay->stop;

# For the slot with the nonsense, the relay may meanwhile have asked to keep
# everything from the next xid on.  The primary does not go back.
my $kept = $primary->safe_psql('postgres',
	"SELECT xmin::text::bigint FROM pg_replication_slots WHERE slot_name = 'relay'"
);
$held += $kept - low($held) if $kept > low($held);
write_old_file('old', $held);
$relay->start;
primary_has("xmin = '" . low($held) . "'",
	'a slot from before holds its xmin');

foreach my $case ([ 'no file', undef ], [ 'a damaged file', 'garbage' ])
{
	my ($what, $content) = @$case;

	# the segment that is received again must not contain a checkpoint
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
	next_xid();

	# the keeper writes the file after a segment was closed
	$relay->poll_query_until('postgres',
		"SELECT size > 0 FROM pg_stat_file('$xids_file', true)")
	  or die "there is no file \"$xids_file\"\n";
	$relay->stop;
	write_old_file('old', $held);
	unlink($xids_file) or die "could not remove \"$xids_file\": $!\n";
	write_file($xids_file, $content) if defined $content;
	my $told = told();
	my $offset = -s $relay->logfile;

	$relay->start;
	wait_for_relay_state($relay, 'streaming');
	$client = WalstreamClient->new($relay, application_name => 'newer');
	$client->start('START_REPLICATION ' . relay_row($relay)->{flushed_lsn});
	feedback($client, next_xid());
	wait_for_replies($what);
	is(told(), $told, "$what: the primary is told nothing");
	primary_has("xmin = '" . low($held) . "'",
		"$what: and keeps what it was told before");
	like(
		slurp_file($relay->logfile, $offset),
		qr/LOG:  file ".*walstream\.xids" is damaged\n.*DETAIL:  .*next checkpoint/,
		"$what: the log says so") if defined $content;

	$primary->safe_psql('postgres', 'CHECKPOINT');
	wait_for_relay($primary, $relay);
	my $attempts = 100 * $PostgreSQL::Test::Utils::timeout_default;
	select(undef, undef, undef, 0.01)
	  while told() == $told && $attempts-- > 0;
	is_deeply(
		$proxy->count('feedback')->[$told],
		[ low($held), 0 ],
		"$what: it is told after its next checkpoint");
	primary_has("xmin = '" . low($held) . "'", "$what: and still keeps it");
	$client->close;
}

done_testing();
