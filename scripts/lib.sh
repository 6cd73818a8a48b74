# Shared by the scripts in this folder; sourced, not run.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
PROFILE=${STATEKEEP_PROFILE:-release}
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
case $PROFILE in
release) CARGO_PROFILE_FLAG=--release OUT=$TARGET/release ;;
dev) CARGO_PROFILE_FLAG= OUT=$TARGET/debug ;;
*) echo "STATEKEEP_PROFILE is release or dev, not '$PROFILE'" >&2; exit 2 ;;
esac
export ROOT PROFILE TARGET OUT CARGO_PROFILE_FLAG

say() { printf '\n\033[1m== %s\033[0m\n' "$*" >&2; }

# need COMMAND PACKAGE: installs a Debian package when the command is missing.
need() {
    command -v "$1" >/dev/null || install_packages "$2"
}

# install_packages PACKAGES...: installs Debian packages, or says that they are needed.
install_packages() {
    local sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    if ! command -v apt-get >/dev/null; then
        echo "the Debian packages $* or their like are missing; install them and run this again" >&2
        exit 1
    fi
    say "installing $*"
    $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "$@" >&2
}

# venv DIR PACKAGES...: a virtual environment with pip and the packages.
venv() {
    local dir=$1
    shift
    need python3 python3
    # The extension is compiled, so Python's header must be there as well.
    python3 -c 'import os, sysconfig as s; exit(not os.path.exists(s.get_paths()["include"] + "/Python.h"))' \
        || need_venv
    if ! [ -x "$dir/bin/pip" ]; then
        python3 -m venv "$dir" 2>/dev/null || { need_venv && python3 -m venv "$dir"; }
    fi
    [ $# = 0 ] || "$dir/bin/pip" install -q --disable-pip-version-check "$@"
}

need_venv() {
    install_packages python3-venv python3-dev
}

# The tools that building libstatekeep and a C program against it takes.
need_build_tools() {
    need cargo cargo
    need gcc gcc
    need make make
    need pkg-config pkg-config
}
