//! What a row of the table of keys says, and how a name is looked up in it.
//!
//! Names are dotted; a name that is no key is compared with those that are, so that a typo gets an
//! answer that helps.

pub use super::foreign::{ALIASES, UNSUPPORTED};
pub use super::table::KEYS;

/// What a key holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file or folder; relative to the configuration file, else to the working directory.
    Path,
    /// A text of 1 to 2048 bytes without control characters.
    Text,
    /// Such a text that is never shown.
    Secret,
    /// A list of folders; as text separated by `:`.
    Paths,
    /// A name of 1 to 128 bytes of `a-z A-Z 0-9 . - _`.
    Name,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number in a range, both ends included.
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// `true` or `false`.
    Bool,
    /// A length of time such as `90m` or `7d`, or a whole number of seconds.
    Span {
        /// Shortest, in milliseconds.
        min_ms: u64,
        /// Longest, in milliseconds.
        max_ms: u64,
    },
    /// A time of the day such as `03:00`.
    TimeOfDay,
    /// A time zone such as `Europe/Berlin`.
    TimeZone,
    /// A table whose keys belong to the backend.
    Table,
    /// A list of rules: tables that say what holds for the keys of a pattern.
    Rules,
    /// A list of retention policies and groups of them.
    Policies,
}

/// One row of the table.
#[derive(Copy, Clone, Debug)]
pub struct Key {
    /// The dotted name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The default in text form; `None` when the key may be unset.
    pub default: Option<&'static str>,
    /// What happens when it is unset, for a key without a default.
    pub unset: &'static str,
    /// The unit of a number, or empty.
    pub unit: &'static str,
    /// What it does, for users.
    pub about: &'static str,
}

impl Key {
    /// Whether it is a number of bytes, which may have a unit.
    pub(super) fn is_bytes(&self) -> bool {
        matches!(self.kind, Kind::Integer { .. }) && self.unit == "bytes"
    }
}

/// The row of a key, given its name or another name of it.
pub fn find(name: &str) -> Option<&'static Key> {
    let name = ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, key)| key);
    KEYS.iter().find(|key| key.name == name)
}

/// Why a name is refused, if it is one of those that are known but not built.
pub fn unsupported(name: &str) -> Option<(&'static str, &'static str)> {
    UNSUPPORTED
        .iter()
        .find(|(known, _)| {
            name == *known || name.strip_prefix(known).is_some_and(|r| r.starts_with('.'))
        })
        .copied()
}

/// Whether `name` is the first part of a dotted key, such as `backup`.
pub fn is_section(name: &str) -> bool {
    let names = KEYS
        .iter()
        .map(|key| key.name)
        .chain(ALIASES.iter().map(|(alias, _)| *alias));
    names
        .chain(UNSUPPORTED.iter().map(|(known, _)| *known))
        .any(|known| {
            known
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('.'))
        })
}

/// Most edits that turn what was written into what was meant; further away it is a guess.
const TYPO_EDITS_MAX: usize = 2;

/// The known key that a name was meant to be: the closest one, within two edits and less than half
/// of the name. A bare last part (`codec`) is compared with last parts too.
pub fn meant(name: &str) -> Option<&'static str> {
    let (key, edits) = nearest(name);
    (edits <= TYPO_EDITS_MAX && edits * 2 < name.len()).then_some(key)
}

fn nearest(name: &str) -> (&'static str, usize) {
    let mut best = ("", usize::MAX);
    let aliases = ALIASES.iter().map(|(alias, key)| (*alias, *key));
    for (known, key) in KEYS.iter().map(|key| (key.name, key.name)).chain(aliases) {
        let mut edits = statekeep_core::edits(name, known);
        if let (false, Some((_, last))) = (name.contains('.'), known.rsplit_once('.')) {
            edits = edits.min(statekeep_core::edits(name, last));
        }
        if edits < best.1 {
            best = (key, edits);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_name_leads_to_a_key_and_none_is_both_known_and_refused() {
        for (alias, key) in ALIASES {
            assert_eq!(find(alias).map(|found| found.name), Some(*key), "{alias}");
        }
        for (name, _) in UNSUPPORTED {
            assert!(find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_nearest_key_is_the_one_that_was_meant() {
        for (typo, meant) in [
            ("pth", "path"),
            ("backup.codek", "backup.codec"),
            ("codec", "backup.codec"),
            ("backup_codec", "backup.codec"),
            ("flush_intervall_ms", "flush_interval_ms"),
            ("plugins.allow-unlisted", "plugins.allow_unlisted"),
        ] {
            assert_eq!(super::meant(typo), Some(meant), "{typo}");
        }
        for far in ["nope", "x", "", "codecs.of.mine", "database_url", "backup"] {
            assert_eq!(super::meant(far), None, "{far}");
        }
    }
}
