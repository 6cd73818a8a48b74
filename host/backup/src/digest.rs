//! The state digest: one number for all records, whatever order they come in.
//!
//! The sum modulo 2^256 of `SHA-256(length of the key, u64 little-endian ‖ key ‖ record bytes)`,
//! each hash read as a little-endian number, written as 64 hexadecimal digits of the little-endian
//! bytes. A restore or a synthetic full must reproduce it. It proves that nothing was lost or
//! mixed up by accident; it is no defence against an attacker.

use sha2::{Digest, Sha256};

use crate::hex::Hash256;

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
        let (words, _) = hash.as_chunks::<8>();
        let mut term = StateDigest::default();
        for (limb, word) in term.0.iter_mut().zip(words) {
            *limb = u64::from_le_bytes(*word);
        }
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

    /// Its bytes, as manifests hold them.
    pub fn hash(&self) -> Hash256 {
        let mut bytes = [0; 32];
        for (place, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&limb.to_le_bytes());
        }
        Hash256(bytes)
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
            sum.hash()
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
        assert_eq!(digest(&[]), Hash256([0; 32]));
    }

    #[test]
    fn the_carry_runs_through_all_limbs() {
        let mut sum = StateDigest([u64::MAX; 4]);
        sum.merge(&StateDigest([1, 0, 0, 0]));
        assert_eq!(sum, StateDigest([0; 4]));
    }
}
