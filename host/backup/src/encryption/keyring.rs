//! The keys of a repository: made with it, opened with it, listed, added and removed.
//!
//! All wrap the same master key, so that none of them has anything to do with what is stored. The
//! key that opened the repository is never removed by [`Repository::remove_key`].

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use statekeep_core::{Error, ErrorKind, Result};
use ulid::Ulid;
use zeroize::Zeroizing;

use super::envelope::MasterKey;
use super::key::{CIPHER, KEY_BYTES_MAX, Kdf, KeyObject};
use super::source::{KeySource, Secret};
use super::store::EncryptedStore;
use crate::create::is_put;
use crate::hex::HexBytes;
use crate::manifest::check_words;
use crate::name::{Folder, ObjectName, ulid_id};
use crate::repository::Repository;
use crate::store::{Store, read_all};

/// Most keys of a repository.
pub const KEYS_MAX: usize = 16;

ulid_id! {
    /// The id of a key, a ULID.
    KeyId, "key id"
}

impl KeyId {
    pub(super) fn generate() -> KeyId {
        KeyId(Ulid::new())
    }

    /// `keys/ID`
    pub(super) fn object(self) -> ObjectName {
        ObjectName::key(self.0)
    }
}

/// What a key is made of.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// A passphrase.
    Passphrase,
    /// The 32 bytes of a key file.
    KeyFile,
}

impl KeyKind {
    /// The word for people and JSON.
    pub fn name(self) -> &'static str {
        match self {
            KeyKind::Passphrase => "passphrase",
            KeyKind::KeyFile => "key_file",
        }
    }

    fn words(self) -> &'static str {
        match self {
            KeyKind::Passphrase => "passphrase",
            KeyKind::KeyFile => "key file",
        }
    }
}

/// A key of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Its id.
    pub id: KeyId,
    /// What it is made of.
    pub kind: KeyKind,
    /// A name for people.
    pub label: Option<String>,
    /// When it was added, milliseconds since 1970-01-01 UTC.
    pub created_unix_ms: i64,
    /// It opened the repository here.
    pub in_use: bool,
}

/// What FORMAT says of the encryption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    cipher: String,
    key_id: HexBytes,
}

/// What opened a repository.
pub(crate) struct Keyring {
    /// The key that the master key came from.
    pub(super) key: Mutex<KeyObject>,
    /// For wrapping it again.
    master: Zeroizing<[u8; 32]>,
}

impl Keyring {
    /// The mark of a new repository, and its first key object.
    pub(crate) fn generate(
        repository: &str,
        source: &KeySource,
        now_ms: i64,
    ) -> Result<(Mark, ObjectName, Vec<u8>)> {
        let secret = source.read()?;
        let master = MasterKey::generate(repository)?;
        let kdf = Kdf::of(secret.kind());
        let key = KeyObject::wrap(&master.key, repository, &secret, None, kdf, now_ms)?;
        let (name, bytes) = key.encode()?;
        let mark = Mark {
            cipher: CIPHER.to_owned(),
            key_id: HexBytes(master.id.to_vec()),
        };
        Ok((mark, name, bytes))
    }

    /// The store that shows the objects of an encrypted repository in the clear.
    ///
    /// # Errors
    /// `PermissionDenied` when no key opens, with what is to be done.
    pub(crate) fn unlock(
        store: Arc<dyn Store>,
        repository: &str,
        mark: &Mark,
        source: Option<&KeySource>,
    ) -> Result<(Arc<dyn Store>, Keyring)> {
        if mark.cipher != CIPHER {
            let cipher: String = mark.cipher.chars().take(64).collect();
            return Err(Error::Incompatible {
                what: format!("backup repository {repository}"),
                reason: format!("its cipher `{cipher}` is not known; use a newer statekeep"),
            });
        }
        let Some(source) = source else {
            return Err(denied(format!(
                "backup repository {repository} is encrypted; name its passphrase or key file with \
                 `backup.encryption.passphrase_file` or `backup.encryption.key_file`"
            )));
        };
        let secret = source.read()?;
        let (keys, mut unusable) = read_keys(store.as_ref(), repository)?;
        let mut others = 0;
        // The newest first: it is the likely one.
        for key in keys.into_iter().rev() {
            if key.kdf.kind() != secret.kind() {
                others += 1;
                continue;
            }
            match key.unwrap(&secret) {
                Ok(Some(master)) if master.id.as_slice() == mark.key_id.0 => {
                    let bytes = master.key.clone();
                    let keyring = Keyring {
                        key: Mutex::new(key),
                        master: bytes,
                    };
                    return Ok((Arc::new(EncryptedStore::new(store, master)), keyring));
                }
                Ok(Some(_)) => {
                    let error = Error::corrupt("FORMAT", "it does not name the master key");
                    unusable.push(format!("{}: {error}", key.id.object()));
                }
                Ok(None) => {}
                Err(error) => unusable.push(format!("{}: {error}", key.id.object())),
            }
        }
        Err(locked(repository, &secret, others, &unusable))
    }
}

fn denied(message: impl Into<String>) -> Error {
    Error::other(ErrorKind::PermissionDenied, message)
}

fn locked(repository: &str, secret: &Secret, others: usize, unusable: &[String]) -> Error {
    let words = secret.kind().words();
    let mut message = format!(
        "the {words} does not open backup repository {repository}: it is not the one of any of its \
         keys"
    );
    if others > 0 {
        let other = match secret.kind() {
            KeyKind::Passphrase => KeyKind::KeyFile,
            KeyKind::KeyFile => KeyKind::Passphrase,
        };
        message.push_str(&format!(" ({others} open with a {})", other.words()));
    }
    for why in unusable {
        message.push_str(&format!("; {why}"));
    }
    denied(message)
}

/// The key objects of a repository, by id, and those that cannot be used, in words.
fn read_keys(store: &dyn Store, repository: &str) -> Result<(Vec<KeyObject>, Vec<String>)> {
    let (mut keys, mut unusable) = (Vec::new(), Vec::new());
    let objects = store.list(Folder::Keys, "")?.objects;
    for object in objects.iter().rev() {
        let name = &object.name;
        let read = read_all(store, name, KEY_BYTES_MAX);
        match read.and_then(|bytes| KeyObject::parse(name, &bytes)) {
            Ok(key) if key.repository == repository => keys.push(key),
            // What a creation left that another one outran.
            Ok(_) => {}
            // It was removed since.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => unusable.push(error.to_string()),
        }
        // Somebody else put the others there, to have them tried.
        if keys.len() + unusable.len() >= KEYS_MAX {
            break;
        }
    }
    keys.sort_by_key(|key| key.id);
    Ok((keys, unusable))
}

impl Repository {
    fn keyring(&self) -> Result<&Keyring> {
        self.keyring.as_ref().ok_or_else(|| {
            let message = format!(
                "backup repository {} is not encrypted, so it has no keys; a repository is \
                 encrypted from its creation on",
                self.id
            );
            Error::other(ErrorKind::Unsupported, message)
        })
    }

    /// Its keys, oldest first. One that cannot be read is told by `repository check`.
    pub(crate) fn keys(&self) -> Result<Vec<KeyInfo>> {
        let in_use = self.keyring()?.key.lock().id;
        let (keys, _) = read_keys(self.store.as_ref(), &self.id)?;
        Ok(keys.iter().map(|key| info(key, in_use)).collect())
    }

    /// Adds a key made of another secret.
    pub(crate) fn add_key(&self, source: &KeySource, label: Option<&str>) -> Result<KeyInfo> {
        let key = self.put_key(source, label)?;
        Ok(info(&key, self.keyring()?.key.lock().id))
    }

    fn put_key(&self, source: &KeySource, label: Option<&str>) -> Result<KeyObject> {
        check_words(label, &[])?;
        let keyring = self.keyring()?;
        let secret = source.read()?;
        let (keys, _) = read_keys(self.store.as_ref(), &self.id)?;
        if keys.len() >= KEYS_MAX {
            return Err(Error::TooLarge {
                what: "number of keys",
                actual: keys.len() as u64 + 1,
                limit_name: "KEYS_MAX",
                limit: KEYS_MAX as u64,
            });
        }
        let kdf = Kdf::of(secret.kind());
        let (master, now) = (&keyring.master, self.now_ms());
        let key = KeyObject::wrap(master, &self.id, &secret, label, kdf, now)?;
        let (name, bytes) = key.encode()?;
        if is_put(self.store.as_ref(), &name, &bytes)? {
            return Ok(key);
        }
        let message = format!("{name} is there already");
        Err(Error::other(ErrorKind::AlreadyExists, message))
    }

    /// Removes a key.
    pub(crate) fn remove_key(&self, id: KeyId) -> Result<()> {
        let own = self.keyring()?.key.lock().clone();
        if id == own.id {
            let message = format!(
                "key {id} is the one that opened the repository here; open it with another one to \
                 remove it, or change it"
            );
            return Err(Error::other(ErrorKind::Conflict, message));
        }
        if !self.store.exists(&own.id.object())? {
            let message = format!(
                "key {}, which opened the repository here, was removed meanwhile; open it with \
                 another one",
                own.id
            );
            return Err(Error::other(ErrorKind::Conflict, message));
        }
        if !self.store.exists(&id.object())? {
            let message =
                format!("there is no key {id}; `repository key list` shows those there are");
            return Err(Error::other(ErrorKind::NotFound, message));
        }
        self.store.delete(&id.object())?;
        self.keep_key(&own)
    }

    /// Puts the key that opened the repository again if it is gone: whoever opened with the one that
    /// was just removed here may have removed it at the same moment, and one has to stay.
    pub(super) fn keep_key(&self, own: &KeyObject) -> Result<()> {
        if !self.store.exists(&own.id.object())? {
            let (name, bytes) = own.encode()?;
            let _ = self.store.put_new(&name, &bytes)?;
        }
        Ok(())
    }

    /// Puts a key made of another secret in the place of the one that opened the repository.
    pub(crate) fn change_key(&self, source: &KeySource) -> Result<KeyInfo> {
        let keyring = self.keyring()?;
        let old = keyring.key.lock().clone();
        let key = self.put_key(source, old.label.as_deref())?;
        self.store.delete(&old.id.object())?;
        let changed = info(&key, key.id);
        *keyring.key.lock() = key;
        Ok(changed)
    }
}

fn info(key: &KeyObject, in_use: KeyId) -> KeyInfo {
    KeyInfo {
        id: key.id,
        kind: key.kdf.kind(),
        in_use: key.id == in_use,
        label: key.label.clone(),
        created_unix_ms: key.created_unix_ms,
    }
}
