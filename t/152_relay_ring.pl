# Copyright (c) 2026, the walstream authors

# A relay does not receive from itself, directly or through others: it says so,
# leaves no slot behind, and continues when it gets another upstream.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;
use WalstreamUpstream;

# logged for each upstream that is new to a relay
declare_expected_warning(
	'replication slot "(?:[abc]|copy)" on the upstream had to be made anew');

my $stock = walstream_primary('stock', walstream => 0);
my $conf =
  "wal_retrieve_retry_interval = '200ms'\nwal_receiver_status_interval = 1\n";
my $a = walstream_relay($stock, 'a', slot => 'a', conf => $conf);
my $b = walstream_relay($a, 'b', slot => 'b', conf => $conf, start => 0);
my $c = walstream_relay($b, 'c', slot => 'c', conf => $conf, start => 0);
my %of = (a => $a, b => $b, c => $c);

# Like walstream_relay(), but WAL is written on the primary, since a relay as
# upstream cannot write any.
sub start_relay
{
	my ($relay) = @_;

	$relay->start;
	$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
	load_wal($stock, 10);
	wait_for_relay_state($relay, 'streaming');
	return;
}

sub is_refused
{
	my ($relay, $reason, $what) = @_;
	my $pattern = $reason =~ s/'/''/gr;

	return wait_until(
		$relay,
		"SELECT state = 'waiting for upstream' AND reason ~ '$pattern' FROM walstream_relay",
		$what);
}

sub slots
{
	my ($relay) = @_;

	return $relay->safe_psql('postgres',
		"SELECT coalesce(string_agg(slot_name, ' ' ORDER BY slot_name), '') FROM walstream_relay_slots"
	);
}

sub identity
{
	my ($relay) = @_;
	my $client = WalstreamClient->new($relay, application_name => 'asks');
	my ($type, $chain) =
	  $client->row('READ_REPLICATION_SLOT "walstream.relays"');

	$client->close;
	return $chain;
}

# How often the first relay has logged that its upstream is itself.
sub told_of_itself
{
	return
	  scalar(() =
		  slurp_file($a->logfile) =~
		  /does not receive from its upstream: the upstream is this relay itself/g
	  );
}

wait_for_relay_state($a, 'streaming');
start_relay($b);
start_relay($c);

# What relays answer when asked for identities
my ($in_a, $in_b, $in_c) = map { identity($_) } $a, $b, $c;
like($in_a, qr/^[0-9a-f]{16}$/, 'the first relay has an identity');
like($in_b, qr/^[0-9a-f]{16},$in_a$/, 'the second tells both');
like($in_c, qr/^[0-9a-f]{16},$in_b$/, 'the third all three');

# A relay's upstream is itself, by another address
my $address = 'host=' . $a->host . ' port=' . $a->port . ' dbname=postgres';
set_relay_upstream($a, $address);
is_refused($a, 'the upstream is this relay itself', 'a relay of itself');
is(slots($a), 'b', 'leaves no slot behind');
$a->wait_for_log(
	qr/does not receive from its upstream: the upstream is this relay itself/
);
is(told_of_itself(), 1, 'says so once in the log');
set_relay_upstream($a, $stock->connstr);
wait_for_relay_state($a, 'streaming');
my $again = -s $a->logfile;
set_relay_upstream($a, $address);
is_refused(
	$a,
	'the upstream is this relay itself',
	'the same ring made again');
$a->wait_for_log(
	qr/does not receive from its upstream: the upstream is this relay itself/,
	$again);
is(told_of_itself(), 2, 'is in the log again');
set_relay_upstream($a, $stock->connstr);
wait_for_relay_state($a, 'streaming');
load_wal($stock, 10);
wait_for_relay($stock, $_) foreach $a, $b, $c;

# Rings of two and of three, made by a reload
set_relay_upstream($a, $b->connstr);
is_refused(
	$a,
	'the upstream receives from this relay, through 1 other$',
	'a ring of two');
is(slots($b), 'c', 'no slot in it');
set_relay_upstream($a, $c->connstr);
is_refused(
	$a,
	'the upstream receives from this relay, through 2 others',
	'a ring of three');
is(slots($c), '', 'no slot in it');
set_relay_upstream($a, $stock->connstr);
wait_for_relay_state($a, 'streaming');
load_wal($stock, 10);
wait_for_relay($stock, $_) foreach $a, $b, $c;

# Rings that arise when a chain changes, and when relays connect to each other
# at the same time: never do all of them stream.
foreach my $round (1 .. 3)
{
	set_relay_upstream($_->[0], $_->[1]->connstr)
	  foreach [ $a, $c ], [ $b, $a ], [ $c, $b ];
	ok( $a->poll_query_until(
			'postgres',
			"SELECT state = 'waiting for upstream' FROM walstream_relay"),
		"round $round: the ring is not closed");
	foreach my $relay ($a, $b, $c)
	{
		set_relay_upstream($relay, $stock->connstr);
		$relay->poll_query_until('postgres',
			"SELECT state = 'streaming' FROM walstream_relay")
		  or die;
	}

	# let all reload at once
	my %upstream = (a => $b, b => $c, c => $a);
	foreach my $name (sort keys %of)
	{
		$of{$name}->adjust_conf(
			'postgresql.conf',
			'walstream.relay_upstream',
			"'" . $upstream{$name}->connstr . "'");
	}
	kill('HUP', map { $_->{_pid} } values %of);
	my $attempts = 100 * $PostgreSQL::Test::Utils::timeout_default;
	my $refused = 0;
	while (!$refused && $attempts-- > 0)
	{
		$refused = grep {
			$_->safe_psql('postgres',
				"SELECT reason ~ 'receives from this relay' FROM walstream_relay"
			) eq 't'
		} values %of;
		select(undef, undef, undef, 0.01);
	}
	cmp_ok($refused, '>', 0,
		"round $round: a ring of three at once is noticed");
	set_relay_upstream($a, $stock->connstr);
	set_relay_upstream($b, $a->connstr);
	set_relay_upstream($c, $b->connstr);
	wait_for_relay_state($_, 'streaming') foreach $a, $b, $c;
	load_wal($stock, 10);
	wait_for_relay($stock, $_) foreach $a, $b, $c;
}

# When a chain becomes longer at its beginning, the streams after that end, and
# are made again.
my $d = walstream_relay($stock, 'd', conf => $conf);
wait_for_relay_state($d, 'streaming');
wait_for_relay($stock, $d);
my $offset = -s $b->logfile;
set_relay_upstream($a, $d->connstr);
wait_for_relay_state($a, 'streaming');
$b->wait_for_log(
	qr/ending the stream to relay "c": its WAL comes through other relays now/,
	$offset);
wait_for_relay_state($c, 'streaming');
load_wal($stock, 10);
wait_for_relay($stock, $_) foreach $a, $b, $c;
my $in_d = identity($d);
like(identity($c), qr/,$in_d$/, 'the last one knows of the new first one');
set_relay_upstream($d, $c->connstr);
is_refused($d, 'through 3 others', 'and the new first one of the last one');
$d->stop;

# A copy of a relay's directory is a different relay.
my $copy = PostgreSQL::Test::Cluster->new('copy');
set_relay_upstream($a, $stock->connstr);
wait_for_relay_state($a, 'streaming');
$a->stop;
PostgreSQL::Test::RecursiveCopy::copypath($a->data_dir, $copy->data_dir);
chmod(0700, $copy->data_dir) or die "could not change mode: $!\n";
$copy->append_conf('postgresql.conf', 'port = ' . $copy->port);
$copy->append_conf('postgresql.conf',
	"unix_socket_directories = '" . $copy->host . "'")
  if $PostgreSQL::Test::Utils::use_unix_sockets;
$a->start;
wait_for_relay_state($a, 'streaming');
isnt(identity($a), $in_a, 'an identity does not outlive its postmaster');
$copy->append_conf('postgresql.conf',
	"walstream.relay_upstream = '" . $a->connstr . "'");
$copy->append_conf('postgresql.conf', "walstream.relay_slot = 'copy'");
$copy->start;
load_wal($stock, 10);
wait_for_relay_state($copy, 'streaming');
my $of_a = identity($a);
like(identity($copy), qr/^[0-9a-f]{16},$of_a$/,
	'a copied directory is another relay');

# An invalid answer ends the connection, and has no other effect.
my $upstream = WalstreamUpstream->new;
my $sixteen = join(',', map { sprintf('%016x', $_) } 1 .. 16);
my @nonsense = (
	[
		'more ids than there can be',
		"$sixteen,0000000000000011",
		'upstream receives through more than 16 relays'
	],
	[
		'as many as there can be',
		$sixteen,
		'upstream receives through 16 relays, which is the most there can be'
	],
	[ 'no ids', '', 'did not say through which relays it receives' ],
	[ 'null', undef, 'did not say through which relays it receives' ]);
$upstream->set_answers(login => { error => 'closed' });
my $e =
  walstream_relay(undef, 'e', conninfo => $upstream->connstr, conf => $conf);
wait_until(
	$e,
	"SELECT receiver_pid IS NOT NULL AND last_error ~ 'closed' FROM walstream_relay",
	'a relay that cannot connect');
my $receiver_pid = relay_row($e)->{receiver_pid};

foreach my $case (@nonsense)
{
	my ($what, $ids, $error) = @$case;

	$offset = -s $e->logfile;
	$upstream->set_answers(
		READ_REPLICATION_SLOT => { row => [ 'relay', $ids, undef ] });
	wait_until(
		$e,
		"SELECT state = 'waiting for upstream' AND last_error ~ '$error' FROM walstream_relay",
		$what);
	$e->wait_for_log(qr/LOG:  .*$error/, $offset);
	is(relay_row($e)->{receiver_pid},
		$receiver_pid, "$what: the receiver goes on");
	$upstream->set_answers(login => { error => "after $what" });
	wait_until(
		$e,
		"SELECT last_error ~ 'after $what' FROM walstream_relay",
		"$what: and connects again");
}
$upstream->set_answers(READ_REPLICATION_SLOT =>
	  { row => [ 'relay', substr($sixteen, 0, 16), undef ] });
wait_for_relay_state($e, 'streaming');
is(relay_row($e)->{receiver_pid},
	$receiver_pid, 'one that makes sense lets it stream');
like(
	identity($e),
	qr/^[0-9a-f]{16},0000000000000001$/,
	'the identities are passed on');
$e->stop;
$upstream->stop;

unlike(
	slurp_file($stock->logfile),
	qr/ERROR:[^\n]*\n[^\n]*STATEMENT:[^\n]*walstream/,
	'a stock primary has no error from being asked');

done_testing();
