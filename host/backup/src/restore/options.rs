//! What can be asked of a restore, and what it answers.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;
use statekeep_core::{Error, Result, Selection, UnixMs};

use crate::exchange::{ImportMode, Samples};
use crate::hex::Hash256;
use crate::name::BackupId;

/// What becomes of records of a part that the backup does not have: with `replace` they are removed.
pub type RestoreMode = ImportMode;

/// Which state is restored.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum RestoreAt {
    /// What a backup shows.
    Backup(BackupId),
    /// The state right after a commit, from the smallest backup that has it.
    Sequence(u64),
    /// The state after the last commit at or before a time, from the smallest backup that has it.
    Time(UnixMs),
}

impl From<BackupId> for RestoreAt {
    fn from(id: BackupId) -> RestoreAt {
        RestoreAt::Backup(id)
    }
}

/// Where a restore goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RestoreTo {
    /// Into the state, on the backend that it has.
    #[default]
    State,
    /// Into the state, which moves to another backend by it. The settings hold until the state is
    /// closed; later openings take the configuration's.
    Backend {
        /// The backend's name.
        name: String,
        /// The backend's own settings, a JSON object.
        options: Value,
    },
    /// Into a new state with an id and a timeline of its own, which has no backups yet.
    Dir {
        /// The state's directory, absolute; absent or empty.
        path: PathBuf,
        /// Its backend; that of the state when `None`.
        backend: Option<String>,
        /// The backend's own settings, a JSON object.
        options: Value,
    },
}

/// How a backup is restored. `RestoreOptions::default()` is the whole state, replacing all, after a
/// backup of what it was.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoreOptions {
    /// The past that a sequence or time belongs to; by default the state's own, with what it has of
    /// those that it was restored from, or the only one that the repository has backups of.
    pub timeline: Option<String>,
    /// Which records; all when `None`. Into the state a part is of one tenant, whose other records
    /// stay.
    pub selection: Option<Selection>,
    /// What becomes of records of the part that the backup does not have; must be said for a part
    /// that goes into the state.
    pub mode: Option<RestoreMode>,
    /// Change nothing, only tell what would differ.
    pub dry_run: bool,
    /// First make a full backup of the state, which stands on no other, with the tag
    /// [`SAFETY_TAG`](super::SAFETY_TAG).
    pub safety_backup: bool,
    /// Where it goes.
    pub to: RestoreTo,
    /// Who restores a part, for the journal.
    pub principal: String,
    /// What the commit of a part belongs to, for the journal; the backup when empty.
    pub correlation_id: String,
}

impl Default for RestoreOptions {
    fn default() -> RestoreOptions {
        RestoreOptions {
            timeline: None,
            selection: None,
            mode: None,
            dry_run: false,
            safety_backup: true,
            to: RestoreTo::State,
            principal: String::new(),
            correlation_id: String::new(),
        }
    }
}

impl RestoreOptions {
    /// What is selected, unless it is all.
    pub(super) fn part(&self) -> Option<&Selection> {
        self.selection.as_ref().filter(|part| !part.is_whole())
    }

    /// Checks that they go together.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |what, reason: &str| Err(Error::invalid(what, reason));
        let merges = self.mode == Some(RestoreMode::Merge);
        match (&self.to, self.part()) {
            (RestoreTo::Dir { .. }, _) if self.dry_run => refuse(
                "dry run",
                "it compares with the state, and a new directory has none; leave one of both out",
            ),
            (RestoreTo::Dir { .. }, _) if merges => {
                refuse("mode", "a new directory has nothing to merge with")
            }
            (RestoreTo::Backend { .. }, Some(_)) => refuse(
                "selection",
                "the whole state moves to another backend, a part cannot; leave the backend out",
            ),
            (_, None) if merges => refuse(
                "mode",
                "a whole state is replaced; to merge, select a tenant, scopes or keys",
            ),
            (RestoreTo::State, Some(part)) if !self.dry_run => self.tenant_and_mode(part).map(drop),
            _ => Ok(()),
        }
    }

    /// Whose part goes into the state, and how.
    pub(super) fn tenant_and_mode<'a>(
        &self,
        part: &'a Selection,
    ) -> Result<(&'a str, RestoreMode)> {
        let tenant = part.tenant().ok_or_else(|| {
            let reason = "a part is restored by one commit, which is of one tenant; name the tenant \
                          (the empty name is the default one)";
            Error::invalid("selection", reason)
        })?;
        let mode = self.mode.ok_or_else(|| {
            let reason = "say what becomes of records that the backup does not have: `replace` \
                          removes them, `merge` keeps them";
            Error::invalid("mode", reason)
        })?;
        Ok((tenant, mode))
    }
}

/// The result of a restore. A number is null where it was not counted: a state that was replaced as a
/// whole is not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// The backup that was read.
    pub id: BackupId,
    /// The sequence of the restored state in the past that it was taken from.
    pub backup_sequence: u64,
    /// The time of that commit, where it is known.
    pub backup_time_unix_ms: Option<i64>,
    /// The past that it was taken from.
    pub timeline: String,
    /// What became of records that the backup does not have.
    pub mode: RestoreMode,
    /// Nothing was changed.
    pub dry_run: bool,
    /// The state's sequence after the restore; sequences go on rising. Of a dry run, the commit that
    /// was compared with.
    pub sequence: u64,
    /// The last commit before that of a part; null when nothing differed.
    pub before_sequence: Option<u64>,
    /// Records restored; of a part, those that the backup has of it.
    pub records: u64,
    /// Bytes of their stored keys and records.
    pub bytes: u64,
    /// The digest of these records; of a whole backup it is the one that the manifest says.
    pub state_digest: Hash256,
    /// Names that were not there.
    pub added: Option<u64>,
    /// Names that were there with something else.
    pub changed: Option<u64>,
    /// Names that the backup does not have and that are gone.
    pub removed: Option<u64>,
    /// Names that were the same already.
    pub unchanged: Option<u64>,
    /// Records of a part whose time had come since the backup, which were left out.
    pub expired: u64,
    /// Of a dry run, some of the names.
    pub samples: Option<Samples>,
    /// The backup that was made before.
    pub safety_backup: Option<BackupId>,
    /// The namespace in use now, when it is another one.
    pub namespace: Option<String>,
    /// The namespace that was in use, which is kept: `undo` goes back to it.
    pub replaced: Option<String>,
    /// The directory of the new state.
    #[serde(serialize_with = "lossy")]
    pub path: Option<PathBuf>,
    /// The id of the new state.
    pub state_id: Option<String>,
    /// What did not go as it should, and kept nothing from being restored.
    pub warnings: Vec<String>,
    /// How long it took.
    pub duration_ms: u64,
}

fn lossy<S: serde::Serializer>(
    path: &Option<PathBuf>,
    out: S,
) -> std::result::Result<S::Ok, S::Error> {
    path.as_ref()
        .map(|path| path.to_string_lossy())
        .serialize(out)
}
