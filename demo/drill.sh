#-------------------------------------------------------------------------
#
# drill.sh
#	  Scene: the loss of a primary whose only synchronous standby is a relay.
#
# Two asynchronous standbys follow the relay, one without walstream and one
# with it.  They are held back while commits go on, so that the last confirmed
# commits are on primary and relay alone, when the primary is killed and its
# directory removed.  From the relay both standbys get what is missing; one of
# them becomes the primary, and relay and the other standby follow it.
#
# What was confirmed is what a client wrote to a file of its own after COMMIT
# had returned.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------

# How long the load runs before and after the standbys are held back.
together_seconds=6
alone_seconds=6

# How long anything else may take.
drill_limit_seconds=60

relay_conninfo()
{
	echo "host=127.0.0.1 port=${port[relay]} user=replicator passfile=$scratch/pgpass"
}

make_origin()
{
	init_server origin
	configure origin <<END
shared_preload_libraries = 'walstream'
autovacuum = off
END
	start_server origin
	psql_on origin -q <<END
CREATE EXTENSION walstream;
\\set password \`cat '$scratch/password'\`
CREATE ROLE replicator REPLICATION LOGIN PASSWORD :'password';
CREATE TABLE acked (id bigint PRIMARY KEY);
END
	run "$bindir/pgbench" -i -q -s 1 -h "$scratch" -p "${port[origin]}" -U postgres postgres
}

# The relay's upstream is whichever of the primary and its successor is the
# primary.
make_relay()
{
	choose_port walstream
	init_server relay
	configure relay <<END
shared_preload_libraries = 'walstream'
walstream.relay = on
walstream.relay_upstream = 'host=127.0.0.1,127.0.0.1 port=${port[origin]},${port[walstream]} user=replicator passfile=$scratch/pgpass target_session_attrs=read-write'
walstream.relay_slot = 'relay'
END
	start_server relay
	psql_on relay -q <<END
CREATE EXTENSION walstream;
\\set password \`cat '$scratch/password'\`
CREATE ROLE replicator REPLICATION LOGIN PASSWORD :'password';
END
	await $drill_limit_seconds relay "SELECT state = 'streaming' FROM walstream_relay" ||
		die "the relay does not stream"
	configure origin <<<"synchronous_standby_names = 'relay'"
	sql origin "SELECT pg_reload_conf()" >/dev/null
	await $drill_limit_seconds origin "SELECT count(*) = 1 FROM pg_stat_replication
		WHERE application_name = 'relay' AND sync_state = 'sync'" ||
		die "the relay does not become a synchronous standby"
}

# make_follower NAME LIBRARIES: a standby of the primary that receives from the
# relay, with a slot there.
make_follower()
{
	run "$bindir/pg_basebackup" -D "$scratch/$1" --checkpoint=fast --no-sync \
		-d "host=127.0.0.1 port=${port[origin]} user=replicator passfile=$scratch/pgpass"
	"${as_user[@]}" touch "$scratch/$1/standby.signal"
	sql relay "SELECT walstream_create_relay_slot('$1')" >/dev/null
	if [ -n "${port[$1]-}" ]; then
		servers+=("$1")
		configure "$1" <<END
cluster_name = '$1'
port = ${port[$1]}
END
	else
		add_server "$1"
	fi
	configure "$1" <<END
shared_preload_libraries = '$2'
primary_conninfo = '$(relay_conninfo)'
primary_slot_name = '$1'
END
	start_server "$1"
	await $drill_limit_seconds relay "SELECT count(*) = 1 FROM walstream_senders
		WHERE application_name = '$1' AND state = 'streaming'" ||
		die "the standby $1 does not stream from the relay"
}

# The client: an id for each COMMIT that returned.  It ends with its server.
start_client()
{
	seq 1 2000000 | sed 's/.*/INSERT INTO acked VALUES (&);\n\\echo &/' |
		"${as_user[@]}" tee "$scratch/client.sql" >/dev/null
	psql_on origin -q -f "$scratch/client.sql" >"$scratch/log/ids" 2>"$scratch/log/client" </dev/null &
	client=$!
}

hold_back()
{
	sql "$1" "ALTER SYSTEM SET primary_conninfo = ''" >/dev/null
	sql "$1" "SELECT pg_reload_conf()" >/dev/null
	await $drill_limit_seconds "$1" "SELECT count(*) = 0 FROM pg_stat_wal_receiver" ||
		die "the walreceiver of $1 does not end"
}

let_go()
{
	sql "$1" "ALTER SYSTEM RESET primary_conninfo" >/dev/null
	sql "$1" "SELECT pg_reload_conf()" >/dev/null
}

# The postmaster and all its children at once, so that none of them goes on,
# and then the directory.
destroy_origin()
{
	local pid

	pid=$(head -n 1 "$scratch/origin/postmaster.pid")
	# shellcheck disable=SC2046
	kill -KILL "$pid" $(cat "/proc/$pid/task/$pid/children")
	timeout $drill_limit_seconds tail --pid="$pid" -f /dev/null || die "the primary does not die"
	wait "$client" || :
	wait "$job" || :
	job=
	"${as_user[@]}" rm -rf "$scratch/origin"
	mapfile -t servers < <(printf '%s\n' "${servers[@]}" | grep -vx origin)
}

# ids_on NAME: sorted as comm wants them.
ids_on()
{
	sql "$1" "SELECT id FROM acked" | sort
}

restart_relay()
{
	control_server relay -m fast stop
	start_server relay
	await $drill_limit_seconds relay "SELECT state = 'waiting for upstream' FROM walstream_relay" ||
		die "the relay does not open what it has stored"
}

# Wait until the standby has replayed all that the relay has.
receive_the_rest()
{
	local end

	end=$(sql relay "SELECT flushed_lsn FROM walstream_relay")
	await $drill_limit_seconds "$1" "SELECT pg_last_wal_replay_lsn() >= '$end'" ||
		die "the standby $1 does not get what the relay has"
}

follow_new_primary()
{
	sql walstream "SELECT pg_promote()" >/dev/null
	await $drill_limit_seconds relay "SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay" ||
		die "the relay does not follow the new primary"
	# waits for the relay, as it did with the old one
	sql walstream "INSERT INTO acked VALUES (0)"
	await $drill_limit_seconds stock "SELECT count(*) = 1 FROM acked WHERE id = 0" ||
		die "the other standby does not follow the new primary"
	[ "$(sql stock "SELECT received_tli FROM pg_stat_wal_receiver")" = 2 ] ||
		die "the other standby does not receive the new timeline"
}

# No server may have said that something is wrong with it, but the relay that
# the new primary had no slot for it.
check_drill_logs()
{
	local name

	for name in relay stock walstream; do
		if grep -E '\b(WARNING|PANIC):  |^TRAP:|terminated by signal' "$scratch/log/$name.log" |
			grep -v 'WARNING:  replication slot "relay" on the upstream had to be made anew$'; then
			die "the log of $name has warnings"
		fi
	done
}

play_drill()
{
	local acked only_on_relay lost end

	step "drill: starting a primary"
	make_origin
	step "drill: starting a relay, its only synchronous standby"
	make_relay
	step "drill: making two standbys behind the relay, one without walstream"
	make_follower stock ''
	make_follower walstream walstream

	step "drill: load"
	start_client
	start_job "$bindir/pgbench" -n -T 600 -c 4 -j 2 -h "$scratch" -p "${port[origin]}" -U postgres postgres
	sleep $together_seconds
	step "drill: holding back both standbys while commits go on"
	hold_back stock
	hold_back walstream
	sleep $alone_seconds
	step "drill: killing the primary and removing its directory"
	destroy_origin

	sort "$scratch/log/ids" >"$scratch/log/acked"
	sort -u <(ids_on stock) <(ids_on walstream) >"$scratch/log/on_standbys"
	acked=$(wc -l <"$scratch/log/acked")
	only_on_relay=$(comm -23 "$scratch/log/acked" "$scratch/log/on_standbys" | wc -l)
	say "    $acked commits were confirmed to the client, of which $only_on_relay are on the relay only"
	[ "$only_on_relay" -gt 0 ] || die "no confirmed commit is on the relay only"

	step "drill: restarting the relay"
	restart_relay
	step "drill: letting the standbys go"
	let_go stock
	let_go walstream
	receive_the_rest stock
	receive_the_rest walstream
	step "drill: promoting one of them"
	follow_new_primary

	step "drill: looking for what was confirmed"
	lost=$(comm -23 "$scratch/log/acked" <(ids_on walstream) | wc -l)
	[ "$lost" -eq 0 ] || die "$lost confirmed commits are lost"
	end=$(sql walstream "SELECT pg_current_wal_flush_lsn()")
	await $drill_limit_seconds stock "SELECT pg_last_wal_replay_lsn() >= '$end'" ||
		die "the other standby does not replay $end"
	[ "$(checksum_tables walstream)" = "$(checksum_tables stock)" ] ||
		die "the other standby's data is not the new primary's"
	check_drill_logs
	show relay "SELECT state, timeline, first_lsn, flushed_lsn, pg_size_pretty(raw_bytes) AS raw, pg_size_pretty(stored_bytes) AS stored FROM walstream_relay"
	close_with "acked=$acked" "only_on_relay=$only_on_relay" "lost=$lost"
}
