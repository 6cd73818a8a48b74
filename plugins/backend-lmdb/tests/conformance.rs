//! The backend passes the conformance suite that every backend passes, kill -9 included.

use statekeep_plugin_testkit::backend::{self, Subject};

fn subject() -> Subject {
    Subject::new(statekeep_backend_lmdb::descriptor())
}

#[test]
fn conforms() {
    backend::run(&subject());
}

#[test]
fn survives_kill() {
    backend::kill_rounds(&subject(), "survives_kill");
}
