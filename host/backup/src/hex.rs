//! Lower-case hexadecimal text of hashes and keys.

use statekeep_core::{Error, Result};

/// Two digits a byte.
pub(crate) fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The bytes of a text that [`encode`] could have made.
pub(crate) fn decode(what: &'static str, text: &str) -> Result<Vec<u8>> {
    let wrong = || Error::corrupt(what, "it is not lower-case hexadecimal of whole bytes");
    if !text.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(wrong)
}

/// A 32-byte hash in JSON, as 64 hexadecimal digits.
#[derive(Copy, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash256(pub [u8; 32]);

impl std::fmt::Display for Hash256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&encode(&self.0))
    }
}

impl std::fmt::Debug for Hash256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl From<Hash256> for String {
    fn from(hash: Hash256) -> String {
        hash.to_string()
    }
}

impl TryFrom<String> for Hash256 {
    type Error = Error;

    fn try_from(text: String) -> Result<Hash256> {
        let bytes = decode("hash", &text)?;
        let hash = <[u8; 32]>::try_from(bytes.as_slice())
            .map_err(|_| Error::corrupt("hash", "it does not have 64 digits"))?;
        Ok(Hash256(hash))
    }
}

/// Bytes in JSON as hexadecimal text: the keys in run objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HexBytes(pub Vec<u8>);

impl From<HexBytes> for String {
    fn from(bytes: HexBytes) -> String {
        encode(&bytes.0)
    }
}

impl TryFrom<String> for HexBytes {
    type Error = Error;

    fn try_from(text: String) -> Result<HexBytes> {
        decode("hexadecimal text", &text).map(HexBytes)
    }
}

/// SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Hash256 {
    use sha2::Digest as _;
    Hash256(sha2::Sha256::digest(bytes).into())
}
