#-------------------------------------------------------------------------
#
# lib.sh
#	  What the scenes of the demo stand on: a temporary directory, commands
#	  run without root's rights, servers, and an end that leaves nothing.
#
# All files are in the temporary directory $scratch: the copy of the source
# (src), the private installation (install), links to programs (bin), a data
# directory for each server under the server's name, the servers' logs (log)
# and their sockets, which need no password since only the directory's owner
# can enter it.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------

scratch=
as_user=()						# what runs a command as the unprivileged user
job=							# process group of the command that runs
doing=							# see step
failure=						# why the demo ends, where that is known
interrupted=
closing=()						# see close_with
servers=()						# in the order in which they were made
declare -A port=()

say()
{
	printf '%4d s  %s\n' "$SECONDS" "$*"
}

# Say what is being done; what fails before the next step has failed at it.
step()
{
	doing=$*
	say "$doing"
}

die()
{
	failure=$*
	exit 1
}

# Add to the demo's last line.
close_with()
{
	closing+=("$@")
}

#
# Beginning and end
#

begin_demo()
{
	local name

	trap finish EXIT
	trap 'interrupt 130' INT
	trap 'interrupt 143' TERM HUP PIPE

	# Neither the calling make nor the caller's settings for clients and
	# language shall reach ours.
	unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
	for name in "${!PG@}"; do
		[ "$name" = PG_CONFIG ] || unset "$name"
	done
	export LC_ALL=C
}

interrupt()
{
	interrupted=yes
	failure=interrupted
	exit "$1"
}

finish()
{
	local status=$?

	trap - EXIT
	trap '' INT TERM HUP PIPE
	set +e
	end_job
	if [ -n "$scratch" ]; then
		if [ "${KEEP:-0}" != 0 ] && [ -z "$interrupted" ]; then
			tell_what_is_kept
		else
			remove_all || status=$((status > 0 ? status : 1))
		fi
	fi

	if [ $status -eq 0 ]; then
		echo "demo: ok ${closing[*]}"
	else
		echo "demo: failed: ${failure:-$doing}"
	fi
	exit $status
}

remove_all()
{
	local i problem=

	for ((i = ${#servers[@]} - 1; i >= 0; i--)); do
		stop_server "${servers[i]}" immediate || problem="stopping the ${servers[i]}"
	done
	cd /
	"${as_user[@]}" rm -rf "$scratch" || problem="removing $scratch"
	failure=${failure:-$problem}
	[ -z "$problem" ]
}

tell_what_is_kept()
{
	local name user_prefix=

	[ "$(id -u)" != 0 ] || user_prefix="runuser -u $user -- "
	echo
	[ ${#servers[@]} -eq 0 ] || echo "To connect:"
	for name in "${servers[@]}"; do
		echo "  $bindir/psql -h $scratch -p ${port[$name]} -U postgres postgres   # $name"
	done
	echo "To stop and remove what is kept:"
	echo "  cd /"
	for name in "${servers[@]}"; do
		echo "  $user_prefix$bindir/pg_ctl -D $scratch/$name stop"
	done
	echo "  rm -rf $scratch"
}

#
# The temporary directory and what is installed there
#

make_scratch()
{
	# not /tmp, which is memory on many systems
	local parent=${TMPDIR:-/var/tmp} free_kb

	as_user=(env)
	if [ "$(id -u)" = 0 ]; then
		user=postgres
		id -u "$user" >/dev/null 2>&1 || user=nobody
		as_user=(setpriv "--reuid=$user" "--regid=$(id -gn "$user")" --init-groups
			env "USER=$user" "LOGNAME=$user")
	fi

	scratch=$("${as_user[@]}" mktemp -d "$parent/walstream-demo.XXXXXX") ||
		die "$parent cannot be used; TMPDIR can name another directory"
	free_kb=$(df -Pk "$scratch" | awk 'NR == 2 { print $4 }')
	[ "$free_kb" -ge $((needed_mb * 1024)) ] ||
		die "$parent has less than $needed_mb MB left; TMPDIR can name another directory"
	as_user+=("HOME=$scratch")
	"${as_user[@]}" mkdir "$scratch/src" "$scratch/log"
}

install_walstream()
{
	tar -c --exclude='*.o' --exclude='*.so' --exclude='*.bc' Makefile walstream.control sql src |
		"${as_user[@]}" tar -x -C "$scratch/src" --no-same-owner

	# the user may not be able to enter the directory we came from
	cd "$scratch/src"
	run make -s
	run src/tools/private_install "$scratch/install" -s
	link_programs "$scratch/install$("$PG_CONFIG" --bindir)"
}

# Print the pg_config of a PostgreSQL that has walstream, the newest one unless
# PG_CONFIG names it.
find_walstream()
{
	local candidate directory

	for candidate in ${PG_CONFIG-$(find /usr/lib/postgresql /usr/pgsql-* -path '*/bin/pg_config' 2>/dev/null |
		sort -rV) pg_config}; do
		directory=$("$candidate" --sharedir 2>/dev/null) || continue
		[ -f "$directory/extension/walstream.control" ] || continue
		echo "$candidate"
		return
	done
	return 1
}

use_walstream()
{
	cd "$scratch"
	link_programs "$("$PG_CONFIG" --bindir)"
}

# A short name, since the commands that are told at the end have it.
link_programs()
{
	bindir=$scratch/bin
	"${as_user[@]}" ln -s "$1" "$bindir"
}

#
# Commands
#

# Start a command as the user, in a process group of its own.
start_job()
{
	setsid "${as_user[@]}" "$@" >"$scratch/log/command" 2>&1 </dev/null &
	job=$!
}

# Wait for the command; if it fails, show what it said last.
wait_job()
{
	local status=0

	wait "$job" || status=$?
	job=
	if [ $status -ne 0 ]; then
		tail -n 20 "$scratch/log/command"
		return $status
	fi
}

end_job()
{
	[ -n "$job" ] || return 0
	kill -TERM -- "-$job" 2>/dev/null || kill -TERM "$job" 2>/dev/null
	wait "$job" 2>/dev/null
	job=
}

run()
{
	start_job "$@"
	wait_job
}

#
# Servers
#

# Set port[NAME] to one on which nobody listens, below those that the system
# gives to outgoing connections.
choose_port()
{
	local try

	while :; do
		try=$((20000 + RANDOM % 10000))
		case " ${port[*]} " in
			*" $try "*) continue ;;
		esac
		(: <"/dev/tcp/127.0.0.1/$try") 2>/dev/null || break
	done
	port[$1]=$try
}

# Append lines from standard input to a server's configuration.
configure()
{
	"${as_user[@]}" tee -a "$scratch/$1/postgresql.conf" >/dev/null
}

# Settings that every server of the demo needs, and a name for it.
add_server()
{
	servers+=("$1")
	choose_port "$1"
	configure "$1" <<END

cluster_name = '$1'
port = ${port[$1]}
listen_addresses = '127.0.0.1'
unix_socket_directories = '$scratch'
END
}

# init_server NAME: a new cluster.  Standbys log in as the role "replicator",
# which is no superuser, with the password in $scratch/pgpass, the same in all.
init_server()
{
	if [ ! -f "$scratch/password" ]; then
		od -An -N16 -tx1 /dev/urandom | tr -d ' \n' | "${as_user[@]}" tee "$scratch/password" >/dev/null
		"${as_user[@]}" sh -c 'umask 077; cat >"$1"' - "$scratch/pgpass" \
			<<<"127.0.0.1:*:*:replicator:$(cat "$scratch/password")"
	fi
	run "$bindir/initdb" -D "$scratch/$1" -U postgres -E UTF8 --no-locale --no-sync \
		--auth-local=trust --auth-host=scram-sha-256 --pwfile="$scratch/password"
	add_server "$1"
}

# clone_server NAME FROM: a standby of a server that runs, with a slot there.
clone_server()
{
	run "$bindir/pg_basebackup" -D "$scratch/$1" --checkpoint=fast --no-sync \
		-d "host=127.0.0.1 port=${port[$2]} user=replicator passfile=$scratch/pgpass" \
		--write-recovery-conf --create-slot --slot="$1"
	add_server "$1"
}

# In a session of its own, so that Ctrl-C does not leave half a server.
control_server()
{
	setsid "${as_user[@]}" "$bindir/pg_ctl" -D "$scratch/$1" -w -s "${@:2}"
}

start_server()
{
	control_server "$1" -l "$scratch/log/$1.log" start && return
	echo "end of the log of the $1:"
	tail -n 20 "$scratch/log/$1.log"
	die "starting the $1"
}

# stop_server NAME MODE
stop_server()
{
	[ ! -f "$scratch/$1/postmaster.pid" ] || control_server "$1" -m "$2" stop
}

# psql_on NAME [ARGUMENT]...
psql_on()
{
	"${as_user[@]}" "$bindir/psql" -X -v ON_ERROR_STOP=1 -h "$scratch" -p "${port[$1]}" \
		-U postgres -d postgres "${@:2}"
}

# sql NAME QUERY: the bare result, columns separated by "|".
sql()
{
	psql_on "$1" -Atq -c "$2"
}

# await SECONDS NAME QUERY: until the query is true; false if it never is.
await()
{
	local until=$((SECONDS + $1)) answer

	while :; do
		answer=$(sql "$2" "$3") || return
		[ "$answer" != t ] || return 0
		[ $SECONDS -lt $until ] || return 1
		sleep 0.1
	done
}

# check_log NAME: nothing that the demo does is worth a warning.
check_log()
{
	if grep -E '\b(WARNING|ERROR|FATAL|PANIC):  |^TRAP:|terminated by signal' "$scratch/log/$1.log"; then
		die "the log of the $1 has warnings or errors"
	fi
}
