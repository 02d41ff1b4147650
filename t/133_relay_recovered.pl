# Copyright (c) 2026, the walstream authors

# A cluster that was recovered to a point before its last failover: according
# to its history file, timeline 2 was left before it began.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamProxy;
use WalstreamRelay;
use WalstreamTest;

my $one = walstream_primary('one');
my $two = walstream_standby($one, 'two');
my %relays = map { $_ => walstream_relay($one, $_) } qw(before after);
wait_for_relay_state($_, 'streaming') foreach values %relays;
$one->backup('backup');
load_wal($one, 1000);
wait_for_relay($one, $_) foreach values %relays;
$relays{before}->stop;
write_segments($one, $relays{after}, 2);
my $target = $one->lsn('flush');
write_segments($one, $relays{after}, 3);
wait_for_replay($one, $two);
$one->stop;
$two->promote;
set_relay_upstream($relays{after}, $two->connstr);
wait_until(
	$relays{after},
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'one relay has followed to timeline 2');
write_segments($two, $relays{after}, 4);
$two->stop;

my $archive = PostgreSQL::Test::Utils::tempdir();
foreach my $node ($one, $two)
{
	system_or_bail('cp', '-n', glob($node->data_dir . '/pg_wal/0*'),
		$archive);
}
my $three = PostgreSQL::Test::Cluster->new('three');
$three->init_from_backup($one, 'backup');
$three->append_conf(
	'postgresql.conf', qq(
restore_command = 'cp "$archive/%f" "%p"'
recovery_target_lsn = '$target'
recovery_target_action = promote
));
append_to_file($three->data_dir . '/recovery.signal', '');
$three->start;
$three->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()')
  or die "three is not promoted\n";
my %left = slurp_file($three->data_dir . '/pg_wal/00000003.history') =~
  /^(\d)\s+(\S+)/mg;
cmp_ok(
	lsn_number($left{2}),
	'<',
	lsn_number($left{1}),
	'timeline 2 was left before it began');
load_wal($three, 1000);

# A new relay, one that has not reached the switch point, and one that has
# passed it.
$relays{new} = walstream_relay($three, 'new');
$relays{before}->start;
set_relay_upstream($relays{$_}, $three->connstr) foreach qw(before after);
wait_for_relay_state($relays{after}, 'diverged');
like(
	relay_row($relays{after})->{reason},
	qr/^Timeline 2, .* is not in the history of the upstream's timeline 3; what they have in common ends on timeline 1/,
	'it says that timeline 2 is not on the way');

# The relay is told to follow "three", but before it does it gets its old
# upstream again: it continues where it was, and follows "three" only when told
# again.
my $proxy = WalstreamProxy->new($three);
my $slow = WalstreamClient->new($relays{after});
my $oldest = relay_row($relays{after})->{first_lsn};
$slow->start("START_REPLICATION $oldest TIMELINE 1");
$proxy->set_rules({ action => 'hold', kind => 'Z', nth => 1 });

# The state has not changed yet; without this wait the request would be
# dropped.
my $log = -s $relays{after}->logfile;
set_relay_upstream($relays{after}, $proxy->connstr);
$relays{after}->wait_for_log(qr/relay stops receiving/, $log);
wait_for_relay_state($relays{after}, 'diverged');
$log = -s $relays{after}->logfile;
$relays{after}->safe_psql('postgres', 'SELECT walstream_relay_follow()');
$relays{after}->wait_for_log(qr/relay receives WAL from/, $log);
set_relay_upstream($relays{after}, $three->connstr);
$relays{after}
  ->wait_for_log(qr/relay stops receiving.*\n.*DETAIL:  Timeline 2, /, $log);
wait_for_relay_state($relays{after}, 'diverged');
$two->start;
$log = -s $relays{after}->logfile;
my $held = lsn_number(relay_row($relays{after})->{flushed_lsn});
set_relay_upstream($relays{after}, $two->connstr);
wait_until($relays{after},
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'back to two');
my ($from) = slurp_file($relays{after}->logfile, $log) =~
  /relay receives WAL from (\S+) on timeline 2/;
cmp_ok(
	lsn_number($from), '>',
	$held - 2 * 1024 * 1024,
	'the relay continues where it was');
set_relay_upstream($relays{after}, $three->connstr);
wait_for_relay_state($relays{after}, 'diverged');
$two->stop;
$relays{after}->safe_psql('postgres', 'SELECT walstream_relay_follow()');
wait_until(
	$relays{after},
	"SELECT state = 'streaming' AND timeline = 3 FROM walstream_relay",
	'the relay follows when told to');

# Meanwhile a downstream was receiving the rest of timeline 1.
my $wal = '';
my $next;
until (defined $next)
{
	my ($type, $content) = $slow->_read;

	die $content if $type eq 'E';
	$wal .= substr($content, 25) if $type eq 'd' && $content =~ /^w/;
	$slow->_send('c', '') if $type eq 'c';
	$next = $content if $type eq 'D';
}
is( $next,
	pack('n N a1 N a*', 2, 1, '3', length($left{2}), $left{2}),
	'a downstream is told of timeline 3');
is( lsn_number($oldest) + length($wal),
	lsn_number($left{2}),
	'and sent nothing behind its beginning');

foreach my $name (sort keys %relays)
{
	my $relay = $relays{$name};

	wait_until(
		$relay,
		"SELECT state = 'streaming' AND timeline = 3 FROM walstream_relay",
		"$name: it follows to timeline 3");
	my $end = lsn_number(wait_for_relay($three, $relay));
	my $begin = lsn_number($left{2}) & ~0xfffff;
	is( compare_store(
			store_dir($relay), 3,
			$begin, $end,
			$three->data_dir . '/pg_wal'),
		undef,
		"$name: all of it is stored");
	is( $relay->safe_psql(
			'postgres', 'SELECT ok FROM walstream_relay_verify()'),
		't',
		"$name: and sound");
	$relay->restart;
	wait_until(
		$relay,
		"SELECT state = 'streaming' AND timeline = 3 FROM walstream_relay",
		"$name: also after a restart");
}

my $first = relay_row($relays{before})->{first_lsn};
my ($begin, $left) = map { lsn_number($_) } $first, $left{2};
is( compare_store(
		store_dir($relays{before}), 1,
		$begin, $left & ~0xfffff,
		$one->data_dir . '/pg_wal'),
	undef,
	'before: timeline 1 is stored up to there');
ok( !-e store_dir($relays{before}) . '/'
	  . sprintf('00000001%08X%08X', 0, ($left >> 20) + 1),
	'before: nothing is stored after that');

# A downstream follows the same timelines.
my $standby = PostgreSQL::Test::Cluster->new('standby');
my $conninfo = $relays{before}->connstr =~ s/'/''/gr;
$standby->init_from_backup($one, 'backup');
$standby->append_conf('postgresql.conf',
	"shared_preload_libraries = ''\nprimary_conninfo = '$conninfo'\n");
$standby->set_standby_mode;
$standby->start;
load_wal($three, 100);
wait_for_replay($three, $standby);
is_deeply(table_checksums($standby),
	table_checksums($three), 'a standby behind it');

done_testing();
