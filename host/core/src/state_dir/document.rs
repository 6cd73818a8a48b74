//! Small checksummed documents: one line of JSON whose last member is the SHA-256 of the document
//! without that member.
//!
//! The sum is over bytes, not over a reading of them: of the line up to `,"sha256"`, with the
//! closing brace put back. So any changed byte is found, also one that JSON would overlook.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The format number of CURRENT and NAMESPACE.
pub(super) const FORMAT: u64 = 1;
/// Far more than such a document has.
pub(super) const DOCUMENT_BYTES_MAX: u64 = 64 << 10;

const MEMBER: &str = ",\"sha256\":\"";
const END: &str = "\"}\n";

#[derive(Deserialize)]
struct Probe {
    format: u64,
}

fn hex_sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The bytes of a document that serialises as a JSON object with at least one member.
pub(super) fn seal<T: Serialize>(document: &T) -> Result<Vec<u8>> {
    let text = serde_json::to_string(document)
        .map_err(|error| Error::invalid("document", error.to_string()))?;
    let sum = hex_sum(text.as_bytes());
    let open = text.strip_suffix('}').unwrap_or(&text);
    Ok(format!("{open}{MEMBER}{sum}{END}").into_bytes())
}

/// Reads a document back; `what` names its file.
pub(super) fn unseal<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    // The format first: a later one may carry its sum in another way.
    if let Ok(Probe { format }) = serde_json::from_slice(bytes)
        && format != FORMAT
    {
        let reason = format!(
            "it has format {format} and this build reads format {FORMAT}; open it with the \
             version of Statekeep that wrote it, or a later one"
        );
        return Err(Error::Incompatible {
            what: what.to_owned(),
            reason,
        });
    }
    let damage = |reason: String| Error::corrupt(what, reason);
    let text = std::str::from_utf8(bytes).map_err(|error| damage(error.to_string()))?;
    let (open, sum) = text
        .strip_suffix(END)
        .and_then(|text| text.rsplit_once(MEMBER))
        .ok_or_else(|| {
            damage(format!(
                "it does not end with a checksum ({} bytes)",
                text.len()
            ))
        })?;
    if hex_sum(format!("{open}}}").as_bytes()) != sum {
        return Err(damage(
            "its checksum does not fit; it was changed or is damaged".to_owned(),
        ));
    }
    serde_json::from_str(text).map_err(|error| damage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        format: u64,
        name: String,
    }

    fn sealed(format: u64) -> Vec<u8> {
        seal(&Sample {
            format,
            name: "a".to_owned(),
        })
        .unwrap()
    }

    #[test]
    fn the_sum_is_of_the_document_without_it() {
        let sum = hex_sum(br#"{"format":1,"name":"a"}"#);
        let text = format!("{{\"format\":1,\"name\":\"a\",\"sha256\":\"{sum}\"}}\n");
        assert_eq!(String::from_utf8(sealed(1)).unwrap(), text);
        assert_eq!(unseal::<Sample>("X", &sealed(1)).unwrap().name, "a");
    }

    #[test]
    fn an_unknown_format_is_named() {
        let error = unseal::<Sample>("/s/CURRENT", &sealed(7)).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Incompatible);
        assert!(
            error.to_string().contains("/s/CURRENT: it has format 7"),
            "{error}"
        );
    }

    #[test]
    fn every_changed_or_missing_byte_is_found() {
        let good = sealed(1);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let kind = unseal::<Sample>("X", &bad).unwrap_err().kind();
                assert!(
                    matches!(
                        kind,
                        crate::ErrorKind::Corrupt | crate::ErrorKind::Incompatible
                    ),
                    "byte {at} bit {bit}: {kind:?}"
                );
            }
            assert!(unseal::<Sample>("X", &good[..at]).is_err());
        }
    }
}
