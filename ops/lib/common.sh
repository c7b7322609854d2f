# shellcheck shell=bash
# What the scripts under ops/ share. Sourced, never run.

# shellcheck disable=SC2034  # used by the scripts that source this
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)

# What building, testing and the demo need beside Swift: apt package=how to tell that it is there.
build_needs=(
    "pkg-config=command:pkg-config"
    "libhiredis-dev=library:hiredis"
    "libsqlite3-dev=library:sqlite3"
    "liblz4-dev=library:liblz4"
    "libpq-dev=library:libpq"
    "libxgboost-dev=library:xgboost"
    "libopenblas-dev=library:openblas"
    "libhnswlib-dev=file:/usr/include/hnswlib/hnswlib.h"
    "zlib1g-dev=library:zlib"
)
test_needs=(
    "redis-server=command:redis-server"
    "postgresql=file:/usr/lib/postgresql/*/bin/initdb"
    "sqlite3=command:sqlite3"
    "jq=command:jq"
    "openssl=command:openssl"
    "python3=command:python3"
    "python3-venv=python:ensurepip"
)
check_needs=(
    "shellcheck=command:shellcheck"
    "prometheus=command:promtool"
    "jq=command:jq"
    "python3=command:python3"
    "python3-yaml=python:yaml"
    "python3-jsonschema=python:jsonschema"
    "curl=command:curl"
)

# say TEXT...: a line for the person who watches.
say() { printf '%s\n' "$*"; }

# die TEXT...: says what is wrong and ends with 1.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# usage_from FILE: prints the comment at the head of a script, which is its help.
usage_from() { awk 'NR > 1 && /^#/ { sub(/^# ?/, ""); print; next } NR > 1 { exit }' "$1"; }

# step NAME COMMAND...: runs a command under a heading and says how long it took.
step() {
    local name=$1 start=$SECONDS status=0
    shift
    say "== $name"
    "$@" || status=$?
    if [ "$status" -eq 0 ]; then
        say "== $name: done in $((SECONDS - start)) s"
    else
        say "== $name: FAILED with $status after $((SECONDS - start)) s"
    fi
    return "$status"
}

# bounded SECONDS COMMAND...: ends the command when its time is up, and kills it if it doesn't end. No input.
bounded() {
    local seconds=$1 status=0 foreground=()
    shift
    # On a terminal the command stays in the terminal's process group, so that Ctrl-C reaches it; elsewhere it gets a group
    # of its own, so that its children end with it.
    [ ! -t 1 ] || foreground=(--foreground)
    timeout "${foreground[@]}" --kill-after=30 "$seconds" "$@" </dev/null || status=$?
    [ "$status" -ne 124 ] || say "stopped after $seconds s: $*" >&2
    return "$status"
}

# is_there HOW: whether something is installed.
is_there() {
    case $1 in
        command:*) command -v "${1#*:}" >/dev/null 2>&1 ;;
        library:*) command -v pkg-config >/dev/null 2>&1 && pkg-config --exists "${1#*:}" ;;
        file:*) compgen -G "${1#*:}" >/dev/null ;;
        python:*) command -v python3 >/dev/null 2>&1 && python3 -c "import ${1#*:}" 2>/dev/null ;;
        *) return 1 ;;
    esac
}

# as_root COMMAND...: as root, or with sudo; without a terminal sudo must not ask.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# install_missing PACKAGE=HOW...: installs what isn't there, with apt, and says what. Nothing to do costs milliseconds.
install_missing() {
    local need missing=()
    for need in "$@"; do
        is_there "${need#*=}" || missing+=("${need%%=*}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null 2>&1 || die "missing: ${missing[*]}. There is no apt-get here: install them and run again."
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
        die "missing: ${missing[*]}. Run again as root, or install sudo."
    fi
    say "Installing ${missing[*]}"
    local log status=0
    log=$(mktemp)
    apt_install "${missing[@]}" >"$log" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        die "apt-get could not install ${missing[*]} (exit $status); its last lines stand above."
    fi
    rm -f "$log"
    for need in "$@"; do
        is_there "${need#*=}" || die "${need%%=*} is installed, but ${need#*=} is still not there."
    done
}

# apt_install PACKAGE...: installs packages whose services neither start now nor at the next boot: the tests start their own.
# A shell of its own, so that what it makes goes when it ends, however it ends.
apt_install() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'as_root rm -f "$policy"' EXIT
        trap 'exit 130' INT TERM HUP
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    apt_get update && apt_get install -y --no-install-recommends "$@" || exit
    command -v systemctl >/dev/null 2>&1 || exit 0
    for package in "$@"; do
        case $package in
            # Without systemd as the first process this has nothing to talk to, and there is nothing to disable.
            redis-server | postgresql | prometheus) as_root systemctl disable --now "$package" || true ;;
        esac
    done
)

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive timeout --kill-after=30 900 \
        apt-get -qq -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 "$@" </dev/null
}

# require_swift: ends with what to do when the toolchain isn't there.
require_swift() {
    command -v swift >/dev/null 2>&1 ||
        die "swift is not in PATH. Install Swift 6.3 (https://www.swift.org/install/linux/) and run again."
}

# release PRODUCT: builds a release binary and prints where it is.
release() {
    require_swift
    install_missing "${build_needs[@]}" >&2
    (cd "$root" && bounded "${TIDEMARK_BUILD_TIMEOUT:-3600}" swift build -c release --product "$1" >&2)
    printf '%s/%s\n' "$(cd "$root" && swift build -c release --show-bin-path)" "$1"
}
