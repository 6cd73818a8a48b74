//! `statekeep_config`: settings by name, from TOML, JSON, a file or the environment.
//!
//! There is one schema (`docs/configuration.md`) and no struct to grow. A setting that is refused
//! changes nothing. A configuration may be used and freed while managers opened from it live.

use std::ffi::c_char;

use parking_lot::Mutex;
use statekeep_plugin_api::Status;

use crate::buf::{Buf, give};
use crate::engine;
use crate::error::{Error, Failure};
use crate::guard::{guard, need, put};
use crate::handle::{self, Kind};
use crate::input::{TEXT_BYTES_MAX, text};

/// An opaque configuration.
#[repr(C)]
pub struct Config {
    _opaque: [u8; 0],
}

/// Format of a configuration text: TOML.
pub const CONFIG_TOML: u32 = 1;
/// Format of a configuration text: JSON.
pub const CONFIG_JSON: u32 = 2;

/// What a `statekeep_config` stands for.
pub(crate) struct Settings(Mutex<engine::Config>);

impl Settings {
    /// The settings as they are now.
    pub(crate) fn copy(&self) -> engine::Config {
        self.0.lock().clone()
    }
}

impl Kind for Settings {
    const NUMBER: u64 = 2;
    const NAME: &'static str = "statekeep_config";
    type C = Config;
}

/// Makes a configuration with every default; free it with `statekeep_config_free`. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_config_new(
    out: *mut *mut Config,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let config = handle::insert(Settings(Mutex::new(engine::Config::default())))?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out, config) };
        Ok(())
    })
}

/// Sets one key, such as `backup.codec`, from its text form. An unknown key is INVALID_ARGUMENT, and
/// the message names the one that it is a typo of, if any; a key of a feature that is not built is
/// UNSUPPORTED. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_config_set(
    config: *const Config,
    key: *const c_char,
    key_len: usize,
    value: *const c_char,
    value_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let settings = handle::get::<Settings>(config)?;
        // SAFETY: the header's contract for inputs.
        let (key, value) = unsafe {
            (
                text(key, key_len, TEXT_BYTES_MAX, "key")?,
                text(value, value_len, TEXT_BYTES_MAX, "value")?,
            )
        };
        Ok(settings.0.lock().set(key, value)?)
    })
}

/// Adds the settings of a text, which replace those of the same name. `format` is
/// `STATEKEEP_CONFIG_TOML` or `STATEKEEP_CONFIG_JSON`. All of it counts, or nothing. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_config_load(
    config: *const Config,
    format: u32,
    document: *const c_char,
    document_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let settings = handle::get::<Settings>(config)?;
        // SAFETY: the header's contract for inputs.
        let document = unsafe { text(document, document_len, TEXT_BYTES_MAX, "document") }?;
        let mut settings = settings.0.lock();
        match format {
            CONFIG_TOML => Ok(settings.add_toml(document)?),
            CONFIG_JSON => Ok(settings.add_json(document)?),
            other => {
                let reason =
                    format!("{other} is neither TOML ({CONFIG_TOML}) nor JSON ({CONFIG_JSON})");
                Err(Failure::invalid("format", &reason))
            }
        }
    })
}

/// Adds the settings of a file, TOML or JSON by its ending. Relative paths in it are relative to the
/// file. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_config_load_file(
    config: *const Config,
    path: *const c_char,
    path_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let settings = handle::get::<Settings>(config)?;
        // SAFETY: the header's contract for inputs.
        let path = unsafe { text(path, path_len, TEXT_BYTES_MAX, "path") }?;
        if path.is_empty() {
            return Err(Failure::invalid("path", "it is empty"));
        }
        Ok(settings.0.lock().add_file(path)?)
    })
}

/// Adds the settings of the environment: `STATEKEEP_` and the key in capitals, `__` for each dot,
/// such as `STATEKEEP_BACKUP__CODEC`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_config_apply_env(
    config: *const Config,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let settings = handle::get::<Settings>(config)?;
        let ignored = settings.0.lock().apply_env()?;
        for name in ignored {
            crate::log::emit(
                crate::log::LOG_WARN,
                &format!("the variable {name} is not a setting"),
            );
        }
        Ok(())
    })
}

/// The settings as TOML, which `statekeep_config_load` reads back. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_config_to_toml(
    config: *const Config,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let toml = handle::get::<Settings>(config)?.0.lock().to_toml()?;
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, toml) };
        Ok(())
    })
}

/// Frees a configuration; NULL is allowed. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_config_free(config: *mut Config) -> Status {
    guard!(std::ptr::null_mut(), zero(), || {
        if !config.is_null() {
            handle::close::<Settings>(config)?;
        }
        Ok(())
    })
}
