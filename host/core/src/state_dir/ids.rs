//! Identities that appear in file names: of a state and of a namespace.

use std::fmt;
use std::str::FromStr;

use ulid::Ulid;

/// The identity of a state, given once and kept through restores and swaps.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(Ulid);

/// The identity of a namespace, and the name of its folder: `ns-` and a ULID.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespaceId(Ulid);

const PREFIX: &str = "ns-";

/// Text that is not an id.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an id of 26 characters as Statekeep writes them")]
pub struct BadId(String);

/// Reads a ULID in the one spelling we write, so that two names never mean one thing.
pub(super) fn parse_ulid(text: &str) -> Result<Ulid, BadId> {
    Ulid::from_string(text)
        .ok()
        .filter(|id| id.to_string() == text)
        .ok_or_else(|| BadId(text.chars().take(64).collect()))
}

impl StateId {
    pub(super) fn new() -> StateId {
        StateId(Ulid::new())
    }
}

impl NamespaceId {
    pub(super) fn new() -> NamespaceId {
        NamespaceId(Ulid::new())
    }
}

impl fmt::Display for StateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NamespaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

impl FromStr for StateId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<StateId, BadId> {
        parse_ulid(text).map(StateId)
    }
}

impl FromStr for NamespaceId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<NamespaceId, BadId> {
        let id = text
            .strip_prefix(PREFIX)
            .ok_or_else(|| BadId(text.chars().take(64).collect()))?;
        parse_ulid(id).map(NamespaceId)
    }
}
