//! Where a secret comes from: a passphrase or a key of 32 bytes, given or in a file.
//!
//! Files are read when the secret is needed, and what was read is wiped after use. Nothing here is
//! ever shown but the names of files.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use statekeep_core::{Error, Result};
use zeroize::Zeroizing;

use super::derive::Key;
use super::keyring::KeyKind;
use crate::hex;

/// Longest passphrase in bytes.
pub const PASSPHRASE_BYTES_MAX: usize = 1024;
/// Digits of a key file in hexadecimal.
const KEY_DIGITS: usize = 64;

/// A passphrase; wiped when dropped, never shown.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// A passphrase of 1 to [`PASSPHRASE_BYTES_MAX`] bytes. Its bytes count as they are.
    ///
    /// # Errors
    /// `InvalidArgument` for another length.
    pub fn new(text: impl Into<String>) -> Result<Passphrase> {
        let text = Zeroizing::new(text.into());
        if (1..=PASSPHRASE_BYTES_MAX).contains(&text.len()) {
            return Ok(Passphrase(text));
        }
        let reason = format!("a passphrase has 1 to {PASSPHRASE_BYTES_MAX} bytes");
        Err(Error::invalid("passphrase", reason))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What opens an encrypted repository, and makes a new one encrypted.
#[derive(Clone, Debug)]
pub struct KeySource(Origin);

#[derive(Clone, Debug)]
enum Origin {
    Passphrase(Passphrase),
    PassphraseFile(PathBuf),
    Key(Raw),
    KeyFile(PathBuf),
}

#[derive(Clone)]
struct Raw(Key);

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A secret that was read.
pub(super) enum Secret {
    Passphrase(Zeroizing<String>),
    Key(Key),
}

impl Secret {
    pub(super) fn kind(&self) -> KeyKind {
        match self {
            Secret::Passphrase(_) => KeyKind::Passphrase,
            Secret::Key(_) => KeyKind::KeyFile,
        }
    }
}

impl KeySource {
    /// A passphrase.
    pub fn passphrase(passphrase: Passphrase) -> KeySource {
        KeySource(Origin::Passphrase(passphrase))
    }

    /// The first line of a text file.
    pub fn passphrase_file(path: impl AsRef<Path>) -> KeySource {
        KeySource(Origin::PassphraseFile(path.as_ref().to_owned()))
    }

    /// The 32 bytes of a key file, from wherever the caller keeps them.
    pub fn key(bytes: &[u8; 32]) -> KeySource {
        KeySource(Origin::Key(Raw(Zeroizing::new(*bytes))))
    }

    /// A file of 32 random bytes, or of their 64 hexadecimal digits.
    pub fn key_file(path: impl AsRef<Path>) -> KeySource {
        KeySource(Origin::KeyFile(path.as_ref().to_owned()))
    }

    /// The secret itself.
    pub(super) fn read(&self) -> Result<Secret> {
        match &self.0 {
            Origin::Passphrase(Passphrase(text)) => Ok(Secret::Passphrase(text.clone())),
            Origin::PassphraseFile(path) => passphrase(path),
            Origin::Key(Raw(key)) => Ok(Secret::Key(key.clone())),
            Origin::KeyFile(path) => key(path),
        }
    }
}

/// The content of a file of at most `most` bytes.
fn content(path: &Path, action: &'static str, most: usize) -> Result<Zeroizing<Vec<u8>>> {
    // All room at once, so that no part is left behind where it grew.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    File::open(path)
        .and_then(|file| file.take(most as u64 + 1).read_to_end(&mut bytes))
        .map_err(|source| Error::File {
            action,
            path: path.to_owned(),
            source,
        })?;
    Ok(bytes)
}

fn refuse(path: &Path, what: &'static str, reason: &str) -> Error {
    Error::invalid(what, format!("{}: {reason}", path.display()))
}

fn passphrase(path: &Path) -> Result<Secret> {
    let what = "passphrase file";
    // A passphrase and the end of its line.
    let bytes = content(path, "read the passphrase file", PASSPHRASE_BYTES_MAX + 2)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| refuse(path, what, "it is not UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.contains(['\n', '\0']) {
        return Err(refuse(path, what, "it has more than one line"));
    }
    let Passphrase(line) =
        Passphrase::new(line).map_err(|error| refuse(path, what, &error.to_string()))?;
    Ok(Secret::Passphrase(line))
}

fn key(path: &Path) -> Result<Secret> {
    let bytes = content(path, "read the key file", KEY_DIGITS + 2)?;
    if let Ok(key) = <[u8; 32]>::try_from(bytes.as_slice()) {
        return Ok(Secret::Key(Zeroizing::new(key)));
    }
    let digits = std::str::from_utf8(&bytes).unwrap_or_default().trim_end();
    let decoded = Zeroizing::new(hex::decode("key", digits).unwrap_or_default());
    match <[u8; 32]>::try_from(decoded.as_slice()) {
        Ok(key) => Ok(Secret::Key(Zeroizing::new(key))),
        Err(_) => {
            let reason = "a key file has 32 random bytes, or their 64 lower-case hexadecimal \
                          digits; `head -c 32 /dev/urandom` makes one";
            Err(refuse(path, "key file", reason))
        }
    }
}
