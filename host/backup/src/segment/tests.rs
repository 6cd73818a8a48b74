//! Segments: round trips over codecs, the golden byte map, and bits that flip in every region.

use proptest::prelude::*;
use statekeep_core::Result;

use super::*;
use crate::name::{BackupId, ObjectName};
use crate::testing::{TestCodecs, block_codec, disk, repository};

type Rows = Vec<(Vec<u8>, Vec<u8>, bool)>;

/// A segment of the rows, a new block before every row for which `cut` holds.
fn segment(rows: &Rows, codec: &str, cut: &dyn Fn(usize) -> bool) -> Vec<u8> {
    let repository = repository(&disk()).unwrap();
    let id = BackupId::after(None);
    let mut writer =
        SegmentWriter::create(repository.store.as_ref(), ObjectName::segment(id, 3), id, 3)
            .unwrap();
    let mut builder = BlockBuilder::default();
    let mut flush = |builder: &mut BlockBuilder| {
        if !builder.is_empty() {
            let codec = block_codec(codec);
            let block =
                encode_block(builder.take(), codec.as_ref(), &mut Scratch::default()).unwrap();
            writer.append(&block, (1, 1)).unwrap();
        }
    };
    for (at, (key, record, tombstone)) in rows.iter().enumerate() {
        let entry = Entry {
            key,
            record,
            tombstone: *tombstone,
        };
        let len = BlockBuilder::size(entry).unwrap();
        if cut(at) {
            flush(&mut builder);
        }
        builder.push(entry, len).unwrap();
    }
    flush(&mut builder);
    let name = writer.name().clone();
    let row = writer.finish().unwrap();
    let bytes = crate::read_all(repository.store.as_ref(), &name, usize::MAX).unwrap();
    assert_eq!(row.bytes, bytes.len() as u64);
    assert_eq!(row.sha256, crate::hex::sha256(&bytes));
    assert_eq!(row.entries, rows.len() as u64);
    assert_eq!(row.first_key.0, rows[0].0);
    assert_eq!(row.last_key.0, rows[rows.len() - 1].0);
    bytes
}

/// Each block's rows, or its error.
fn read(bytes: &[u8]) -> Result<Vec<Result<Rows>>> {
    let reader = SegmentReader::open(&bytes, None)?;
    assert_eq!(reader.number, 3);
    let block = |block: &BlockRef| {
        let mut raw = Vec::new();
        SegmentReader::entries(&bytes, block, &TestCodecs, &mut raw)?;
        Entries::new(&raw)
            .map(|entry| entry.map(|e| (e.key.to_vec(), e.record.to_vec(), e.tombstone)))
            .collect()
    };
    Ok(reader.blocks.iter().map(block).collect())
}

fn whole(bytes: &[u8]) -> Rows {
    read(bytes)
        .unwrap()
        .into_iter()
        .flat_map(Result::unwrap)
        .collect()
}

fn sample() -> Rows {
    (0..60_u8)
        .map(|n| (vec![1, n], vec![n; 40], n % 9 == 0))
        .collect()
}

proptest! {
    #[test]
    fn a_segment_gives_back_what_was_put_in(
        rows in prop::collection::btree_map(
            prop::collection::vec(any::<u8>(), 1..40),
            (prop::collection::vec(0..3_u8, 0..300), any::<bool>()),
            1..40,
        ),
        codec in prop::sample::select(vec!["none", "rle"]),
        every in 1..10_usize,
    ) {
        let rows: Rows = rows.into_iter().map(|(key, (record, t))| (key, record, t)).collect();
        let bytes = segment(&rows, codec, &|at| at % every == 0);
        prop_assert_eq!(whole(&bytes), rows);
    }
}

/// Whatever bit flips, a reader serves the rows that were written or an error, never other rows.
#[test]
fn a_flipped_bit_is_an_error_or_harmless() {
    for codec in ["none", "rle"] {
        let rows = sample();
        let bytes = segment(&rows, codec, &|at| at % 20 == 0);
        let index = SegmentReader::open(&bytes.as_slice(), None)
            .unwrap()
            .index_sha256;
        let blocks: Vec<Rows> = rows.chunks(20).map(<[_]>::to_vec).collect();
        let bits = bytes.len() * 8;
        let step = (bits / 2000).max(1);
        for bit in (0..bits).step_by(step) {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let Ok(found) = read(&bad) else { continue };
            assert_eq!(found.len(), blocks.len());
            let mut wrong = 0;
            for (found, written) in found.into_iter().zip(&blocks) {
                match found {
                    Ok(found) => assert_eq!(&found, written, "bit {bit}"),
                    Err(_) => wrong += 1,
                }
            }
            assert_eq!(
                wrong, 1,
                "bit {bit}: a flip in the blocks spoils exactly its block"
            );
            assert!(SegmentReader::open(&bad.as_slice(), Some(index)).is_ok());
        }
    }
}

#[test]
fn a_cut_segment_is_an_error() {
    let bytes = segment(&sample(), "rle", &|at| at % 20 == 0);
    for len in 0..bytes.len() {
        assert!(read(&bytes[..len]).is_err(), "{len} bytes");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(read(&longer).is_err());
}

#[test]
fn random_bytes_never_panic() {
    let bytes = segment(&sample(), "none", &|_| false);
    let mut seed = 7_u64;
    for _ in 0..2000 {
        let mut bad = bytes.clone();
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(seed >> 33).unwrap() % bad.len();
            bad[at] = seed.to_le_bytes()[3];
        }
        let _ = read(&bad);
        let _: Vec<_> = Entries::new(&bad).collect();
    }
}

#[test]
fn another_format_version_is_named() {
    let mut bytes = segment(&sample(), "none", &|_| false);
    bytes[6] = 9;
    let error = read(&bytes).unwrap_err();
    assert_eq!(error.kind(), statekeep_core::ErrorKind::Incompatible);
    assert!(error.to_string().contains("format is 9"), "{error}");
}

#[test]
fn an_index_of_another_segment_is_refused() {
    let bytes = segment(&sample(), "none", &|_| false);
    let other = crate::hex::Hash256([1; 32]);
    assert!(SegmentReader::open(&bytes.as_slice(), Some(other)).is_err());
}

/// A change of one row moves no boundary but those next to it, so a merge can copy other blocks.
#[test]
fn boundaries_follow_the_keys() {
    let blocks = |rows: &[(Vec<u8>, usize)]| {
        let mut builder = BlockBuilder::default();
        let mut firsts = Vec::new();
        let record = vec![0; 2000];
        for (key, len) in rows {
            let entry = Entry {
                key,
                record: &record[..*len],
                tombstone: false,
            };
            let len = BlockBuilder::size(entry).unwrap();
            if builder.boundary(key, len) {
                let block = builder.take();
                assert!((BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&block.bytes.len()));
                firsts.push(block.first_key);
            }
            builder.push(entry, len).unwrap();
        }
        firsts.push(builder.take().first_key);
        firsts
    };
    let rows: Vec<_> = (0..20_000_u32)
        .map(|n| (n.to_be_bytes().to_vec(), 500 + n as usize % 1000))
        .collect();
    let before = blocks(&rows);
    let mut changed = rows;
    changed.remove(700);
    let after = blocks(&changed);
    let kept = before.iter().filter(|first| after.contains(first)).count();
    assert!(before.len() >= 20, "{} blocks", before.len());
    assert!(
        kept + 3 >= before.len(),
        "{kept} of {} boundaries kept",
        before.len()
    );
}

#[test]
fn an_entry_that_no_block_can_hold_is_refused() {
    let long = vec![1; ENTRY_KEY_BYTES_MAX + 1];
    let error = BlockBuilder::size(Entry {
        key: &long,
        record: &[],
        tombstone: false,
    })
    .unwrap_err();
    assert!(error.to_string().contains("ENTRY_KEY_BYTES_MAX"), "{error}");
}

/// The byte map, written down a second time: what this build writes is what the map says.
#[test]
fn a_segment_has_the_bytes_of_its_map() {
    let rows: Rows = vec![
        (b"a".to_vec(), vec![7; 200], false),
        (b"bc".to_vec(), vec![8], true),
    ];
    let bytes = segment(&rows, "rle", &|_| false);
    let raw = [
        &[0, 1, b'a', 200, 1],
        vec![7; 200].as_slice(),
        &[1, 2, b'b', b'c', 1, 8],
    ]
    .concat();
    let runs = [
        (1, 0),
        (1, 1),
        (1, b'a'),
        (1, 200),
        (1, 1),
        (200, 7),
        (1, 1),
        (1, 2),
        (1, b'b'),
        (1, b'c'),
        (1, 1),
        (1, 8),
    ];
    let stored: Vec<u8> = runs
        .iter()
        .flat_map(|(count, byte)| [*count, *byte])
        .collect();
    let u32s = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    let u64s = |n: usize| (n as u64).to_le_bytes();

    let id = &bytes[16..32];
    let header = [b"SKSEG\0".as_slice(), &[1, 0], &[0; 4], &[3, 0, 0, 0], id].concat();
    let mut block = [b"SKBK".as_slice(), &[3, 0, 0, 0]].concat();
    block.extend([u32s(raw.len()), u32s(stored.len()), u32s(2)].concat());
    block.extend(b"rle");
    let hash = *blake3::hash(&[block.as_slice(), &stored].concat()).as_bytes();
    block.extend([hash.as_slice(), &stored].concat());
    let mut index = [u64s(32).as_slice(), &u32s(block.len())].concat();
    index.extend([u32s(raw.len()).as_slice(), &u32s(2), &hash, &[1, 0], b"a"].concat());
    let offset = header.len() + block.len();
    let mut footer = [u64s(offset), u64s(index.len())].concat();
    footer.extend([u32s(1), [0; 4]].concat());
    footer.extend([u64s(2), u64s(1), u64s(raw.len())].concat());
    let hashed = [header.as_slice(), &index, &footer].concat();
    footer.extend(crate::hex::sha256(&hashed).0);
    footer.extend(b"\x01\0SKEND\0");
    assert_eq!(footer.len(), 88);
    assert_eq!(bytes, [header, block, index, footer].concat());
}
