//! Headers that say one thing to us and another to the linker.

use std::fs;

use statekeep_core::ErrorKind;
use statekeep_loader::lock_add;
use statekeep_tests::fixtures::{self, ran};

use super::{c_refused, refused};

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const PT_GNU_STACK: u32 = 0x6474_e551;
const DT_NEEDED: u64 = 1;
const DT_STRSZ: u64 = 10;
const DT_DEBUG: u64 = 21;
const DT_RUNPATH: u64 = 29;
/// Bytes of a program header, and where its fields are.
const HEADER_BYTES: usize = 56;
const OFFSET: usize = 8;
const ADDRESS: usize = 16;
const FILE_BYTES: usize = 32;
const MEMORY_BYTES: usize = 40;

fn word(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

fn put(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 8].copy_from_slice(&(value as u64).to_le_bytes());
}

/// Where in the file the program headers of a type are.
fn headers(bytes: &[u8], kind: u32) -> Vec<usize> {
    let count = usize::from(u16::from_le_bytes([bytes[56], bytes[57]]));
    (0..count)
        .map(|index| word(bytes, 32) + index * HEADER_BYTES)
        .filter(|at| bytes[*at..*at + 4] == kind.to_le_bytes())
        .collect()
}

/// The dynamic table: its header, where it is in the file, and its bytes.
fn dynamic(bytes: &[u8]) -> (usize, usize, usize) {
    let header = headers(bytes, PT_DYNAMIC)[0];
    (
        header,
        word(bytes, header + OFFSET),
        word(bytes, header + FILE_BYTES),
    )
}

/// Where in the file the entry of the dynamic table with this tag is.
fn entry(bytes: &[u8], tag: u64) -> usize {
    let (_, table, len) = dynamic(bytes);
    (table..table + len)
        .step_by(16)
        .find(|at| bytes[*at..*at + 8] == tag.to_le_bytes())
        .unwrap()
}

#[track_caller]
fn crafted(name: &str, texts: &[&str], patch: impl FnOnce(&mut Vec<u8>)) {
    let folder = fixtures::folder();
    let runpath = ["-Wl,--enable-new-dtags,-rpath,/tmp/evil"];
    let flags = if name.starts_with("hidden_") {
        &runpath[..]
    } else {
        &[]
    };
    let path = fixtures::install(&fixtures::c_fixture(name, flags), folder.path());
    let mut bytes = fs::read(&path).unwrap();
    patch(&mut bytes);
    fs::write(&path, bytes).unwrap();
    refused(&path, ErrorKind::Plugin, texts);
    let lock_file = folder.path().join("plugins.lock");
    let error = lock_add(&path, &lock_file).expect_err("it must not be listed");
    assert!(error.to_string().contains(texts[0]), "{error}");
    assert!(!lock_file.exists());
    assert!(!ran(name), "its constructor ran");
}

/// The linker finds the dynamic table by its address, and reads it to its end mark whatever size
/// the header gives: what we check must be that table, and all of it.
#[test]
fn a_second_dynamic_table_cannot_hide_the_one_that_is_used() {
    let texts = ["dynamic table is at", "maps", "build it again"];
    crafted("hidden_runpath", &texts, |bytes| {
        let (header, table, len) = dynamic(bytes);
        let used = entry(bytes, DT_RUNPATH) - table;
        let mut clean = bytes[table..table + len].to_vec();
        put(&mut clean, used, usize::try_from(DT_DEBUG).unwrap());
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        let end = bytes.len();
        bytes.extend(clean);
        put(bytes, header + OFFSET, end);
    });
    crafted("hidden_runpath", &["no end mark"], |bytes| {
        let (header, table, _) = dynamic(bytes);
        let before = entry(bytes, DT_RUNPATH) - table;
        put(bytes, header + FILE_BYTES, before);
    });
    crafted("second_table", &["exactly one dynamic table"], |bytes| {
        let (header, ..) = dynamic(bytes);
        let table = bytes[header..header + HEADER_BYTES].to_vec();
        let other = headers(bytes, PT_GNU_EH_FRAME)[0];
        bytes[other..other + HEADER_BYTES].copy_from_slice(&table);
    });
}

/// The linker maps one part over another; we read each from its own place in the file.
#[test]
fn parts_that_overlap_or_are_out_of_order_are_refused() {
    let texts = ["overlap or are out of order"];
    crafted("parts", &texts, |bytes| {
        let parts = headers(bytes, PT_LOAD);
        let next = word(bytes, parts[1] + ADDRESS);
        put(bytes, parts[0] + MEMORY_BYTES, next + 1);
    });
    crafted("parts", &texts, |bytes| {
        let parts = headers(bytes, PT_LOAD);
        let (first, second) = (parts[0], parts[1]);
        for at in 0..HEADER_BYTES {
            bytes.swap(first + at, second + at);
        }
    });
    // Not one byte in common, but a page: the later part covers what the earlier has there.
    crafted("parts", &texts, |bytes| {
        let parts = headers(bytes, PT_LOAD);
        let last = *parts.last().unwrap();
        let before = parts[parts.len() - 2];
        let start = word(bytes, last + ADDRESS);
        let page = start - start % 4096;
        assert!(page + 8 < start);
        let len = page + 8 - word(bytes, before + ADDRESS);
        put(bytes, before + MEMORY_BYTES, len);
    });
    crafted("parts", &["not a whole number of pages"], |bytes| {
        let last = *headers(bytes, PT_LOAD).last().unwrap();
        let offset = word(bytes, last + OFFSET);
        put(bytes, last + OFFSET, offset - 16);
    });
}

#[test]
fn a_dynamic_table_outside_the_parts_is_refused() {
    let texts = ["dynamic table is outside"];
    crafted("outside", &texts, |bytes| {
        let (header, ..) = dynamic(bytes);
        put(bytes, header + ADDRESS, 1 << 40);
    });
    // The part that holds it ends in the middle of it; the rest would be zeros.
    crafted("outside", &texts, |bytes| {
        let (header, table, len) = dynamic(bytes);
        let address = word(bytes, header + ADDRESS);
        let part = *headers(bytes, PT_LOAD)
            .iter()
            .rfind(|part| word(bytes, **part + ADDRESS) <= address)
            .unwrap();
        let cut = table + len - 16 - word(bytes, part + OFFSET);
        put(bytes, part + FILE_BYTES, cut);
    });
    // The linker reads a name to its NUL byte, beyond the end of the table if need be.
    crafted(
        "outside",
        &["a dynamic string is outside its table"],
        |bytes| {
            let size = entry(bytes, DT_STRSZ) + 8;
            let needed = entry(bytes, DT_NEEDED) + 8;
            let cut = word(bytes, needed) + 4;
            put(bytes, size, cut);
        },
    );
}

/// What the linker takes for the same thing is refused as the same thing.
#[test]
fn other_spellings_for_the_linker_are_refused() {
    crafted("hidden_filter", &["FILTER (/tmp/evil)"], |bytes| {
        let at = entry(bytes, DT_RUNPATH);
        put(bytes, at, 0xffff_ffff);
    });
    crafted("spelling", &["asks for an executable stack"], |bytes| {
        let stack = headers(bytes, PT_GNU_STACK)[0];
        let other = headers(bytes, PT_GNU_EH_FRAME)[0];
        bytes.copy_within(stack..stack + HEADER_BYTES, other);
        bytes[stack.max(other) + 4] = 7; // p_flags: readable, writable, executable
    });
    let soname = ["-Wl,-soname,linux-vdso.so.evil"];
    let other = fixtures::c_fixture("like_vdso", &soname);
    let link = format!("-L{}", other.parent().unwrap().display());
    let flags = ["-Wl,--no-as-needed", &link, "-l:liblike_vdso.so"];
    let texts = ["needs the library linux-vdso.so.evil"];
    c_refused("needs_like_vdso", &flags, ErrorKind::Plugin, &texts);
    assert!(!ran("needs_like_vdso") && !ran("like_vdso"));
}
