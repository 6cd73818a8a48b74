//! Keys from keys: HKDF-SHA256 with everything that a key is for in its info.

use hkdf::Hkdf;
use sha2::Sha256;
use statekeep_core::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

/// A key of 32 bytes; wiped when dropped, never printed.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// `derive` of the format: other parts, or parts cut elsewhere, give an unrelated key.
pub(super) fn derive(secret: &[u8], salt: &[u8], purpose: &str, parts: &[&[u8]]) -> Result<Key> {
    let unexpected = || Error::other(ErrorKind::Internal, "a key could not be derived");
    let mut info = purpose.as_bytes().to_vec();
    info.push(0);
    for part in parts {
        let len = u32::try_from(part.len()).map_err(|_| unexpected())?;
        info.extend_from_slice(&len.to_le_bytes());
        info.extend_from_slice(part);
    }
    let mut key = Key::default();
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand(&info, key.as_mut_slice())
        .map_err(|_| unexpected())?;
    Ok(key)
}

/// Fills a key or a salt from the operating system.
pub(super) fn random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        let message = format!("the operating system gives no random bytes: {error}");
        Error::other(ErrorKind::Unavailable, message)
    })
}
