//! The codec passes the conformance suite that every codec passes.

use statekeep_plugin_testkit::codec::{self, Subject};

#[test]
fn conforms() {
    codec::run(&Subject::new(statekeep_compression_zstd::descriptor()));
}
