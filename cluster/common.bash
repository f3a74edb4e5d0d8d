# What the scripts of this folder share; sourced by each.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Another build of the program than ours, for tests.
holdfast=${HOLDFAST_PROGRAM:-$root/.build/release/holdfast}
dir=$root/cluster/run

fail() {
    echo "error: $*" >&2
    exit 1
}

usage_error() {
    echo "error: $*; see $0 --help" >&2
    exit 2
}

# The comment at the head of the script is its help.
print_help() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
    exit 0
}

need_cluster() {
    [ -e "$dir" ] || fail "there is no cluster in $dir: make one with cluster/up --dir $dir"
    [ -e "$dir/env" ] ||
        fail "$dir holds no whole cluster (making it may have been interrupted): remove it and run cluster/up again"
}

# The numbers of all nodes, in order.
all_nodes() {
    local identity
    for identity in "$dir"/node-*/identity; do
        identity=${identity%/identity}
        echo "${identity##*/node-}"
    done | sort -n
}

need_node() {
    [[ "$1" =~ ^[0-9]+$ ]] || usage_error "$1 is not the number of a node"
    [ -d "$dir/node-$1/identity" ] || fail "there is no node $1 in $dir"
}

# setting NODE NAME: a line of the node's configuration.
setting() { sed -n "s/^$2 = //p" "$dir/node-$1/identity/node.conf"; }

# When the process began, in clock ticks since the machine did: with the number it names a process
# for good, while a number alone is given to another process later. The name of a program, which
# comes before it, may hold blanks and brackets.
start_time() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    echo "${20}"
}

# The process of a node when it is the one that we have started; nothing otherwise.
process_of() {
    local pid started
    read -r pid started 2>/dev/null <"$dir/node-$1/pid" || return 1
    [ "$(start_time "$pid")" = "$started" ] || return 1
    grep -zqxF -- "$dir/node-$1/data" "/proc/$pid/cmdline" 2>/dev/null || return 1
    # A process that has ended and was not waited for yet.
    grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null && return 1
    echo "$pid"
}

# True when somebody listens on the address.
is_taken() { (exec 3<>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null; }

is_ready() { curl -fsS -m 2 -o /dev/null "http://$(setting "$1" admin)/healthz" 2>/dev/null; }

# Ends the script when a node that is to be started cannot have its ports.
check_ports() {
    local node=$1 name address
    for name in edge https admin peer; do
        address=$(setting "$node" "$name")
        if is_taken "$address"; then
            fail "node $node cannot have $address, on which another program listens: end that program, or make this cluster elsewhere (cluster/up --dir OTHER --base-port PORT)"
        fi
    done
}

# Starts a node that does not run.
start_node() {
    local node=$1
    # Nothing that whoever called us has open goes on into a process that stays.
    setsid nohup "$holdfast" node --identity "$dir/node-$node/identity" \
        --data "$dir/node-$node/data" >>"$dir/node-$node/log" 2>&1 </dev/null \
        3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
    echo "$! $(start_time $! || true)" >"$dir/node-$node/pid"
    # Until the child has become another program, its command line is still this script's, by which
    # nobody would know it for the node.
    local tries=500
    while [ $((tries--)) -gt 0 ] && kill -0 $! 2>/dev/null && ! process_of "$node" >/dev/null; do
        sleep 0.01
    done
}

show_log() {
    echo "--- the end of $dir/node-$1/log" >&2
    tail -n 5 "$dir/node-$1/log" >&2 || true
}

# Waits until the nodes take part in their cluster.
await_nodes() {
    local node waiting=("$@") left deadline=$((SECONDS + 60))
    while true; do
        left=()
        for node in "${waiting[@]}"; do
            if ! process_of "$node" >/dev/null; then
                show_log "$node"
                fail "node $node has ended while it was starting; its last words are above"
            fi
            is_ready "$node" || left+=("$node")
        done
        [ ${#left[@]} -gt 0 ] || return 0
        waiting=("${left[@]}")
        if [ "$SECONDS" -ge "$deadline" ]; then
            for node in "${waiting[@]}"; do show_log "$node"; done
            fail "not ready after 60 s: node ${waiting[*]}; fewer than half of the nodes may be running (cluster/status --dir $dir)"
        fi
        sleep 0.1
    done
}

# Waits until a process has ended; false when it has not within so many seconds.
await_end() {
    local deadline=$((SECONDS + $2))
    while process_of "$1" >/dev/null; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.05
    done
}

# Takes --dir and --help from the words in `words`, which the script has set; leaves the others.
take_common_options() {
    local rest=()
    while [ ${#words[@]} -gt 0 ]; do
        case "${words[0]}" in
            --dir)
                [ -n "${words[1]:-}" ] || usage_error "--dir needs a value"
                dir=$(realpath -m -- "${words[1]}")
                words=("${words[@]:2}")
                ;;
            -h | --help) print_help ;;
            *)
                rest+=("${words[0]}")
                words=("${words[@]:1}")
                ;;
        esac
    done
    words=("${rest[@]}")
}
