//! The plugins of a host: built-in ones, libraries that were loaded, and folders to find more in.
//!
//! A name resolves to a plugin that is registered, then to a library in the configured folders,
//! whose manifests are read without running them. Two plugins never share an id.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde_json::{Map, Value, json};
use statekeep_core::{Backend, BackendConfig, Codec, Error, Plugins, RetentionPolicy, meant};
use statekeep_plugin_api::{BACKEND_V1_ID, COMPRESSION_V1_ID, Descriptor, RETENTION_V1_ID};

use crate::backend::PluginBackend;
use crate::codec::PluginCodec;
use crate::plugin::Checked;
use crate::retention::PluginPolicy;
use crate::{LoadError, Plugin, PluginInfo, Policy, Result, manifest, names};

/// Finds, loads and hands out plugins. Shared by all threads.
pub struct Registry {
    policy: Policy,
    allows_drafts: bool,
    plugins: RwLock<BTreeMap<String, Plugin>>,
    codecs: Mutex<HashMap<String, Arc<PluginCodec>>>,
}

impl Registry {
    /// A registry with no plugin yet.
    pub fn new(policy: Policy) -> Registry {
        Registry {
            policy,
            allows_drafts: false,
            plugins: RwLock::default(),
            codecs: Mutex::default(),
        }
    }

    /// Hands out interfaces whose id ends in `-draft` too; for who asks for one by name.
    #[must_use]
    pub fn with_drafts(mut self) -> Registry {
        self.allows_drafts = true;
        self
    }

    /// The rules it was made with.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Registers a plugin that is linked into this program; a second one of its id is refused.
    pub fn register_static(&self, descriptor: &'static Descriptor) -> Result<()> {
        self.insert(Plugin::built_in(descriptor, self.allows_drafts)?)
            .map(drop)
    }

    /// Checks and loads a library; the same bytes are loaded once.
    pub fn load(&self, path: &Path) -> Result<PluginInfo> {
        self.load_plugin(path).map(|plugin| plugin.info())
    }

    /// Loads every `lib*.so` of the configured folders and answers what became of each.
    pub fn discover(&self) -> Vec<(PathBuf, Result<PluginInfo>)> {
        let mut found = Vec::new();
        for folder in &self.policy.paths {
            match manifest::libraries(folder) {
                Ok(paths) => found.extend(paths.into_iter().map(|path| {
                    let info = self.load(&path);
                    (path, info)
                })),
                Err(error) => found.push((folder.clone(), Err(error))),
            }
        }
        found
    }

    /// The plugins that are registered or loaded, by id.
    pub fn list(&self) -> Vec<PluginInfo> {
        self.plugins.read().values().map(Plugin::info).collect()
    }

    /// The plugin of a name, loaded from the configured folders if need be: `zstd` stands for
    /// `statekeep.zstd`, a name with a dot is a full id.
    pub fn plugin(&self, name: &str) -> Result<Plugin> {
        self.named(name, None)
    }

    /// As [`Registry::plugin`], for who asks for an interface: the error names only plugins that have it.
    fn named(&self, name: &str, interface: Option<&str>) -> Result<Plugin> {
        let id = names::resolve(name)?;
        if let Some(plugin) = self.plugins.read().get(&id) {
            return Ok(plugin.clone());
        }
        self.find(&id, interface)
    }

    /// The descriptor of a plugin, for tests of its tables.
    pub fn descriptor(&self, name: &str) -> Result<&'static Descriptor> {
        self.plugin(name).map(|plugin| plugin.descriptor())
    }

    fn load_plugin(&self, path: &Path) -> Result<Plugin> {
        let checked = Checked::read(path, &self.policy)?;
        // Before its code runs, so that the second of two is not even opened.
        if let Some(known) = self.plugins.read().get(&checked.manifest.id) {
            if known.sha256() == Some(&checked.sha256) {
                return Ok(known.clone());
            }
            return Err(LoadError::Duplicate {
                id: checked.manifest.id,
                first: known.origin(),
                second: checked.path.display().to_string(),
            });
        }
        self.insert(checked.open(&self.policy, self.allows_drafts)?)
    }

    fn insert(&self, plugin: Plugin) -> Result<Plugin> {
        let mut plugins = self.plugins.write();
        match plugins.get(plugin.id()) {
            Some(known) if std::ptr::eq(known.descriptor(), plugin.descriptor()) => {
                Ok(known.clone())
            }
            Some(known) => Err(LoadError::Duplicate {
                id: plugin.id().to_owned(),
                first: known.origin(),
                second: plugin.origin(),
            }),
            None => {
                plugins.insert(plugin.id().to_owned(), plugin.clone());
                Ok(plugin)
            }
        }
    }

    /// Loads the first library with this id; further ones are refused in the log.
    fn find(&self, id: &str, interface: Option<&str>) -> Result<Plugin> {
        let mut found: Option<Plugin> = None;
        let mut searched = Vec::new();
        for folder in &self.policy.paths {
            for path in manifest::libraries(folder)? {
                match manifest::inspect(&path) {
                    Ok(manifest) if manifest.id != id => {}
                    Ok(_) if found.is_none() => found = Some(self.load_plugin(&path)?),
                    Ok(_) => {
                        if let Err(error) = self.load_plugin(&path) {
                            tracing::warn!("{error}");
                        }
                    }
                    Err(error) => searched.push(format!("unreadable: {error}")),
                }
            }
            searched.push(folder.display().to_string());
        }
        found.ok_or_else(|| self.unknown(names::short(id), interface, &searched))
    }

    fn unknown(&self, name: &str, interface: Option<&str>, searched: &[String]) -> LoadError {
        let infos = self.list();
        let offers = |info: &&PluginInfo| {
            interface.is_none_or(|wanted| info.interfaces.iter().any(|id| id == wanted))
        };
        let known = infos.iter().filter(offers);
        let known: Vec<&str> = known.map(|info| names::short(&info.id)).collect();
        let meant = meant(name, known.iter().copied());
        let or_none = |list: String| match list.is_empty() {
            true => "none".to_owned(),
            false => list,
        };
        LoadError::Unknown {
            what: names::noun(interface),
            name: name.to_owned(),
            meant: meant.map_or_else(String::new, |meant| format!(", did you mean {meant}?")),
            known: or_none(known.join(", ")),
            searched: or_none(searched.join(", ")),
        }
    }
}

impl Plugins for Registry {
    fn open_backend(&self, name: &str, config: &BackendConfig) -> Result<Arc<dyn Backend>, Error> {
        let plugin = self.named(name, Some(BACKEND_V1_ID))?;
        let directory = config.directory.to_str().ok_or_else(|| {
            Error::invalid(
                "backend directory",
                format!("{:?} is not UTF-8", config.directory),
            )
        })?;
        let options = match &config.options {
            serde_json::Value::Null => json!({}),
            options if options.is_object() => options.clone(),
            _ => {
                return Err(Error::invalid(
                    "backend_options",
                    "they must be a JSON object",
                ));
            }
        };
        let config = json!({ "directory": directory, "options": options });
        Ok(Arc::new(PluginBackend::open(&plugin, &config)?))
    }

    fn codec(&self, name: &str) -> Result<Arc<dyn Codec>, Error> {
        let plugin = self.named(name, Some(COMPRESSION_V1_ID))?;
        let mut codecs = self.codecs.lock();
        if let Some(codec) = codecs.get(plugin.id()).filter(|codec| !codec.is_poisoned()) {
            return Ok(codec.clone());
        }
        // A codec keeps no state, so one that panicked is replaced; who holds it sees the error.
        let codec = Arc::new(PluginCodec::open(&plugin, &json!({ "options": {} }))?);
        codecs.insert(plugin.id().to_owned(), codec.clone());
        Ok(codec)
    }

    fn retention(
        &self,
        name: &str,
        options: &Map<String, Value>,
    ) -> Result<Arc<dyn RetentionPolicy>, Error> {
        let plugin = self.named(name, Some(RETENTION_V1_ID))?;
        let config = json!({ "options": options });
        Ok(Arc::new(PluginPolicy::open(&plugin, &config)?))
    }

    fn has_retention(&self, name: &str) -> Result<bool, Error> {
        let id = names::resolve(name)?;
        if self.plugins.read().contains_key(&id) {
            return Ok(true);
        }
        for folder in &self.policy.paths {
            let libraries = manifest::libraries(folder)?;
            // One that cannot be read has no name to take.
            let mut found = libraries
                .iter()
                .filter_map(|path| manifest::inspect(path).ok());
            if found.any(|manifest| manifest.id == id) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
