# `just` lists the recipes; `just ci` does what CI does.

set positional-arguments

_default:
    @just --list --unsorted

# The README's first command: build, share one state between C and Python, back up, restore, swap the backend.
quickstart:
    scripts/quickstart

# The README's second command: every check and test.
test *ARGS:
    scripts/test "$@"

# What CI runs.
ci:
    .ci/run

# Formatting, lints and house rules, without running tests.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Regenerate include/*.h from the Rust sources.
headers:
    cargo run -q -p statekeep-tools -- headers

# Fail when a committed header is not what the sources give.
headers-check:
    cargo run -q -p statekeep-tools -- headers --check

# Accept changed layouts of interfaces that were never released (plugin-api/abi.txt).
bless-abi:
    STATEKEEP_BLESS=1 cargo test -q -p statekeep-plugin-api layouts_are_frozen

# Build the plugins as .so files into DIR.
plugins DIR="target/plugins":
    scripts/build-plugins "{{DIR}}"

# Build the RocksDB plugin (C++: many minutes) into DIR, run its tests and a state on it.
rocksdb DIR="target/plugins":
    scripts/rocksdb "{{DIR}}"

# Test backup repositories in object stores against real servers (more than a hundred crates).
s3:
    scripts/s3

# Install headers, libraries, the command and the pkg-config file.
install PREFIX="/usr/local":
    scripts/install "{{PREFIX}}"

# All benchmarks, in release; each prints ratios against a peer of the same run.
bench *ARGS:
    scripts/bench "$@"

# Fuzz what is read from outside for so many seconds: manifest, run, segment or import.
fuzz TARGET SECONDS="60":
    scripts/fuzz "{{TARGET}}" "{{SECONDS}}"

# Licences, sources and bans of all dependencies (installs cargo-deny when it is missing).
deny:
    command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
    cargo deny check licenses bans sources

# Many more rounds of the crash and model tests, and more power cuts of each backend.
soak ROUNDS="1000" CUTS="2000":
    STATEKEEP_SOAK_ROUNDS="{{ROUNDS}}" cargo test --release --workspace -- --include-ignored kill soak
    STATEKEEP_SOAK_ROUNDS="{{ROUNDS}}" cargo test --release -p statekeep-tests --test crash --test model
    STATEKEEP_SOAK_ROUNDS="{{CUTS}}" cargo test --release -p statekeep-tests --test power_cut
    STATEKEEP_SOAK_ROUNDS=40 cargo test --release -p statekeep-backup --test manager faults
