//! What a library says of itself that cannot be: its entry point, descriptor and tables.

use std::path::{Path, PathBuf};

use statekeep_core::ErrorKind;
use statekeep_tests::fixtures::{self, ran};

use super::{c_refused, refused};

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
