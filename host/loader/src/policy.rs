//! Which plugins may be loaded, and from where.

use std::path::PathBuf;

/// The rules of a [`crate::Registry`]; the default finds built-in plugins only.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Folders searched for `lib*.so`, as absolute paths, in this order. Nothing else is searched:
    /// not the working directory, not `LD_LIBRARY_PATH`.
    pub paths: Vec<PathBuf>,
    /// The list of allowed hashes; without one, no library file is allowed.
    pub lock_file: Option<PathBuf>,
    /// Loads libraries that the lock file does not list; for development.
    pub allow_unlisted: bool,
    /// Opens libraries with `RTLD_DEEPBIND`, so that a library's own copy of a symbol wins over the
    /// program's. Clashes with address sanitizers and replaced allocators.
    pub deepbind: bool,
}
