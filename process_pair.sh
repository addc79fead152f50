# A library for the start scripts, to source: keep two processes together, and watch them.
#
# run_pair NAME1 PID1 NAME2 PID2 waits for both processes and passes SIGTERM and SIGINT on to
# them. If one ends without being asked, the other gets END_SECONDS (default 10) to stop. After
# that it is killed, because it may hang. run_pair returns 0 after a requested stop in which both
# ended well, else the status of the process that failed.
#
# A process may hang while it lives. So each process touches a file while it works (ALIVE_FILE,
# RESULTS_ALIVE_FILE, HTTP_ALIVE_FILE, BEAT_ALIVE_FILE). If a file is not touched for
# WATCH_SECONDS (default 120), all processes are killed, and the supervisor or the container
# engine restarts the script.

for name in WATCH_SECONDS END_SECONDS; do
    if [[ -n ${!name:-} && ! (${!name} =~ ^[1-9][0-9]{0,4}$ && ${!name} -le 86400) ]]; then
        echo "$name is '${!name}'; it must be a whole number of seconds from 1 to 86400." >&2
        exit 1
    fi
done

alive_files=("${ALIVE_FILE:-}" "${RESULTS_ALIVE_FILE:-}" "${HTTP_ALIVE_FILE:-}"
    "${BEAT_ALIVE_FILE:-}")
for file in "${alive_files[@]}"; do
    [[ -z $file ]] || rm -f "$file" # an earlier run left it
done

# Make both processes keep their metrics in files of one folder, so that one of them can serve
# the metrics of both. Call this before starting them: it deletes the files of an earlier pair,
# which would be counted again.
share_metrics() {
    if [[ -z ${PROMETHEUS_MULTIPROC_DIR:-} ]]; then
        # In memory where possible: on a full disk the kernel kills whoever writes a mapped file.
        PROMETHEUS_MULTIPROC_DIR=$(mktemp -dp /dev/shm 2>/dev/null || mktemp -d)
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
        echo "$0: the $name ended with status $status; stopping the other process" >&2
        # An unrequested end is a failure, whatever its status.
        failed=$((status == 0 ? 1 : status))
        stop_pair
        kill_after_end_seconds "$first" "$second" &
        watch="$watch $!"
    fi
    for pid in "$first" "$second"; do
        reap "$pid"
        status=$?
        # 130 and 143: ended by SIGINT or SIGTERM, as requested.
        case $status in 0 | 130 | 143) ;; *) [[ $failed -ne 0 ]] || failed=$status ;; esac
    done
    # shellcheck disable=SC2086 # one or two numbers
    kill $watch 2>/dev/null
    return "$failed"
}

# Wait for a child although traps interrupt `wait`; return its status.
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
    exec {silent}<> <(:) # never readable: a sleep without a child process
    read -rt "${END_SECONDS:-10}" -u "$silent"
    kill -KILL "$1" "$2" 2>/dev/null
}

# watch_files PID...: kill all processes if one stops touching its file. This counts rounds of 5 s
# and ignores the time of day: setting the clock must not look like a hanging process.
watch_files() {
    local limit=${WATCH_SECONDS:-120} file touched silent
    local -A last=() idle=()
    trap - TERM INT
    exec {silent}<> <(:) # as above
    while ! read -rt 5 -u "$silent"; do
        for file in "${alive_files[@]}"; do
            [[ -n $file ]] || continue
            # A missing file also counts as idle: a process can hang while it starts.
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
