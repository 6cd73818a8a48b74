//! Builds real plugin libraries for tests: C sources by the C compiler, Rust crates by cargo.
//!
//! Libraries lie in `<target>/plugins`, built once per process and under a file lock, so that tests
//! of several processes can ask for them at once. A test loads copies in a folder of its own, whose
//! owner and mode are what the loader asks for whatever the umask is.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// The plugin crates of the standard distribution, and those for authors to start from.
pub const RUST_PLUGINS: &[&str] = &[
    "statekeep-backend-memory",
    "statekeep-backend-fjall",
    "statekeep-backend-sled",
    "statekeep-backend-redb",
    "statekeep-backend-lmdb",
    "statekeep-backend-sqlite",
    "statekeep-compression-zstd",
    "statekeep-compression-brotli",
    "statekeep-compression-gzip",
    "statekeep-compression-lz4",
    "statekeep-retention-age",
    "statekeep-retention-calendar",
    "statekeep-retention-count",
    "statekeep-retention-importance",
    "statekeep-retention-size",
    "statekeep-template-rust",
    "statekeep-example-retention",
];

/// The top folder of the repository.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the tests lie in the repository")
        .to_owned()
}

/// A folder that a loader accepts, below the system's folder for temporary files.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    set_mode(folder.path(), 0o700);
    folder
}

/// Sets the permission bits of a file or folder.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

/// Copies a library into a folder, as a file that a loader accepts.
pub fn install(library: &Path, folder: &Path) -> PathBuf {
    let target = folder.join(library.file_name().expect("a library has a name"));
    fs::copy(library, &target).expect("copy the library");
    set_mode(&target, 0o644);
    target
}

/// A command that runs one test of this test program in another process, by its full name.
pub fn one_test(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the path of this test"));
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    command
}

/// Says that a test is skipped and why, in the terminal even though the test passes; fails when
/// `STATEKEEP_NO_SKIP` is 1.
pub fn skip(reason: &str) {
    let must = std::env::var_os("STATEKEEP_NO_SKIP").is_some_and(|value| value == "1");
    assert!(!must, "STATEKEEP_NO_SKIP is set, and {reason}");
    say(&format!("SKIP: {reason}"));
}

/// A line in the terminal even though the test passes.
pub fn say(line: &str) {
    // Not by a macro, whose output the test harness keeps to itself. Nobody to read it is no fault.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Where a failed test leaves a file for whoever looks into it.
pub fn kept(name: &str) -> PathBuf {
    let folder = target().join("failed");
    fs::create_dir_all(&folder).expect("a folder for what failed tests leave");
    folder.join(name)
}

/// The folder that cargo builds this test in: dependencies are shared with the plugins.
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    // <target>/<profile>/deps/<test>
    let target = test.ancestors().nth(3).expect("a target folder");
    target.to_owned()
}

/// Where the libraries lie once they are built.
fn plugins_target() -> PathBuf {
    target().join("plugins")
}

/// The library of a Rust plugin crate, built with its entry points.
pub fn rust_plugin(package: &str) -> PathBuf {
    assert!(
        RUST_PLUGINS.contains(&package),
        "{package} is not in RUST_PLUGINS"
    );
    let name = format!("lib{}.so", package.replace('-', "_"));
    rust_libraries().join(name)
}

/// The library of an example in `tests/fixtures`.
pub fn rust_fixture(example: &str) -> PathBuf {
    rust_libraries().join(format!("lib{example}.so"))
}

fn rust_libraries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let plugins_target = plugins_target();
        let _guard = lock(&plugins_target);
        for package in RUST_PLUGINS {
            // As a library of its own kind: the host's static build of the crate stays as it is.
            let kind = ["--lib", "--crate-type", "cdylib", "--features", "export"];
            cargo(["rustc", "--package", package].into_iter().chain(kind));
            let name = format!("lib{}.so", package.replace('-', "_"));
            keep(
                &target().join("debug").join(&name),
                &plugins_target.join(&name),
            );
        }
        cargo(["build", "--package", "statekeep-fixtures", "--examples"].into_iter());
        for example in ["panicking", "other_layout", "unchecked"] {
            let name = format!("lib{example}.so");
            let built = target().join("debug/examples").join(&name);
            keep(&built, &plugins_target.join(&name));
        }
        plugins_target
    })
}

/// Copies a built library to its place, whole or not at all: others may be reading there.
fn keep(built: &Path, place: &Path) {
    let fresh = place.with_extension("new");
    fs::copy(built, &fresh).expect("copy a built library");
    fs::rename(&fresh, place).expect("rename a built library");
}

fn cargo<'a>(arguments: impl Iterator<Item = &'a str>) {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--target-dir")
        .arg(target())
        .current_dir(root())
        .output()
        .expect("run cargo");
    assert!(
        output.status.success(),
        "cargo: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A plugin of `plugins/template-c`: `backend` or `codec`.
pub fn template_c(name: &str) -> PathBuf {
    let source = root().join("plugins/template-c").join(format!("{name}.c"));
    compile(&source, &format!("libstatekeep_template_{name}.so"), &[])
}

/// The policy of `examples/retention-c`.
pub fn example_c() -> PathBuf {
    let source = root().join("examples/retention-c/releases.c");
    compile(&source, "libreleases.so", &[])
}

/// The RocksDB plugin, which `scripts/rocksdb` builds and names in `STATEKEEP_TEST_ROCKSDB`.
pub fn rocksdb() -> PathBuf {
    let library = std::env::var_os("STATEKEEP_TEST_ROCKSDB");
    PathBuf::from(library.expect("scripts/rocksdb runs the tests of the RocksDB plugin"))
}

/// The C fixture with one fault, given as compiler flags; see `tests/fixtures/misbehaving.c`.
pub fn c_fixture(name: &str, flags: &[&str]) -> PathBuf {
    let trace = format!("-DTRACE=\"{name}\"");
    let mut all = vec![trace.as_str()];
    all.extend(flags);
    let source = root().join("tests/fixtures/misbehaving.c");
    compile(&source, &format!("lib{name}.so"), &all)
}

/// A policy that misbehaves; see `tests/fixtures/misbehaving_policy.c`.
pub fn policy_fixture(name: &str, flags: &[&str]) -> PathBuf {
    let source = root().join("tests/fixtures/misbehaving_policy.c");
    compile(&source, &format!("lib{name}.so"), flags)
}

/// Whether the constructor of a C fixture ran in this process, which is to say: it was opened.
pub fn ran(name: &str) -> bool {
    let trace = format!("/memfd:ran-{name} (deleted)");
    let open_files = fs::read_dir("/proc/self/fd").expect("/proc is there");
    // A file that was closed meanwhile has no link any more.
    open_files
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|link| link.to_str() == Some(&trace))
}

fn compile(source: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let folder = plugins_target().join("c");
    let _guard = lock(&plugins_target());
    fs::create_dir_all(&folder).expect("a folder for C plugins");
    let library = folder.join(name);
    // Another process may be copying the library of this name: it is replaced, not overwritten.
    let fresh = folder.join(format!("{name}.new"));
    let output = Command::new("gcc")
        .args([
            "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC", "-shared", "-pthread",
        ])
        .args(["-fvisibility=hidden", "-Wl,-z,noexecstack", "-o"])
        .arg(&fresh)
        .arg("-I")
        .arg(root().join("include"))
        .arg(source)
        .args(flags)
        .output()
        .expect("run gcc");
    assert!(
        output.status.success(),
        "gcc: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::rename(&fresh, &library).expect("rename the library");
    library
}

/// Waits until no other process builds libraries.
fn lock(target: &Path) -> File {
    fs::create_dir_all(target).expect("a target folder for plugins");
    let file = File::create(target.join("build.lock")).expect("a lock file");
    file.lock().expect("lock");
    file
}
