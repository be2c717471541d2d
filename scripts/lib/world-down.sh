# How a world ends: politely through podman, then by what is left of it. Sourced by world.
# shellcheck shell=bash

world_down() {
    if [ -e "$NETNS" ]; then
        # Guests first: an agent would bring back what is removed here.
        end_all_but 'podman|nats-server|conmon|netavark|aardvark-dns'
        if alive "$HOLDER" && [ -e "$CONTAINERS_CONF" ]; then
            in_podman timeout 60 "${WORLD_PODMAN[@]}" rm -af -t 0 >/dev/null 2>&1 || true
        fi
        world_end podman TERM
        world_end nats TERM
        end_all_but ''
        forget_containers
        ip netns del "$NS"
    fi
    end_holders
    unmount_below "$DIR"
    if [ -d "$DIR" ]; then rm -rf "$DIR"; fi
}

# By its name, not only by the pid file: somebody may have removed that.
end_holders() {
    local process
    for process in $(grep -lsa "^mounts of $DIR/" /proc/[0-9]*/cmdline); do
        process=${process#/proc/}
        kill -KILL "${process%/cmdline}" 2>/dev/null || true
    done
}

# Containers that podman could not remove still have cgroups; the runtime's state names them.
forget_containers() {
    local state id tries
    for state in "$DIR"/private/oci/*/; do
        if [ ! -d "$state" ]; then continue; fi
        id=$(basename "$state")
        # A process that was just killed holds its cgroup for a moment.
        for ((tries = 0; tries < 50; tries++)); do
            if find /sys/fs/cgroup -depth -type d -name "libpod-*$id" -exec rmdir {} + 2>/dev/null; then break; fi
            sleep 0.02
        done
    done
}

# end_all_but NAMES: everything that lives in the world's namespace, but for processes of these names
# (an extended regular expression, or empty). Containers live in their own: they are found as children of their
# conmon. Never we ourselves, nor those who called us (a test may have entered the namespace).
end_all_but() {
    local tries pid
    for ((tries = 0; tries < 50; tries++)); do
        local found=
        for pid in $(pids_in "$(stat -Lc %i "$NETNS")"); do
            if is_named "$pid" "$1" || is_ancestor "$pid"; then continue; fi
            found=1
            # shellcheck disable=SC2046
            kill -KILL $(children_of "$pid") "$pid" 2>/dev/null || true
        done
        [ -n "$found" ] || return 0
        sleep 0.02
    done
    warn "some processes of the world do not end: $(pids_in "$(stat -Lc %i "$NETNS")" | tr '\n' ' ')"
}

is_named() { [ -n "$2" ] && grep -qxE "$2" "/proc/$1/comm" 2>/dev/null; }

# pids_in INODE: the live processes of a network namespace.
pids_in() {
    local link
    # One stat for all; processes that end meanwhile are no error. Zombies have no namespace.
    stat -Lc '%i %n' /proc/[0-9]*/ns/net 2>/dev/null | while read -r inode link; do
        if [ "$inode" = "$1" ]; then
            link=${link#/proc/}
            say "${link%/ns/net}"
        fi
    done
}

children_of() { cat "/proc/$1/task/"*/children 2>/dev/null || true; }

is_ancestor() {
    local pid=$BASHPID
    while [ "${pid:-0}" -gt 1 ]; do
        if [ "$pid" = "$1" ]; then return 0; fi
        pid=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status" 2>/dev/null)
    done
    return 1
}

unmount_below() {
    awk -v dir="$1/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mount; do
        umount -l "$mount" || true
    done
}
