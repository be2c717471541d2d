# Shared by the scripts: where things are, how they speak, how they become root. Sourced, not run.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=$ROOT/.cache
# Built once per user, not per clone: cargo-deny takes some minutes.
TOOLS=${XDG_CACHE_HOME:-$HOME/.cache}/fleet-agent-tools
# Debian keeps administrators' tools where an ordinary user's PATH does not look.
PATH=$PATH:/usr/sbin:/sbin

if [ -t 1 ]; then
    BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
    BOLD='' DIM='' GREEN='' RED='' PLAIN=''
fi

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
    printf '%s%s: %s%s\n' "$RED" "$(basename "$0")" "$*" "$PLAIN" >&2
    exit 1
}

# as_root CMD…: runs CMD as root; asks sudo only where that is needed.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

need_root_way() {
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "needs root, and there is no sudo"
}

# is_static FILE: true for a program that needs no loader, so that it runs in an empty image.
is_static() { [ -n "$1" ] && [ -r "$1" ] && ! head -c 8192 "$1" | grep -qaE 'ld-linux|ld-musl|ld\.so|ld64'; }

# Prints the static busybox: the system's where it is one, else the one that setup unpacked.
static_busybox() {
    local candidate
    for candidate in "$(command -v busybox || true)" "$CACHE"/busybox/{usr/,}bin/busybox; do
        if is_static "$candidate"; then
            say "$candidate"
            return 0
        fi
    done
    return 1
}

# now_ms: milliseconds, for elapsed times.
now_ms() { say "${EPOCHREALTIME/[.,]/}" | sed 's/...$//'; }

# elapsed SINCE_MS: "12.3 s".
elapsed() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}
