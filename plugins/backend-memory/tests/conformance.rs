//! The backend passes the conformance suite that every backend passes.

use statekeep_plugin_testkit::backend::{self, Subject};

fn subject() -> Subject {
    Subject::new(statekeep_backend_memory::descriptor())
}

#[test]
fn conforms() {
    backend::run(&subject());
}
