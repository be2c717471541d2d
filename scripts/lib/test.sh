# The steps of scripts/test. Sourced by it.
# shellcheck shell=bash

# Tools that are built once, here, where the machine does not have them. Pinned, so that a run says
# the same everywhere.
DENY_VERSION=0.20.2
NEXTEST_VERSION=0.9.143
export PATH=$PATH:$TOOLS/bin

# Where tests put their worlds; short, it is the path of sockets.
FLEET_TEST_DIR=$(mktemp -d /tmp/ft.XXXXXX)
export FLEET_TEST_DIR
RESULTS=$FLEET_TEST_DIR/results.txt
BUILT=${CARGO_TARGET_DIR:-$ROOT/target}
current=

# step NAME CMD…: runs CMD and says how long it took; a failure ends the run.
step() {
    local name=$1 since
    since=$(now_ms)
    current=$name
    shift
    printf '\n%s── %s%s\n' "$BOLD" "$name" "$PLAIN"
    "$@"
    current=
    printf '%s── %s: ok, %s (%s in all)%s\n' "$GREEN" "$name" "$(elapsed "$since")" "$(elapsed "$begun")" "$PLAIN"
}

prepare() {
    # The contract of the bus is shown on the distribution's server and on a current one.
    FLEET_TEST_NATS_CURRENT=$("$ROOT/scripts/setup" --current-nats | tail -n 1)
    export FLEET_TEST_NATS_CURRENT
    [ -x "$FLEET_TEST_NATS_CURRENT" ] || die "no current nats-server: its tests cannot be run, and are never skipped"
    # Setup has installed them or failed; a test run must not depend on trusting that.
    local program
    for program in podman nats-server; do
        command -v $program >/dev/null || die "no $program: the real part cannot be run, and is never skipped"
    done
    podman --version
    nats-server --version
    provide_tool nextest "$NEXTEST_VERSION" cargo-nextest
    provide_tool deny "$DENY_VERSION" cargo-deny
}

provide_tool() {
    if cargo "$1" --version >/dev/null 2>&1; then return 0; fi
    local since
    since=$(now_ms)
    say "building cargo-$1 $2 once (some minutes) …"
    cargo install --quiet --locked --root "$TOOLS" "$3@$2" || die "could not build cargo-$1"
    say "built cargo-$1 in $(elapsed "$since"), which is not counted"
    begun=$((begun + $(now_ms) - since))
}

# What needs only the lock file is always checked. Advisories live in a database on the network.
check_dependencies() {
    # The graph names crates of other targets too, which no build here has downloaded.
    cargo fetch --quiet --locked
    cargo deny --offline check bans licenses sources
    if timeout 60 cargo deny fetch db >/dev/null 2>&1; then
        cargo deny check --disable-fetch advisories
    else
        warn "note: advisories are NOT checked: their database cannot be fetched from here"
    fi
}

# The project's own tools, as the build step made them.
xtask() { "$BUILT/debug/xtask" "$@"; }

run_tests() {
    # The real tests make namespaces and mounts: the tests run as root, the build does not.
    if [ "$(id -u)" != 0 ]; then
        local triple
        triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
        export "CARGO_TARGET_${triple}_RUNNER=$ROOT/scripts/lib/runner-as-root"
    fi
    local colour=never
    if [ -t 1 ]; then colour=always; fi
    # The report of an earlier run must never be taken for that of this one.
    local report=$ROOT/target/nextest/$PROFILE/junit.xml result=0
    rm -f "$report"
    # Tests mostly wait: for containers, for servers, for time to pass.
    cargo nextest run --workspace --profile "$PROFILE" --test-threads $(($(nproc) * 2)) --color $colour 2>&1 | tee "$RESULTS" || result=$?
    if [ "$PROFILE" = long ]; then
        [ -e "$report" ] || die "the runner left no report: docs/faults.md stays as it was"
        xtask faults "$report" || result=1
    fi
    return $result
}

# The last thing on the screen is the runner's own sentence.
summary() {
    printf '\n%sEverything passed in %s.%s\n' "$BOLD" "$(elapsed "$begun")" "$PLAIN"
    grep -a 'Summary \[' "$RESULTS" || grep -a 'Summary.*\[' "$RESULTS"
}

clean_up() {
    local result=$? world
    trap '' INT TERM
    if [ -n "$current" ]; then
        printf '\n%s── %s: FAILED%s\n' "$RED" "$current" "$PLAIN"
        if [ -s "$RESULTS" ]; then grep -aE 'Summary|^ +(FAIL|TIMEOUT|LEAK)' "$RESULTS" || true; fi
    fi
    # A test that was killed could not end its world, nor unmount its disk.
    for world in "$FLEET_TEST_DIR"/*/; do
        if [ -e "$world/containers.conf" ]; then
            warn "note: ending a world that a test left: $world"
            "$ROOT/scripts/world" down "$world" || true
        fi
    done
    awk -v dir="$FLEET_TEST_DIR/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r |
        while read -r mount; do as_root umount -l "$mount" || true; done
    as_root rm -rf "$FLEET_TEST_DIR"
    exit $result
}
