//! A plugin that was accepted: its descriptor, its tables, its figures.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statekeep_core::Error;
use statekeep_plugin_api::door::{self, DoorError, InterfaceLayout};
use statekeep_plugin_api::{Bytes, Descriptor, ENTRY_SYMBOL, EntryFn, Interface, KINDS};

use crate::descriptor::{self, Identity};
use crate::elf::Library;
use crate::host_services::{Context, Metric};
use crate::lock::Lock;
use crate::manifest::{self, Manifest};
use crate::open::{self, Opened};
use crate::{
    Counters, Instance, LIBRARY_BYTES_MAX, LoadError, Policy, Result, interface, names, trust,
};

/// How a plugin came in, and with it how its tables were proved.
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// Linked into this program.
    Static,
    /// A library whose layouts were compared field by field.
    Rust,
    /// A library whose tables carry the right fingerprints.
    C,
}

impl Door {
    /// `static`, `rust` or `c`.
    pub fn as_str(self) -> &'static str {
        match self {
            Door::Static => "static",
            Door::Rust => "rust",
            Door::C => "c",
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a plugin, for people and programs.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PluginInfo {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// SPDX licence expression.
    pub license: String,
    /// One line for people.
    pub description: String,
    /// `backend`, `compression`, `retention`, `hook`.
    pub kinds: Vec<&'static str>,
    /// Ids of its interfaces, also of those that this host does not use.
    pub interfaces: Vec<String>,
    /// How it came in.
    pub door: Door,
    /// The library; `None` for a built-in plugin.
    pub path: Option<PathBuf>,
    /// SHA-256 of the library; `None` for a built-in plugin.
    pub sha256: Option<String>,
    /// ABI epoch it was built for.
    pub epoch: u32,
    /// ABI revision it was built for.
    pub revision: u32,
    /// Calls, errors, panics and bytes of all its instances in this process.
    pub counters: Counters,
    /// Figures that it reported itself.
    pub metrics: BTreeMap<String, Metric>,
}

/// A plugin that passed all checks; a cheap handle.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    descriptor: &'static Descriptor,
    identity: Identity,
    context: &'static Context,
    rows: Option<&'static [InterfaceLayout]>,
    interfaces: Vec<String>,
    door: Door,
    path: Option<PathBuf>,
    sha256: Option<String>,
    allows_drafts: bool,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("id", &self.id())
            .field("door", &self.0.door)
            .finish()
    }
}

const BUILT_IN: &str = "the built-in plugin";

impl Plugin {
    /// Checks a plugin that is linked into this program.
    pub(crate) fn built_in(descriptor: &'static Descriptor, allows_drafts: bool) -> Result<Plugin> {
        // SAFETY: a reference is the address of a whole descriptor.
        let (descriptor, identity) = unsafe { descriptor::check(BUILT_IN, descriptor) }?;
        let origin = format!("{BUILT_IN} {}", identity.id);
        let mut interfaces = Vec::new();
        for (_, id) in KINDS {
            // SAFETY: the descriptor was checked; a built-in plugin has no Rust door.
            if unsafe { interface::check(id, &origin, descriptor, None) }? {
                interfaces.push((*id).to_owned());
            }
        }
        let door = Door::Static;
        let context = Context::of(descriptor, &identity.id);
        Ok(Plugin(Arc::new(Inner {
            descriptor,
            identity,
            context,
            rows: None,
            interfaces,
            door,
            path: None,
            sha256: None,
            allows_drafts,
        })))
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.0.identity.id
    }

    /// Its descriptor, static for the life of the process.
    pub fn descriptor(&self) -> &'static Descriptor {
        self.0.descriptor
    }

    /// Where it came from, in words.
    pub fn origin(&self) -> String {
        match &self.0.path {
            Some(path) => path.display().to_string(),
            None => BUILT_IN.to_owned(),
        }
    }

    /// SHA-256 of its library; `None` for a built-in plugin.
    pub fn sha256(&self) -> Option<&str> {
        self.0.sha256.as_deref()
    }

    /// The checked table of an interface, static for the life of the process.
    pub fn interface<T: Interface>(&self) -> Result<&'static T> {
        let (id, interface) = (self.id().to_owned(), T::ID.to_owned());
        if names::is_draft(T::ID) && !self.0.allows_drafts {
            return Err(LoadError::Draft { id, interface });
        }
        // SAFETY: the descriptor was checked when this plugin was made; the rows are its own.
        let table =
            unsafe { interface::table::<T>(&self.origin(), self.0.descriptor, self.0.rows) }?;
        table.ok_or_else(|| {
            let offered = self.0.interfaces.join(", ");
            LoadError::NotOffered {
                id,
                interface,
                offered,
            }
        })
    }

    /// Makes an instance; `config` is the JSON document that the plugin gets.
    pub fn create(&self, config: &serde_json::Value) -> Result<Instance, Error> {
        Instance::create(self, config)
    }

    /// What is known of it.
    pub fn info(&self) -> PluginInfo {
        let inner = &*self.0;
        PluginInfo {
            id: inner.identity.id.clone(),
            version: inner.identity.version.clone(),
            license: inner.identity.license.clone(),
            description: inner.identity.description.clone(),
            kinds: inner
                .interfaces
                .iter()
                .filter_map(|id| names::kind(id))
                .collect(),
            interfaces: inner.interfaces.clone(),
            door: inner.door,
            path: inner.path.clone(),
            sha256: inner.sha256.clone(),
            epoch: inner.descriptor.epoch,
            revision: inner.descriptor.revision,
            counters: inner.context.counters.sum(),
            metrics: inner.context.metrics(),
        }
    }

    pub(crate) fn context(&self) -> &'static Context {
        self.0.context
    }
}

/// A library that passed every check that runs none of its code.
pub(crate) struct Checked {
    pub path: PathBuf,
    pub manifest: Manifest,
    pub sha256: String,
    bytes: Vec<u8>,
    hash: [u8; 32],
}

impl Checked {
    /// Reads and checks a library.
    pub fn read(path: &Path, policy: &Policy) -> Result<Checked> {
        let file = trust::read(path, "LIBRARY_BYTES_MAX", LIBRARY_BYTES_MAX)?;
        let hash = trust::sha256(&file.bytes);
        let sha256 = trust::hex(&hash);
        let library = Library::parse(&file.path, &file.bytes)?;
        let manifest = manifest::of_library(&library, &file.path)?;
        manifest.check_epoch(&file.path)?;
        if !policy.allow_unlisted {
            Lock::check(policy.lock_file.as_deref(), &file.path, &sha256, &manifest)?;
        }
        library.check()?;
        Ok(Checked {
            path: file.path,
            manifest,
            sha256,
            bytes: file.bytes,
            hash,
        })
    }

    /// Runs the library: opens it and checks what it says of itself.
    pub fn open(self, policy: &Policy, allows_drafts: bool) -> Result<Plugin> {
        let name = self.manifest.id.as_str();
        let opened = open::open(&self.path, name, &self.bytes, self.hash, policy.deepbind)?;
        let plugin = self.path.display().to_string();
        let address = self.entry(opened)?;
        // SAFETY: what the entry point of a plugin returns is its descriptor; see `check` for what
        // is read of it before it is known to be one.
        let (descriptor, identity) = unsafe { descriptor::check(&plugin, address) }?;
        self.same("id", &self.manifest.id, &identity.id)?;
        self.same("version", &self.manifest.version, &identity.version)?;
        let rows = self.rows(opened, descriptor, &plugin)?;
        self.check_interfaces(descriptor, rows, &plugin)?;
        let door = if rows.is_some() { Door::Rust } else { Door::C };
        let context = Context::of(descriptor, &identity.id);
        Ok(Plugin(Arc::new(Inner {
            descriptor,
            identity,
            context,
            rows,
            interfaces: self.manifest.interfaces,
            door,
            path: Some(self.path),
            sha256: Some(self.sha256),
            allows_drafts,
        })))
    }

    fn entry(&self, opened: &Opened) -> Result<*const Descriptor> {
        let entry = opened
            .symbol(ENTRY_SYMBOL)
            .ok_or_else(|| LoadError::MissingSymbol {
                path: self.path.clone(),
                symbol: ENTRY_SYMBOL,
            })?;
        // SAFETY: the symbol of this name is a function of this type; a library that is not a
        // plugin has no such symbol, and a manifest on top of it.
        Ok(unsafe { core::mem::transmute::<*const core::ffi::c_void, EntryFn>(entry)() })
    }

    /// The rows of the Rust door; `None` when the library has none or was built with another
    /// abi_stable, so that the fingerprints decide.
    fn rows(
        &self,
        opened: &Opened,
        descriptor: &'static Descriptor,
        plugin: &str,
    ) -> Result<Option<&'static [InterfaceLayout]>> {
        let Some(header) = opened.symbol(door::HEADER_SYMBOL) else {
            return Ok(None);
        };
        let plugin = plugin.to_owned();
        // SAFETY: the address is that of the header symbol, in a library that is never closed.
        match unsafe { door::open(header, descriptor) } {
            Ok(rows) => Ok(Some(rows)),
            Err(DoorError::OtherAbiStable) => Ok(None),
            Err(DoorError::Unchecked) => Err(LoadError::Unchecked { plugin }),
            Err(DoorError::OtherDescriptor) => {
                let reason = "it names another descriptor than the entry point".to_owned();
                Err(LoadError::RustDoor { plugin, reason })
            }
            Err(DoorError::Refused(reason)) => Err(LoadError::RustDoor { plugin, reason }),
        }
    }

    /// Every interface of the manifest is there and fits, and no known one is there beside them.
    fn check_interfaces(
        &self,
        descriptor: &'static Descriptor,
        rows: Option<&'static [InterfaceLayout]>,
        plugin: &str,
    ) -> Result<()> {
        for id in &self.manifest.interfaces {
            // SAFETY: the descriptor was checked, the rows are its own.
            if !unsafe { interface::check(id, plugin, descriptor, rows) }? {
                self.same("interface", id, "none of this id")?;
            }
        }
        for (_, id) in KINDS {
            let is_listed = self.manifest.interfaces.iter().any(|listed| listed == id);
            // SAFETY: get_interface is not NULL; the id outlives the call.
            let table = unsafe { (descriptor.get_interface)(Bytes::new(id.as_bytes())) };
            if !is_listed && !table.is_null() {
                self.same("interface", "none of this id", id)?;
            }
        }
        Ok(())
    }

    fn same(&self, what: &'static str, manifest: &str, descriptor: &str) -> Result<()> {
        if manifest == descriptor {
            return Ok(());
        }
        Err(LoadError::ManifestDiffers {
            plugin: self.path.display().to_string(),
            what,
            manifest: manifest.to_owned(),
            descriptor: descriptor.to_owned(),
        })
    }
}
