#!/bin/sh
# A healthcheck that also ends a container that stays unhealthy, because compose restarts only containers that have ended.
# usage: healthcheck.sh FAILURES COMMAND...   After this many failures in a row SIGTERM; SIGKILL two checks later.
#
# Docker kills a check that hangs, and this script with it: so a check counts as failed until it has succeeded.
# It needs `init: true`, which makes docker-init process 1: a process 1 that hangs cannot be killed from inside.
most=$1
shift
count=${HEALTHCHECK_COUNT:-/tmp/.healthcheck-failures}
failures=$(cat "$count" 2>/dev/null || echo 0)
if [ "$failures" -ge "$most" ] && [ "$(cat /proc/1/comm)" = docker-init ]; then
    if [ "$failures" -ge $((most + 2)) ]; then
        rm -f "$count"
        kill -KILL -1    # every process except docker-init, which ends with the service
    fi
    kill -TERM 1         # docker-init passes it on to the service
fi
echo $((failures + 1)) > "$count"
"$@" || exit 1
rm -f "$count"
