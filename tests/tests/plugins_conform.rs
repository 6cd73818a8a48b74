//! Every plugin of the distribution, built as a library and loaded through all checks, passes the
//! conformance suite of its kind; so do the C templates.

use std::path::Path;

use statekeep_loader::{Door, Policy, Registry, lock_add};
use statekeep_plugin_api::Descriptor;
use statekeep_plugin_testkit::{backend, codec, hook, retention};
use statekeep_tests::fixtures;

/// Lists the library in a lock file and loads it, as an operator would.
fn load(library: &Path, door: Door, kind: &str) -> &'static Descriptor {
    let folder = fixtures::folder();
    let path = fixtures::install(library, folder.path());
    let lock_file = folder.path().join("plugins.lock");
    lock_add(&path, &lock_file).unwrap();
    let registry = Registry::new(Policy {
        lock_file: Some(lock_file),
        ..Policy::default()
    });
    let info = registry.load(&path).unwrap();
    assert_eq!(info.door, door, "{}", info.id);
    assert!(info.kinds.contains(&kind), "{}: {:?}", info.id, info.kinds);
    registry.descriptor(&info.id).unwrap()
}

fn rust_codec(package: &str) -> codec::Subject {
    codec::Subject::new(load(
        &fixtures::rust_plugin(package),
        Door::Rust,
        "compression",
    ))
}

fn rust_backend(package: &str) -> backend::Subject {
    backend::Subject::new(load(&fixtures::rust_plugin(package), Door::Rust, "backend"))
}

fn template_c(name: &str, kind: &str) -> &'static Descriptor {
    load(&fixtures::template_c(name), Door::C, kind)
}

macro_rules! codecs {
    ($($name:ident: $subject:expr;)+) => {$(
        #[test]
        fn $name() {
            codec::run(&$subject);
        }
    )+};
}

codecs! {
    zstd: rust_codec("statekeep-compression-zstd");
    brotli: rust_codec("statekeep-compression-brotli").without_checksum();
    gzip: rust_codec("statekeep-compression-gzip");
    lz4: rust_codec("statekeep-compression-lz4");
    codec_of_the_c_template: codec::Subject::new(template_c("codec", "compression"));
    codec_of_the_rust_template: rust_codec("statekeep-template-rust").without_checksum();
}

macro_rules! backends {
    ($($name:ident, $kill:ident: $subject:expr;)+) => {$(
        #[test]
        fn $name() {
            backend::run(&$subject);
        }

        /// A process that is killed while it writes loses nothing that was acknowledged.
        #[test]
        fn $kill() {
            backend::kill_rounds(&$subject, stringify!($kill));
        }
    )+};
}

backends! {
    fjall, fjall_survives_kill: rust_backend("statekeep-backend-fjall");
    sled, sled_survives_kill: rust_backend("statekeep-backend-sled");
    redb, redb_survives_kill: rust_backend("statekeep-backend-redb");
    lmdb, lmdb_survives_kill: rust_backend("statekeep-backend-lmdb");
    sqlite, sqlite_survives_kill: rust_backend("statekeep-backend-sqlite");
    backend_of_the_c_template, c_template_survives_kill:
        backend::Subject::new(template_c("backend", "backend"));
}

#[test]
fn memory() {
    backend::run(&rust_backend("statekeep-backend-memory"));
}

/// The policies as libraries.
#[test]
fn every_policy() {
    for (name, options) in [
        ("age", r#"{"max_age": "7d"}"#),
        ("calendar", r#"{"daily": 7, "monthly": 3}"#),
        ("count", "{}"),
        ("importance", "{}"),
        ("size", r#"{"max_bytes": 100000000}"#),
    ] {
        let library = fixtures::rust_plugin(&format!("statekeep-retention-{name}"));
        let descriptor = load(&library, Door::Rust, "retention");
        retention::run(&retention::Subject::new(descriptor).options(options));
    }
}

/// The examples that authors start from.
#[test]
fn the_policies_of_the_examples() {
    let rust = fixtures::rust_plugin("statekeep-example-retention");
    let subject = retention::Subject::new(load(&rust, Door::Rust, "retention"));
    retention::run(&subject.options(r#"{"days": 3}"#));
    let c = load(&fixtures::example_c(), Door::C, "retention");
    retention::run(&retention::Subject::new(c));
}

/// One library may offer several interfaces.
#[test]
fn every_kind_of_the_rust_template() {
    let library = fixtures::rust_plugin("statekeep-template-rust");
    backend::run(&backend::Subject::new(load(
        &library,
        Door::Rust,
        "backend",
    )));
    retention::run(&retention::Subject::new(load(
        &library,
        Door::Rust,
        "retention",
    )));
    hook::run(&hook::Subject::new(load(&library, Door::Rust, "hook")));
}
