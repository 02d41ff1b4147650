#-------------------------------------------------------------------------
#
# pair.sh
#	  Scene: a primary and a standby, both with walstream, under load.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------

# pgbench's scale, and the time for each phase with transactions, so that all
# phases together take less than a minute.
scale=10
phase_seconds=20

# How long the standby may need for what it has not replayed when a load ends.
replay_limit_seconds=60

raw_total=0
wire_total=0
phase_lines=()					# the table at the end

#
# All WAL stays, so that it can be compared at the end.  There are no
# checkpoints but those that the scene asks for, see run_load, and there is no
# autovacuum, so that the load is pgbench's.
#
make_primary()
{
	init_server primary
	configure primary <<END
shared_preload_libraries = 'walstream'
wal_keep_size = '4GB'
max_wal_size = '4GB'
checkpoint_timeout = '1h'
autovacuum = off
END
	start_server primary
	psql_on primary -q <<END
CREATE EXTENSION walstream;
\\set password \`cat '$scratch/password'\`
CREATE ROLE replicator REPLICATION LOGIN PASSWORD :'password';
END
}

make_standby()
{
	clone_server standby primary
	start_server standby
	await 30 primary "SELECT count(*) = 1 FROM walstream_senders
		WHERE application_name = 'standby' AND state = 'streaming'" ||
		die "the standby does not stream"
	check_compression
}

# The walsender of the standby: plain_reason, empty if it compresses.
check_compression()
{
	local reason

	reason=$(sql primary "SELECT coalesce(plain_reason, '') FROM walstream_senders
		WHERE application_name = 'standby'")
	[ -z "$reason" ] || die "the stream is not compressed: $reason"
}

# Wait until the standby holds and has replayed all that the primary has.
wait_for_replay()
{
	local target

	target=$(sql primary "SELECT pg_current_wal_flush_lsn()")
	await $replay_limit_seconds standby \
		"SELECT least(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) >= '$target'" ||
		die "the standby has not replayed $target after $replay_limit_seconds s"
}

# Set raw, wire (bytes), raw_size, wire_size (for a person), ratio and lag_us.
look_at_stream()
{
	local row

	row=$(sql primary "SELECT raw_bytes, wire_bytes,
			pg_size_pretty(raw_bytes), pg_size_pretty(wire_bytes), coalesce(ratio, 1),
			round(1000000 * coalesce(extract(epoch FROM replay_lag), 0))
		FROM walstream_senders WHERE application_name = 'standby'")
	[ -n "$row" ] || die "the standby does not stream any more"
	IFS='|' read -r raw wire raw_size wire_size ratio lag_us <<<"$row"
}

# Look at the stream while the load runs, and say something now and then.
watch_load()
{
	local next=$((SECONDS + 5)) old_lag_us=$lag_us

	max_lag_us=0
	while kill -0 "$job" 2>/dev/null; do
		look_at_stream
		# until it changes it is that of the load before
		if [ "$lag_us" != "$old_lag_us" ] && [ "$lag_us" -gt "$max_lag_us" ]; then
			max_lag_us=$lag_us
		fi
		if [ $SECONDS -ge $next ]; then
			say "    $raw_size sent as $wire_size, ratio $ratio, replay lag $((lag_us / 1000)) ms"
			next=$((next + 5))
		fi
		sleep 0.25
	done
}

# phase TITLE COMMAND...: run a load and note what it sent.
phase()
{
	local title=$1 commits

	shift
	step "load: $title"
	sql primary "SELECT walstream_reset_stats()" >/dev/null
	look_at_stream
	start_job "$@" -h "$scratch" -p "${port[primary]}" -U postgres postgres
	watch_load
	wait_job
	wait_for_replay
	check_compression
	look_at_stream

	commits=$(sed -n 's/^number of transactions actually processed: //p' "$scratch/log/command")
	raw_total=$((raw_total + raw))
	wire_total=$((wire_total + wire))
	add_phase_line "$title" "${commits:--}" "$raw_size" "$wire_size" "$ratio" "$((max_lag_us / 1000)) ms"
}

add_phase_line()
{
	phase_lines+=("$(printf '%-38s  %7s  %8s  %8s  %5s  %8s' "$@")")
}

# A page is written to WAL in full when it first changes after a checkpoint.
# There is none from the bulk load on but the one that is asked for here, so
# first there are no such images, then many.
run_load()
{
	add_phase_line load commits raw wire ratio "max. lag"
	sql standby "SELECT walstream_reset_stats()" >/dev/null

	phase "bulk load with index build" "$bindir/pgbench" -i -q -s $scale
	phase "TPC-B, one client, small commits" "$bindir/pgbench" -n -T $phase_seconds -c 1
	sql primary "CHECKPOINT"
	phase "TPC-B, four clients, full-page images" "$bindir/pgbench" -n -T $phase_seconds -c 4 -j 2
}

# For each table its name, number of rows, and sum of the hashes of its rows.
checksum_tables()
{
	psql_on "$1" -Atq <<'END'
SELECT format('SELECT %L, count(*), sum(hashtextextended(t::text, 0)::numeric) FROM %s AS t',
		oid::regclass, oid::regclass)
	FROM pg_class
	WHERE relkind = 'r' AND relpersistence = 'p'
		AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
	ORDER BY oid \gexec
END
}

compare_data()
{
	local on_primary on_standby

	on_primary=$(checksum_tables primary)
	on_standby=$(checksum_tables standby)
	[ -n "$on_primary" ] || die "there is no table to compare"
	if [ "$on_primary" != "$on_standby" ]; then
		diff <(echo "$on_primary") <(echo "$on_standby") || :
		die "the standby's data is not the primary's"
	fi
	data_line=$(awk -F '|' '{ rows += $2 }
		END { printf "%d tables with %d rows have the same checksum on both", NR, rows }' <<<"$on_primary")
}

# compare_segments LAST: all that both have, from the base backup to LAST.
compare_segments()
{
	local last=$1 file name count=0

	for file in "$scratch/primary/pg_wal/"*; do
		name=${file##*/}
		[[ $name =~ ^[0-9A-F]{24}$ && ! $name > $last ]] || continue
		[ -f "$scratch/standby/pg_wal/$name" ] || continue
		cmp "$file" "$scratch/standby/pg_wal/$name" || die "WAL segment $name is not the same on both"
		count=$((count + 1))
	done
	[ $count -gt 0 ] || die "there is no complete WAL segment to compare"
	wal_line="$count complete WAL segments are byte for byte the same on both"
}

# Show a query and its result as psql does.
show()
{
	echo
	echo "$1=# $2;"
	psql_on "$1" -P footer=off -c "$2" | sed '/^$/d'
}

show_views()
{
	show primary "SELECT * FROM walstream_overview"
	show standby "SELECT name, status, received_lsn, codec, level, raw_bytes, wire_bytes, ratio FROM walstream_receiver"
}

play_pair()
{
	local last views total_ratio

	step "starting a primary"
	make_primary
	step "making a standby with pg_basebackup"
	make_standby
	run_load

	step "waiting until the standby has replayed everything"
	last=$(sql primary "SELECT pg_walfile_name(pg_switch_wal() - 1)")
	wait_for_replay
	step "reading the views"
	views=$(show_views)
	step "comparing the data of both"
	compare_data
	step "comparing the WAL of both"
	compare_segments "$last"
	check_log primary
	check_log standby

	total_ratio=$(awk "BEGIN { printf \"%.2f\", $raw_total / $wire_total }")
	echo
	printf '%s\n' "${phase_lines[@]}"
	echo "$views"
	echo
	echo "$data_line"
	echo "$wal_line"
	close_with "raw=$raw_total" "wire=$wire_total" "ratio=$total_ratio"
}
