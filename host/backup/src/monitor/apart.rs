//! Looking at a repository whose state is not open here: another process has it, or it is damaged.

use std::path::Path;
use std::sync::Arc;

use statekeep_core::vfs::{DiskSpace, Vfs};
use statekeep_core::{Progress, Result};

use super::alerts::{AlertFacts, DiskFacts};
use super::facts::{self, Remembered};
use crate::encryption::KeySource;
use crate::manager::{BackupConfig, StoreOpener};
use crate::repository::Repository;
use crate::upkeep::RepositoryReport;

/// What is known of a repository without its state.
pub struct Apart {
    /// What a check of the repository found; `None` where there is none yet.
    pub report: Option<RepositoryReport>,
    /// What the rules of alerts look at, as far as it is known without the state: no schedule, no disks,
    /// no limits.
    pub facts: AlertFacts,
}

/// Checks a repository without opening its state; `opener` is for one that is in no local folder. Changes
/// nothing.
///
/// # Errors
/// A repository that cannot be opened or listed.
pub fn look_apart(
    vfs: &Arc<dyn Vfs>,
    config: &BackupConfig,
    opener: Option<&StoreOpener>,
    key: Option<&KeySource>,
    progress: &Progress,
) -> Result<Apart> {
    let found = match opener {
        Some(open) => Repository::in_store(open()?, key)?,
        None => Repository::open(vfs, &config.dir, key)?,
    };
    let mut apart = Apart {
        report: None,
        facts: AlertFacts {
            repository: config.dir.display().to_string(),
            chain_max: config.chain_max,
            ..AlertFacts::default()
        },
    };
    if let Some(repository) = found {
        apart.report = Some(repository.check(progress)?);
        facts::of_repository(&repository, &Remembered::default(), &mut apart.facts)?;
    }
    Ok(apart)
}

/// The disks that some folders are or will be on, each with what it holds; those that nobody can tell of
/// are left out.
pub fn disks_of(vfs: &dyn Vfs, places: &[(&str, &Path)]) -> Vec<DiskFacts> {
    let mut disks: Vec<(u64, DiskFacts)> = Vec::new();
    for (holds, path) in places {
        let there = path
            .ancestors()
            .find(|path| vfs.exists(path).unwrap_or_default());
        let space = there.and_then(|path| Some((path, vfs.space(path).ok()??)));
        let Some((
            path,
            DiskSpace {
                disk,
                bytes,
                free_bytes,
            },
        )) = space
        else {
            continue;
        };
        if let Some((_, known)) = disks.iter_mut().find(|(id, _)| *id == disk) {
            known.holds = format!("{} and {holds}", known.holds);
            continue;
        }
        let facts = DiskFacts {
            holds: (*holds).to_owned(),
            path: path.display().to_string(),
            bytes,
            free_bytes,
            full_unix_ms: None,
        };
        disks.push((disk, facts));
    }
    disks.into_iter().map(|(_, disk)| disk).collect()
}
