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

	# a value that is no number would end a wait at once
	for setting in retry_seconds receive_seconds promote_seconds follow_seconds required; do
		eval "value=\$$setting"
		case $setting$value in
			required) ;;
			"$setting" | "$setting"0* | "$setting"*[!0-9]*)
				say "\"$setting\" is \"$value\" in \"$1\", not a number above 0"
				return 1
				;;
		esac
	done
}

# The first commands of each session.  Whatever the settings of role, database
# and connection are, no name is looked up where others may create objects, and
# a standby can be queried.  The variable walstream becomes the extension's
# schema.
# shellcheck disable=SC1003
begin_session="
SET default_transaction_isolation = 'read committed';
SET search_path = pg_catalog;
SET standard_conforming_strings = on;
SELECT coalesce((SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
	WHERE extname = 'walstream'), 'pg_catalog') AS walstream "'\gset'

# ask CONNECTION COMMAND [OPTION]...: print the server's answer, unaligned.
# Functions of the extension are called as :walstream.NAME.
ask()
{
	connection=$1 command=$2
	shift 2
	psql -XAtq -v ON_ERROR_STOP=1 "$@" -d "$connection" <<END
$begin_session
SET statement_timeout = '10s';
$command;
END
}

# quote VALUE: print it as an SQL literal
quote()
{
	printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"
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
	printf '%s\n' "$1" | sed -E \
		-e "s/ *= */=/g" \
		-e "s/(host|hostaddr|port)='([^' \\\\]*)'/\1=\2/g" \
		-e "s/'([^'\\\\]|\\\\.)*'/.../g" \
		-e 's,^postgres(ql)?://([^/?]*@)?([^/?]*),host=\3 ,' |
		tr ' ?&' '\n' | grep -E '^(host|hostaddr|port)=.' | tr '\n' ' ' | sed 's/ $//'
}

# unseal TOKENS RELAY: unseal the relay if its token is one of these
unseal()
{
	token=$(ask "$2" 'SELECT token FROM :walstream.walstream_get_relay_seal()') || return
	[ -n "$token" ] || return 0
	case " $1 " in
		*" $token "* | ' any ')
			ask "$2" "SELECT :walstream.walstream_relay_unseal($(quote "$token"))" >/dev/null &&
				say "unsealed the relay at $(place_of "$2")"
			;;
	esac
}
