//! Sealed JSON documents: FORMAT, leases, runs and manifests.
//!
//! ```text
//! pretty-printed JSON object, with the member "format"
//! newline, "sha256 ", 64 lower-case hexadecimal digits of the SHA-256 of the JSON, newline
//! ```
//! The last line shows that a document was changed by hand or by a failing disk; it is no defence
//! against somebody who recomputes it. A format number that this build does not know is refused.

use serde::Serialize;
use serde::de::DeserializeOwned;
use statekeep_core::{Error, ErrorKind, Result};

use crate::hex::{Hash256, sha256};

/// The format number of everything in a repository that this build writes.
pub const FORMAT_VERSION: u32 = 1;
/// Largest sealed document that is read or written.
pub const DOCUMENT_BYTES_MAX: usize = 32 << 20;

const SEAL: &[u8] = b"\nsha256 ";
const SEAL_BYTES: usize = SEAL.len() + 64 + 1;

#[derive(serde::Deserialize)]
struct Probe {
    format: u64,
}

/// The bytes of a document.
pub(crate) fn seal<T: Serialize>(what: &'static str, document: &T) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(document).map_err(|error| {
        Error::other(ErrorKind::Internal, format!("cannot write {what}: {error}"))
    })?;
    let hash = sha256(&bytes);
    bytes.extend_from_slice(SEAL);
    bytes.extend_from_slice(hash.to_string().as_bytes());
    bytes.push(b'\n');
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(Error::TooLarge {
            what,
            actual: bytes.len() as u64,
            limit_name: "DOCUMENT_BYTES_MAX",
            limit: DOCUMENT_BYTES_MAX as u64,
        });
    }
    Ok(bytes)
}

/// The document in some bytes, after its seal and its format number were checked.
pub(crate) fn open<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    open_up_to(FORMAT_VERSION, name, bytes)
}

/// The same for a document that may have any format from 1 up to `newest`.
pub(crate) fn open_up_to<T: DeserializeOwned>(newest: u32, name: &str, bytes: &[u8]) -> Result<T> {
    let json = check(name, bytes)?;
    let malformed =
        |error: serde_json::Error| Error::corrupt(name, format!("not as expected: {error}"));
    let probe: Probe = serde_json::from_slice(json).map_err(malformed)?;
    if !(1..=u64::from(newest)).contains(&probe.format) {
        let reason = format!(
            "its format is {}, this build reads {newest}; use a newer statekeep",
            probe.format
        );
        return Err(Error::Incompatible {
            what: name.to_owned(),
            reason,
        });
    }
    serde_json::from_slice(json).map_err(malformed)
}

fn check<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a [u8]> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        let reason = format!(
            "it has {} bytes, more than {DOCUMENT_BYTES_MAX}",
            bytes.len()
        );
        return Err(Error::corrupt(name, reason));
    }
    let unsealed = || {
        Error::corrupt(
            name,
            "its last line is not a sha256 line; it is cut or was edited",
        )
    };
    let at = bytes.len().checked_sub(SEAL_BYTES).ok_or_else(unsealed)?;
    let (json, line) = bytes.split_at(at);
    let digits = line
        .strip_prefix(SEAL)
        .and_then(|rest| rest.strip_suffix(b"\n"))
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .ok_or_else(unsealed)?;
    let said = Hash256::try_from(digits.to_owned()).map_err(|_| unsealed())?;
    let is = sha256(json);
    if said != is {
        let reason = format!("its sha256 is {is}, but its last line says {said}; it was changed");
        return Err(Error::corrupt(name, reason));
    }
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Note {
        format: u32,
        text: String,
    }

    #[test]
    fn any_changed_byte_is_noticed_and_other_formats_are_named() {
        let note = Note {
            format: 1,
            text: "pin".into(),
        };
        let bytes = seal("note", &note).unwrap();
        assert_eq!(open::<Note>("note", &bytes).unwrap(), note);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            let error = open::<Note>("man/x", &bad).unwrap_err();
            assert!(error.to_string().contains("man/x"), "{error}");
            assert!(open::<Note>("note", &bytes[..at]).is_err());
        }
        let newer = seal(
            "note",
            &Note {
                format: 7,
                text: String::new(),
            },
        )
        .unwrap();
        let error = open::<Note>("man/x", &newer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        assert!(error.to_string().contains("format is 7"), "{error}");
    }
}
