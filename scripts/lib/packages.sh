# What has to be installed, and how. Sourced by setup.
# shellcheck shell=bash

check_rust() {
    command -v cargo >/dev/null || die "Rust is missing: install it with rustup (rust-toolchain.toml names the version)"
}

# Program and the package it comes in. A C compiler and libc's headers are what building ring needs; the last three
# are the tests'.
PROGRAMS="podman:podman conmon:conmon nats-server:nats-server iptables:iptables ip:iproute2
    curl:curl cc:gcc nsenter:util-linux
    mkfs.ext4:e2fsprogs losetup:mount faketime:faketime"

missing_packages() {
    local entry
    for entry in $PROGRAMS; do
        command -v "${entry%%:*}" >/dev/null || say "${entry#*:}"
    done
    command -v "$(oci_runtime)" >/dev/null || oci_runtime
    local helper
    for helper in netavark aardvark-dns; do
        [ -x "/usr/lib/podman/$helper" ] || [ -x "/usr/libexec/podman/$helper" ] || say "$helper"
    done
    [ -e /usr/include/stdio.h ] || say libc6-dev
    [ -e /etc/ssl/certs/ca-certificates.crt ] || say ca-certificates
}

# crun does not speak cgroup v1 (hybrid); on v2 it is the lighter one.
oci_runtime() {
    if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then say crun; else say runc; fi
}

check_distribution() {
    local ID=unknown VERSION_ID=0 PRETTY_NAME=unknown
    # shellcheck disable=SC1091
    [ ! -r /etc/os-release ] || . /etc/os-release
    case $ID:$VERSION_ID in
        debian:12* | debian:13*) ;;
        ubuntu:*) warn "note: $PRETTY_NAME is untested; Debian 12 and 13 are what is tested" ;;
        *) warn "note: $PRETTY_NAME is untested; Debian 12 and 13 are what is tested" ;;
    esac
    command -v apt-get >/dev/null || die "missing: $* (there is no apt-get here: install them yourself)"
}

install_missing() {
    local missing
    missing=$(missing_packages | sort -u | tr '\n' ' ')
    [ -n "${missing// /}" ] || return 0
    # shellcheck disable=SC2086
    check_distribution $missing
    need_root_way
    warn "installing: $missing"
    # shellcheck disable=SC2086
    without_services apt_install $missing
    missing=$(missing_packages | sort -u | tr '\n' ' ')
    [ -z "${missing// /}" ] || die "still missing after the installation: $missing"
}

apt_install() {
    as_root apt-get update -qq || warn "note: the package lists could not be brought up to date"
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        die "could not install: $*"
}

# Installs without starting services (nats-server's, podman's): Debian asks policy-rc.d, which is
# there only while the command runs; one that is there already is left as it is.
without_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ -e $policy ]; then
        "$@"
        return
    fi
    # shellcheck disable=SC2064
    trap "as_root rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
    "$@"
    as_root rm -f $policy
    trap - EXIT
}

# A busybox that runs in an empty image, without replacing the one that may be installed.
provide_static_busybox() {
    if static_busybox >/dev/null; then return 0; fi
    warn "unpacking: busybox-static"
    unpack busybox-static "$CACHE/busybox" || die "could not download busybox-static"
    static_busybox >/dev/null || die "busybox-static holds no static busybox"
}

# A registry for the tests, as a program only: the package would run it as a service.
provide_registry() {
    if command -v docker-registry >/dev/null || [ -x "$CACHE/docker-registry/usr/bin/docker-registry" ]; then return 0; fi
    warn "unpacking: docker-registry"
    # The demo does without.
    unpack docker-registry "$CACHE/docker-registry" ||
        warn "note: no docker-registry: the tests of private registries will fail"
}

# unpack PACKAGE DIR [APT-OPTION…]: downloads and unpacks, installs nothing.
unpack() {
    local package=$1 target=$2 work
    shift 2
    work=$(mktemp -d)
    (cd "$work" && apt-get "$@" download -qq "$package" >/dev/null) &&
        mkdir -p "$target" && dpkg -x "$work"/*.deb "$target"
    local result=$?
    rm -rf "$work"
    return $result
}

# A nats-server of a newer suite than this machine's, from the machine's own mirror. Its binary is
# self-contained enough to run here.
provide_current_nats() {
    local target=$CACHE/nats-current binary=$CACHE/nats-current/usr/sbin/nats-server suite
    if "$binary" --version >/dev/null 2>&1; then
        say "$binary"
        return 0
    fi
    # The newest first; an older one where the newest wants a newer libc.
    for suite in sid forky trixie; do
        rm -rf "$target"
        if unpack_from_suite nats-server "$target" "$suite" && "$binary" --version >/dev/null 2>&1; then
            say "$binary"
            return 0
        fi
    done
    rm -rf "$target"
    die "no current nats-server: none of the newer Debian suites could be read through this machine's package sources"
}

unpack_from_suite() {
    local package=$1 target=$2 suite=$3 apt=$CACHE/apt-$3 options
    rm -rf "$apt"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    debian_mirrors | sed "s/@SUITE@/$suite/" >"$apt/sources.list"
    [ -s "$apt/sources.list" ] || die "no Debian mirror among this machine's package sources"
    options=(-o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=
        -o Acquire::Languages=none)
    # apt says 0 for lists it could not get; what counts is the download.
    apt-get "${options[@]}" update -qq >/dev/null 2>&1 || true
    unpack "$package" "$target" "${options[@]}" 2>/dev/null
    local result=$?
    rm -rf "$apt"
    return $result
}

# This machine's own Debian mirrors as one-line sources with @SUITE@ for the suite.
debian_mirrors() {
    local codename
    # shellcheck disable=SC1091
    codename=$(. /etc/os-release && say "${VERSION_CODENAME:-}")
    {
        cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null || true
    } | awk -v suite="$codename" '$1 == "deb" {
            i = 2; if ($2 ~ /^\[/) { while ($i !~ /\]$/) i++; i++ }
            if ($(i + 1) == suite) print "deb " $i " @SUITE@ main" }'
    cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk -v suite="$codename" 'BEGIN { RS = ""; FS = "\n" }
        { uri = ""; found = 0
          for (i = 1; i <= NF; i++) {
            if ($i ~ /^URIs:/) { split($i, part, /[ \t]+/); uri = part[2] }
            if ($i ~ /^Suites:/ && (" " $i " ") ~ " " suite " ") found = 1 }
          if (found && uri) print "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] " uri " @SUITE@ main" }'
}
