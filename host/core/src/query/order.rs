//! One order over the JSON values that are no arrays and objects, and the same order as bytes.
//!
//! `null` < `false` < `true` < numbers < strings. Numbers are compared as what they are, whether
//! they were written as integers of 64 bits or as doubles; strings by their code points.
//!
//! ```text
//! null 01 | false 02 | true 03
//! number 04 | bits of the nearest double u64 big-endian, in order | integer − double, i16 + 0x8000
//! string 05 | UTF-8, 00 as 00 FF | 00 01
//!        05 | the first 256 bytes, 00 as 00 FF | 00 02       of a longer string
//! ```
//! Every encoding ends by itself, so whatever follows it cannot change the order.

use std::cmp::Ordering;

/// Bytes of a string that an index row holds; longer ones are cut.
pub(crate) const INDEXED_STRING_BYTES_MAX: usize = 256;

const NULL: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const NUMBER: u8 = 4;
const STRING: u8 = 5;
const END: u8 = 1;
const CUT: u8 = 2;

/// A JSON value that has a place in the order.
#[derive(Clone, Debug)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    /// Any JSON integer of 64 bits.
    Integer(i128),
    /// Finite.
    Double(f64),
    Text(String),
}

impl Scalar {
    /// Reads the text of one JSON value. Arrays and objects have no place in the order, nor have
    /// numbers beyond a double's range and strings with half a surrogate pair.
    pub(crate) fn read(json: &str) -> Option<Scalar> {
        match json.as_bytes().first()? {
            b'n' => Some(Scalar::Null),
            b't' => Some(Scalar::Bool(true)),
            b'f' => Some(Scalar::Bool(false)),
            b'"' => serde_json::from_str(json).ok().map(Scalar::Text),
            b'-' | b'0'..=b'9' => Scalar::number(json),
            _ => None,
        }
    }

    fn number(json: &str) -> Option<Scalar> {
        if let Ok(integer) = json.parse::<i128>()
            && (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&integer)
        {
            return Some(Scalar::Integer(integer));
        }
        let double: f64 = json.parse().ok()?;
        double.is_finite().then_some(Scalar::Double(double))
    }

    /// The nearest double, and what an integer has beyond it: at most 1,024 either way.
    fn parts(&self) -> Option<(f64, i16)> {
        match self {
            Scalar::Integer(integer) => {
                let double = *integer as f64;
                let rest = *integer - double as i128;
                Some((double, i16::try_from(rest).unwrap_or_default()))
            }
            // Adding 0 makes a negative zero a positive one.
            Scalar::Double(double) => Some((double + 0.0, 0)),
            _ => None,
        }
    }

    /// The type byte of the encoding; the same for values that `<` compares within one type.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Scalar::Null => Kind::Null,
            Scalar::Bool(_) => Kind::Bool,
            Scalar::Integer(_) | Scalar::Double(_) => Kind::Number,
            Scalar::Text(_) => Kind::Text,
        }
    }

    /// Appends the encoding. Long strings are cut, so that different ones may have the same encoding,
    /// never one in the wrong order.
    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        match self {
            Scalar::Null => out.push(NULL),
            Scalar::Bool(false) => out.push(FALSE),
            Scalar::Bool(true) => out.push(TRUE),
            Scalar::Integer(_) | Scalar::Double(_) => {
                let (double, rest) = self.parts().unwrap_or_default();
                out.push(NUMBER);
                out.extend_from_slice(&ordered_bits(double).to_be_bytes());
                out.extend_from_slice(&(rest as u16 ^ 0x8000).to_be_bytes());
            }
            Scalar::Text(text) => {
                out.push(STRING);
                match text.as_bytes().get(..INDEXED_STRING_BYTES_MAX) {
                    Some(head) if text.len() > head.len() => {
                        push_escaped(out, head);
                        out.extend_from_slice(&[0, CUT]);
                    }
                    _ => {
                        push_escaped(out, text.as_bytes());
                        out.extend_from_slice(&[0, END]);
                    }
                }
            }
        }
    }

    /// The encoding.
    pub(crate) fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16);
        self.push(&mut out);
        out
    }

    /// Whether the encoding has less than the whole value.
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self, Scalar::Text(text) if text.len() > INDEXED_STRING_BYTES_MAX)
    }
}

/// Types that `<` compares within.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    Text,
}

impl Kind {
    /// The encodings of a type are those from the first byte to before the second.
    pub(crate) fn bounds(self) -> (u8, u8) {
        match self {
            Kind::Null => (NULL, FALSE),
            Kind::Bool => (FALSE, NUMBER),
            Kind::Number => (NUMBER, STRING),
            Kind::Text => (STRING, STRING + 1),
        }
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Scalar) -> Ordering {
        match (self, other) {
            (Scalar::Text(a), Scalar::Text(b)) => a.cmp(b),
            (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(b),
            _ => match (self.parts(), other.parts()) {
                (Some((a, a_rest)), Some((b, b_rest))) => {
                    a.total_cmp(&b).then_with(|| a_rest.cmp(&b_rest))
                }
                _ => (self.kind() as u8).cmp(&(other.kind() as u8)),
            },
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Scalar) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Scalar) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scalar {}

/// Bits that sort like the doubles.
fn ordered_bits(double: f64) -> u64 {
    let bits = double.to_bits();
    match bits >> 63 {
        0 => bits | 1 << 63,
        _ => !bits,
    }
}

/// Appends bytes such that what follows them cannot change their order.
pub(crate) fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xFF);
        }
    }
}

/// Appends bytes as [`push_escaped`] and their end.
pub(crate) fn push_ended(out: &mut Vec<u8>, bytes: &[u8]) {
    push_escaped(out, bytes);
    out.extend_from_slice(&[0, END]);
}

/// Bytes that were appended by [`push_ended`] and are followed by nothing.
pub(crate) fn unended(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.strip_suffix(&[0, END])?.iter();
    while let Some(byte) = rest.next() {
        out.push(*byte);
        if *byte == 0 && rest.next() != Some(&0xFF) {
            return None;
        }
    }
    Some(out)
}

/// The first bytes of the encodings of all strings that begin with `prefix`, and of some more when
/// it is longer than what is indexed.
pub(crate) fn text_prefix(prefix: &str) -> Vec<u8> {
    let mut out = vec![STRING];
    let head = prefix.as_bytes();
    push_escaped(
        &mut out,
        head.get(..INDEXED_STRING_BYTES_MAX).unwrap_or(head),
    );
    out
}

/// Splits an encoding from what follows it, and says whether it was cut. Nothing for other bytes.
pub(crate) fn split(bytes: &[u8]) -> Option<(&[u8], bool, &[u8])> {
    let (len, cut) = match *bytes.first()? {
        NULL | FALSE | TRUE => (1, false),
        NUMBER => (11, false),
        STRING => {
            let mut at = 1;
            loop {
                at += bytes.get(at..)?.iter().position(|byte| *byte == 0)? + 2;
                match *bytes.get(at - 1)? {
                    0xFF => {}
                    END => break (at, false),
                    CUT => break (at, true),
                    _ => return None,
                }
            }
        }
        _ => return None,
    };
    let (encoding, rest) = bytes.split_at_checked(len)?;
    Some((encoding, cut, rest))
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
