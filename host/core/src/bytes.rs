//! Reading and writing the fields of stored rows: little-endian numbers, LEB128 lengths.
//!
//! A [`Reader`] never panics and never allocates by a length that it has not checked.

use crate::{Error, Result};

/// The rest of a row that is being read, and the row's name for errors.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'a str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'a str) -> Reader<'a> {
        Reader { rest: bytes, what }
    }

    /// An error about this row.
    pub(crate) fn corrupt(&self, reason: impl Into<String>) -> Error {
        Error::corrupt(self.what, reason)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.corrupt("it ends too early")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(self.corrupt("it ends too early")),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(crate) fn u128(&mut self) -> Result<u128> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    /// An unsigned LEB128 number of up to 64 bits, in its shortest form.
    pub(crate) fn uvarint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.corrupt("a length is malformed"))
    }

    /// A length as uvarint, and that many bytes.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.uvarint()?;
        let len = usize::try_from(len).map_err(|_| self.corrupt("a length is too large"))?;
        self.take(len)
    }

    /// As [`Reader::bytes`], which must be UTF-8.
    pub(crate) fn text(&mut self) -> Result<&'a str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.corrupt("a text is not UTF-8"))
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Ends the reading; bytes left over are an error.
    pub(crate) fn end(self) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            n => Err(self.corrupt(format!("{n} bytes follow its end"))),
        }
    }
}

/// Appends an unsigned LEB128 number.
pub(crate) fn push_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length as uvarint, and the bytes.
pub(crate) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_uvarint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_read_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), 1 << 62, u64::MAX] {
            let mut bytes = Vec::new();
            push_uvarint(&mut bytes, value);
            let mut reader = Reader::new(&bytes, "row");
            assert_eq!(reader.uvarint().unwrap(), value);
            reader.end().unwrap();
        }
    }

    #[test]
    fn malformed_lengths_are_errors() {
        let bad: [&[u8]; 5] = [
            b"",
            b"\x80",
            b"\x80\x00",
            b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02",
            b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x81\x00",
        ];
        for bytes in bad {
            assert!(Reader::new(bytes, "row").uvarint().is_err(), "{bytes:?}");
        }
        assert!(
            Reader::new(b"\xFF\xFF\xFF\xFF\x0Fab", "row")
                .bytes()
                .is_err()
        );
    }
}
