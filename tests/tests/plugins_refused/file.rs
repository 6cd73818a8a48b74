//! What is wrong with the file itself, before any of it is mapped or run.

use std::fs;
use std::path::Path;

use statekeep_core::ErrorKind;
use statekeep_loader::{LoadError, inspect};
use statekeep_tests::fixtures::{self, ran};

use super::{c_refused, refused, unlisted};

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
