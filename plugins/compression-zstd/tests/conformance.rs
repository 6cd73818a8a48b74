//! The codec passes the conformance suite that every codec passes, and the format's own tool
//! reads its frames.

use statekeep_plugin_testkit::codec::{self, Subject};

fn subject() -> Subject {
    Subject::new(statekeep_compression_zstd::descriptor())
}

#[test]
fn conforms() {
    codec::run(&subject());
}

#[test]
fn agrees_with_the_tool() {
    assert_eq!(codec::agrees_with_tool(&subject(), "zstd"), Ok(()));
}
