# shellcheck shell=sh disable=SC2034
#-------------------------------------------------------------------------
#
# common.sh
#	  What pre_promote and on_role_change share: the configuration file, and
#	  queries to the servers.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------

# Defaults; the configuration file may change them.
retry_seconds=60
receive_seconds=300
promote_seconds=120
follow_seconds=3600
required=
relays=
standby=
name=
state_file=

# A server that does not answer must not block the script.
: "${PGCONNECT_TIMEOUT:=5}"
: "${PGDATABASE:=postgres}"
export PGCONNECT_TIMEOUT PGDATABASE

say()
{
	echo "${0##*/}: $*" >&2
}

# read_configuration FILE
read_configuration()
{
	[ -r "$1" ] || {
		say "could not read the configuration file \"$1\""
		return 1
	}
	case $1 in
		*/*) set -- "$1" ;;
		*) set -- "./$1" ;;
	esac
	# shellcheck disable=SC1090
	. "$1" || return
	for setting in standby relays state_file; do
		eval "value=\$$setting"
		[ -n "$value" ] || {
			say "\"$setting\" is not set in \"$1\""
			return 1
		}
	done
}

# ask CONNECTION COMMAND [OPTION]...: print the server's answer, unaligned
ask()
{
	connection=$1 command=$2
	shift 2
	PGOPTIONS="-c statement_timeout=10s ${PGOPTIONS-}" \
		psql -XAtq -v ON_ERROR_STOP=1 "$@" -d "$connection" -c "$command" </dev/null
}

# for_each_relay COMMAND [ARGUMENT]...: call it for each relay, which becomes
# its last argument
for_each_relay()
{
	while read -r relay; do
		[ -z "$relay" ] || "$@" "$relay"
	done <<END
$relays
END
}

# Host and port of a connection string, for messages: there may be a password
# in it.
place_of()
{
	echo "$1" | tr ' ' '\n' | sed -n -e '/^host=/p' -e '/^hostaddr=/p' -e '/^port=/p' | tr '\n' ' ' | sed 's/ $//'
}

# unseal TOKENS RELAY: unseal the relay if its token is one of these
unseal()
{
	token=$(ask "$2" 'SELECT token FROM walstream_get_relay_seal()') || return
	[ -n "$token" ] || return 0
	case " $1 " in
		*" $token "* | ' any ')
			ask "$2" "SELECT walstream_relay_unseal('$token')" >/dev/null &&
				say "unsealed the relay at $(place_of "$2")"
			;;
	esac
}
