# Copyright (c) 2026, the walstream authors

# walstream.tcp_congestion_control, and the other options of a stream's socket.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamNetwork;
use WalstreamTest;

plan skip_all => 'the kernel does not tell which congestion controls it has'
  unless congestion_controls('allowed');

my $options = PostgreSQL::Test::Utils::tempdir() . '/options';
my $primary = walstream_primary('primary', start => 0);
listen_tcp($primary);
start_with_options_log($primary, $options);
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $standby =
  walstream_standby($primary, 'standby', conninfo => tcp_connstr($primary));

# A name that no kernel has, of the maximal length.
my $unknown = 'ws_no_such_name';
declare_expected_warning('could not set congestion control "');

# Change the setting with a reload.
sub set_congestion
{
	my ($value) = @_;

	$primary->safe_psql('postgres',
		"ALTER SYSTEM SET walstream.tcp_congestion_control = '$value'");
	$primary->reload;
	return;
}

# Wait until the stream to the standby has this congestion control.
sub wait_for_congestion
{
	my ($expected, $what) = @_;

	return wait_until(
		$primary,
		"SELECT count(*) = 1 FROM walstream_senders WHERE application_name = 'standby' AND congestion_control = '$expected'",
		$what);
}

# When a walsender has sent this, it has seen the last reload.
sub write_little
{
	load_wal($primary, 1);
	$primary->wait_for_catchup($standby);
	return;
}

# How often a walsender has warned.
sub count_warnings
{
	my ($pid) = @_;
	my $times = () = slurp_file($primary->logfile) =~
	  /\[$pid\] .*WARNING:  could not set congestion control/g;

	return $times;
}

load_wal($primary);
$primary->wait_for_catchup($standby);
my $row = sender_row($primary, 'standby');
my $system = $row->{congestion_control};
like($system, qr/^\w+$/, 'a stream shows the one it has');
is_deeply(
	[ socket_options($options, $row->{pid}) ],
	['TCP_NOTSENT_LOWAT 1048576'],
	'of itself walstream only limits what is not sent');

# Every kernel has reno, and allows it.
my ($other) = grep { $_ ne $system } 'reno', congestion_controls('allowed');
SKIP:
{
	skip 'the kernel allows only one congestion control', 3
	  unless defined $other;

	set_congestion($other);
	wait_for_congestion($other, 'a reload changes the stream that runs');
	is(sender_row($primary, 'standby')->{pid},
		$row->{pid}, 'it is the same stream');
	set_congestion('');
	wait_for_congestion($system, 'an empty one is the system\'s again');
}

# An unknown one: the system's stays in use, and the log is not flooded.
my $log = -s $primary->logfile;
set_congestion($other) if defined $other;
wait_for_congestion($other // $system, 'before the unknown one');
set_congestion($unknown);
wait_for_congestion($system, 'with an unknown one it is the system\'s');
for my $again (1 .. 3)
{
	$primary->reload;
	write_little();
}
my $message =
  qr/WARNING:  could not set congestion control "$unknown" for the connection of "standby": No such file or directory\n.*DETAIL:  It goes on with "$system"\.\n.*HINT:  It must be in both /;
like(slurp_file($primary->logfile, $log), $message, 'there is a WARNING');
is(count_warnings($row->{pid}),
	1, 'one for the stream, however often it is reloaded');

# A new connection warns once, too.
$log = -s $primary->logfile;
$standby->restart;
write_little();
wait_for_congestion($system, 'a new connection has the system\'s');
is(count_warnings(sender_row($primary, 'standby')->{pid}),
	1, 'and its WARNING');
like(slurp_file($primary->logfile, $log), $message, 'with the name');
is( scalar(
		grep { /WARNING/ && /congestion/ }
		  split(/\n/, slurp_file($standby->logfile))),
	0,
	'nothing of that is told to the receiver');

# A congestion control that exists but is not allowed.
my %allowed = map { $_ => 1 } congestion_controls('allowed');
my ($forbidden) = grep { !$allowed{$_} } congestion_controls('available');
SKIP:
{
	skip 'the kernel allows everything that it has', 2
	  unless defined $forbidden;

	$log = -s $primary->logfile;
	set_congestion($forbidden);
	$standby->restart;
	write_little();
	wait_for_congestion($system, 'one that is not allowed is not used');
	like(
		slurp_file($primary->logfile, $log),
		qr/WARNING:  could not set congestion control "$forbidden" for the connection of "standby": Operation not permitted\n/,
		'with a WARNING');
}

# Values that cannot be a name.
foreach my $case (
	[ 'sixteen_letters_', 'at most 15 bytes' ],
	[ 'bbr cubic', 'neither white space nor other characters' ],
	[ "b\xc3\xa4r", 'neither white space nor other characters' ])
{
	my ($value, $detail) = @$case;
	my ($status, undef, $stderr) = $primary->psql('postgres',
		"ALTER SYSTEM SET walstream.tcp_congestion_control = '$value'");

	isnt($status, 0, "\"$value\" is refused");
	like($stderr, qr/DETAIL:  .*$detail/, 'and the reason is told');
}

# A stream through a Unix-domain socket.
set_congestion($unknown);
my $client = WalstreamClient->new($primary, application_name => 'local');
$client->start('START_REPLICATION '
	  . $primary->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()'));
$row = sender_row($primary, 'local');
is($row->{congestion_control}, undef, 'a Unix-domain socket has none');
is(count_warnings($row->{pid}), 0, 'and no WARNING');
is_deeply([ socket_options($options, $row->{pid}) ],
	[], 'and no options are set on it');
$client->end;
$client->close;

set_congestion('');
$standby->restart;
standby_matches($primary, $standby, 'in the end');

done_testing();
