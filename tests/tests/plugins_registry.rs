//! How plugins are found and listed: names, folders, duplicates, doors, drafts.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use statekeep_core::{BackendConfig, ErrorKind, Plugins};
use statekeep_loader::{Door, LoadError, Policy, Registry, inspect};
use statekeep_plugin_api::{Descriptor, Interface};
use statekeep_tests::fixtures;

fn registry(paths: &[&Path]) -> Registry {
    Registry::new(Policy {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        allow_unlisted: true,
        ..Policy::default()
    })
}

fn named(name: &str, id: &str) -> std::path::PathBuf {
    fixtures::c_fixture(name, &[&format!("-DID=\"{id}\"")])
}

#[test]
fn inspect_tells_what_a_plugin_is_and_runs_none_of_it() {
    let path = named("inspected", "org.example.inspected");
    let manifest = inspect(&path).unwrap();
    assert_eq!(manifest.id, "org.example.inspected");
    assert_eq!(manifest.version, "1.0.0");
    assert_eq!(manifest.license, "MIT");
    assert_eq!(manifest.epoch, 1);
    assert_eq!(manifest.kinds(), ["compression", "backend"]);
    assert!(!fixtures::ran("inspected"), "its constructor ran");
}

#[test]
fn a_second_library_with_the_same_id_is_refused_and_both_are_named() {
    let folder = fixtures::folder();
    let first = fixtures::install(&named("first", "org.example.twin"), folder.path());
    let second = fixtures::install(&named("second", "org.example.twin"), folder.path());
    let registry = registry(&[]);
    registry.load(&first).unwrap();
    let message = registry.load(&second).unwrap_err().to_string();
    for text in [
        "libfirst.so",
        "libsecond.so",
        "org.example.twin",
        "remove one of the two",
    ] {
        assert!(message.contains(text), "{message}");
    }
    assert!(!fixtures::ran("second"), "its constructor ran");
    // The same bytes, from wherever, are the plugin that is loaded already.
    let copy = folder.path().join("libcopy.so");
    fs::copy(&first, &copy).unwrap();
    fixtures::set_mode(&copy, 0o644);
    assert_eq!(registry.load(&copy).unwrap().path, Some(first));
    assert_eq!(registry.list().len(), 1);
}

/// Libraries are opened by a number of an open file; a number that was used again would silently
/// give the first library for the second.
#[test]
fn many_libraries_are_each_themselves() {
    let folder = fixtures::folder();
    let registry = Arc::new(registry(&[]));
    let paths: Vec<_> = (0..8)
        .map(|n| {
            let library = named(&format!("many{n}"), &format!("org.example.many{n}"));
            fixtures::install(&library, folder.path())
        })
        .collect();
    std::thread::scope(|scope| {
        for (n, path) in paths.iter().enumerate() {
            for _ in 0..2 {
                let registry = Arc::clone(&registry);
                scope.spawn(move || {
                    let info = registry.load(path).unwrap();
                    assert_eq!(info.id, format!("org.example.many{n}"));
                });
            }
        }
    });
    assert_eq!(registry.list().len(), 8);
}

#[test]
fn names_are_found_in_the_configured_folders_only() {
    let folder = fixtures::folder();
    let empty = fixtures::folder();
    fixtures::install(&named("found", "org.example.found"), folder.path());
    fs::write(folder.path().join("libbroken.so"), "nothing").unwrap();
    fs::write(folder.path().join("notes.txt"), "no library").unwrap();

    let with = registry(&[empty.path(), folder.path()]);
    assert!(
        with.list().is_empty(),
        "nothing is loaded before it is asked for"
    );
    let config = BackendConfig {
        directory: empty.path().to_owned(),
        options: json!({}),
    };
    with.open_backend("org.example.found", &config)
        .expect("found by its name");
    assert_eq!(with.list()[0].id, "org.example.found");

    let without = registry(&[empty.path()]);
    let error = without
        .open_backend("org.example.found", &config)
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let searched = format!("searched: {}", empty.path().display());
    for text in [
        "there is no backend org.example.found",
        "known: none",
        &searched,
    ] {
        assert!(error.to_string().contains(text), "{error}");
    }
    // A library that cannot be read might be the one: the message says so.
    let error = with.plugin("org.example.other").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("libbroken.so is not a shared library"),
        "{error}"
    );
}

#[test]
fn a_name_is_never_a_path() {
    let folder = fixtures::folder();
    let path = fixtures::install(&named("by_path", "org.example.path"), folder.path());
    let registry = registry(&[folder.path()]);
    let full = path.display().to_string();
    for name in [
        full.as_str(),
        "../libby_path.so",
        "libby_path.so/",
        "",
        "Zstd",
        "a\0b",
    ] {
        let error = registry.plugin(name).unwrap_err();
        assert!(
            matches!(error, LoadError::BadName { .. }),
            "{name}: {error}"
        );
    }
    let error = Registry::new(Policy {
        paths: vec!["plugins".into()],
        ..Policy::default()
    })
    .plugin("zstd")
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("plugin folder plugins is relative"),
        "{error}"
    );
}

#[test]
fn discover_answers_for_every_library() {
    let folder = fixtures::folder();
    fixtures::install(&named("alpha", "org.example.alpha"), folder.path());
    fixtures::install(&named("beta", "org.example.alpha"), folder.path());
    fs::write(folder.path().join("libgamma.so"), "nothing").unwrap();
    fixtures::set_mode(&folder.path().join("libgamma.so"), 0o644);
    let missing = folder.path().join("missing");
    let found = registry(&[folder.path(), &missing]).discover();
    let names: Vec<_> = found
        .iter()
        .map(|(path, _)| path.file_name().unwrap())
        .collect();
    assert_eq!(
        names,
        ["libalpha.so", "libbeta.so", "libgamma.so", "missing"]
    );
    assert_eq!(found[0].1.as_ref().unwrap().id, "org.example.alpha");
    for (index, text) in [
        (1, "remove one of the two"),
        (2, "ELF magic"),
        (3, "cannot list"),
    ] {
        let message = found[index].1.as_ref().unwrap_err().to_string();
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn what_is_not_offered_is_an_error_that_lists_what_is() {
    let folder = fixtures::folder();
    let library = fixtures::install(&fixtures::template_c("codec"), folder.path());
    let registry = registry(&[]);
    let info = registry.load(&library).unwrap();
    assert_eq!((info.door, info.kinds), (Door::C, vec!["compression"]));
    let config = BackendConfig {
        directory: folder.path().to_owned(),
        options: json!({}),
    };
    let error = registry
        .open_backend("org.example.template-codec", &config)
        .err()
        .unwrap();
    for text in [
        "offers no statekeep.backend/1",
        "it offers: statekeep.compression/1",
    ] {
        assert!(error.to_string().contains(text), "{error}");
    }
}

/// A table of an unsettled interface.
#[repr(C)]
#[derive(Debug, abi_stable::StableAbi)]
struct Colour {
    struct_size: usize,
    abi_hash: u64,
}
// SAFETY: repr(C), the two leading words and no function.
unsafe impl Interface for Colour {
    const ID: &'static str = "org.example.colour/1-draft";
    const ABI_HASH: u64 = 0;
}

#[test]
fn a_draft_is_handed_out_only_when_asked_for() {
    let folder = fixtures::folder();
    let library = fixtures::c_fixture("draft", &["-DDRAFT"]);
    let path = fixtures::install(&library, folder.path());
    let not_asked = registry(&[]);
    not_asked.load(&path).unwrap();
    let plugin = not_asked.plugin("org.example.misbehaving").unwrap();
    let message = plugin.interface::<Colour>().unwrap_err().to_string();
    assert!(message.contains("org.example.colour/1-draft"), "{message}");
    assert!(
        message.contains("drafts are used only when asked"),
        "{message}"
    );

    let asked = registry(&[]).with_drafts();
    asked.load(&path).unwrap();
    let plugin = asked.plugin("org.example.misbehaving").unwrap();
    assert_eq!(plugin.interface::<Colour>().unwrap().struct_size, 16);
}

fn statics() -> [&'static Descriptor; 2] {
    [
        statekeep_compression_lz4::descriptor(),
        statekeep_backend_memory::descriptor(),
    ]
}

#[test]
fn built_in_plugins_go_through_the_same_door_and_come_first() {
    let registry = registry(&[]);
    for descriptor in statics() {
        registry.register_static(descriptor).unwrap();
        registry
            .register_static(descriptor)
            .expect("the same once more is no second plugin");
    }
    let list = registry.list();
    let ids: Vec<_> = list.iter().map(|info| info.id.as_str()).collect();
    assert_eq!(ids, ["statekeep.lz4", "statekeep.memory"]);
    assert!(
        list.iter()
            .all(|info| info.door == Door::Static && info.path.is_none())
    );
    let codec = registry.codec("lz4").unwrap();
    assert_eq!(codec.name(), "lz4");
    let mut frame = Vec::new();
    codec.compress(None, &[7; 5000], &mut frame).unwrap();
    let mut raw = Vec::new();
    registry
        .codec("statekeep.lz4")
        .unwrap()
        .decompress(&frame, 5000, &mut raw)
        .unwrap();
    assert_eq!(raw, [7; 5000]);
    let counters = registry.list()[0].counters;
    assert!(counters.calls >= 3 && counters.errors == 0, "{counters:?}");
    assert!(counters.bytes >= 5000, "{counters:?}");

    // A library with the id of a built-in plugin does not take its place.
    let folder = fixtures::folder();
    let library = fixtures::rust_plugin("statekeep-compression-lz4");
    let path = fixtures::install(&library, folder.path());
    let message = registry.load(&path).unwrap_err().to_string();
    assert!(
        message.contains("statekeep.lz4, which the built-in plugin has already"),
        "{message}"
    );
}
