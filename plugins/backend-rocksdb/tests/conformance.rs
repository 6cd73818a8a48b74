//! The backend passes the conformance suite that every backend passes, kill -9 included.

use statekeep_plugin_testkit::backend::{self, Subject};

fn subject() -> Subject {
    Subject::new(statekeep_backend_rocksdb::descriptor())
}

#[test]
fn conforms() {
    backend::run(&subject());
}

#[test]
fn survives_kill() {
    backend::kill_rounds(&subject(), "survives_kill");
}

/// Small buffers, so that tables are written and merged while the suite runs.
#[test]
fn conforms_while_tables_are_written() {
    let options = r#"{"write_buffer_bytes": 1048576, "cache_bytes": 1048576, "worker_threads": 1}"#;
    backend::run(&subject().options(options));
}
