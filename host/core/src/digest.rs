//! The state digest: one number for all records, whatever order they come in.
//!
//! The sum modulo 2^256 of `SHA-256(length of the key, u64 little-endian ‖ key ‖ record bytes)`,
//! each hash read as a little-endian number, written as 64 hexadecimal digits of the little-endian
//! bytes. A restore, a synthetic full or a swap of the backend must reproduce it. It proves that
//! nothing was lost or mixed up by accident; it is no defence against an attacker.

use std::fmt;

use sha2::{Digest, Sha256};

/// A running sum.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct StateDigest([u64; 4]);

impl StateDigest {
    /// Adds one record.
    pub fn add(&mut self, key: &[u8], record: &[u8]) {
        let hash = Sha256::new()
            .chain_update((key.len() as u64).to_le_bytes())
            .chain_update(key)
            .chain_update(record)
            .finalize();
        let term = StateDigest::from_bytes(hash.into());
        self.merge(&term);
    }

    /// Adds the sum of other records.
    pub fn merge(&mut self, other: &StateDigest) {
        let mut carry = false;
        for (limb, term) in self.0.iter_mut().zip(other.0) {
            let (sum, first) = limb.overflowing_add(term);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = first || second;
        }
    }

    /// Takes the sum of some of the records out again.
    pub fn remove(&mut self, other: &StateDigest) {
        let mut borrow = false;
        for (limb, term) in self.0.iter_mut().zip(other.0) {
            let (rest, first) = limb.overflowing_sub(term);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            *limb = rest;
            borrow = first || second;
        }
    }

    /// The sum that has these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> StateDigest {
        let mut sum = StateDigest::default();
        let (words, _) = bytes.as_chunks::<8>();
        for (limb, word) in sum.0.iter_mut().zip(words) {
            *limb = u64::from_le_bytes(*word);
        }
        sum
    }

    /// Its bytes, as manifests hold them.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }
}

/// 64 lower-case hexadecimal digits.
impl fmt::Display for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.to_bytes().into_iter();
        bytes.try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_but_every_byte_does() {
        let digest = |rows: &[(&str, &str)]| {
            let mut sum = StateDigest::default();
            rows.iter()
                .for_each(|(key, record)| sum.add(key.as_bytes(), record.as_bytes()));
            sum.to_bytes()
        };
        assert_eq!(
            digest(&[("a", "1"), ("b", "2")]),
            digest(&[("b", "2"), ("a", "1")])
        );
        assert_ne!(
            digest(&[("a", "1"), ("b", "2")]),
            digest(&[("a", "2"), ("b", "1")])
        );
        assert_ne!(digest(&[("ab", "c")]), digest(&[("a", "bc")]));
        assert_ne!(digest(&[("a", "1")]), digest(&[("a", "1"), ("a", "1")]));
        assert_eq!(digest(&[]), [0; 32]);
    }

    #[test]
    fn what_was_added_can_be_taken_out() {
        let (mut sum, mut one) = (StateDigest::default(), StateDigest::default());
        one.add(b"a", b"1");
        sum.remove(&one);
        sum.add(b"b", b"2");
        sum.merge(&one);
        let mut other = StateDigest::default();
        other.add(b"b", b"2");
        assert_eq!(sum, other);
    }

    #[test]
    fn the_carry_runs_through_all_limbs() {
        let mut sum = StateDigest([u64::MAX; 4]);
        sum.merge(&StateDigest([1, 0, 0, 0]));
        assert_eq!(sum, StateDigest([0; 4]));
    }
}
