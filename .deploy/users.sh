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

if [ $# = 0 ]; then
  echo "usage: users.sh migrate|app|backup ..." >&2
  exit 2
fi

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

for name in "$@"; do
  user=mems_$name
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
  echo "users.sh: $user is up to date"
done
