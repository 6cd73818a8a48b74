//! What the loader refuses, proved with real libraries: each refusal says what is wrong, with which
//! file, and what to do; and of what is refused before loading, not even a constructor runs.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};

use statekeep_core::{Error, ErrorKind};
use statekeep_loader::{LoadError, Policy, Registry, inspect, lock_add};
use statekeep_tests::fixtures::{self, ran};

const NOBODY: u32 = 65534;

fn unlisted() -> Registry {
    Registry::new(Policy {
        allow_unlisted: true,
        ..Policy::default()
    })
}

#[track_caller]
fn refused(path: &Path, kind: ErrorKind, texts: &[&str]) -> LoadError {
    let error = unlisted().load(path).expect_err("it must be refused");
    let message = error.to_string();
    for text in texts {
        assert!(message.contains(text), "`{message}` does not say `{text}`");
    }
    let core = Error::from(error);
    assert_eq!(core.kind(), kind, "{message}");
    assert_eq!(core.to_string(), message);
    unlisted().load(path).expect_err("it is refused every time")
}

#[track_caller]
fn c_refused(name: &str, flags: &[&str], kind: ErrorKind, texts: &[&str]) {
    let folder = fixtures::folder();
    let path = fixtures::install(&fixtures::c_fixture(name, flags), folder.path());
    let file = format!("lib{name}.so");
    refused(&path, kind, texts);
    refused(&path, kind, &[file.as_str()]);
}

fn is_root(folder: &Path) -> bool {
    fs::metadata(folder).unwrap().uid() == 0
}

// ---- who could have written the file ----

#[test]
fn a_file_that_others_can_write_is_refused_before_it_runs() {
    let folder = fixtures::folder();
    let path = fixtures::install(&fixtures::c_fixture("writable", &[]), folder.path());
    for mode in [0o666, 0o664, 0o646] {
        fixtures::set_mode(&path, mode);
        let octal = format!("mode {mode:04o}");
        refused(
            &path,
            ErrorKind::PermissionDenied,
            &["libwritable.so", &octal, "chmod go-w"],
        );
    }
    assert!(!ran("writable"), "its constructor ran");
    fixtures::set_mode(&path, 0o644);
    unlisted()
        .load(&path)
        .expect("the same file is fine when only we can write it");
    assert!(ran("writable"));
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let top = fixtures::folder();
    let folder = top.path().join("shared/plugins");
    fs::create_dir_all(&folder).unwrap();
    fixtures::set_mode(&folder, 0o755);
    let path = fixtures::install(&fixtures::c_fixture("open_folder", &[]), &folder);
    let shared = top.path().join("shared");

    // Whoever can write a folder can exchange what lies in it, at any depth.
    for (place, mode) in [
        (&folder, 0o777),
        (&folder, 0o775),
        (&shared, 0o777),
        (&shared, 0o770),
    ] {
        fixtures::set_mode(place, mode);
        let name = format!("{} (mode {mode:04o})", place.display());
        refused(
            &path,
            ErrorKind::PermissionDenied,
            &[&name, "can be written by its group"],
        );
        fixtures::set_mode(place, 0o755);
    }
    assert!(!ran("open_folder"), "its constructor ran");

    // In a sticky folder such as /tmp nobody can rename our folder, but anyone can add a file.
    fixtures::set_mode(&folder, 0o1777);
    refused(&path, ErrorKind::PermissionDenied, &["(mode 1777)"]);
    fixtures::set_mode(&folder, 0o755);
    fixtures::set_mode(&shared, 0o1777);
    unlisted()
        .load(&path)
        .expect("a sticky folder may stand above a folder of our own");
}

#[test]
fn a_foreign_owner_is_refused() {
    let top = fixtures::folder();
    if !is_root(top.path()) {
        eprintln!("only root can give files away: not checked");
        return;
    }
    let folder = top.path().join("plugins");
    fs::create_dir(&folder).unwrap();
    fixtures::set_mode(&folder, 0o755);
    let path = fixtures::install(&fixtures::c_fixture("foreign", &[]), &folder);
    for place in [&path, &folder] {
        chown(place, Some(NOBODY), None).unwrap();
        let text = format!("{} belongs to user 65534", place.display());
        refused(&path, ErrorKind::PermissionDenied, &[&text, "chown it"]);
        chown(place, Some(0), None).unwrap();
    }
    assert!(!ran("foreign"), "its constructor ran");
    unlisted().load(&path).expect("given back, it loads");
}

#[test]
fn a_symbolic_link_is_refused() {
    let folder = fixtures::folder();
    let path = fixtures::install(&fixtures::c_fixture("linked", &[]), folder.path());
    let link = folder.path().join("liblink.so");
    symlink(&path, &link).unwrap();
    refused(
        &link,
        ErrorKind::PermissionDenied,
        &["liblink.so is a symbolic link"],
    );

    // A link to a folder is followed, and its target is what is checked.
    let place = fixtures::folder();
    let linked = place.path().join("plugins");
    symlink(folder.path(), &linked).unwrap();
    let info = unlisted().load(&linked.join("liblinked.so")).unwrap();
    assert_eq!(info.path, Some(path));
}

#[test]
fn only_regular_files_are_read() {
    let folder = fixtures::folder();
    let inner = folder.path().join("libfolder.so");
    fs::create_dir(&inner).unwrap();
    refused(
        &inner,
        ErrorKind::Plugin,
        &["libfolder.so is not a regular file"],
    );
    let missing = folder.path().join("libmissing.so");
    refused(
        &missing,
        ErrorKind::Plugin,
        &["cannot open", "libmissing.so", "No such file"],
    );
}

// ---- the hash ----

#[test]
fn a_hash_that_is_not_in_the_lock_is_refused() {
    let folder = fixtures::folder();
    let path = fixtures::install(&fixtures::c_fixture("unlisted", &[]), folder.path());
    let lock_file = folder.path().join("plugins.lock");
    let registry = Registry::new(Policy {
        lock_file: Some(lock_file.clone()),
        ..Policy::default()
    });
    let refusal = |texts: &[&str]| {
        let error = registry.load(&path).expect_err("it must be refused");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        for text in texts {
            assert!(error.to_string().contains(text), "{error}");
        }
    };
    refusal(&[
        "libunlisted.so",
        "is not listed in",
        "does not exist",
        "statekeep plugin add",
    ]);

    let other = fixtures::install(
        &fixtures::c_fixture("listed", &["-DUSE_RESERVE"]),
        folder.path(),
    );
    let entry = lock_add(&other, &lock_file).unwrap();
    assert_eq!(entry.id, "org.example.misbehaving");
    assert_eq!(
        entry.interfaces,
        ["statekeep.compression/1", "statekeep.backend/1"]
    );
    assert_eq!(entry.sha256.len(), 64);
    refusal(&["plugins.lock", "sha256"]);
    assert!(!ran("unlisted") && !ran("listed"), "a constructor ran");

    // Listing the other library of the same id takes the place of the first.
    lock_add(&path, &lock_file).unwrap();
    let info = registry.load(&path).expect("now it is listed");
    assert_eq!(info.sha256.unwrap().len(), 64);
    assert!(ran("unlisted"));

    // One byte more is another library.
    let mut bytes = fs::read(&path).unwrap();
    bytes.push(0);
    fs::write(&path, bytes).unwrap();
    refusal(&["is not listed in"]);
}

#[test]
fn without_a_lock_file_nothing_loads() {
    let folder = fixtures::folder();
    let path = fixtures::install(&fixtures::c_fixture("no_lock", &[]), folder.path());
    let error = Registry::new(Policy::default()).load(&path).unwrap_err();
    assert!(
        error.to_string().contains("plugins.lock is not configured"),
        "{error}"
    );
    assert!(!ran("no_lock"));
}

#[test]
fn a_lock_file_that_others_can_write_is_no_lock() {
    let folder = fixtures::folder();
    let path = fixtures::install(&fixtures::c_fixture("weak_lock", &[]), folder.path());
    let lock_file = folder.path().join("plugins.lock");
    lock_add(&path, &lock_file).unwrap();
    let registry = Registry::new(Policy {
        lock_file: Some(lock_file.clone()),
        ..Policy::default()
    });
    fixtures::set_mode(&lock_file, 0o666);
    let error = registry.load(&path).unwrap_err();
    assert!(
        error.to_string().contains("plugins.lock (mode 0666)"),
        "{error}"
    );
    fixtures::set_mode(&lock_file, 0o644);
    fs::write(&lock_file, "plugin = 7").unwrap();
    let error = registry.load(&path).unwrap_err();
    assert!(
        error.to_string().contains("is not a plugin lock file"),
        "{error}"
    );
    assert!(!ran("weak_lock"));
}

// ---- the file itself ----

#[test]
fn what_is_no_library_is_refused() {
    let folder = fixtures::folder();
    let text = folder.path().join("libtext.so");
    fs::write(&text, "#!/bin/sh\n").unwrap();
    fixtures::set_mode(&text, 0o644);
    refused(
        &text,
        ErrorKind::Plugin,
        &["libtext.so", "does not start with the ELF magic"],
    );
    refused_program(folder.path());
}

fn refused_program(folder: &Path) {
    let object = folder.join("libobject.so");
    let mut bytes = fs::read(fixtures::c_fixture("object", &[])).unwrap();
    bytes[16] = 1; // e_type: relocatable
    fs::write(&object, &bytes).unwrap();
    fixtures::set_mode(&object, 0o644);
    refused(
        &object,
        ErrorKind::Plugin,
        &["libobject.so", "it is no shared object"],
    );
    bytes[16] = 3;
    bytes[18] = 8; // e_machine: MIPS
    fs::write(&object, &bytes).unwrap();
    refused(&object, ErrorKind::Plugin, &["it is built for machine 8"]);
}

/// Mapping a file that is shorter than its segments kills the process at the first touch.
#[test]
fn a_truncated_library_is_refused_at_every_length() {
    let folder = fixtures::folder();
    let whole = fs::read(fixtures::c_fixture("truncated", &[])).unwrap();
    let path = folder.path().join("libtruncated.so");
    for len in (0..whole.len()).step_by(whole.len() / 150) {
        fs::write(&path, &whole[..len]).unwrap();
        fixtures::set_mode(&path, 0o644);
        let error = unlisted().load(&path).expect_err("it must be refused");
        assert!(
            matches!(error, LoadError::NotLibrary { .. }),
            "{len} bytes: {error}"
        );
        assert!(inspect(&path).is_err(), "{len} bytes");
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    refused(&path, ErrorKind::Plugin, &["libtruncated.so", "truncated"]);
    assert!(!ran("truncated"));
}

/// Damage anywhere in the first pages, where the headers are, is an error or no matter.
#[test]
fn damaged_headers_never_harm_the_reader() {
    let folder = fixtures::folder();
    let whole = fs::read(fixtures::c_fixture("damaged", &[])).unwrap();
    let path = folder.path().join("libdamaged.so");
    let mut refusals = 0;
    for at in (0..1024).chain(whole.len() - 2048..whole.len()) {
        for value in [0, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            fs::write(&path, &bytes).unwrap();
            refusals += usize::from(inspect(&path).is_err());
        }
    }
    assert!(refusals > 100, "only {refusals} were noticed");
}

#[test]
fn a_library_without_manifest_is_refused() {
    c_refused(
        "no_manifest",
        &["-DNO_MANIFEST"],
        ErrorKind::Plugin,
        &["has no manifest", ".statekeep"],
    );
    assert!(!ran("no_manifest"));
}

#[test]
fn search_paths_are_refused() {
    let path = ["-Wl,--enable-new-dtags,-rpath,/tmp/evil"];
    c_refused(
        "runpath",
        &path,
        ErrorKind::Plugin,
        &["RUNPATH (/tmp/evil)", "link it without"],
    );
    let path = ["-Wl,--disable-new-dtags,-rpath,$ORIGIN"];
    c_refused("rpath", &path, ErrorKind::Plugin, &["RPATH ($ORIGIN)"]);
    assert!(!ran("runpath") && !ran("rpath"));
}

#[test]
fn another_library_beside_it_is_refused() {
    let other = fixtures::c_fixture("helper", &[]);
    let link = format!("-L{}", other.parent().unwrap().display());
    let flags = ["-Wl,--no-as-needed", &link, "-l:libhelper.so"];
    let texts = ["needs the library libhelper.so", "link it statically"];
    c_refused("needs_helper", &flags, ErrorKind::Plugin, &texts);
    assert!(!ran("needs_helper") && !ran("helper"));
}

#[test]
fn an_executable_stack_is_refused() {
    let texts = ["asks for an executable stack", "noexecstack"];
    c_refused(
        "execstack",
        &["-Wl,-z,execstack"],
        ErrorKind::Plugin,
        &texts,
    );
    assert!(!ran("execstack"));
}

/// A missing symbol is found when the library is opened, not at the first call.
#[test]
fn a_symbol_that_nobody_has_is_refused_by_the_linker() {
    let folder = fixtures::folder();
    let source = folder.path().join("undefined.c");
    fs::write(
        &source,
        "void nobody_has_this(void); void undefined(void) { nobody_has_this(); }\n",
    )
    .unwrap();
    let flags = [source.to_str().unwrap(), "-fvisibility=default"];
    let texts = [
        "the dynamic linker refused",
        "libundefined.so",
        "nobody_has_this",
    ];
    c_refused("undefined", &flags, ErrorKind::Plugin, &texts);
}

// ---- what the library says ----

#[test]
fn a_missing_entry_point_is_refused() {
    let flags = ["-DNO_ENTRY", "-Wno-unused-function"];
    c_refused(
        "no_entry",
        &flags,
        ErrorKind::Plugin,
        &["does not export statekeep_plugin_entry_1"],
    );
}

#[test]
fn a_wrong_descriptor_is_refused() {
    let plugin = ErrorKind::Plugin;
    c_refused(
        "null",
        &["-DNULL_DESCRIPTOR"],
        plugin,
        &["returned no descriptor", "address 0x0"],
    );
    let texts = ["magic 0xfeedfacecafebeef instead of 0x4e4947554c504b53"];
    c_refused("magic", &["-DWRONG_MAGIC"], plugin, &texts);
    c_refused(
        "null_create",
        &["-DNULL_CREATE", "-Wno-unused-function"],
        plugin,
        &["the function `create` is NULL"],
    );
    c_refused(
        "bad_id",
        &["-DBAD_ID"],
        plugin,
        &["`../escape` is no plugin id"],
    );
    c_refused(
        "bad_version",
        &["-DBAD_VERSION"],
        plugin,
        &["`one` is no semantic version"],
    );
    let texts = ["says version `9.9.9` in its manifest and `1.0.0` in its code"];
    c_refused("other_version", &["-DOTHER_VERSION"], plugin, &texts);
    let incompatible = ErrorKind::Incompatible;
    let texts = ["built for plugin ABI epoch 2, this host speaks 1"];
    c_refused("epoch", &["-DWRONG_EPOCH"], incompatible, &texts);
    let texts = ["a descriptor of 104 bytes, expected 112", "rebuild it"];
    c_refused("short", &["-DSHORT_STRUCT"], incompatible, &texts);
}

#[test]
fn another_epoch_is_refused_before_it_runs() {
    let texts = [
        "built for plugin ABI epoch 7, this host speaks 1",
        "rebuild it",
    ];
    c_refused(
        "manifest_epoch",
        &["-DWRONG_MANIFEST_EPOCH"],
        ErrorKind::Incompatible,
        &texts,
    );
    assert!(!ran("manifest_epoch"));
}

// ---- its tables ----

#[test]
fn a_stale_header_is_refused() {
    let texts = [
        "built from another header: statekeep.backend/1 has the fingerprint 0x0123456789abcdef",
        "this host has 0x611bfd13060fc983",
        "statekeep_plugin.h",
    ];
    c_refused(
        "stale",
        &["-DSTALE_HEADER"],
        ErrorKind::Incompatible,
        &texts,
    );
}

#[test]
fn a_table_that_is_short_or_has_a_hole_is_refused() {
    let texts = [
        "bad table for statekeep.backend/1",
        "it says 64 bytes, expected 72",
    ];
    c_refused("short_table", &["-DSHORT_TABLE"], ErrorKind::Plugin, &texts);
    let texts = [
        "bad table for statekeep.backend/1",
        "function 5 of 7 is NULL",
    ];
    c_refused(
        "hole",
        &["-DNULL_FUNCTION", "-Wno-unused-function"],
        ErrorKind::Plugin,
        &texts,
    );
}

#[test]
fn interfaces_that_the_manifest_hides_or_invents_are_refused() {
    let texts = ["`none of this id` in its manifest and `statekeep.backend/1` in its code"];
    c_refused("hidden", &["-DHIDDEN_INTERFACE"], ErrorKind::Plugin, &texts);
    let texts = ["`statekeep.hook/1` in its manifest and `none of this id` in its code"];
    c_refused(
        "invented",
        &["-DMISSING_INTERFACE"],
        ErrorKind::Plugin,
        &texts,
    );
}

/// A changed parameter leaves the size of a table as it is; the layout check shows the field.
#[test]
fn a_changed_parameter_is_refused_and_shown() {
    let folder = fixtures::folder();
    let path = install_fixture("other_layout", folder.path());
    let texts = [
        "libother_layout.so was built with another layout of statekeep.backend/1",
        "BackendV1.get: expected",
        "key: Bytes",
        "found",
        "key: u64",
    ];
    let error = refused(&path, ErrorKind::Incompatible, &texts);
    assert!(error.to_string().len() < 1000, "{error}");
}

#[test]
fn a_layout_check_that_is_switched_off_is_refused() {
    let folder = fixtures::folder();
    let path = install_fixture("unchecked", folder.path());
    let texts = [
        "libunchecked.so",
        "switched the layout check of its Rust door off",
    ];
    refused(&path, ErrorKind::Plugin, &texts);
}

fn install_fixture(name: &str, folder: &Path) -> PathBuf {
    fixtures::install(&fixtures::rust_fixture(name), folder)
}

// ---- headers that say one thing to us and another to the linker ----

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
