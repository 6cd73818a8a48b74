//! Encrypted repositories: what lies between a repository and its store.
//!
//! Every object but `FORMAT` and `keys/` goes through [`EncryptedStore`], which seals it in an
//! envelope under a key of its own. The master key behind these lies in `keys/`, wrapped by
//! passphrases and key files. Every byte is in `docs/format.md`, the reasons in
//! `docs/adr/0011-encrypted-repositories.md`.

mod derive;
mod envelope;
mod key;
#[cfg(test)]
mod key_tests;
mod keyring;
mod source;
mod store;
#[cfg(test)]
mod tests;

pub use key::{KDF_LANES_MAX, KDF_MEMORY_KIB_MAX, KDF_PASSES_MAX, KEY_BYTES_MAX};
pub use keyring::{KEYS_MAX, KeyId, KeyInfo, KeyKind};
pub(crate) use keyring::{Keyring, Mark};
pub use source::{KeySource, PASSPHRASE_BYTES_MAX, Passphrase};
