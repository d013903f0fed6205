#!/bin/sh
# The look that changes nothing, for CI and for cron. Its exit code is steadfast's: 0 in sync, 2 drift, 4 a host was not
# reached or something is unknown, 1 it could not run. The reports lie in reports/, whatever it is.
#
#   PLAYBOOKS              what is looked at           (playbooks/quarterly-hardening.yml, or playbooks/hardening.yml)
#   STEADFAST_INVENTORY    on which hosts              (inventory/fleet.yml, or this machine where there is none)
#   STEADFAST_SSH_KEY      the text of a private key to log in with, where no agent and no ~/.ssh has one
#   STEADFAST_KNOWN_HOSTS  lines for known_hosts: the hosts' own keys, for unknown ones are refused
set -eu
cd "$(dirname "$0")/.."
umask 077
reports=reports
mkdir -p "$reports"

if [ -z "${STEADFAST_INVENTORY:-}" ] && [ -e inventory/fleet.yml ]; then
  STEADFAST_INVENTORY=inventory/fleet.yml
  export STEADFAST_INVENTORY
fi

if [ -n "${STEADFAST_KNOWN_HOSTS:-}" ]; then
  mkdir -p "$HOME/.ssh"
  printf '%s\n' "$STEADFAST_KNOWN_HOSTS" >>"$HOME/.ssh/known_hosts"
fi

set --
if [ -n "${STEADFAST_SSH_KEY:-}" ]; then
  keys=$(mktemp -d)
  trap 'rm -rf "$keys"' EXIT
  printf '%s\n' "$STEADFAST_SSH_KEY" >"$keys/key"
  unset STEADFAST_SSH_KEY
  set -- --private-key "$keys/key"
fi

# Those for a rotation or an incident are no look for drift, and the same steps must not come twice in one run.
if [ -z "${PLAYBOOKS:-}" ]; then
  PLAYBOOKS=playbooks/hardening.yml
  [ ! -e playbooks/quarterly-hardening.yml ] || PLAYBOOKS=playbooks/quarterly-hardening.yml
fi
steadfast validate $PLAYBOOKS

code=0
steadfast check $PLAYBOOKS "$@" \
  --report "sarif:$reports/steadfast.sarif" \
  --report "junit:$reports/steadfast.xml" \
  --report "md:$reports/steadfast.md" \
  --report "html:$reports/steadfast.html" || code=$?
exit "$code"
