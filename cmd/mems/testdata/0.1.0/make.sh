#!/usr/bin/env bash
# What the files beside this were made by, with the program and the README of version 0.1.0:
#
#   git archive 0f715ae | tar -x -C /tmp/mems-0.1.0
#   cd /tmp/mems-0.1.0 && go build -o mems ./cmd/mems && ~/mems/cmd/mems/testdata/0.1.0/make.sh
#
# A demo clinic and the README's day, some more records, then that version's own backup
# and checksums. It listens on 8080, as the README says. Port and people are invented.
set -euo pipefail
out=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || { kill "$server" && wait "$server" || true; }
  rm -rf "$work"
}
trap cleanup EXIT

export MEMS_DATA_DIR=$work/data MEMS_DATABASE_ENGINE=mariadb MEMS_CLINIC_TIME_ZONE=Europe/Zurich
MEMS_AUDIT_KEYS=$(<"$out/audit-keys")
export MEMS_AUDIT_KEYS
./mems serve >"$work/serve.log" 2>&1 &
server=$!
for _ in $(seq 120); do
  ! curl -sf http://127.0.0.1:8080/readyz >/dev/null || break
  sleep 0.5
done
./mems demo -patients 60 -doctors 3 -weeks 1
sed -n '/<!-- day/,/<!-- \/day/p' README.md | sed -n '/^```sh/,/^```/{/^```/!p}' >"$work/day.sh"
. "$work/day.sh"
call POST patients '{"first_name": "Lea", "last_name": "Bruner", "phone": "+41445550177", "allow_duplicate": true}'
twin=$(id)
call POST "patients/$patient/merge" "{\"duplicate_id\": $twin}"
call POST patients '{"first_name": "Gone", "last_name": "Erased", "email": "gone@example.org"}'
call POST "patients/$(id)/erase" '{"reason": "Asked for it."}'
call POST webhooks '{"url": "https://partner.example.org/hook", "types": ["appointment.booked"]}'
call POST calendar-feeds "{\"doctor_id\": $doctor, \"name\": \"Phone\"}"
./mems keys create --role admin 'first administrator' >/dev/null
./mems keys create --role partner --scope patients:write 'a partner' >/dev/null
sleep 2 # the ends of the audit trail's chains are noted
./mems audit verify
rm -f "$out/backup.gz"
./mems backup "$out/backup.gz"
./mems checksum >"$out/checksums"
