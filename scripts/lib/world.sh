# A world's parts and how they start. DIR is the world's directory. Sourced by world.
# shellcheck shell=bash

NS=fleet-$(printf %s "$DIR" | cksum | cut -d' ' -f1)
NETNS=/run/netns/$NS
# Not `ip netns exec`: that mounts /sys anew and hides cgroup v1 from podman.
IN=(nsenter "--net=$NETNS")
# Podman also has mounts of its own: some of its directories cannot be configured away. A process
# that only sleeps holds them, because a bind-mounted namespace file is refused by the kernel now
# and then where the scripts themselves run in a container.
HOLDER=$DIR/mounts.pid
in_podman() { nsenter "--net=$NETNS" "--mount=/proc/$(cat "$HOLDER")/ns/mnt" "--wd=$PWD" "$@"; }

export CONTAINERS_CONF=$DIR/containers.conf
export CONTAINERS_STORAGE_CONF=$DIR/storage.conf
export CONTAINERS_REGISTRIES_CONF=$DIR/registries.conf
# Of a pull that is cut off large files stay behind in here: they go with the world.
export TMPDIR=$DIR/tmpdir
unset CONTAINER_HOST DOCKER_HOST CONTAINERS_CONF_OVERRIDE

world_driver() {
    if [ -n "${STORAGE_DRIVER:-}" ]; then
        say "$STORAGE_DRIVER"
    # Overlay on overlay is refused by the kernel.
    elif [ "$(stat -fc %T "$DIR" 2>/dev/null)" = overlayfs ]; then
        say vfs
    else
        say overlay
    fi
}

WORLD_PODMAN=("${PODMAN:-podman}" --root "$DIR/root" --runroot "$DIR/run" --tmpdir "$DIR/tmp"
    --storage-driver "$(world_driver)" --network-config-dir "$DIR/net")

world_up() {
    # A unix socket's path is at most 107 bytes, and podman makes longer ones than ours.
    [ ${#DIR} -le 60 ] || die "$DIR is too long: at most 60 bytes, for the sockets in it"
    local program
    for program in "${PODMAN:-podman}" "${NATS_SERVER:-nats-server}" nsenter ip curl; do
        command -v "$program" >/dev/null || die "$program is missing: run scripts/setup"
    done
    mkdir -p "$DIR"/{root,run,tmp,net,jetstream,tmpdir}
    chmod 700 "$DIR"
    [ -e "$NETNS" ] || ip netns add "$NS"
    "${IN[@]}" ip link set lo up
    alive "$HOLDER" || make_mount_namespace
    write_configuration
    spawn_part podman
    spawn_part nats
    wait_for_part podman
    wait_for_part nats
}

# Address leases, name service and the runtime's state are in fixed places below /run, for all podmans
# of a machine: two worlds would answer each other's names. So each podman sees its own there.
# The namespace outlives the podman process, because containers do. Mounts made later on the host
# are seen in it (slave), its own are not seen on the host and go with it.
make_mount_namespace() {
    mkdir -p "$DIR"/private/{containers,netns,oci,cache}
    rm -f "$HOLDER"
    # shellcheck disable=SC2016
    setsid -f unshare --mount --propagation slave bash -ec '
        over() { mkdir -p "$2"; mount --bind "$0/private/$1" "$2"; }
        over containers /run/containers
        over netns /run/netns
        over oci /run/runc
        over oci /run/crun
        if [ -d /var/lib/containers ]; then over cache /var/lib/containers; fi
        echo $$ >"$0/mounts.new"
        mv "$0/mounts.new" "$0/mounts.pid"
        exec -a "mounts of $0/" sleep infinity' "$DIR" >"$DIR/mounts.log" 2>&1 </dev/null
    local tries
    for ((tries = 0; tries < 500; tries++)); do
        if alive "$HOLDER"; then return 0; fi
        sleep 0.01
    done
    cat "$DIR/mounts.log" >&2
    die "could not make podman's own mounts"
}

oci_runtime() {
    if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] && command -v crun >/dev/null; then
        say crun
    else
        say runc
    fi
}

write_configuration() {
    # ulimits: soft = hard, because podman 4.3.1's API swaps the two.
    # lock_type: else all podmans of the machine share one piece of /dev/shm.
    # firewall_driver: setup installs iptables, not nft; podman 4 ignores the key.
    cat >"$CONTAINERS_CONF" <<CONF
[containers]
default_ulimits=["nofile=4096:4096","nproc=4096:4096"]
[engine]
runtime="$(oci_runtime)"
cgroup_manager="cgroupfs"
events_logger="file"
lock_type="file"
[network]
network_backend="netavark"
firewall_driver="iptables"
CONF
    cat >"$CONTAINERS_STORAGE_CONF" <<CONF
[storage]
driver="$(world_driver)"
graphroot="$DIR/root"
runroot="$DIR/run"
CONF
    # Registries on loopback are the tests' own, without TLS.
    cat >"$CONTAINERS_REGISTRIES_CONF" <<CONF
unqualified-search-registries=[]
[[registry]]
location="127.0.0.1:5000"
insecure=true
CONF
}

world_start() {
    spawn_part "$1"
    wait_for_part "$1"
}

spawn_part() {
    case $1 in
        podman) spawn podman nsenter "--net=$NETNS" "--mount=/proc/$(cat "$HOLDER")/ns/mnt" \
            "${WORLD_PODMAN[@]}" system service --time=0 "unix://$DIR/podman.sock" ;;
        # shellcheck disable=SC2086
        nats) spawn nats "${IN[@]}" "${NATS_SERVER:-nats-server}" -js -a 127.0.0.1 -p 4222 -m 8222 \
            -sd "$DIR/jetstream" ${NATS_ARGS:-} ;;
        *) die "no part $1: podman or nats" ;;
    esac
}

wait_for_part() {
    case $1 in
        podman) wait_until podman curl -sf -m 2 --unix-socket "$DIR/podman.sock" http://d/_ping ;;
        nats) wait_until nats "${IN[@]}" curl -sf -m 2 http://127.0.0.1:8222/healthz ;;
    esac
}

# A process that was killed may stay a zombie for a while, so kill -0 does not tell.
alive() { [ -s "$1" ] && grep -qsE '^State:\s+[RSDTtI]' "/proc/$(cat "$1")/status"; }

# spawn NAME CMD…: in the background, output in DIR/NAME.log, pid in DIR/NAME.pid.
spawn() {
    local name=$1
    shift
    if alive "$DIR/$name.pid"; then return 0; fi
    rm -f "$DIR/$name.pid"
    # shellcheck disable=SC2016
    setsid -f sh -c 'echo $$ >"$0"; exec "$@"' "$DIR/$name.pid" "$@" \
        >>"$DIR/$name.log" 2>&1 </dev/null
    until [ -s "$DIR/$name.pid" ]; do sleep 0.01; done
}

wait_until() {
    local name=$1 tries
    shift
    for ((tries = 0; tries < 400; tries++)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        if [ "$tries" -gt 20 ] && ! alive "$DIR/$name.pid"; then break; fi
        sleep 0.03
    done
    tail -n 20 "$DIR/$name.log" >&2
    die "$name did not come up"
}

# world_end NAME SIGNAL: ends one part, by SIGKILL after 45 s (an agent takes up to 40 s).
world_end() {
    local file=$DIR/$1.pid pid tries
    alive "$file" || return 0
    pid=$(cat "$file")
    kill "-$2" "$pid" 2>/dev/null || true
    for ((tries = 0; tries < 2250; tries++)); do
        alive "$file" || return 0
        sleep 0.02
    done
    kill -KILL "$pid" 2>/dev/null || true
}

world_env() {
    say "WORLD_NETNS=$NETNS"
    say "WORLD_SOCKET=$DIR/podman.sock"
    say "WORLD_IN='${IN[*]}'"
    say "WORLD_PODMAN='nsenter --net=$NETNS --mount=/proc/$(cat "$HOLDER")/ns/mnt ${WORLD_PODMAN[*]}'"
    say "export CONTAINERS_CONF=$CONTAINERS_CONF CONTAINERS_STORAGE_CONF=$CONTAINERS_STORAGE_CONF" \
        "CONTAINERS_REGISTRIES_CONF=$CONTAINERS_REGISTRIES_CONF"
}
