//! An open state with its backups and plugins: where the parts meet.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use serde_json::Value;
use statekeep_backup::{
    BackupConfig, BackupId, BackupManager, Backups, Cleaned, Cleanups, Monitor, ScheduleStatus,
    Scheduler,
};
use statekeep_core::vfs::{RealVfs, Vfs};
use statekeep_core::{Clock, Error, OpenOptions, Plugins, Result, StateManager, SystemClock};
use statekeep_loader::{Policy, Registry};

use crate::{Config, Source, builtin};

/// An open state. Shared by all threads; the state is closed by [`Host::close`], or when the last
/// user of its manager is gone.
pub struct Host {
    /// The state.
    pub manager: Arc<StateManager>,
    /// Its backups. The repository is created by the first backup.
    pub backups: Arc<BackupManager>,
    /// The backups that are made of themselves, as configured.
    pub schedule: Arc<Scheduler<Backups>>,
    /// The cleanups that are, beside those that follow backups.
    pub cleanups: Scheduler<Cleanups>,
    /// What holds and happens, for operators.
    pub monitor: Monitor,
    /// The plugins that both use.
    pub plugins: Arc<Registry>,
    /// The settings it was opened with.
    pub config: Config,
    /// The same with the retention that was set since.
    pub(crate) retained: RwLock<Config>,
    /// Held by whoever sets another.
    pub(crate) setting_retention: Mutex<()>,
}

impl Host {
    /// Stops the state: what was acknowledged is synced, the directory is free for others. Calls
    /// that come later answer `closed`.
    ///
    /// A scheduled backup in progress is cancelled and leaves nothing behind, a scheduled cleanup nothing
    /// that the next one does not end.
    pub fn close(&self) -> Result<()> {
        self.monitor.close();
        self.schedule.close();
        self.cleanups.close();
        self.manager.close()
    }

    /// What is scheduled, and what became of it.
    pub fn schedules(&self) -> Schedules {
        Schedules {
            backups: self.schedule.status(),
            cleanups: self.cleanups.status(),
        }
    }
}

/// The schedules of an open state. In JSON, `cleanups` stands beside the members of `backups`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Schedules {
    /// Of its backups.
    #[serde(flatten)]
    pub backups: ScheduleStatus<BackupId>,
    /// Of the cleanups of its repository.
    pub cleanups: ScheduleStatus<Cleaned>,
}

/// The plugins that a configuration allows: the built-in ones, and those in its folders.
pub fn registry(config: &Config) -> Result<Registry> {
    let registry = Registry::new(Policy {
        paths: config
            .plugins_paths()
            .iter()
            .map(|path| absolute(path))
            .collect::<Result<_>>()?,
        lock_file: config.plugins_lock().as_deref().map(absolute).transpose()?,
        allow_unlisted: config.plugins_allow_unlisted(),
        deepbind: config.plugins_deepbind(),
    });
    builtin::register(&registry)?;
    Ok(registry)
}

/// Opens a state, creating it if it is not there and `create` allows it.
///
/// A state that is there is opened with the backend that it has; naming another one in the
/// configuration is a `Conflict`. Within a process, a state can be open once; a second `open` answers `Busy`, as another process
/// would. Share the [`Host`] instead.
pub fn open(config: &Config) -> Result<Arc<Host>> {
    let host = open_unscheduled(config)?;
    host.schedule.start()?;
    host.cleanups.start()?;
    host.monitor.start()?;
    Ok(host)
}

/// As [`open`], for a program that ends soon: scheduled backups and cleanups are not made of themselves, but by
/// [`Scheduler::run_due`], and alerts are looked for only when asked.
pub fn open_unscheduled(config: &Config) -> Result<Arc<Host>> {
    config.check()?;
    for warning in config.warnings() {
        tracing::warn!(warning, "a setting will not work as it was meant");
    }
    let plugins = Arc::new(registry(config)?);
    let path = absolute(&config.path().unwrap_or_default())?;
    let backend = backend(config, &path)?;
    let options = OpenOptions {
        backend_options: Value::Object(config.backend_options()),
        create: config.create(),
        durability: config.durability(),
        flush_interval_ms: config.flush_interval_ms(),
        limits: config.limits(),
        rules: config.rules(),
        archive_codec: config.archive_codec(),
        cache_bytes: config.cache_bytes(),
        keep: config.keep(),
        upkeep_interval_ms: config.upkeep_interval_ms(),
        backup_hold_ms: config.backup_hold_ms(),
        ..OpenOptions::new(path, backend)
    };
    let manager = StateManager::open(options, Arc::clone(&plugins) as Arc<dyn Plugins>)?;
    let backups = Arc::new(backups(config, &manager)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let schedule = config.backup_schedule()?;
    let schedule = Arc::new(Scheduler::backups(&backups, schedule, Arc::clone(&clock)));
    let cleanups = Scheduler::cleanups(&backups, config.cleanup_schedule()?, Arc::clone(&clock));
    let monitor = Monitor::new(&backups, &schedule, config.alerts(), clock);
    Ok(Arc::new(Host {
        manager,
        backups,
        schedule,
        cleanups,
        monitor,
        plugins,
        config: config.clone(),
        retained: RwLock::new(config.clone()),
        setting_retention: Mutex::new(()),
    }))
}

/// Where backups live and how they are packed.
pub(crate) fn backup_config(config: &Config) -> Result<BackupConfig> {
    let dir = config.backup_dir().unwrap_or_default();
    let is_remote = config.backup_is_remote();
    Ok(BackupConfig {
        dir: if is_remote { dir } else { absolute(&dir)? },
        codec: config.backup_codec(),
        level: config.backup_level(),
        threads: config.backup_threads().unwrap_or(0),
        cores_free: config.backup_cores_free(),
        incremental: config.backup_incremental(),
        history: config.backup_history(),
        chain_max: config.backup_chain_max(),
        bytes_per_second_max: config.backup_bytes_per_second_max(),
    })
}

fn backups(config: &Config, manager: &Arc<StateManager>) -> Result<BackupManager> {
    let options = backup_config(config)?;
    let key = config.backup_key()?;
    let retention = config.retention()?;
    let manager = Arc::clone(manager);
    if config.backup_is_remote() {
        let opener = crate::remote::opener(config)?;
        let backups = BackupManager::open_in_store(manager, options, opener);
        return Ok(backups.with_key(key).with_retention(retention));
    }
    let backups = BackupManager::open(manager, options)?;
    Ok(backups.with_key(key).with_retention(retention))
}

/// The backend to ask for; empty stands for the one that the state has.
fn backend(config: &Config, path: &Path) -> Result<String> {
    let current = path.join("CURRENT");
    if config.source("backend")? != Source::Default {
        return Ok(config.backend());
    }
    match RealVfs.exists(&current) {
        Ok(true) => Ok(String::new()),
        Ok(false) => Ok(config.backend()),
        // A file stands in the way, which opening says in its own words.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(config.backend()),
        Err(source) => Err(Error::File {
            action: "look up",
            path: current,
            source,
        }),
    }
}

pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|source| Error::File {
        action: "find",
        path: path.to_owned(),
        source,
    })
}
