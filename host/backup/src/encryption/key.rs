//! Key objects: `keys/ULID` holds the master key, sealed under a key made of one secret.
//!
//! Everything in the object goes into the key that seals it, so one that was changed or taken from
//! another repository does not open. What a secret costs is checked against limits first.

use aes_gcm::Tag;
use aes_gcm::aead::AeadInOut;
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use statekeep_core::{Error, Result};
use zeroize::Zeroizing;

use super::derive::{Key, derive, random};
use super::envelope::{MasterKey, TAG_BYTES, aead};
use super::keyring::{KeyId, KeyKind};
use super::source::Secret;
use crate::hex::{Hash256, HexBytes};
use crate::manifest::TEXT_BYTES_MAX;
use crate::name::ObjectName;
use crate::sealed::{self, FORMAT_VERSION};

/// Largest key object that is read.
pub const KEY_BYTES_MAX: usize = 64 << 10;
/// Most memory that a key object may ask for.
pub const KDF_MEMORY_KIB_MAX: u32 = 256 << 10;
/// Most passes over that memory.
pub const KDF_PASSES_MAX: u32 = 16;
/// Most lanes of that memory.
pub const KDF_LANES_MAX: u32 = 4;

pub(super) const CIPHER: &str = "aes-256-gcm";

/// How the secret becomes a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name")]
pub(super) enum Kdf {
    #[serde(rename = "argon2id")]
    Argon2id {
        memory_kib: u32,
        passes: u32,
        lanes: u32,
    },
    #[serde(rename = "hkdf-sha256")]
    Hkdf,
}

impl Kdf {
    /// What new keys are made with. Of a passphrase: the first choice of OWASP's password storage
    /// cheat sheet, with three passes in place of one; it stays below the memory of a backup.
    pub(super) fn of(kind: KeyKind) -> Kdf {
        match kind {
            KeyKind::Passphrase => Kdf::Argon2id {
                memory_kib: 46 << 10,
                passes: 3,
                lanes: 1,
            },
            KeyKind::KeyFile => Kdf::Hkdf,
        }
    }

    pub(super) fn kind(&self) -> KeyKind {
        match self {
            Kdf::Argon2id { .. } => KeyKind::Passphrase,
            Kdf::Hkdf => KeyKind::KeyFile,
        }
    }

    fn text(&self) -> String {
        match self {
            Kdf::Argon2id {
                memory_kib,
                passes,
                lanes,
            } => format!("argon2id m={memory_kib} t={passes} p={lanes}"),
            Kdf::Hkdf => "hkdf-sha256".to_owned(),
        }
    }

    /// The key material of a secret of its kind.
    fn stretch(&self, secret: &Secret, salt: &[u8]) -> Result<Key> {
        match (self, secret) {
            (
                Kdf::Argon2id {
                    memory_kib,
                    passes,
                    lanes,
                },
                Secret::Passphrase(text),
            ) => argon2id(text.as_bytes(), salt, (*memory_kib, *passes, *lanes)),
            (Kdf::Hkdf, Secret::Key(key)) => Ok(key.clone()),
            _ => Err(Error::invalid("key", "it is for another kind of secret")),
        }
    }
}

fn argon2id(text: &[u8], salt: &[u8], cost: (u32, u32, u32)) -> Result<Key> {
    let (memory_kib, passes, lanes) = cost;
    for (what, actual, limit_name, limit) in [
        (
            "KiB of memory that the key asks for",
            memory_kib,
            "KDF_MEMORY_KIB_MAX",
            KDF_MEMORY_KIB_MAX,
        ),
        (
            "number of passes that the key asks for",
            passes,
            "KDF_PASSES_MAX",
            KDF_PASSES_MAX,
        ),
        (
            "number of lanes that the key asks for",
            lanes,
            "KDF_LANES_MAX",
            KDF_LANES_MAX,
        ),
    ] {
        if actual > limit {
            return Err(Error::TooLarge {
                what,
                actual: actual.into(),
                limit_name,
                limit: limit.into(),
            });
        }
    }
    let unfit =
        |error: argon2::Error| Error::corrupt("key", format!("Argon2id refuses it: {error}"));
    let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(unfit)?;
    let mut key = Key::default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(text, salt, key.as_mut_slice())
        .map_err(unfit)?;
    Ok(key)
}

/// The object `keys/ULID`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyObject {
    format: u32,
    pub(super) repository: String,
    pub(super) id: KeyId,
    pub(super) created_unix_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<String>,
    pub(super) kdf: Kdf,
    salt: Hash256,
    cipher: String,
    wrapped: HexBytes,
}

impl KeyObject {
    /// Wraps a master key; `kdf` must be for the kind of the secret.
    pub(super) fn wrap(
        master: &Key,
        repository: &str,
        secret: &Secret,
        label: Option<&str>,
        kdf: Kdf,
        created_unix_ms: i64,
    ) -> Result<KeyObject> {
        let mut salt = [0; 32];
        random(&mut salt)?;
        let mut object = KeyObject {
            format: FORMAT_VERSION,
            repository: repository.to_owned(),
            id: KeyId::generate(),
            created_unix_ms,
            label: label.map(str::to_owned),
            kdf,
            salt: Hash256(salt),
            cipher: CIPHER.to_owned(),
            wrapped: HexBytes::default(),
        };
        let mut sealed = Zeroizing::new(master.to_vec());
        let unexpected = |_| Error::invalid("key", "it could not be wrapped");
        let tag = aead(&object.wrapping(secret)?)
            .encrypt_inout_detached(&NONCE.into(), &[], sealed.as_mut_slice().into())
            .map_err(unexpected)?;
        object.wrapped = HexBytes([sealed.as_slice(), tag.as_slice()].concat());
        Ok(object)
    }

    /// The master key; `None` when the secret is not the one that wrapped it, or the object was
    /// changed.
    ///
    /// # Errors
    /// `TooLarge` for what costs more than the limits, `Corrupt` for what no build wraps so.
    pub(super) fn unwrap(&self, secret: &Secret) -> Result<Option<MasterKey>> {
        let name = self.id.object().to_string();
        if self.cipher != CIPHER {
            let cipher: String = self.cipher.chars().take(64).collect();
            return Err(Error::Incompatible {
                what: name,
                reason: format!("its cipher `{cipher}` is not known; use a newer statekeep"),
            });
        }
        if self.wrapped.0.len() != 32 + TAG_BYTES {
            return Err(Error::corrupt(
                name,
                "what it wraps does not have the length of a key",
            ));
        }
        let wrapping = self.wrapping(secret)?;
        let (sealed, tag) = self.wrapped.0.split_at(32);
        let mut key = Key::default();
        key.copy_from_slice(sealed);
        let tag: [u8; TAG_BYTES] = tag.try_into().unwrap_or_default();
        let opened = aead(&wrapping).decrypt_inout_detached(
            &NONCE.into(),
            &[],
            key.as_mut_slice().into(),
            &Tag::from(tag),
        );
        match opened {
            Ok(()) => MasterKey::new(key, &self.repository).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The key that wraps: of the secret and of everything else that the object says.
    fn wrapping(&self, secret: &Secret) -> Result<Key> {
        let material = self.kdf.stretch(secret, &self.salt.0)?;
        let (id, created) = (self.id.to_string(), self.created_unix_ms.to_string());
        let kdf = self.kdf.text();
        let parts = [
            self.repository.as_bytes(),
            id.as_bytes(),
            created.as_bytes(),
            self.label.as_deref().unwrap_or_default().as_bytes(),
            kdf.as_bytes(),
        ];
        let salt = &self.salt.0;
        derive(material.as_slice(), salt, "statekeep backup key", &parts)
    }

    /// Its name and its bytes.
    pub(super) fn encode(&self) -> Result<(ObjectName, Vec<u8>)> {
        Ok((self.id.object(), sealed::seal("key", self)?))
    }

    /// The object in some bytes, checked but for what only its secret tells.
    pub(super) fn parse(name: &ObjectName, bytes: &[u8]) -> Result<KeyObject> {
        let text = name.to_string();
        let object: KeyObject = sealed::open(&text, bytes)?;
        if object.id.object() != *name {
            let reason = format!("it says that it is key {}", object.id);
            return Err(Error::corrupt(text, reason));
        }
        let fits = |label: &String| {
            (1..=TEXT_BYTES_MAX).contains(&label.len()) && !label.contains(char::is_control)
        };
        if !object.label.as_ref().is_none_or(fits) {
            return Err(Error::corrupt(text, "its label is none"));
        }
        Ok(object)
    }
}

/// A wrapping key wraps once: its salt is that of one object.
const NONCE: [u8; 12] = [0; 12];
