//! From options to an open state.

use std::path::Path;
use std::sync::Arc;

use statekeep::{BlockingTenant, Config, Error, ErrorKind, Host, Key, Result, Scope, Source};

use crate::args::Globals;
use crate::text;

/// The configuration file that is read when none is named.
pub const DEFAULT_FILE: &str = "statekeep.toml";

/// The settings in force, and the environment variables that are none.
pub struct Settings {
    /// Defaults, file, environment and options, the later over the earlier.
    pub config: Config,
    /// `STATEKEEP_` variables that are no key.
    pub ignored: Vec<String>,
}

/// Whether a verb may create the state.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// The state must be there.
    Existing,
    /// It is created if it is not there and the configuration allows it.
    Create,
}

/// Collects the settings.
pub fn settings(globals: &Globals) -> Result<Settings> {
    let mut settings = settings_but_backend(globals)?;
    if let Some(backend) = &globals.backend {
        settings.config.set("backend", backend)?;
    }
    Ok(settings)
}

fn settings_but_backend(globals: &Globals) -> Result<Settings> {
    let mut config = Config::default();
    match &globals.config {
        Some(file) => config.add_file(file)?,
        None if Path::new(DEFAULT_FILE).exists() => config.add_file(DEFAULT_FILE)?,
        None => {}
    }
    let ignored = config.apply_env()?;
    for setting in &globals.settings {
        let (key, value) = setting.split_once('=').ok_or_else(|| {
            let shown = text::shown_text(setting);
            Error::invalid("option", format!("--set {shown} is not KEY=VALUE"))
        })?;
        config.set(key, value)?;
    }
    if let Some(path) = &globals.path {
        config.set("path", path)?;
    }
    Ok(Settings { config, ignored })
}

/// Opens the state.
pub fn open(globals: &Globals, access: Access) -> Result<Arc<Host>> {
    open_config(settings(globals)?.config, access)
}

/// Opens the state on the backend that it has: where there is one, `--backend` means something else.
pub fn open_as_it_is(globals: &Globals, access: Access) -> Result<Arc<Host>> {
    let mut config = settings(globals)?.config;
    let path = config.path();
    if globals.backend.is_some() && path.is_some_and(|path| path.join("CURRENT").exists()) {
        config = settings_but_backend(globals)?.config;
    }
    open_config(config, access)
}

/// Collects the settings of a state that the verb opens itself.
pub fn settings_of_state(globals: &Globals) -> Result<Settings> {
    let settings = settings(globals)?;
    settings.config.path().ok_or_else(no_path)?;
    Ok(settings)
}

fn no_path() -> Error {
    let reason = "no state directory is named; give --path DIR, STATEKEEP_PATH or `path` in \
                  statekeep.toml";
    Error::invalid("configuration", reason)
}

fn open_config(mut config: Config, access: Access) -> Result<Arc<Host>> {
    let path = config.path().ok_or_else(no_path)?;
    if access == Access::Existing {
        config.set("create", "false")?;
    }
    // Nobody commits beside a verb.
    if config.source("backup.cores_free")? == Source::Default {
        config.set("backup.cores_free", "0")?;
    }
    statekeep::open_unscheduled(&config).map_err(|error| match error {
        // What the core advises, the setting `create`, is not the user's: it was set above.
        Error::Other {
            kind: ErrorKind::NotFound,
            ..
        } if access == Access::Existing && is_vacant(&path) => no_state(&config, &path),
        error => error,
    })
}

/// Whether CURRENT is certainly absent: then "not found" is said of the state, not of a part of it.
pub fn is_vacant(path: &Path) -> bool {
    matches!(path.join("CURRENT").try_exists(), Ok(false))
}

fn no_state(config: &Config, path: &Path) -> Error {
    let place = text::shown(&path.display().to_string());
    let backups = config.backup_dir();
    let advice = match backups.filter(|dir| dir.join("FORMAT").exists()) {
        Some(dir) => format!(
            "`statekeep backup restore ID` makes one of a backup in {}",
            text::shown(&dir.display().to_string())
        ),
        None => "`statekeep set` creates one".to_owned(),
    };
    not_found(format!("there is no state at {place}; {advice}"))
}

/// The tenant that is meant, for blocking use.
pub fn tenant(globals: &Globals, host: &Host) -> Result<BlockingTenant> {
    let text = |option: &Option<String>| option.clone().unwrap_or_default();
    let tenant = host.manager.tenant(&text(&globals.tenant))?.blocking();
    tenant.with_origin(&text(&globals.principal), &text(&globals.correlation_id))
}

/// A scope and a key as they were written.
pub fn name(scope: &str, key: &str) -> Result<(Scope, Key)> {
    Ok((scope.parse()?, Key::new(key)?))
}

/// The error for a key that is not there; `when` ends the sentence.
pub fn no_key(scope: &str, key: &str, when: &str) -> Error {
    not_found(format!("there is no key {key:?} in {scope}{when}"))
}

/// The error for what is not there.
pub fn not_found(what: impl Into<String>) -> Error {
    Error::other(ErrorKind::NotFound, what)
}
