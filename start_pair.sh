# Sourced by start_parser.sh and start_worker.sh: keeps two processes together.
#
# run_pair NAME1 PID1 NAME2 PID2 waits for both. If one ends, the other is stopped too.
# SIGTERM and SIGINT are passed on to both. It returns 0 after a stop that was asked for and
# went well, else the status of the one that ended badly.

run_pair() {
    local first=$2 second=$4 failed=0 status stopping=""

    stop_pair() { stopping=yes; kill -TERM "$first" "$second" 2>/dev/null; }
    trap stop_pair TERM INT

    wait -n "$first" "$second"
    status=$?
    if [[ -z $stopping ]]; then
        local name=$1
        kill -0 "$first" 2>/dev/null && name=$3
        echo "$0: the $name ended with status $status; stopping the other half" >&2
        # An end that nobody asked for is a failure, whatever its status.
        failed=$((status == 0 ? 1 : status))
        stop_pair
    fi
    for pid in "$first" "$second"; do
        reap "$pid" || status=$?
        # 130 and 143: ended by the very signal that asked for it.
        case $status in 0 | 130 | 143) ;; *) [[ $failed -ne 0 ]] || failed=$status ;; esac
        status=0
    done
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
