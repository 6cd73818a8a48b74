//! The backend passes the conformance suite that every backend passes, kill -9 included.

use statekeep_plugin_testkit::backend::{self, Subject};

fn subject() -> Subject {
    Subject::new(statekeep_backend_sqlite::descriptor())
}

#[test]
fn conforms() {
    backend::run(&subject());
}

#[test]
fn survives_kill() {
    backend::kill_rounds(&subject(), "survives_kill");
}

/// A log that is written back all the time, caches that hold nothing, a memory map, small pages.
#[test]
fn conforms_with_small_limits() {
    let options = r#"{"checkpoint_bytes": 1048576, "cache_bytes": 1048576, "page_bytes": 1024,
        "reader_cache_bytes": 65536, "mmap_bytes": 2147483648}"#;
    backend::run(&subject().options(options));
}
