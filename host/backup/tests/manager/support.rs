//! A state on a simulated disk with backups beside it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use statekeep_backup::{
    BackupConfig, BackupManager, CreateOptions, KeySource, Manifest, Progress, RestoreOptions,
};
use statekeep_core::testing::TestPlugins;
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{
    Clock, Durability, Key, ListOptions, OpenOptions, Result, Scope, SetOptions, StateManager,
    UnixMs, Value,
};

pub(crate) type State = BTreeMap<String, String>;

pub(crate) fn open(disk: &SimDisk) -> Result<(Arc<StateManager>, BackupManager)> {
    open_with(disk, |_| {})
}

pub(crate) fn open_with(
    disk: &SimDisk,
    change: impl FnOnce(&mut OpenOptions),
) -> Result<(Arc<StateManager>, BackupManager)> {
    let mut options = OpenOptions::new("/state", "log");
    options.vfs = disk.vfs();
    options.durability = Durability::Sync;
    change(&mut options);
    let manager = StateManager::open(options, TestPlugins::shared(disk.vfs()))?;
    let backups = backups_of(&manager, config())?;
    Ok((manager, backups))
}

pub(crate) fn config() -> BackupConfig {
    BackupConfig {
        dir: "/state/backups".into(),
        codec: "store".to_owned(),
        level: None,
        threads: 2,
        cores_free: 0,
        incremental: false,
        history: false,
        chain_max: statekeep_backup::CHAIN_DEFAULT,
        bytes_per_second_max: 0,
    }
}

/// What opens the repository.
pub(crate) fn secret() -> Option<KeySource> {
    crate::KEY.map(|bytes| KeySource::key(&bytes))
}

/// The backups of a state; tests open theirs by this alone, since `tests/encrypted` runs them with a key.
pub(crate) fn backups_of(
    manager: &Arc<StateManager>,
    config: BackupConfig,
) -> Result<BackupManager> {
    Ok(BackupManager::open(Arc::clone(manager), config)?.with_key(secret()))
}

/// A clock that stands still until it is put on.
pub(crate) struct TestClock(pub(crate) AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::SeqCst))
    }
}

/// A restore without a backup before it, so that a test counts only its own.
pub(crate) fn bare() -> RestoreOptions {
    RestoreOptions {
        safety_backup: false,
        ..RestoreOptions::default()
    }
}

pub(crate) fn create(backups: &BackupManager) -> Manifest {
    let options = CreateOptions::default();
    backups.create(&options, &Progress::new()).unwrap()
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub(crate) fn set(
    manager: &Arc<StateManager>,
    tenant: &str,
    scope: &str,
    name: &str,
    value: &str,
) -> Result<()> {
    let tenant = manager.tenant(tenant)?.blocking();
    let value = Value::bytes(value.as_bytes());
    tenant
        .set(&scope.parse()?, &key(name), value, SetOptions::default())
        .map(drop)
}

/// Everything that can be read, by tenant, scope and key.
pub(crate) fn read(manager: &Arc<StateManager>) -> State {
    let mut state = State::new();
    for tenant in ["", "acme"] {
        let handle = manager.tenant(tenant).unwrap().blocking();
        for scope in ["global", "user:1", "custom:a:b"] {
            let scope: Scope = scope.parse().unwrap();
            let page = handle.list(&scope, &ListOptions::default()).unwrap();
            for name in page.keys {
                let value = handle.get(&scope, &key(&name)).unwrap().unwrap();
                let text = String::from_utf8(value.as_bytes().to_vec()).unwrap();
                state.insert(format!("{tenant}/{scope}/{name}"), text);
            }
        }
    }
    state
}

pub(crate) fn fill(manager: &Arc<StateManager>) -> State {
    for n in 0..40 {
        let tenant = if n % 3 == 0 { "acme" } else { "" };
        let scope = ["global", "user:1", "custom:a:b"][n % 3 + usize::from(n % 6 == 0)];
        set(
            manager,
            tenant,
            scope,
            &format!("k{n}"),
            &format!("value {n}"),
        )
        .unwrap();
    }
    let tenant = manager.tenant("acme").unwrap().blocking();
    tenant
        .delete(
            &"global".parse().unwrap(),
            &key("k3"),
            SetOptions::default(),
        )
        .unwrap();
    read(manager)
}
