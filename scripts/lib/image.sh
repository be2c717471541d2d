# The demo image: a static busybox and two small programs, made here because no registry is needed
# for it. Sourced by world.
# shellcheck shell=bash

make_image() {
    local name=$1 busybox root
    busybox=$(static_busybox) || die "no static busybox: run scripts/setup"
    root=$(mktemp -d "$DIR/tmpdir/image.XXXXXX")
    mkdir -p "$root"/{usr/bin,www,tmp,etc,proc,sys,dev}
    ln -s usr/bin "$root/bin"
    ln -s usr/bin "$root/sbin"
    cp "$busybox" "$root/usr/bin/busybox"
    # Hard links: symbolic ones would point to where busybox is on this machine.
    "$root/usr/bin/busybox" --install "$root/usr/bin"
    say "$name" >"$root/www/index.html"
    printf 'root:x:0:0:root:/:/bin/sh\n' >"$root/etc/passwd"
    write_programs "$root/usr/bin"
    tar -C "$root" -c . | in_podman "${WORLD_PODMAN[@]}" import -q \
        --change 'CMD ["serve","80"]' --change 'WORKDIR /' - "$name" >/dev/null
    rm -rf "$root"
}

# As process 1 of a container a program gets only the signals that it handles: hence the traps.
write_programs() {
    # TEXT is the page where it is set, else the image's name is.
    cat >"$1/serve" <<'PROGRAM'
#!/bin/sh
trap 'exit 0' TERM INT
if [ -n "$TEXT" ]; then echo "$TEXT" >/www/index.html; fi
httpd -f -p "${1:-80}" -h /www &
wait
PROGRAM
    cat >"$1/work" <<'PROGRAM'
#!/bin/sh
trap 'echo "finished after $n"; exit 0' TERM INT
n=0
while :; do
    n=$((n + 1))
    echo "$n"
    sleep 1 &
    wait $!
done
PROGRAM
    chmod 755 "$1/serve" "$1/work"
}
