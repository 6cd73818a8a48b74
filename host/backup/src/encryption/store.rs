//! A store whose objects lie encrypted in another one.
//!
//! Names and the rules of puts, sessions and deletions are those of the store below. `FORMAT` and
//! `keys/`, which are needed to find the key, go through as they are.

use std::sync::Arc;

use statekeep_core::{Error, Result};

use super::envelope::{
    CHUNK_BYTES, HEADER_BYTES, MasterKey, ObjectCipher, Place, SEALED_BYTES, Shape, TAG_BYTES,
};
use crate::name::{Folder, ObjectName};
use crate::store::{Listing, Object, ObjectWriter, Put, Store};

/// Most sealed bytes that are read at once.
const READ_BYTES_MAX: usize = 4 << 20;
/// Sealed bytes that are collected before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// See the module.
pub(super) struct EncryptedStore {
    below: Arc<dyn Store>,
    master: MasterKey,
}

impl EncryptedStore {
    pub(super) fn new(below: Arc<dyn Store>, master: MasterKey) -> EncryptedStore {
        EncryptedStore { below, master }
    }
}

/// Whether an object lies as it is.
fn is_plain(folder: Option<Folder>) -> bool {
    matches!(folder, None | Some(Folder::Keys))
}

impl Store for EncryptedStore {
    fn put_new(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put> {
        if is_plain(name.folder()) {
            return self.below.put_new(name, bytes);
        }
        let (header, cipher) = self.master.seal(name)?;
        let mut sealer = Sealer::new(cipher, &header);
        sealer.push(bytes, &mut |_| Ok(()))?;
        self.below.put_new(name, &sealer.finish()?)
    }

    fn create(&self, name: &ObjectName) -> Result<Box<dyn ObjectWriter>> {
        let below = self.below.create(name)?;
        if is_plain(name.folder()) {
            return Ok(below);
        }
        let (header, cipher) = self.master.seal(name)?;
        let sealer = Sealer::new(cipher, &header);
        Ok(Box::new(EncryptedWriter { below, sealer }))
    }

    fn open(&self, name: &ObjectName) -> Result<Box<dyn Object>> {
        let below = self.below.open(name)?;
        if is_plain(name.folder()) {
            return Ok(below);
        }
        EncryptedObject::open(below, name, &self.master)
            .map(|object| Box::new(object) as Box<dyn Object>)
    }

    fn exists(&self, name: &ObjectName) -> Result<bool> {
        self.below.exists(name)
    }

    fn list(&self, folder: Folder, prefix: &str) -> Result<Listing> {
        let mut listing = self.below.list(folder, prefix)?;
        if !is_plain(Some(folder)) {
            for object in &mut listing.objects {
                // What no envelope is as long as counts as empty: nothing that is needed is.
                object.len = Shape::stored(object.len).map_or(0, |shape| shape.len);
            }
        }
        Ok(listing)
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        self.below.delete(name)
    }

    fn session(&self) -> Result<String> {
        self.below.session()
    }

    fn is_alive(&self, session: &str) -> Result<bool> {
        self.below.is_alive(session)
    }

    fn is_death_certain(&self) -> bool {
        self.below.is_death_certain()
    }

    fn leftovers(&self) -> Result<u64> {
        self.below.leftovers()
    }

    fn sweep(&self) -> Result<u64> {
        self.below.sweep()
    }

    fn foreign(&self) -> Result<Vec<String>> {
        self.below.foreign()
    }

    fn warnings(&self) -> Vec<String> {
        self.below.warnings()
    }
}

/// Turns the bytes of an object into those of its envelope, from start to end.
struct Sealer {
    cipher: ObjectCipher,
    number: u64,
    /// At most a chunk, which may be the last one.
    pending: Vec<u8>,
    /// Sealed, and not taken yet.
    out: Vec<u8>,
}

impl Sealer {
    fn new(cipher: ObjectCipher, header: &[u8; HEADER_BYTES]) -> Sealer {
        Sealer {
            cipher,
            number: 0,
            pending: Vec::new(),
            out: header.to_vec(),
        }
    }

    /// Takes bytes; `full` may empty what is sealed whenever that is [`WRITE_BYTES`].
    fn push(
        &mut self,
        bytes: &[u8],
        full: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let mut rest = bytes;
        // More bytes follow each chunk that is sealed here, so it is not the last one.
        while self.pending.len() + rest.len() > CHUNK_BYTES {
            let (head, tail) = rest.split_at(CHUNK_BYTES - self.pending.len());
            rest = tail;
            let place = Place {
                number: self.number,
                last: false,
            };
            if self.pending.is_empty() {
                self.cipher.seal(place, head, &mut self.out)?;
            } else {
                self.pending.extend_from_slice(head);
                self.cipher.seal(place, &self.pending, &mut self.out)?;
                self.pending.clear();
            }
            self.number += 1;
            if self.out.len() >= WRITE_BYTES {
                full(&mut self.out)?;
            }
        }
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    /// All that was not taken, to the end of the envelope.
    fn finish(mut self) -> Result<Vec<u8>> {
        let place = Place {
            number: self.number,
            last: true,
        };
        self.cipher.seal(place, &self.pending, &mut self.out)?;
        Ok(self.out)
    }
}

struct EncryptedWriter {
    below: Box<dyn ObjectWriter>,
    sealer: Sealer,
}

impl ObjectWriter for EncryptedWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let below = &mut self.below;
        self.sealer.push(bytes, &mut |sealed| {
            below.write(sealed)?;
            sealed.clear();
            Ok(())
        })
    }

    fn finish(self: Box<Self>) -> Result<Put> {
        let EncryptedWriter { mut below, sealer } = *self;
        below.write(&sealer.finish()?)?;
        below.finish()
    }
}

struct EncryptedObject {
    below: Box<dyn Object>,
    name: ObjectName,
    cipher: ObjectCipher,
    shape: Shape,
    /// Of an object of one chunk, as most documents are, what it holds: it was read with the header.
    /// Of others nothing is kept, since a merge has as many open as its chain has runs.
    only: Option<Vec<u8>>,
}

impl EncryptedObject {
    fn open(
        below: Box<dyn Object>,
        name: &ObjectName,
        master: &MasterKey,
    ) -> Result<EncryptedObject> {
        let stored = below.len()?;
        let head = usize::try_from(stored).unwrap_or(usize::MAX);
        let mut head = vec![0; head.min(HEADER_BYTES + SEALED_BYTES)];
        below.read_exact_at(&mut head, 0)?;
        let cipher = master.open(name, &head)?;
        let shape = Shape::stored(stored)
            .ok_or_else(|| Error::corrupt(name.to_string(), "no envelope has its length"))?;
        let sealed = head.get_mut(HEADER_BYTES..).unwrap_or_default();
        let first = cipher.open(shape.place(0), sealed);
        let first = first.ok_or_else(|| changed(name, 0))?;
        let only = (shape.chunks == 1).then(|| first.to_vec());
        Ok(EncryptedObject {
            below,
            name: name.clone(),
            cipher,
            shape,
            only,
        })
    }

    /// Hands out the chunks from one number up to before another, each with its number.
    fn chunks(&self, from: u64, to: u64, visit: &mut dyn FnMut(u64, &[u8])) -> Result<()> {
        if let Some(only) = &self.only {
            visit(0, only);
            return Ok(());
        }
        let stored = HEADER_BYTES as u64 + self.shape.len + self.shape.chunks * TAG_BYTES as u64;
        let mut sealed = Vec::new();
        let mut next = from;
        while next < to {
            let offset = HEADER_BYTES as u64 + next * SEALED_BYTES as u64;
            let most = (to - next) * SEALED_BYTES as u64;
            let rest = most.min(stored.saturating_sub(offset));
            let bytes = usize::try_from(rest).unwrap_or(usize::MAX);
            sealed.resize(bytes.min(READ_BYTES_MAX / SEALED_BYTES * SEALED_BYTES), 0);
            self.below.read_exact_at(&mut sealed, offset)?;
            for chunk in sealed.chunks_mut(SEALED_BYTES) {
                let opened = self.cipher.open(self.shape.place(next), chunk);
                visit(next, opened.ok_or_else(|| changed(&self.name, next))?);
                next += 1;
            }
        }
        Ok(())
    }
}

fn changed(name: &ObjectName, chunk: u64) -> Error {
    let reason = format!(
        "chunk {chunk} is not what was encrypted for it: it was changed, or comes from elsewhere"
    );
    Error::corrupt(name.to_string(), reason)
}

impl Object for EncryptedObject {
    fn len(&self) -> Result<u64> {
        Ok(self.shape.len)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        let Some(end) = end.filter(|end| *end <= self.shape.len) else {
            let end = offset.saturating_add(buf.len() as u64);
            let reason = format!("it ends before byte {end}");
            return Err(Error::corrupt(self.name.to_string(), reason));
        };
        if buf.is_empty() {
            return Ok(());
        }
        const CHUNK: u64 = CHUNK_BYTES as u64;
        let mut rest = buf;
        self.chunks(offset / CHUNK, end.div_ceil(CHUNK), &mut |number, chunk| {
            let skip = usize::try_from(offset.saturating_sub(number * CHUNK)).unwrap_or(usize::MAX);
            let wanted = chunk.get(skip..).unwrap_or_default();
            let take = wanted.len().min(rest.len());
            let (place, tail) = std::mem::take(&mut rest).split_at_mut(take);
            place.copy_from_slice(wanted.split_at(take).0);
            rest = tail;
        })
    }
}
