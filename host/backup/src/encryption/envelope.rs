//! The envelope of one object: header, then chunks that open alone.
//!
//! A chunk's nonce is its number and whether it is the last, under a key that no other object has,
//! so a chunk opens in its place or not at all, and a cut object has no last chunk.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use statekeep_core::{Error, ErrorKind, Result};

use super::derive::{Key, derive, random};
use crate::hex;
use crate::name::ObjectName;

const MAGIC: &[u8; 6] = b"SKENC\0";
const FORMAT: u16 = 1;
/// AES-256-GCM.
const CIPHER: u8 = 1;
/// Header bytes before the salt.
const FIXED: usize = 32;
pub(super) const HEADER_BYTES: usize = 64;
/// Bytes of a chunk in the clear.
pub(super) const CHUNK_BYTES: usize = 16 << 10;
pub(super) const TAG_BYTES: usize = 16;
/// Bytes of a chunk that is sealed.
pub(super) const SEALED_BYTES: usize = CHUNK_BYTES + TAG_BYTES;

/// The id of a master key.
pub(super) type MasterId = [u8; 16];

/// The key of a repository.
pub(crate) struct MasterKey {
    pub(super) key: Key,
    pub(super) id: MasterId,
    repository: String,
}

impl MasterKey {
    /// A key for a new repository.
    pub(super) fn generate(repository: &str) -> Result<MasterKey> {
        let mut key = Key::default();
        random(key.as_mut_slice())?;
        MasterKey::new(key, repository)
    }

    pub(super) fn new(key: Key, repository: &str) -> Result<MasterKey> {
        let parts = [repository.as_bytes()];
        let derived = derive(key.as_slice(), &[], "statekeep backup key id", &parts)?;
        let mut id = MasterId::default();
        id.copy_from_slice(derived.split_at(16).0);
        Ok(MasterKey {
            key,
            id,
            repository: repository.to_owned(),
        })
    }

    /// A header and the cipher of a new object.
    pub(super) fn seal(&self, name: &ObjectName) -> Result<([u8; HEADER_BYTES], ObjectCipher)> {
        let mut header = [0; HEADER_BYTES];
        let (fixed, salt) = header.split_at_mut(FIXED);
        let fields = [
            MAGIC.as_slice(),
            &FORMAT.to_le_bytes(),
            &[CIPHER],
            &[0; 7],
            &self.id,
        ];
        fixed.copy_from_slice(&fields.concat());
        random(salt)?;
        Ok((header, self.cipher(name, &header)?))
    }

    /// The cipher of an object that begins with `header`.
    ///
    /// # Errors
    /// `Corrupt` for what is not in an envelope or is of another repository, `Incompatible` for
    /// envelopes of other formats.
    pub(super) fn open(&self, name: &ObjectName, header: &[u8]) -> Result<ObjectCipher> {
        let corrupt = |reason: String| Err(Error::corrupt(name.to_string(), reason));
        if !header.starts_with(MAGIC) {
            let reason = "it is not encrypted, as all of this repository is; it was cut, or put \
                          there by somebody without the key";
            return corrupt(reason.to_owned());
        }
        let fields = (header.get(6..8), header.get(8..16), header.get(16..FIXED));
        let (Some(format), Some(cipher), Some(id)) = fields else {
            return corrupt("it ends within its header".to_owned());
        };
        if format != FORMAT.to_le_bytes() || cipher != [CIPHER, 0, 0, 0, 0, 0, 0, 0] {
            let format = hex::encode(&[format, cipher].concat());
            return Err(Error::Incompatible {
                what: name.to_string(),
                reason: format!(
                    "its encryption ({format}) is not known to this build; use a newer statekeep"
                ),
            });
        }
        if id != self.id {
            let (is, own) = (hex::encode(id), hex::encode(&self.id));
            return corrupt(format!(
                "it is encrypted with key {is}, this repository's is {own}"
            ));
        }
        let Some(header) = header.first_chunk::<HEADER_BYTES>() else {
            return corrupt("it ends within its header".to_owned());
        };
        self.cipher(name, header)
    }

    fn cipher(&self, name: &ObjectName, header: &[u8; HEADER_BYTES]) -> Result<ObjectCipher> {
        let (fixed, salt) = header.split_at(FIXED);
        let name = name.to_string();
        let parts = [fixed, self.repository.as_bytes(), name.as_bytes()];
        let key = derive(self.key.as_slice(), salt, "statekeep backup object", &parts)?;
        Ok(ObjectCipher(aead(&key)))
    }
}

/// AES-256-GCM under a key.
pub(super) fn aead(key: &Key) -> Aes256Gcm {
    let bytes: &[u8; 32] = key;
    Aes256Gcm::new(bytes.into())
}

/// Seals and opens the chunks of one object.
pub(super) struct ObjectCipher(Aes256Gcm);

impl ObjectCipher {
    /// Appends a sealed chunk to `out`.
    pub(super) fn seal(&self, at: Place, chunk: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let from = out.len();
        out.extend_from_slice(chunk);
        let place = out.get_mut(from..).unwrap_or_default();
        let tag = self
            .0
            .encrypt_inout_detached(&at.nonce()?, &[], place.into())
            .map_err(|_| Error::other(ErrorKind::Internal, "a chunk could not be encrypted"))?;
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// Opens a sealed chunk where it is and answers what it held; `None` when it is not the chunk
    /// that was sealed for this place.
    pub(super) fn open<'a>(&self, at: Place, sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        let split = sealed.len().checked_sub(TAG_BYTES)?;
        let (chunk, tag) = sealed.split_at_mut(split);
        let tag: &[u8; TAG_BYTES] = tag.first_chunk()?;
        let tag: &Tag = tag.into();
        self.0
            .decrypt_inout_detached(&at.nonce().ok()?, &[], (&mut *chunk).into(), tag)
            .ok()?;
        Some(chunk)
    }
}

/// Where a chunk is in its object.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) last: bool,
}

impl Place {
    fn nonce(self) -> Result<Nonce<aes_gcm::aead::consts::U12>> {
        let number = u32::try_from(self.number)
            .map_err(|_| Error::other(ErrorKind::TooLarge, "an object has too many chunks"))?;
        let mut nonce = [0; 12];
        let (_, tail) = nonce.split_at_mut(7);
        let (place, last) = tail.split_at_mut(4);
        place.copy_from_slice(&number.to_be_bytes());
        last.fill(u8::from(self.last));
        Ok(nonce.into())
    }
}

/// How the bytes of an object are cut.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Bytes in the clear.
    pub(super) len: u64,
    /// Chunks, at least one.
    pub(super) chunks: u64,
}

impl Shape {
    /// The shape of an object that takes so many bytes in the store; `None` when none does.
    pub(super) fn stored(bytes: u64) -> Option<Shape> {
        let sealed = bytes.checked_sub(HEADER_BYTES as u64)?;
        let chunks = sealed.div_ceil(SEALED_BYTES as u64);
        let len = sealed.checked_sub(chunks.checked_mul(TAG_BYTES as u64)?)?;
        let fits = len.div_ceil(CHUNK_BYTES as u64).max(1) == chunks;
        fits.then_some(Shape { len, chunks })
    }

    /// The place of a chunk.
    pub(super) fn place(self, number: u64) -> Place {
        Place {
            number,
            last: number + 1 == self.chunks,
        }
    }
}
