//! Why a plugin was not loaded: one variant a cause, each with what to do about it.
//!
//! `plugin` in a variant is the library's path, or `the built-in plugin` for a static one.

use std::io;
use std::path::PathBuf;

use statekeep_core::{Error, ErrorKind};

/// Result with [`LoadError`].
pub type Result<T, E = LoadError> = std::result::Result<T, E>;

/// A plugin, folder or lock file was refused.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file operation failed.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The path names a symbolic link, whose target could be exchanged.
    #[error("{path} is a symbolic link; name the library itself")]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// A folder, device, pipe or socket.
    #[error("{path} is not a regular file; name a plugin library")]
    NotRegular {
        /// What was named.
        path: PathBuf,
    },
    /// The file is larger than any plugin.
    #[error("{path} has {bytes} bytes, more than the limit {limit_name} = {limit}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The constant of the limit.
        limit_name: &'static str,
        /// The limit.
        limit: u64,
    },
    /// File or folder belongs to somebody who is neither root nor this process.
    #[error(
        "{path} belongs to user {owner}; files and folders of plugins must belong to root or to \
         user {euid}, who runs this process: chown it or move the plugin"
    )]
    ForeignOwner {
        /// The file or folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who runs this process.
        euid: u32,
    },
    /// File or folder can be written by others.
    #[error(
        "{path} (mode {mode:04o}) can be written by its group or by others, who could exchange the \
         plugin; run `chmod go-w` on it or move the plugin"
    )]
    Writable {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A configured plugin folder is not an absolute path.
    #[error("plugin folder {path} is relative; give its absolute path in plugins.paths")]
    RelativeFolder {
        /// The folder as configured.
        path: PathBuf,
    },
    /// The hash of the library is not in the lock file.
    #[error(
        "{path} (sha256 {sha256}) is not listed in {lock}; check it with `statekeep plugin check` \
         and list it with `statekeep plugin add`, or set plugins.allow_unlisted for development"
    )]
    Unlisted {
        /// The library.
        path: PathBuf,
        /// Its hash.
        sha256: String,
        /// Which lock file was asked.
        lock: String,
    },
    /// The lock file is not what `plugin add` writes.
    #[error("{path} is not a plugin lock file: {reason}; write it with `statekeep plugin add`")]
    BadLock {
        /// The lock file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The lock file lists this hash under another name.
    #[error("{path} calls itself {found}, but its hash is listed as {listed}; list it again")]
    LockDiffers {
        /// The library.
        path: PathBuf,
        /// The id in its manifest.
        found: String,
        /// The id in the lock file.
        listed: String,
    },
    /// Not an ELF shared library for this machine, or a damaged one.
    #[error("{path} is not a shared library for this machine: {reason}")]
    NotLibrary {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The library has no `.statekeep` section.
    #[error(
        "{path} has no manifest (ELF section .statekeep): it is no Statekeep plugin; Rust plugins \
         get it from export_plugin! and the `export` feature, C plugins from the manifest macro"
    )]
    NoManifest {
        /// The library.
        path: PathBuf,
    },
    /// The manifest cannot be read.
    #[error("{path} has a malformed manifest: {reason}")]
    BadManifest {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The library needs another library that is not allowed.
    #[error(
        "{path} needs the library {library}, which no hash covers; link it statically into the \
         plugin (allowed are libc, libm, libgcc_s, libpthread, libdl, librt and the linker)"
    )]
    Dependency {
        /// The library.
        path: PathBuf,
        /// What it needs.
        library: String,
    },
    /// The library carries a search path or names helpers of the dynamic linker.
    #[error("{path} carries {tag} ({value}), which loads code from elsewhere; link it without")]
    LinkerTag {
        /// The library.
        path: PathBuf,
        /// The dynamic tag, such as `RUNPATH`.
        tag: &'static str,
        /// Its value.
        value: String,
    },
    /// The library asks for an executable stack.
    #[error("{path} asks for an executable stack; link it with `-z noexecstack`")]
    ExecutableStack {
        /// The library.
        path: PathBuf,
    },
    /// The operating system's linker refused the library.
    #[error("the dynamic linker refused {path}: {reason}")]
    Open {
        /// The library.
        path: PathBuf,
        /// Its words.
        reason: String,
    },
    /// The library does not export the entry point.
    #[error("{path} does not export {symbol}; it is no Statekeep plugin, or hides its entry point")]
    MissingSymbol {
        /// The library.
        path: PathBuf,
        /// The symbol.
        symbol: &'static str,
    },
    /// The entry point answered NULL or a misaligned pointer.
    #[error("{plugin} returned no descriptor from its entry point (address {address:#x})")]
    NoDescriptor {
        /// The plugin.
        plugin: String,
        /// What it returned.
        address: usize,
    },
    /// The descriptor does not start with the magic number.
    #[error(
        "{plugin} has a descriptor with magic {found:#018x} instead of {expected:#018x}; it was \
         not built for Statekeep"
    )]
    WrongMagic {
        /// The plugin.
        plugin: String,
        /// What was found.
        found: u64,
        /// What stands in a descriptor.
        expected: u64,
    },
    /// Built for another ABI epoch.
    #[error("{plugin} was built for plugin ABI epoch {found}, this host speaks {ours}; rebuild it")]
    WrongEpoch {
        /// The plugin.
        plugin: String,
        /// Its epoch.
        found: u32,
        /// The host's epoch.
        ours: u32,
    },
    /// The descriptor has another size than this epoch's.
    #[error("{plugin} has a descriptor of {found} bytes, expected {expected}; rebuild it")]
    DescriptorSize {
        /// The plugin.
        plugin: String,
        /// What it says.
        found: usize,
        /// The size in this epoch.
        expected: usize,
    },
    /// A field of the descriptor is not acceptable.
    #[error("{plugin} has a bad descriptor: {reason}")]
    BadDescriptor {
        /// The plugin.
        plugin: String,
        /// Which field, and what is expected.
        reason: String,
    },
    /// Manifest and descriptor tell different things.
    #[error(
        "{plugin} says {what} `{manifest}` in its manifest and `{descriptor}` in its code; build \
         both from one source"
    )]
    ManifestDiffers {
        /// The plugin.
        plugin: String,
        /// Which fact.
        what: &'static str,
        /// As the manifest has it.
        manifest: String,
        /// As the code has it.
        descriptor: String,
    },
    /// The Rust door was built with its layout check switched off.
    #[error(
        "{plugin} switched the layout check of its Rust door off, so nothing proves its tables; \
         build it with export_plugin! as it is"
    )]
    Unchecked {
        /// The plugin.
        plugin: String,
    },
    /// The Rust door did not open.
    #[error("{plugin} has a Rust door that does not fit: {reason}; rebuild it with this SDK")]
    RustDoor {
        /// The plugin.
        plugin: String,
        /// Where it differs.
        reason: String,
    },
    /// The Rust door has no row for an interface that the plugin offers.
    #[error("{plugin} offers {interface}, but its Rust door holds no layout of it; rebuild it")]
    NoLayout {
        /// The plugin.
        plugin: String,
        /// The interface.
        interface: String,
    },
    /// The layout of a table differs from ours.
    #[error(
        "{plugin} was built with another layout of {interface}: {difference}; rebuild it with the \
         plugin API of this host"
    )]
    Layout {
        /// The plugin.
        plugin: String,
        /// The interface.
        interface: String,
        /// The fields that differ.
        difference: String,
    },
    /// The table of an interface is not a table of this interface.
    #[error("{plugin} has a bad table for {interface}: {reason}; rebuild it")]
    BadTable {
        /// The plugin.
        plugin: String,
        /// The interface.
        interface: String,
        /// What is wrong.
        reason: String,
    },
    /// The fingerprint of a table is another one: a stale header.
    #[error(
        "{plugin} was built from another header: {interface} has the fingerprint {found:#018x}, \
         this host has {expected:#018x}; rebuild it with this host's statekeep_plugin.h"
    )]
    Fingerprint {
        /// The plugin.
        plugin: String,
        /// The interface.
        interface: String,
        /// What the table carries.
        found: u64,
        /// What it must carry.
        expected: u64,
    },
    /// Two plugins with one id.
    #[error("{second} has the id {id}, which {first} has already; remove one of the two")]
    Duplicate {
        /// The id of both.
        id: String,
        /// Where the first came from.
        first: String,
        /// The one that was refused.
        second: String,
    },
    /// No plugin of that name.
    #[error("there is no {what} {name}{meant}; known: {known}; searched: {searched}")]
    Unknown {
        /// Which kind was asked for, such as `codec`, or `plugin` for any.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// A question with the name that was meant, or empty.
        meant: String,
        /// The names of that kind that are registered.
        known: String,
        /// The folders that were searched.
        searched: String,
    },
    /// The name cannot be a plugin's.
    #[error("`{name}` is not a plugin name: 1-128 bytes of a-z 0-9 . - _ starting with a letter")]
    BadName {
        /// What was asked for.
        name: String,
    },
    /// The plugin has not the kind that was asked for.
    #[error("plugin {id} offers no {interface}; it offers: {offered}")]
    NotOffered {
        /// The plugin.
        id: String,
        /// What was asked for.
        interface: String,
        /// What it has.
        offered: String,
    },
    /// A draft interface, and drafts were not asked for.
    #[error(
        "{interface} of plugin {id} is a draft and may change; drafts are used only when asked"
    )]
    Draft {
        /// The plugin.
        id: String,
        /// The interface.
        interface: String,
    },
    /// A backend that cannot hold what the host stores.
    #[error("backend {id} takes {what} of at most {found} bytes, the host needs {needed}")]
    Capability {
        /// The plugin.
        id: String,
        /// Keys or values.
        what: &'static str,
        /// What it says.
        found: u64,
        /// What is needed.
        needed: u64,
    },
}

impl LoadError {
    /// The class of this error in the core's terms.
    pub fn kind(&self) -> ErrorKind {
        use LoadError::*;
        match self {
            File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                ErrorKind::PermissionDenied
            }
            Symlink { .. } | ForeignOwner { .. } | Writable { .. } | Unlisted { .. } => {
                ErrorKind::PermissionDenied
            }
            WrongEpoch { .. }
            | DescriptorSize { .. }
            | RustDoor { .. }
            | NoLayout { .. }
            | Layout { .. }
            | Fingerprint { .. } => ErrorKind::Incompatible,
            RelativeFolder { .. } | BadName { .. } => ErrorKind::InvalidArgument,
            Unknown { .. } => ErrorKind::NotFound,
            _ => ErrorKind::Plugin,
        }
    }
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Error {
        Error::other(error.kind(), error.to_string())
    }
}
