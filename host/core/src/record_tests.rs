//! Records: round trips of every envelope, and bytes that are no record.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{Backend, BackendConfig, Codec, ErrorKind, Plugins};

/// A codec that turns bytes round, and no backends.
struct Reversing;

impl Codec for Reversing {
    fn name(&self) -> &str {
        "reverse"
    }

    fn compress(&self, _: Option<i32>, src: &[u8], out: &mut Vec<u8>) -> Result<()> {
        *out = src.iter().rev().copied().collect();
        Ok(())
    }

    fn decompress(&self, src: &[u8], _: usize, out: &mut Vec<u8>) -> Result<()> {
        self.compress(None, src, out)
    }
}

impl Plugins for Reversing {
    fn open_backend(&self, name: &str, _: &BackendConfig) -> Result<Arc<dyn Backend>> {
        Err(Error::other(ErrorKind::Plugin, name))
    }

    fn codec(&self, name: &str) -> Result<Arc<dyn Codec>> {
        match name {
            "reverse" => Ok(Arc::new(Reversing)),
            other => Err(Error::other(ErrorKind::Plugin, format!("no codec {other}"))),
        }
    }
}

prop_compose! {
    fn header()(
        kind in prop_oneof![Just(RecordKind::Json), Just(RecordKind::Bytes)],
        sequence in any::<u64>(),
        times in any::<[i64; 2]>(),
        expires in any::<Option<i64>>(),
        class in 0u8..5,
        schema_version in any::<Option<[u32; 3]>>(),
        codec in proptest::option::of(("[a-z.]{1,20}", any::<u64>())),
        key_id in any::<Option<[u8; 16]>>(),
    ) -> RecordHeader {
        RecordHeader {
            kind,
            sequence: Sequence(sequence),
            created: UnixMs(times[0]),
            changed: UnixMs(times[1]),
            expires: expires.map(UnixMs),
            class: Class::from_number(class).unwrap(),
            schema_version,
            codec: codec.map(|(name, raw_len)| RecordCodec { name, raw_len }),
            key_id: key_id.map(|id| id.to_vec()),
            payload_len: 0,
        }
    }
}

proptest! {
    #[test]
    fn a_record_reads_back_as_it_was_written(mut header in header(), payload in any::<Vec<u8>>()) {
        let bytes = encode_record(&header, &payload).unwrap();
        header.payload_len = payload.len();
        prop_assert_eq!(inspect_record(&bytes).unwrap(), header.clone());
        prop_assert_eq!(read_stamps(&bytes).unwrap(), (header.sequence, header.created));
    }

    #[test]
    fn no_changed_byte_goes_unseen(header in header(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = encode_record(&header, b"payload").unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(inspect_record(&bytes).is_err());
        prop_assert!(read_value(&bytes, &Reversing).is_err());
    }

    #[test]
    fn a_cut_record_is_an_error(header in header(), keep in any::<prop::sample::Index>()) {
        let bytes = encode_record(&header, b"payload").unwrap();
        prop_assert!(inspect_record(&bytes[..keep.index(bytes.len())]).is_err());
    }
}

#[test]
fn the_bytes_of_a_record_are_fixed() {
    let mut header = RecordHeader::new(RecordKind::Json);
    header.sequence = Sequence(7);
    header.created = UnixMs(1);
    header.changed = UnixMs(2);
    let bytes = encode_record(&header, b"{}").unwrap();
    let mut expected = vec![1, 1, 0, 0, 0, 0, 0, 0];
    for number in [7u64, 1, 2] {
        expected.extend_from_slice(&number.to_le_bytes());
    }
    expected.extend_from_slice(b"{}");
    let covered: Vec<u8> = expected[..4]
        .iter()
        .chain(&expected[8..])
        .copied()
        .collect();
    expected[4..8].copy_from_slice(&crc32c::crc32c(&covered).to_le_bytes());
    assert_eq!(bytes, expected);

    let mut plain = encode_value(&Value::json("{}").unwrap());
    stamp(&mut plain, Sequence(7), UnixMs(1), UnixMs(2));
    assert_eq!(plain, bytes);
}

fn reseal(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = checksum(&bytes);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let plain = encode_record(&RecordHeader::new(RecordKind::Bytes), b"x").unwrap();
    let change = |at: usize, value: u8| {
        let mut bytes = plain.clone();
        bytes[at] = value;
        inspect_record(&reseal(bytes)).unwrap_err()
    };
    for (error, words) in [
        (change(0, 2), "format 2 is not known"),
        (change(1, 9), "kind 9 is not known"),
        (change(3, 0x80), "flags 0x8000 are not known"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        assert!(error.to_string().contains(words), "{error}");
    }
    let mut classed = RecordHeader::new(RecordKind::Bytes);
    classed.class = Class::Bulk;
    let mut bytes = encode_record(&classed, b"x").unwrap();
    bytes[32] = 77;
    assert!(
        inspect_record(&reseal(bytes))
            .unwrap_err()
            .to_string()
            .contains("class 77")
    );
}

#[test]
fn packed_payloads_are_unpacked_and_encrypted_ones_refused() {
    let mut header = RecordHeader::new(RecordKind::Bytes);
    header.codec = Some(RecordCodec {
        name: "reverse".into(),
        raw_len: 3,
    });
    let bytes = encode_record(&header, b"cba").unwrap();
    assert_eq!(read_value(&bytes, &Reversing).unwrap().as_bytes(), b"abc");

    header.codec = Some(RecordCodec {
        name: "reverse".into(),
        raw_len: 4,
    });
    let bytes = encode_record(&header, b"cba").unwrap();
    assert_eq!(
        read_value(&bytes, &Reversing).unwrap_err().kind(),
        ErrorKind::Corrupt
    );

    header.codec = None;
    header.key_id = Some(vec![1]);
    let bytes = encode_record(&header, b"abc").unwrap();
    assert_eq!(
        read_value(&bytes, &Reversing).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

#[test]
fn a_tombstone_is_no_value_and_holds_none() {
    let header = RecordHeader::new(RecordKind::Tombstone);
    assert!(encode_record(&header, b"x").is_err());
    let bytes = encode_record(&header, b"").unwrap();
    assert_eq!(inspect_record(&bytes).unwrap().kind, RecordKind::Tombstone);
    assert_eq!(
        read_value(&bytes, &Reversing).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
}
