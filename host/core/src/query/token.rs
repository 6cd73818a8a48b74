//! Where a page ended, as text that callers hand back as they got it.
//!
//! Hexadecimal of: format 01 | CRC-32C u32 of the order it belongs to | the last row's place in it.

use super::model::Query;
use crate::{Error, Result};

const FORMAT: u8 = 1;

/// The continuation after a place in a query's order.
pub(crate) fn write(query: &Query, place: &[u8]) -> String {
    let mut bytes = vec![FORMAT];
    bytes.extend_from_slice(&order_of(query).to_be_bytes());
    bytes.extend_from_slice(place);
    hex(&bytes)
}

/// The place of a continuation.
///
/// # Errors
/// `InvalidArgument` for other text, and for that of a query with another order.
pub(crate) fn read(query: &Query, text: &str) -> Result<Vec<u8>> {
    let bytes = unhex(text).unwrap_or_default();
    match bytes.split_first_chunk::<5>() {
        Some(([FORMAT, order @ ..], place)) if !place.is_empty() => {
            if u32::from_be_bytes(*order) == order_of(query) {
                return Ok(place.to_vec());
            }
            let reason = "it belongs to a query with another order_by";
            Err(Error::invalid("after", reason))
        }
        _ => Err(Error::invalid("after", "it is not the `next` of a page")),
    }
}

/// Two orders with the same number sort alike.
fn order_of(query: &Query) -> u32 {
    query.order.iter().fold(0, |crc, order| {
        let crc = crc32c::crc32c_append(crc, order.path.text().as_bytes());
        crc32c::crc32c_append(crc, &[0, u8::from(order.descending)])
    })
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    let both = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(both).collect()
}

/// The bytes of hexadecimal digits; nothing for other text.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let half = |digit: u8| char::from(digit).to_digit(16);
    let both = |pair: &[u8; 2]| u8::try_from(half(pair[0])? << 4 | half(pair[1])?).ok();
    pairs.iter().map(both).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(order: &str) -> Query {
        Query::from_json(&format!("{{\"order_by\":[{order}]}}")).unwrap()
    }

    #[test]
    fn a_continuation_reads_back_in_its_own_order_only() {
        let orders = [
            "",
            r#"{"path":"$.a"}"#,
            r#"{"path":"$.a","descending":true}"#,
            r#"{"path":"$.a"},{"path":"$.b"}"#,
        ];
        for order in orders {
            let text = write(&query(order), b"\x00\xffplace");
            for other in orders {
                let read = read(&query(other), &text);
                assert_eq!(read.is_ok(), order == other, "{order} {other}");
                assert!(read.is_err() || read.unwrap() == b"\x00\xffplace");
            }
        }
        for text in ["", "0", "zz", "01", "0100000000", "0200000000aa", "é"] {
            let error = read(&query(""), text).unwrap_err();
            assert!(
                error.to_string().contains("invalid after"),
                "{text}: {error}"
            );
        }
    }
}
