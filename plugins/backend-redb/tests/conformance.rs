//! The backend passes the conformance suite that every backend passes, kill -9 included.

use statekeep_plugin_testkit::backend::{self, Subject};

fn subject() -> Subject {
    Subject::new(statekeep_backend_redb::descriptor())
}

#[test]
fn conforms() {
    backend::run(&subject());
}

#[test]
fn survives_kill() {
    backend::kill_rounds(&subject(), "survives_kill");
}

#[test]
fn conforms_with_quick_repair() {
    backend::run(&subject().options(r#"{"quick_repair": true, "cache_bytes": 1048576}"#));
}

#[test]
fn survives_kill_with_quick_repair() {
    let subject = subject().options(r#"{"quick_repair": true}"#);
    backend::kill_rounds(&subject, "survives_kill_with_quick_repair");
}
