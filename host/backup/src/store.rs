//! What a repository needs of the place where it lives: put-if-absent, ranged get, list, delete.
//!
//! Objects are immutable: nothing is ever overwritten. An object is visible wholly or not at all,
//! and what was acknowledged is on stable storage.

use statekeep_core::{Error, Result};

use crate::name::{Folder, ObjectName};

/// How a put ended.
#[must_use]
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is there with our bytes, on stable storage.
    Created,
    /// An object of that name was there first; ours was dropped.
    Exists,
}

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name.
    pub name: ObjectName,
    /// Its length in bytes.
    pub len: u64,
}

/// What a folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Objects, sorted by name.
    pub objects: Vec<ObjectInfo>,
    /// Names that no repository gives to an object, such as folders and names with spaces.
    pub foreign: Vec<String>,
}

/// An object open for reading. Shared by all threads.
pub trait Object: Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> Result<u64>;

    /// Whether it holds no byte.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills the whole buffer from an offset; an object that ends before is corrupt.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;
}

/// A new object, written from its start to its end. Dropped unfinished, it leaves nothing.
pub trait ObjectWriter: Send {
    /// Appends all bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes the object visible. After an error it may or may not be visible.
    fn finish(self: Box<Self>) -> Result<Put>;
}

/// A place for objects. Shared by all threads and, with the same rules, by processes and hosts.
pub trait Store: Send + Sync {
    /// Writes a small object unless one of that name is there; the first put wins. After an error
    /// the object may or may not be there.
    fn put_new(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put>;

    /// Begins an object of any size.
    fn create(&self, name: &ObjectName) -> Result<Box<dyn ObjectWriter>>;

    /// Opens an object; `NotFound` when it is not there.
    fn open(&self, name: &ObjectName) -> Result<Box<dyn Object>>;

    /// Whether an object is there.
    fn exists(&self, name: &ObjectName) -> Result<bool>;

    /// All objects of a folder whose leaf starts with `prefix`. A folder that cannot be listed is
    /// an error, never an empty list.
    fn list(&self, folder: Folder, prefix: &str) -> Result<Listing>;

    /// Removes an object; one that is not there is no error.
    fn delete(&self, name: &ObjectName) -> Result<()>;

    /// What shows whether this writer is alive, for leases: the name of its lock.
    fn session(&self) -> Result<String>;

    /// Whether the writer of a session may still be at work. What cannot be found out is an error.
    fn is_alive(&self, session: &str) -> Result<bool>;

    /// Whether a writer that is not alive can never write again. Where it can, since it was only not
    /// heard of for long, a collector claims the commit slot before it removes anything.
    fn is_death_certain(&self) -> bool;

    /// How many half-written files of writers that are gone [`Store::sweep`] would remove.
    fn leftovers(&self) -> Result<u64>;

    /// Removes what writers that are gone left half-written. Answers how many it removed.
    fn sweep(&self) -> Result<u64>;

    /// Names beside the folders that no repository has.
    fn foreign(&self) -> Result<Vec<String>>;

    /// What the place does not guarantee, in words for people; empty for one that guarantees all.
    fn warnings(&self) -> Vec<String>;
}

/// The whole content of an object of at most `bytes_max` bytes.
pub fn read_all(store: &dyn Store, name: &ObjectName, bytes_max: usize) -> Result<Vec<u8>> {
    let object = store.open(name)?;
    let len = object.len()?;
    let len = usize::try_from(len)
        .ok()
        .filter(|len| *len <= bytes_max)
        .ok_or_else(|| {
            Error::corrupt(
                name.to_string(),
                format!("it has {len} bytes, more than {bytes_max}"),
            )
        })?;
    let mut bytes = vec![0; len];
    object.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Bytes in memory, as an object for the parsers.
impl Object for &[u8] {
    fn len(&self) -> Result<u64> {
        Ok(<[u8]>::len(self) as u64)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let range = usize::try_from(offset)
            .ok()
            .and_then(|start| Some(start..start.checked_add(buf.len())?))
            .and_then(|range| self.get(range))
            .ok_or_else(|| {
                Error::corrupt("object", "it ends before the bytes that were asked for")
            })?;
        buf.copy_from_slice(range);
        Ok(())
    }
}
