# Copyright (c) 2026, the walstream authors

# Patroni's callback after a promotion, without Patroni: which relays it lets
# follow the new primary, and that it takes back no seal which another failover may
# need still.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamScript;
use WalstreamTest;

my $base = PostgreSQL::Test::Utils::tempdir();
my $conf = "$base/failover.conf";
my $state = "$base/state";
my $another = 'ab' x 16;

my $primary = walstream_primary('primary');
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my ($relay1, $relay2) = map {
	walstream_relay($primary, $_,
		conf => "cluster_name = '$_'\nwal_retrieve_retry_interval = 200ms\n")
} qw(relay1 relay2);
my $standby = walstream_standby($primary, 'standby');

wait_for_relay_state($_, 'streaming') foreach $relay1, $relay2;
wait_for_replay($primary, $standby);

# relay2 has more than the standby that is promoted, and than relay1.
pause_relay($relay1);
$standby->stop;
load_wal($primary, 1000);
wait_for_relay($primary, $relay2);
$primary->stop('immediate');
$standby->append_conf('postgresql.conf',
	"synchronous_standby_names = 'ANY 1 (relay1, relay2)'\n");
$standby->start;

my %settings = (
	standby => $standby->connstr('postgres'),
	relays => join("\n", map { $_->connstr('postgres') } $relay1, $relay2),
	state_file => $state,
	follow_seconds => patience(180));
write_script_conf($conf, %settings);

sub quote_literal
{
	my ($text) = @_;

	return "'" . $text =~ s/'/''/gr . "'";
}

sub place_of
{
	my ($node) = @_;

	return 'port=' . $node->port . ' host=' . $node->host;
}

# As pre_promote has left it.
sub write_state
{
	my (@lines) = @_;

	unlink($state);
	append_to_file($state, join('', map { "$_\n" } @lines));
	return;
}

my @event = ($conf, 'on_role_change', 'primary', 'scope');

sub says_only
{
	my ($what, $pattern, @arguments) = @_;
	my ($status, $said) = run_script('on_role_change', @arguments);

	is($status, 0, "$what is no failure");
	like($said, $pattern, '... but nothing is done');
	return;
}

# Whatever a relay may be told is told only after this.
says_only('another event', qr/^$/, $conf, 'on_start', 'primary', 'scope');
says_only('a standby', qr/^$/, $conf, 'on_role_change', 'replica', 'scope');
says_only(
	'a promotion without pre_promote',
	qr/^on_role_change: pre_promote has not run: no relay is told to follow$/,
	@event);
write_state('timeline 1');
write_script_conf($conf, %settings, required => 1);
says_only('a number that a person has set',
	qr/^on_role_change: "required" is set: .* no relay is told to follow$/,
	@event);
write_script_conf($conf, %settings);

#
# The standby is promoted; a relay that was heard has more.
#
my $source = quote_literal($relay1->connstr('postgres'));
$standby->safe_psql('postgres',
		"CALL walstream_receive_all(ARRAY[$source], 1, '"
	  . patience(60)
	  . " s')");
my $name = $standby->safe_psql('postgres', 'SHOW walstream.seal_owner');
$standby->promote;
set_relay_upstream($_, $standby->connstr) foreach $relay1, $relay2;
wait_for_relay_state($relay2, 'diverged');
my $end = relay_row($relay2)->{flushed_lsn};

write_state('timeline 3');
says_only(
	'another parent',
	qr/^on_role_change: this server comes from timeline 1, and pre_promote has received all of 3: no relay is told to follow$/,
	@event);

write_state('timeline 1', map { 'heard ' . place_of($_) } $relay1, $relay2);
my $script = start_script('on_role_change', @event);
my $place = quotemeta(place_of($relay2));
script_says(
	$script,
	qr/^on_role_change: the relay at $place was heard, and has more than this server: it is not told to follow$/m,
	'a relay that was heard');
kill('TERM', $script->{pid});
end_script($script);
is(relay_row($relay2)->{state}, 'diverged', 'it stays where it is');

#
# A relay that was not heard is sealed by another candidate.  That stays so while
# this server is not known to be the one which commits are confirmed by.
#
sub seal
{
	return $relay2->safe_psql('postgres',
		"SELECT walstream_relay_seal(1, '$another')");
}

sub token
{
	return $relay2->safe_psql('postgres',
		'SELECT token FROM walstream_get_relay_seal()');
}

my $token = seal();
$relay2->safe_psql('postgres', 'SELECT walstream_relay_resume()');
wait_for_relay_state($relay2, 'sealed');
write_state('timeline 1', 'heard ' . place_of($relay2));
$script = start_script('on_role_change', @event);
script_says(
	$script,
	qr/^on_role_change: the relay at $place was heard, and another server has sealed it since: it stays sealed$/m,
	'a relay that was heard, and sealed again');
kill('TERM', $script->{pid});
end_script($script);
is(token(), $token, 'it stays sealed');

write_state('timeline 1', 'heard ' . place_of($relay1));
$script = start_script('on_role_change', @event);
script_says(
	$script,
	qr/^on_role_change: the relay at $place was sealed by another server: it stays sealed until synchronous standbys have timeline 2$/m,
	'no commit can be confirmed yet');
is(token(), $token, 'the relay stays sealed');

# Now one can.
my $log = -s $relay2->logfile;
$relay1->safe_psql('postgres', 'SELECT walstream_relay_resume()');
script_says(
	$script,
	qr/^on_role_change: the relay at $place was sealed by another server, and goes on with this one$/m,
	'commits can be confirmed');
$relay2->wait_for_log(qr/relay is sealed for timeline 1/, $log);
unlike(
	slurp_file($relay2->logfile, $log),
	qr/no longer sealed.*relay is sealed for timeline 1/s,
	'there is no moment without a seal');
script_says(
	$script,
	qr/^on_role_change: the relay at $place goes on with timeline 2, which leaves 1 at \S+; what it has up to \Q$end\E it keeps aside$/m,
	'then the relay follows');
my ($status, $said) = end_script($script);
is($status, 0, 'the script ends');
ok(!-e $state, 'and its file is gone');
unlike($said, qr/ERROR/, 'nothing has failed');

foreach my $relay ($relay1, $relay2)
{
	wait_until(
		$relay,
		"SELECT state = 'streaming' AND timeline = 2 AND sealed_timeline IS NULL FROM walstream_relay",
		$relay->name . ' is with the new primary');
}
is(scalar(grep { /^surplus\./ } slurp_dir(store_dir($relay2))),
	1, 'what it had more is kept');

done_testing();
