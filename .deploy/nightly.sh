#!/usr/bin/env bash
# What Compose does each night: back up, verify the audit trail, and on Sundays remove what
# has been kept long enough. Each is done though another fails; the exit code tells, and
# cron mails what it says.
#
#   30 2 * * * /opt/mems/.deploy/nightly.sh
#   */10 * * * * /opt/mems/.deploy/nightly.sh revocations
#
# With "revocations" it only lists what is revoked and erased, so that no restore brings
# it back.
#
# A script, because cron cuts a line at its first percent sign. KEEP_DAYS: older backups
# are removed, after a good one.
set -euo pipefail
umask 077
cd "$(dirname "${BASH_SOURCE[0]}")"

failed=0
job() {
  docker compose run --rm --no-TTY --user "$(id -u):$(id -g)" "$@" && return
  echo "nightly.sh: failed: $*" >&2
  failed=1
  return 1
}

if [ "${1:-}" = revocations ]; then
  job revocations || true
  exit "$failed"
fi
if job backup backup "/backups/mems-$(date +%F-%H%M%S).gz"; then
  find backups -type f -name 'mems-[0-9]*.gz' -mtime "+${KEEP_DAYS:-30}" -delete
fi
job audit || true
if [ "$(date +%u)" -eq 7 ]; then
  job retain || true
fi
exit "$failed"
