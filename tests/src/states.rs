//! Open states as tests see them: their whole content by name, their folders file by file.
//!
//! Content is read through the API that users have, page by page.

#![expect(clippy::expect_used, reason = "a test that cannot read its state ends")]

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statekeep::{
    Config, Durability, Host, Key, ListOptions, Scope, ScopeListOptions, SetOptions, StateManager,
    Value,
};

use crate::fixtures;

/// Tenant, scope and key.
pub type Name = (String, String, String);

/// Everything that a state holds.
pub type Rows = BTreeMap<Name, String>;

/// A configuration for a state in `path` on a backend.
pub fn config(path: &Path, backend: &str) -> Config {
    let mut config = Config::new(path);
    config.set("backend", backend).expect("a backend's name");
    config
}

/// A configuration for a state on any backend. The library of one that is no part of the build is
/// installed in the folder `plugins`: the C template is compiled, RocksDB is what `scripts/rocksdb`
/// built.
pub fn config_with_plugin(path: &Path, backend: &str, plugins: &Path) -> Config {
    let mut config = config(path, backend);
    let library = match backend {
        "org.example.template-backend" => fixtures::template_c("backend"),
        "rocksdb" => fixtures::rocksdb(),
        _ => return config,
    };
    fs::create_dir(plugins).expect("a folder for plugins");
    fixtures::set_mode(plugins, 0o700);
    let library = fixtures::install(&library, plugins);
    let lock_file = plugins.with_extension("lock");
    statekeep::plugins::lock_add(&library, &lock_file).expect("list the plugin");
    for (name, value) in [("plugins.paths", plugins), ("plugins.lock", &lock_file)] {
        let value = value.to_str().expect("a path in UTF-8");
        config.set(name, value).expect("a plugin setting");
    }
    config
}

/// Hands the backends whose rows outlive the process to a macro, as `module: "name";` each: the
/// built-in ones, the C template's as one that is loaded, and RocksDB where the feature says that its
/// library was built.
#[macro_export]
macro_rules! persistent_backends {
    ($macro:ident) => {
        $macro! {
            fjall: "fjall";
            sled: "sled";
            redb: "redb";
            lmdb: "lmdb";
            sqlite: "sqlite";
            template_c: "org.example.template-backend";
        }
        $crate::if_rocksdb! { $macro! { rocksdb: "rocksdb"; } }
    };
}

/// What is compiled only where RocksDB was built.
#[cfg(feature = "rocksdb")]
#[macro_export]
macro_rules! if_rocksdb {
    ($($code:tt)*) => { $($code)* };
}

/// What is compiled only where RocksDB was built.
#[cfg(not(feature = "rocksdb"))]
#[macro_export]
macro_rules! if_rocksdb {
    ($($code:tt)*) => {};
}

/// Opens a state.
pub fn open(config: &Config) -> Arc<Host> {
    statekeep::open(config).expect("the state opens")
}

/// A scope from its text.
pub fn scope(text: &str) -> Scope {
    text.parse().expect("a scope")
}

/// A key from its text.
pub fn key(text: &str) -> Key {
    Key::new(text).expect("a key")
}

/// Writes a value without waiting for the disk.
pub fn put(manager: &Arc<StateManager>, name: (&str, &str, &str), value: &str) {
    let relaxed = SetOptions::with_durability(Durability::Relaxed);
    let tenant = manager.tenant(name.0).expect("a tenant").blocking();
    tenant
        .set(&scope(name.1), &key(name.2), Value::bytes(value), relaxed)
        .expect("set");
}

/// Everything that a state holds, of all tenants.
pub fn rows(manager: &Arc<StateManager>) -> Rows {
    let facts = manager.snapshot().expect("a snapshot").facts();
    let mut names: Vec<String> = facts.tenants.into_iter().map(|(_, name)| name).collect();
    if !names.iter().any(String::is_empty) {
        names.push(String::new());
    }
    let mut rows = Rows::new();
    for name in names {
        let tenant = manager.tenant(&name).expect("a tenant").blocking();
        let mut scopes = ScopeListOptions::default();
        loop {
            let page = tenant.list_scopes(&scopes).expect("scopes");
            for scope in &page.scopes {
                let mut options = ListOptions::default();
                loop {
                    let page = tenant.scan_page(scope, &options).expect("a page");
                    for (key, value) in page.entries {
                        let value = String::from_utf8(value.into_bytes()).expect("text");
                        rows.insert((name.clone(), scope.to_string(), key), value);
                    }
                    options.after = page.next;
                    if options.after.is_none() {
                        break;
                    }
                }
            }
            scopes.after = page.next;
            if scopes.after.is_none() {
                break;
            }
        }
    }
    rows
}

/// Every file, folder and link below a folder with a hash of what it holds, but for those that
/// `skip` takes out by their path below the folder.
pub fn tree(folder: &Path, skip: &dyn Fn(&Path) -> bool) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    walk(folder, folder, skip, &mut found);
    found
}

fn walk(
    top: &Path,
    folder: &Path,
    skip: &dyn Fn(&Path) -> bool,
    found: &mut BTreeMap<PathBuf, u64>,
) {
    for entry in fs::read_dir(folder).expect("list a folder") {
        let path = entry.expect("an entry").path();
        let name = path.strip_prefix(top).expect("below the top").to_owned();
        if skip(&name) {
            continue;
        }
        let kind = fs::symlink_metadata(&path).expect("metadata").file_type();
        let mut hasher = DefaultHasher::new();
        if kind.is_dir() {
            walk(top, &path, skip, found);
        } else if kind.is_file() {
            hasher.write(&fs::read(&path).expect("read a file"));
        }
        found.insert(name, hasher.finish());
    }
}

/// Numbers that look random and are the same in every run (splitmix64).
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end.max(1)
    }
}
