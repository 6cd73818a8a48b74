//! The codec passes the conformance suite that every codec passes, and the format's own tool
//! reads its frames.

use statekeep_plugin_testkit::codec::{self, Subject};

fn subject() -> Subject {
    Subject::new(statekeep_compression_brotli::descriptor()).without_checksum()
}

#[test]
fn conforms() {
    codec::run(&subject());
}

#[test]
fn agrees_with_the_tool() {
    assert_eq!(codec::agrees_with_tool(&subject(), "brotli"), Ok(()));
}

/// Streams of the reference implementation's test data (empty, `x`, `10x10y`), and a stored block,
/// since the tool is rarely installed.
#[test]
fn reads_streams_of_the_reference_implementation() {
    let codec = subject().open().unwrap();
    let read = |stream: &[u8]| codec.decompress_into(stream, 20).unwrap();
    assert_eq!(read(b"\x06"), b"");
    assert_eq!(read(b"\x0b\x00\x80X\x03"), b"X");
    assert_eq!(read(b"\x0b\x02\x80hello\x03"), b"hello");
    let stream = b"\x1b\x13\x00\x00\xa4\xb0\xb2\xea\x81\x47\x02\x8a";
    assert_eq!(read(stream), b"XXXXXXXXXXYYYYYYYYYY");
}
