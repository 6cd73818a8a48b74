//! The one table of every configuration key: type, range, default, unit and description.
//!
//! TOML, JSON, environment, `set`, `config show` and `docs/configuration.md` are all made from it.
//! A key that is not here does not exist.

/// What a key holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file or folder; relative to the configuration file, else to the working directory.
    Path,
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
    /// A table whose keys belong to the backend.
    Table,
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

const fn key(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    unit: &'static str,
    about: &'static str,
) -> Key {
    Key {
        name,
        kind,
        default,
        unset: "",
        unit,
        about,
    }
}

const fn unset(name: &'static str, kind: Kind, unset: &'static str, about: &'static str) -> Key {
    Key {
        name,
        kind,
        default: None,
        unset,
        unit: "",
        about,
    }
}

/// Every key, in the order in which it is shown.
pub const KEYS: &[Key] = &[
    unset(
        "path",
        Kind::Path,
        "must be set before a state is opened",
        "The state directory: everything of one state, and by default its backups.",
    ),
    key(
        "backend",
        Kind::Name,
        Some("fjall"),
        "",
        "The backend plugin that stores a new state: `fjall`, `sled`, `memory` (lost when closed) \
         or the name of a plugin in `plugins.paths`.",
    ),
    key(
        "backend_options",
        Kind::Table,
        Some("{}"),
        "",
        "Settings of the backend itself; its documentation lists them. Paths in it are not made \
         relative to the file.",
    ),
    key(
        "create",
        Kind::Bool,
        Some("true"),
        "",
        "Whether opening creates a state that is not there yet.",
    ),
    key(
        "durability",
        Kind::Choice(&["sync", "relaxed"]),
        Some("sync"),
        "",
        "How safe a change is when it is acknowledged: `sync` is on stable storage, `relaxed` is \
         there within `flush_interval_ms`.",
    ),
    key(
        "flush_interval_ms",
        Kind::Integer {
            min: 1,
            max: 60_000,
        },
        Some("100"),
        "milliseconds",
        "The longest time a relaxed change waits before it is synced.",
    ),
    key(
        "limits.value_bytes_max",
        Kind::Integer {
            min: 1,
            max: 1 << 30,
        },
        Some("16777216"),
        "bytes",
        "The largest value.",
    ),
    key(
        "limits.batch_ops_max",
        Kind::Integer {
            min: 1,
            max: 1_000_000,
        },
        Some("10000"),
        "operations",
        "The most changes in one batch.",
    ),
    key(
        "limits.batch_bytes_max",
        Kind::Integer {
            min: 1,
            max: 1 << 31,
        },
        Some("67108864"),
        "bytes",
        "The most bytes of keys and values in one batch.",
    ),
    key(
        "limits.page_keys_max",
        Kind::Integer {
            min: 1,
            max: 100_000,
        },
        Some("1000"),
        "keys",
        "The most keys that one page of a listing holds.",
    ),
    unset(
        "backup.dir",
        Kind::Path,
        "`backups` in the state directory",
        "The backup repository; created by the first backup.",
    ),
    key(
        "backup.codec",
        Kind::Name,
        Some("zstd"),
        "",
        "The compression plugin that packs backups: `zstd`, `lz4`, `gzip`, `brotli` or the name \
         of a plugin in `plugins.paths`.",
    ),
    unset(
        "backup.level",
        Kind::Integer {
            min: -131_072,
            max: 22,
        },
        "the codec's own default",
        "The compression level; each codec has its own range within this one.",
    ),
    unset(
        "backup.threads",
        Kind::Integer { min: 1, max: 64 },
        "one for each processor, at most 4",
        "How many threads pack a backup.",
    ),
    key(
        "plugins.paths",
        Kind::Paths,
        Some(""),
        "",
        "Folders where plugin libraries are looked for, in this order, after the built-in plugins.",
    ),
    unset(
        "plugins.lock",
        Kind::Path,
        "no file: only built-in plugins load, unless `plugins.allow_unlisted`",
        "The `plugins.lock` file that lists the SHA-256 of each library that may be loaded.",
    ),
    key(
        "plugins.allow_unlisted",
        Kind::Bool,
        Some("false"),
        "",
        "Load libraries that `plugins.lock` does not list. For development only: a library runs \
         with all rights of the process.",
    ),
    key(
        "plugins.deepbind",
        Kind::Bool,
        Some("false"),
        "",
        "Load plugins with RTLD_DEEPBIND, so that each prefers its own copies of shared symbols.",
    ),
];

/// Other names of keys, as users know them from elsewhere.
pub const ALIASES: &[(&str, &str)] = &[
    ("persistence_path", "path"),
    ("backend_type", "backend"),
    ("backup.backup_dir", "backup.dir"),
    ("backup.backup_path", "backup.dir"),
    ("backup.compression_type", "backup.codec"),
    ("backup.compression_level", "backup.level"),
];

const RETENTION: &str =
    "no retention policy is built in yet, so every backup stays; remove the key";
const SCHEDULE: &str = "backups are not scheduled yet; remove the key and run `backup create`";

/// Names that users may bring along and that are refused, with what to do instead.
pub const UNSUPPORTED: &[(&str, &str)] = &[
    (
        "backup.incremental_enabled",
        "every backup is a full one as yet; remove the key",
    ),
    (
        "backup.full_backup_interval",
        "every backup is a full one as yet; remove the key",
    ),
    ("backup.max_backups", RETENTION),
    ("backup.max_backup_age", RETENTION),
    ("backup.retention_count", RETENTION),
    ("backup.retention", RETENTION),
    (
        "retention",
        "neither retention nor history is configurable yet; remove the section",
    ),
    ("backup.enabled", SCHEDULE),
    ("backup.interval", SCHEDULE),
    (
        "backup.compression_enabled",
        "backups are always packed; choose how with `backup.codec`",
    ),
    (
        "enable_compression",
        "values are stored as they are given; remove the key",
    ),
    (
        "enable_wal",
        "each backend keeps its own log; say how safe a change is with `durability`",
    ),
    (
        "sync_mode",
        "say how safe a change is with `durability`: `sync` or `relaxed`",
    ),
    (
        "cache_size_mb",
        "a backend's cache is one of its `backend_options`",
    ),
    (
        "encryption",
        "encryption at rest is not built yet; use an encrypted file system",
    ),
    ("hooks", "hooks are not built yet; remove the section"),
];

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

/// The known key whose name is closest, and how many edits away it is. A bare last part (`codec`)
/// is compared with last parts too.
pub fn nearest(name: &str) -> (&'static str, usize) {
    let mut best = ("", usize::MAX);
    let aliases = ALIASES.iter().map(|(alias, key)| (*alias, *key));
    for (known, key) in KEYS.iter().map(|key| (key.name, key.name)).chain(aliases) {
        let mut edits = edits(name, known);
        if let (false, Some((_, last))) = (name.contains('.'), known.rsplit_once('.')) {
            edits = edits.min(self::edits(name, last));
        }
        if edits < best.1 {
            best = (key, edits);
        }
    }
    best
}

/// Levenshtein's distance, over bytes; names are cut at 64 bytes.
fn edits(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let a = a.get(..64).unwrap_or(a);
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = i;
        let mut left = i + 1;
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let here = (before + usize::from(x != y)).min(left + 1).min(*cell + 1);
            before = std::mem::replace(cell, here);
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
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
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        for (typo, meant) in [
            ("pth", "path"),
            ("backup.codek", "backup.codec"),
            ("codec", "backup.codec"),
            ("backup_codec", "backup.codec"),
            ("flush_intervall_ms", "flush_interval_ms"),
            ("plugins.allow-unlisted", "plugins.allow_unlisted"),
        ] {
            assert_eq!(nearest(typo).0, meant, "{typo}");
        }
    }
}
