//! get and durable set through the C header against the raw backend on the same data, in one run.
//!
//! `c_header [RECORDS] [DIRECTORY]`: a state on fjall is filled through `libstatekeep.so`, loaded
//! as a program would load it. Beside it fjall alone, called through its plugin table, holds the
//! same records. Rounds are interleaved; printed are medians and the ratio of the two. A set through
//! the header also writes history and journal, and reads what it supersedes.

use std::ffi::{c_char, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::time::Instant;

use libloading::{Library, Symbol};
use statekeep_benches::raw::Backend;
use statekeep_benches::{Random, median};
use statekeep_plugin_api::{DURABILITY_RELAXED, DURABILITY_SYNC, SPACE_DATA};

const ROUNDS: usize = 21;
const GETS: u64 = 20_000;
const HOT: u64 = 10_000;
const SYNCED: u64 = 60;
const RELAXED: u64 = 2_000;
const SCOPE: &[u8] = b"session:000042";

type Open = unsafe extern "C" fn(*const c_void, *mut *mut c_void, *mut *mut c_void) -> i32;
type New = unsafe extern "C" fn(*mut *mut c_void, *mut *mut c_void) -> i32;
type SetConfig = unsafe extern "C" fn(
    *mut c_void,
    *const c_char,
    usize,
    *const c_char,
    usize,
    *mut *mut c_void,
) -> i32;
type Set = unsafe extern "C" fn(
    *const c_void,
    *const u8,
    usize,
    *const u8,
    usize,
    u32,
    *const u8,
    usize,
    u32,
    *mut u64,
    *mut *mut c_void,
) -> i32;
type GetInto = unsafe extern "C" fn(
    *const c_void,
    *const u8,
    usize,
    *const u8,
    usize,
    *mut u8,
    usize,
    *mut u32,
    *mut usize,
    *mut *mut c_void,
) -> i32;
type Close = unsafe extern "C" fn(*mut c_void, *mut *mut c_void) -> i32;

/// The functions of `statekeep.h` that are measured.
struct Header<'l> {
    set: Symbol<'l, Set>,
    get_into: Symbol<'l, GetInto>,
    close: Symbol<'l, Close>,
    manager: *mut c_void,
}

impl<'l> Header<'l> {
    fn open(library: &'l Library, path: &Path) -> Header<'l> {
        // SAFETY: the types are those of include/statekeep.h.
        unsafe {
            let new: Symbol<New> = library.get(b"statekeep_config_new").expect("symbol");
            let set: Symbol<SetConfig> = library.get(b"statekeep_config_set").expect("symbol");
            let open: Symbol<Open> = library.get(b"statekeep_manager_open").expect("symbol");
            let mut config = ptr::null_mut();
            assert_eq!(new(&mut config, ptr::null_mut()), 0);
            for (key, value) in [
                ("path", path.to_str().expect("UTF-8")),
                ("backend", "fjall"),
            ] {
                let (k, v) = (key.as_ptr().cast(), value.as_ptr().cast());
                assert_eq!(
                    set(config, k, key.len(), v, value.len(), ptr::null_mut()),
                    0
                );
            }
            let mut manager = ptr::null_mut();
            assert_eq!(open(config, &mut manager, ptr::null_mut()), 0, "open");
            Header {
                set: library.get(b"statekeep_set").expect("symbol"),
                get_into: library.get(b"statekeep_get_into").expect("symbol"),
                close: library.get(b"statekeep_manager_close").expect("symbol"),
                manager,
            }
        }
    }

    fn set(&self, key: &[u8], value: &[u8], durability: u32) {
        // SAFETY: all inputs are valid for the call.
        let status = unsafe {
            (self.set)(
                self.manager,
                SCOPE.as_ptr(),
                SCOPE.len(),
                key.as_ptr(),
                key.len(),
                2,
                value.as_ptr(),
                value.len(),
                durability,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        assert_eq!(status, 0, "set");
    }

    fn get(&self, key: &[u8], buffer: &mut [u8]) -> usize {
        let mut len = 0;
        // SAFETY: all inputs and outputs are valid for the call.
        let status = unsafe {
            (self.get_into)(
                self.manager,
                SCOPE.as_ptr(),
                SCOPE.len(),
                key.as_ptr(),
                key.len(),
                buffer.as_mut_ptr(),
                buffer.len(),
                ptr::null_mut(),
                &mut len,
                ptr::null_mut(),
            )
        };
        assert_eq!(status, 0, "get");
        len
    }
}

fn key(number: u64) -> Vec<u8> {
    format!("message:{number:08}").into_bytes()
}

/// What the host stores for the key: tenant, scope kind, id, key.
fn stored_key(number: u64) -> Vec<u8> {
    let mut stored = vec![0, 0, 0, 0, 3];
    stored.extend_from_slice(b"000042\0");
    stored.extend_from_slice(&key(number));
    stored
}

fn value(random: &mut Random) -> Vec<u8> {
    (0..100).map(|_| b'a' + random.below(26) as u8).collect()
}

/// A 32-byte envelope stands before each value, as in the state.
fn record(value: &[u8]) -> Vec<u8> {
    [&[1u8; 32][..], value].concat()
}

fn main() {
    let mut args = std::env::args().skip(1);
    let records: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let base = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = base.join(format!("statekeep-c-header-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("raw")).expect("create a directory");
    let beside = std::env::current_exe()
        .expect("own path")
        .with_file_name("libstatekeep.so");
    // SAFETY: the library's constructors are those of this project.
    let library = unsafe { Library::new(&beside) }.expect("libstatekeep.so beside this program");

    let header = Header::open(&library, &directory.join("state"));
    let raw = Backend::open(
        statekeep_backend_fjall::descriptor(),
        &directory.join("raw"),
    );
    let mut random = Random::new(1);
    for number in 0..records {
        let value = value(&mut random);
        header.set(&key(number), &value, DURABILITY_RELAXED);
        raw.commit(
            &[(SPACE_DATA, &stored_key(number), &record(&value))],
            DURABILITY_RELAXED,
        );
    }

    let mut figures: [[Vec<f64>; 2]; 4] = Default::default();
    let mut buffer = [0u8; 4096];
    let mut found = Vec::new();
    for round in 0..ROUNDS {
        for (row, range) in [(0, HOT.min(records)), (1, records)] {
            let seed = Random::new(round as u64 + 7);
            let mut pick = seed.clone();
            figures[row][0].push(time(GETS, || {
                assert_eq!(header.get(&key(pick.below(range)), &mut buffer), 100);
            }));
            let mut pick = seed;
            figures[row][1].push(time(GETS, || {
                let len = raw.get(SPACE_DATA, &stored_key(pick.below(range)), &mut found);
                assert_eq!(len, 132);
            }));
        }
        for (row, count, durability) in [
            (2, RELAXED, DURABILITY_RELAXED),
            (3, SYNCED, DURABILITY_SYNC),
        ] {
            let value = value(&mut random);
            let stored = record(&value);
            let seed = Random::new(round as u64 + 99);
            let mut pick = seed.clone();
            figures[row][0].push(time(count, || {
                header.set(&key(pick.below(records)), &value, durability);
            }));
            let mut pick = seed;
            figures[row][1].push(time(count, || {
                let key = stored_key(pick.below(records));
                raw.commit(&[(SPACE_DATA, &key, &stored)], durability);
            }));
        }
    }
    println!(
        "C header against fjall alone, {records} records of 100 B, medians of {ROUNDS} rounds"
    );
    let names = [
        "get, hot 10 k",
        "get, uniform",
        "set, relaxed",
        "set, durable",
    ];
    for (name, [ours, theirs]) in names.iter().zip(&mut figures) {
        let (ours, theirs) = (median(ours), median(theirs));
        println!(
            "  {name:<14} header {ours:9.0} ns   raw {theirs:9.0} ns   ratio {:5.2}",
            ours / theirs
        );
    }
    // SAFETY: opened above, closed once.
    unsafe { (header.close)(header.manager, ptr::null_mut()) };
    drop(raw);
    std::fs::remove_dir_all(&directory).expect("remove the directory");
}

fn time(count: u64, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        call();
    }
    start.elapsed().as_nanos() as f64 / count as f64
}
