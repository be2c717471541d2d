# What the demo is made of. Sourced by demo.
# shellcheck shell=bash

DEVICE=demo-device
SERVER=nats://127.0.0.1:4222
number=0
finished=

step() {
    number=$((number + 1))
    printf '\n%s%d. %s%s\n' "$BOLD" "$number" "$*" "$PLAIN"
}

explain() { printf '   %s%s%s\n' "$DIM" "$*" "$PLAIN"; }

# The page of "web", once it is there and says what it should.
show_page() {
    wait_for "a page that says $1" page_says "$1"
    printf '   %s$ curl http://127.0.0.1:8080/%s\n' "$GREEN" "$PLAIN"
    http_page | sed 's/^/   /'
}

# show CMD…: prints what would be typed, runs it, indents what it says.
show() {
    printf '   %s$ %s%s\n' "$GREEN" "${*/$ROOT\//}" "$PLAIN"
    "$@" 2>&1 | sed 's/^/   /'
}

world() { "$ROOT/scripts/world" "$@"; }
fleetctl() { world exec "$W" "$BIN/fleetctl" --server "$SERVER" "$@"; }
fleetctl_quiet() { fleetctl "$@" >/dev/null 2>&1; }
http_page() { world exec "$W" curl -sS -m 5 http://127.0.0.1:8080/; }
page_says() { http_page 2>/dev/null | grep -q "$1"; }
pid_of() { world podman "$W" inspect -f '{{.State.Pid}}' "fleet-shop.$1" 2>/dev/null || true; }

# From outside and with no word to podman: as an out-of-memory kill would.
kill_process() { as_root kill -KILL "$1"; }

is_back() {
    local pid
    pid=$(pid_of "$1")
    [ "${pid:-0}" != 0 ] && [ "$pid" != "$2" ] && page_says v2
}

# wait_for WHAT CMD…: until CMD succeeds, at most 30 s.
wait_for() {
    local what=$1 since
    since=$(now_ms)
    shift
    until "$@"; do
        [ $(($(now_ms) - since)) -lt 30000 ] || die "waited 30 s in vain for $what"
        sleep 0.1
    done
    explain "$what: after $(elapsed "$since")"
}

expect_same() {
    [ "$2" = "$3" ] || die "not so: $1 (was $2, is $3)"
    explain "$1 (process ${2// / and })"
}

write_agent_config() {
    cat >"$W/agent.toml" <<CONF
[agent]
device_id = "$DEVICE"
state_dir = "$W/state"
[nats]
urls = ["$SERVER"]
[runtime]
socket = "$W/podman.sock"
CONF
}

# Runs however the demo ends.
clean_up() {
    local result=$?
    trap '' INT TERM
    if [ -z "$finished" ]; then
        warn "the demo did not get beyond step $number; the agent's last words:"
        tail -n 20 "$W/agent.log" >&2 2>/dev/null || true
    fi
    if [ -n "$finished" ] && [ -n "$keep" ]; then
        how_to_play
        return
    fi
    step "Clean up"
    local namespace
    namespace=$(world env "$W" | sed -n 's/^WORLD_NETNS=//p')
    world down "$W"
    check_nothing_left "$namespace" || result=1
    if [ -n "$finished" ] && [ $result = 0 ]; then
        printf '\n%sDone in %s: all of it worked, and nothing is left.%s\n' "$BOLD" "$(elapsed "$begun")" "$PLAIN"
    fi
    exit $result
}

check_nothing_left() {
    local left=''
    [ ! -e "$W" ] || left+=" directory $W;"
    [ ! -e "$1" ] || left+=" namespace $1;"
    ! grep -qF " $W/" /proc/mounts || left+=" mounts below $W;"
    # Every process of the demo has its directory in its arguments: podman, nats-server, conmon, agent.
    local processes
    # The brackets keep grep from finding itself.
    processes=$(grep -lsa "[/]${W#/}/" /proc/[0-9]*/cmdline | tr '\n' ' ' || true)
    [ -z "$processes" ] || left+=" processes $processes;"
    if [ -n "$left" ]; then
        warn "left behind:$left"
        return 1
    fi
    explain "no process, container, network, mount or directory is left"
}

how_to_play() {
    printf '\n%sDone in %s. It goes on running:%s\n' "$BOLD" "$(elapsed "$begun")" "$PLAIN"
    say "   scripts/world exec $W $BIN/fleetctl --server $SERVER status $DEVICE"
    say "   scripts/world podman $W ps"
    say "   less $W/agent.log"
    say "and is ended by:"
    say "   scripts/world down $W"
}
