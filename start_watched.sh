#!/usr/bin/env bash
# start_watched.sh COMMAND...: run one process that touches a file while it works (ALIVE_FILE or
# BEAT_ALIVE_FILE), and kill it if it stops doing so; see process_pair.sh.
set -u
source "$(dirname "$0")/process_pair.sh"

"$@" &
process=$!
trap 'kill -TERM "$process" 2>/dev/null' TERM INT
watch_files "$process" &
watch=$!

reap "$process"
status=$?
kill "$watch" 2>/dev/null
exit "$status"
