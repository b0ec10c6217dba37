#!/bin/sh
# Runs the given command, unless a value in the environment still contains a placeholder of .env.example.
set -eu
names=$(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*CHANGE_ME.*/\1/p')
if [ -n "$names" ]; then
    echo "refusing to start: still CHANGE_ME in .env:" $names >&2
    exit 78
fi
exec "$@"
