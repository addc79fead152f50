# Sourced by start_parser.sh and start_worker.sh: keeps two processes together, and watches them.
#
# run_pair NAME1 PID1 NAME2 PID2 waits for both. If one ends, the other is stopped too.
# SIGTERM and SIGINT are passed on to both. It returns 0 after a stop that was asked for and
# went well, else the status of the one that ended badly. After an end that nobody asked for,
# the other half gets END_SECONDS (default 10) to stop, and is killed then: it may hang.
#
# A process may also live on and do nothing. So files that they touch as they go are watched
# (ALIVE_FILE, RESULTS_ALIVE_FILE, HTTP_ALIVE_FILE, BEAT_ALIVE_FILE): if one has not been touched
# for WATCH_SECONDS (default 120), all are killed, and whoever started the script starts it anew.

alive_files=("${ALIVE_FILE:-}" "${RESULTS_ALIVE_FILE:-}" "${HTTP_ALIVE_FILE:-}"
    "${BEAT_ALIVE_FILE:-}")
for file in "${alive_files[@]}"; do
    [[ -z $file ]] || rm -f "$file" # of an earlier run: it says nothing of this one
done

# Has both keep their metrics in files of one folder, so that one of them can answer for both.
# What an earlier pair left there is counted no more. To be called before they are started.
share_metrics() {
    if [[ -z ${PROMETHEUS_MULTIPROC_DIR:-} ]]; then
        PROMETHEUS_MULTIPROC_DIR=$(mktemp -d)
        trap 'rm -rf "$PROMETHEUS_MULTIPROC_DIR"' EXIT
    fi
    export PROMETHEUS_MULTIPROC_DIR
    mkdir -p "$PROMETHEUS_MULTIPROC_DIR"
    rm -f "$PROMETHEUS_MULTIPROC_DIR"/*.db
}

run_pair() {
    local first=$2 second=$4 failed=0 status stopping=""

    stop_pair() { stopping=yes; kill -TERM "$first" "$second" 2>/dev/null; }
    trap stop_pair TERM INT

    watch_files "$first" "$second" &
    local watch=$!

    wait -n "$first" "$second"
    status=$?
    if [[ -z $stopping ]]; then
        local name=$1
        kill -0 "$first" 2>/dev/null && name=$3
        echo "$0: the $name ended with status $status; stopping the other half" >&2
        # An end that nobody asked for is a failure, whatever its status.
        failed=$((status == 0 ? 1 : status))
        stop_pair
        kill_after_end_seconds "$first" "$second" &
        watch="$watch $!"
    fi
    for pid in "$first" "$second"; do
        reap "$pid"
        status=$?
        # 130 and 143: ended by the very signal that asked for it.
        case $status in 0 | 130 | 143) ;; *) [[ $failed -ne 0 ]] || failed=$status ;; esac
    done
    # shellcheck disable=SC2086 # one or two numbers
    kill $watch 2>/dev/null
    return "$failed"
}

# Waits for a child, through the traps that interrupt `wait`; returns its status.
reap() {
    local status
    while :; do
        wait "$1"
        status=$?
        kill -0 "$1" 2>/dev/null || return "$status"
    done
}

kill_after_end_seconds() {
    local never
    trap - TERM INT
    exec {silent}<> <(:) # nothing ever comes from here: a sleep that leaves no process behind
    read -rt "${END_SECONDS:-10}" -u "$silent"
    kill -KILL "$1" "$2" 2>/dev/null
}

# watch_files PID...: kills all of them if one has stopped touching its file. Rounds are counted,
# and the time of day is not looked at: a clock that is set anew must not look like silence.
watch_files() {
    local limit=${WATCH_SECONDS:-120} file touched silent
    local -A last=() idle=()
    trap - TERM INT
    exec {silent}<> <(:) # as above
    while ! read -rt 5 -u "$silent"; do
        for file in "${alive_files[@]}"; do
            [[ -n $file ]] || continue
            # One that is not there yet counts, too: a process can also hang in its beginning.
            touched=$(stat -c %.Y "$file" 2>/dev/null) || touched=never
            if [[ $touched != "${last[$file]:-}" ]]; then
                last[$file]=$touched
                idle[$file]=0
                continue
            fi
            idle[$file]=$((idle[$file] + 5))
            if ((idle[$file] > limit)); then
                echo "$0: $file has not been touched for ${idle[$file]} s; killing it" >&2
                rm -f "$file"
                kill -KILL "$@" 2>/dev/null
                return
            fi
        done
    done
}
