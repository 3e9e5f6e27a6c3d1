#!/usr/bin/env bash
# Makes the database users of grants.sql, with their rights and with the passwords
# that stand in their secrets, on the database that these name. Run as root of the database, before the migration
# for mems_migrate and after it, when the tables are there, for all. Running it
# again changes nothing, or takes over new passwords.
#
#   users.sh migrate|app|backup ...
#
# SECRETS is the folder with migrate-url, app-url and backup-url; GRANTS is
# db/grants.sql; DB_HOST is the server, none for the one on this
# machine, whose socket DB_SOCKET names when it is not the client's own idea.
set -euo pipefail

usage() {
  echo "usage: users.sh migrate|app|backup ..." >&2
  exit 2
}

[ $# -gt 0 ] || usage
for name in "$@"; do
  [[ $name =~ ^(migrate|app|backup)$ ]] || usage
done

secrets=${SECRETS:-/run/secrets}
grants=${GRANTS:-/grants.sql}
if [ -r "$secrets/root-password" ]; then
  MYSQL_PWD=$(<"$secrets/root-password")
  export MYSQL_PWD
fi

fail() {
  echo "users.sh: $*" >&2
  exit 1
}

client=$(command -v mysql || command -v mariadb) ||
  fail "neither mysql nor mariadb is on PATH; install the package mariadb-client or mysql-client"

# Reports users that the database prefers to $user@'%', with a password and rights of
# their own: those of $user's name for one host, and anonymous ones. Fails if one is for
# the machine that the database is on, and this is that machine.
check_preferred() {
  local found preferred host is_refused=0
  found=$("$client" "${connection[@]}" --batch --skip-column-names --execute="
    SELECT CONCAT(QUOTE(User), '@', QUOTE(Host)), Host FROM mysql.user
    WHERE User IN ('$user', '') AND Host NOT IN ('%', '') ORDER BY User DESC, Host") || fail "cannot look for other users of the name $user"
  while IFS=$'\t' read -r preferred host; do
    case ${DB_HOST:-localhost}/$host in
    */) ;; # there is none
    localhost/localhost | localhost/127.* | localhost/::1 | 127.*/localhost | 127.*/127.* | ::1/localhost | ::1/::1)
      echo "users.sh: $preferred goes before '$user'@'%', so MEMS would be refused. If nothing else uses it: DROP USER $preferred" >&2
      is_refused=1
      ;;
    */localhost | */127.* | */::1) ;; # MEMS is on another machine
    *) echo "users.sh: note: $preferred goes before '$user'@'%' for what connects from there. If nothing uses it: DROP USER $preferred" >&2 ;;
    esac
  done <<<"$found"
  return $is_refused
}

failed=0
for name in "$@"; do
  user=mems_$name
  [ -r "$secrets/$name-url" ] || fail "cannot read $secrets/$name-url, which has to hold the URL of $user"
  url=$(<"$secrets/$name-url")
  [[ $url =~ ^mysql://$user:([A-Za-z0-9]{16,})@ ]] ||
    fail "$name-url has to begin with mysql://$user:PASSWORD@, the password of 16 or more letters and digits"
  password=${BASH_REMATCH[1]}
  [[ $url =~ ^mysql://[^/]*/([A-Za-z0-9_]{1,64})(\?|$) ]] ||
    fail "$name-url has to name the database at its end, of letters, digits and _, such as /mems"
  database=${BASH_REMATCH[1]}
  statements=$(grep "'$user'@" "$grants") || fail "$grants knows no user $user"
  connection=(--user=root ${DB_HOST:+"--host=$DB_HOST"} ${DB_SOCKET:+"--socket=$DB_SOCKET"})
  if [[ $statements =~ \ ON\ mems\.[a-z] ]]; then
    migrated=$("$client" "${connection[@]}" --batch --skip-column-names --execute="SELECT COUNT(*)
      FROM information_schema.tables WHERE table_schema = '$database' AND table_name = 'goose_db_version'")
    [ "$migrated" = 1 ] ||
      fail "$user gets rights on tables, and $database has none yet: run \"mems migrate up\" with migrate-url first, then this again"
  fi
  # grants.sql speaks of users on the database's own machine; these come from others.
  {
    # A _ in the name of a whole database stands for any letter unless it is escaped.
    sed -E "s/'localhost'/'%'/; s/'replace-this-[0-9]+'/'$password'/
      s/ ON mems\.\*/ ON \`${database//_/\\\\_}\`.*/; s/ ON mems\./ ON \`$database\`./" <<<"$statements"
    echo "ALTER USER '$user'@'%' IDENTIFIED BY '$password';"
  } | "$client" "${connection[@]}" ||
    fail "$user has not all its rights. If a table is missing above, run \"mems migrate up\" first, then this again"
  if check_preferred; then
    echo "users.sh: $user is up to date"
  else
    failed=1
  fi
done
exit $failed
