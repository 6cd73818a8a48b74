//! Names in a repository: backup ids and objects.
//!
//! An object's name is `FOLDER/LEAF` of a known folder, or `FORMAT`. A leaf has 1-128 characters
//! of `A-Z a-z 0-9 . _ -` and does not start with a dot, so no name can leave its folder or meet a
//! temporary file.

use std::fmt;

use statekeep_core::{Error, Result};
use ulid::Ulid;

/// Longest leaf of an object's name.
pub const LEAF_BYTES_MAX: usize = 128;

/// Makes the type of an id: a ULID, 26 characters that sort by time.
macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(
            Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(ulid::Ulid);

        impl $name {
            /// The id that a text names; anything but 26 upper-case characters of a ULID is refused.
            pub fn parse(text: &str) -> statekeep_core::Result<$name> {
                let shown: String = text.chars().take(64).collect();
                ulid::Ulid::from_string(text)
                    .ok()
                    .filter(|id| id.to_string() == text)
                    .map($name)
                    .ok_or_else(|| {
                        statekeep_core::Error::invalid($what, format!("`{shown}` is not a ULID"))
                    })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = statekeep_core::Error;

            fn try_from(text: String) -> statekeep_core::Result<$name> {
                $name::parse(&text)
            }
        }
    };
}
pub(crate) use ulid_id;

ulid_id! {
    /// The id of a backup, a ULID: 26 characters that sort by time.
    BackupId, "backup id"
}

impl BackupId {
    /// An id that sorts after `newest`, whatever the clock says.
    pub(crate) fn after(newest: Option<BackupId>) -> BackupId {
        let fresh = Ulid::new();
        match newest {
            Some(BackupId(newest)) if newest >= fresh => {
                let later = newest.timestamp_ms().saturating_add(1);
                if later >> Ulid::TIME_BITS == 0 {
                    BackupId(Ulid::from_parts(later, fresh.random()))
                } else {
                    BackupId(fresh)
                }
            }
            _ => BackupId(fresh),
        }
    }

    /// When it was made, by its maker's clock: milliseconds since 1970-01-01 UTC.
    pub fn begun_unix_ms(self) -> i64 {
        i64::try_from(self.0.timestamp_ms()).unwrap_or(i64::MAX)
    }

    /// The 16 bytes of a segment's header.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0.to_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> BackupId {
        BackupId(Ulid::from_bytes(bytes))
    }
}

/// The folders of a repository.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Folder {
    /// `man/`: commit slots of backups.
    Manifests,
    /// `seg/`: segments.
    Segments,
    /// `run/`: lists of segments.
    Runs,
    /// `lease/`: leases of writers, and marks of readers.
    Leases,
    /// `del/`: deletions.
    Deletions,
    /// `fin/`: end slots of deleted backups.
    Ends,
    /// `att/`: results of verifications and drills.
    Attestations,
    /// `jnl/`: shipped journal.
    Journal,
    /// `keys/`: wrapped keys.
    Keys,
    /// `pin/`: backups that no policy may forget.
    Pins,
    /// `idx/`: summaries of many manifests, for fast lists.
    Indexes,
}

impl Folder {
    /// All of them, as a new repository has them.
    pub const ALL: [Folder; 11] = [
        Folder::Manifests,
        Folder::Segments,
        Folder::Runs,
        Folder::Leases,
        Folder::Deletions,
        Folder::Ends,
        Folder::Attestations,
        Folder::Journal,
        Folder::Keys,
        Folder::Pins,
        Folder::Indexes,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Folder::Manifests => "man",
            Folder::Segments => "seg",
            Folder::Runs => "run",
            Folder::Leases => "lease",
            Folder::Deletions => "del",
            Folder::Ends => "fin",
            Folder::Attestations => "att",
            Folder::Journal => "jnl",
            Folder::Keys => "keys",
            Folder::Pins => "pin",
            Folder::Indexes => "idx",
        }
    }
}

/// The checked name of an object.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectName {
    folder: Option<Folder>,
    leaf: String,
}

impl ObjectName {
    /// The object that describes the repository, outside of all folders.
    pub fn format() -> ObjectName {
        ObjectName {
            folder: None,
            leaf: "FORMAT".to_owned(),
        }
    }

    /// An object of a folder.
    pub fn new(folder: Folder, leaf: &str) -> Result<ObjectName> {
        check_leaf(leaf)?;
        Ok(ObjectName {
            folder: Some(folder),
            leaf: leaf.to_owned(),
        })
    }

    /// The name that a text says.
    pub fn parse(text: &str) -> Result<ObjectName> {
        if text == "FORMAT" {
            return Ok(ObjectName::format());
        }
        let shown: String = text.chars().take(64).collect();
        let unknown = || Error::invalid("object name", format!("`{shown}` is not FOLDER/NAME"));
        let (folder, leaf) = text.split_once('/').ok_or_else(unknown)?;
        let folder = Folder::ALL
            .into_iter()
            .find(|known| known.name() == folder)
            .ok_or_else(unknown)?;
        ObjectName::new(folder, leaf)
    }

    /// `man/ID`
    pub(crate) fn manifest(id: BackupId) -> ObjectName {
        ObjectName {
            folder: Some(Folder::Manifests),
            leaf: id.to_string(),
        }
    }

    /// `lease/ID`
    pub(crate) fn lease(id: BackupId) -> ObjectName {
        ObjectName {
            folder: Some(Folder::Leases),
            leaf: id.to_string(),
        }
    }

    /// `lease/ID-ULID`: the mark of a reader.
    pub(crate) fn mark(id: BackupId, mark: Ulid) -> ObjectName {
        ObjectName {
            folder: Some(Folder::Leases),
            leaf: format!("{id}-{mark}"),
        }
    }

    /// `pin/ID`
    pub(crate) fn pin(id: BackupId) -> ObjectName {
        ObjectName {
            folder: Some(Folder::Pins),
            leaf: id.to_string(),
        }
    }

    /// `keys/ULID`
    pub(crate) fn key(id: Ulid) -> ObjectName {
        ObjectName {
            folder: Some(Folder::Keys),
            leaf: id.to_string(),
        }
    }

    /// `run/ID-N`
    pub(crate) fn run(id: BackupId, number: u32) -> ObjectName {
        ObjectName {
            folder: Some(Folder::Runs),
            leaf: format!("{id}-{number}"),
        }
    }

    /// `seg/ID-NNNNNN.seg`
    pub(crate) fn segment(id: BackupId, number: u32) -> ObjectName {
        ObjectName {
            folder: Some(Folder::Segments),
            leaf: format!("{id}-{number:06}.seg"),
        }
    }

    /// Where it lives; `None` for `FORMAT`.
    pub fn folder(&self) -> Option<Folder> {
        self.folder
    }

    /// The name within its folder.
    pub fn leaf(&self) -> &str {
        &self.leaf
    }

    /// Whether a lease is the mark of a reader.
    pub(crate) fn is_mark(&self) -> bool {
        self.leaf.contains('-')
    }

    /// The backup that a lease or a mark is of, if the name has the form of one.
    pub(crate) fn leased(&self) -> Option<BackupId> {
        let (id, mark) = match self.leaf.split_once('-') {
            Some((id, mark)) => (id, Some(mark)),
            None => (self.leaf.as_str(), None),
        };
        let is_ulid = |text: &str| Ulid::from_string(text).is_ok_and(|id| id.to_string() == text);
        BackupId::parse(id)
            .ok()
            .filter(|_| self.folder == Some(Folder::Leases) && mark.is_none_or(is_ulid))
    }

    /// The backup that wrote this run or segment, if the name has the form of one.
    pub(crate) fn owner(&self) -> Option<BackupId> {
        let (id, number) = self.leaf.split_once('-')?;
        let id = BackupId::parse(id).ok()?;
        let digits = match self.folder? {
            Folder::Runs => number,
            Folder::Segments => number.strip_suffix(".seg")?,
            _ => return None,
        };
        let number: u32 = digits.parse().ok()?;
        let canonical = match self.folder? {
            Folder::Runs => ObjectName::run(id, number),
            _ => ObjectName::segment(id, number),
        };
        (canonical == *self).then_some(id)
    }
}

fn check_leaf(leaf: &str) -> Result<()> {
    let shown: String = leaf.chars().take(64).collect();
    let ordinary = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    let wrong = leaf.is_empty() || leaf.len() > LEAF_BYTES_MAX || leaf.starts_with('.');
    if wrong || !leaf.bytes().all(ordinary) {
        let reason = format!(
            "`{shown}` is not 1 to {LEAF_BYTES_MAX} characters of A-Z a-z 0-9 . _ - without a leading dot"
        );
        return Err(Error::invalid("object name", reason));
    }
    Ok(())
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.folder {
            Some(folder) => write!(f, "{}/{}", folder.name(), self.leaf),
            None => f.write_str(&self.leaf),
        }
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<ObjectName> for String {
    fn from(name: ObjectName) -> String {
        name.to_string()
    }
}

impl TryFrom<String> for ObjectName {
    type Error = Error;

    fn try_from(text: String) -> Result<ObjectName> {
        ObjectName::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_paths_are_refused() {
        for text in [
            "",
            "man/",
            "man/..",
            "man/../victim",
            "/man/x",
            "man/.tmp",
            "x",
            "foo/x",
            "man/a/b",
            "man/a b",
            "../man/x",
        ] {
            assert!(ObjectName::parse(text).is_err(), "{text:?} was taken");
        }
        assert!(ObjectName::new(Folder::Segments, &"x".repeat(129)).is_err());
        assert_eq!(ObjectName::parse("FORMAT").unwrap().to_string(), "FORMAT");
        assert_eq!(
            ObjectName::parse("att/a_B.9-").unwrap().to_string(),
            "att/a_B.9-"
        );
    }

    #[test]
    fn ids_are_exactly_ulids_and_rise() {
        let id = BackupId::after(None);
        assert_eq!(BackupId::parse(&id.to_string()).unwrap(), id);
        assert!(BackupId::parse(&id.to_string().to_lowercase()).is_err());
        assert!(BackupId::parse("../victim").is_err());
        let future = BackupId(Ulid::from_parts(1 << 47, 5));
        assert!(BackupId::after(Some(future)) > future);
        let last = BackupId(Ulid::from_parts((1 << 48) - 1, u128::MAX));
        assert_ne!(BackupId::after(Some(last)), last);
    }

    #[test]
    fn only_canonical_names_have_an_owner() {
        let id = BackupId::after(None);
        assert_eq!(ObjectName::run(id, 3).owner(), Some(id));
        assert_eq!(ObjectName::segment(id, 3).owner(), Some(id));
        assert_eq!(
            ObjectName::parse(&format!("run/{id}-03")).unwrap().owner(),
            None
        );
        assert_eq!(
            ObjectName::parse(&format!("seg/{id}-3.seg"))
                .unwrap()
                .owner(),
            None
        );
        assert_eq!(ObjectName::parse("run/x-1").unwrap().owner(), None);
    }
}
