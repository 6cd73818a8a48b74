//! The backup manager: the backups of one open state.
//!
//! It holds the same `Arc<StateManager>` as everybody else and reads at a snapshot, so writers
//! never wait. All calls block; any thread may call, also several at once. The repository is
//! opened at first use and made by the first backup.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use statekeep_core::{
    Error, NamespaceBuilder, Phase, Plugins, Progress, RestoreSource, Result, Snapshot,
    SnapshotScan, StateDigest, StateManager, TenantNumber,
};

use crate::background::aside;
use crate::cleanup::RetentionConfig;
use crate::create::{CODEC_NONE, ChosenCodec, CreateOptions, Source};
use crate::encryption::KeySource;
use crate::lease::Purpose;
use crate::list::{BackupDetails, BackupList};
use crate::manifest::{Manifest, TenantRow, Timeline};
use crate::monitor::CleanupStatus;
use crate::name::{BackupId, ObjectName};
use crate::points::{Chosen, Ranges, ranges};
use crate::problem::{Problem, ProblemKind};
use crate::read_run::ReadTask;
use crate::repository::Repository;
use crate::retention::Policies;
use crate::segment::BlockCodec;
use crate::store::Store;
use crate::upkeep::{PruneReport, RepairReport, RepositoryReport};
use crate::verify::{BeginDrill, Drill, VerifyLevel, VerifyReport, verify};
use crate::write_run::{Rows, THREADS_MAX};

/// Threads that encode or decode, unless configured.
const THREADS_DEFAULT: usize = 2;

/// Where backups live and how they are packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupConfig {
    /// The repository's folder, absolute; made by the first backup.
    pub dir: PathBuf,
    /// The codec of new backups, or `none`.
    pub codec: String,
    /// Its level; `None` is the codec's default.
    pub level: Option<i32>,
    /// Threads that encode or decode; 0 chooses, at most [`THREADS_MAX`].
    pub threads: usize,
    /// Processors that are left to others by work on backups, where there are more than that.
    pub cores_free: usize,
    /// Backups are incremental, unless asked for otherwise.
    pub incremental: bool,
    /// Backups hold the past that the state keeps, unless asked for otherwise.
    pub history: bool,
    /// Most incrementals on one full, at most [`CHAIN_MAX`]; before the next one they are merged into a
    /// synthetic full.
    pub chain_max: u32,
    /// Most bytes a second that making a backup writes or verifying one reads, where its progress has
    /// no limit of its own; 0 for no limit.
    pub bytes_per_second_max: u64,
}

/// Most incrementals on one full unless configured.
pub const CHAIN_DEFAULT: u32 = 30;
/// Highest number of incrementals on one full that may be configured: a manifest names three runs
/// for each.
pub const CHAIN_MAX: u32 = 300;

/// Makes the store of a repository that is in no local folder; called at first use.
pub type StoreOpener = Box<dyn Fn() -> Result<Arc<dyn Store>> + Send + Sync>;

/// The backups of one state.
pub struct BackupManager {
    pub(crate) manager: Arc<StateManager>,
    pub(crate) config: BackupConfig,
    pub(crate) repository: Mutex<Option<Arc<Repository>>>,
    /// `None` for a local folder.
    pub(crate) opener: Option<StoreOpener>,
    /// What opens an encrypted repository; `None` for one that is not.
    pub(crate) key: Option<KeySource>,
    pub(crate) retention: RwLock<Arc<RetentionConfig>>,
    pub(crate) policies: Policies,
    pub(crate) cleanups: Mutex<CleanupStatus>,
    /// Held by the cleanup that runs.
    pub(crate) cleaning: Mutex<()>,
}

impl Rows for SnapshotScan<'_> {
    fn next_batch(
        &mut self,
        rows_max: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        SnapshotScan::next_batch(self, rows_max, visit)
    }
}

impl Drill for NamespaceBuilder {
    fn put(&mut self, key: &[u8], record: &[u8]) -> Result<()> {
        NamespaceBuilder::put(self, key, record)
    }

    fn finish(self: Box<Self>) -> Result<(u64, StateDigest)> {
        NamespaceBuilder::rehearse(*self)
    }
}

/// Says `done` when an operation ends, however it ends.
pub(crate) struct Ends<'a>(pub(crate) &'a Progress);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.enter(Phase::Done);
    }
}

/// Lowest level that may be asked for; each codec has its own range within this one.
pub const LEVEL_MIN: i32 = -131_072;
/// Highest level that may be asked for.
pub const LEVEL_MAX: i32 = 22;

pub(crate) fn check_level(level: Option<i32>) -> Result<()> {
    match level {
        Some(level) if !(LEVEL_MIN..=LEVEL_MAX).contains(&level) => {
            let reason = format!("{level} is not within {LEVEL_MIN} to {LEVEL_MAX}");
            Err(Error::invalid("compression level", reason))
        }
        _ => Ok(()),
    }
}

impl BackupManager {
    /// A manager of the state's backups. Touches no file.
    ///
    /// # Errors
    /// `InvalidArgument` for a relative folder.
    pub fn open(manager: Arc<StateManager>, config: BackupConfig) -> Result<BackupManager> {
        if !config.dir.is_absolute() {
            let reason = format!("{} is not an absolute path", config.dir.display());
            return Err(Error::invalid("backup.dir", reason));
        }
        Ok(BackupManager {
            manager,
            config,
            repository: Mutex::new(None),
            opener: None,
            key: None,
            retention: RwLock::default(),
            policies: Policies::default(),
            cleanups: Mutex::default(),
            cleaning: Mutex::default(),
        })
    }

    /// A manager of backups in a store that is no local folder, such as a bucket; `config.dir` only
    /// names it. Makes no request.
    pub fn open_in_store(
        manager: Arc<StateManager>,
        config: BackupConfig,
        opener: StoreOpener,
    ) -> BackupManager {
        BackupManager {
            manager,
            config,
            repository: Mutex::new(None),
            opener: Some(opener),
            key: None,
            retention: RwLock::default(),
            policies: Policies::default(),
            cleanups: Mutex::default(),
            cleaning: Mutex::default(),
        }
    }

    /// How it was configured.
    pub fn config(&self) -> &BackupConfig {
        &self.config
    }

    /// All backups, oldest first, and beside them what is wrong in the repository.
    pub fn list(&self) -> Result<BackupList> {
        match self.find()? {
            Some(repository) => repository.list(),
            None => Ok(BackupList::default()),
        }
    }

    /// The manifest of a backup, and whether it is pinned.
    ///
    /// # Errors
    /// `NotFound`, and `Corrupt` or `Incompatible` for a manifest that cannot be used.
    pub fn show(&self, id: BackupId) -> Result<BackupDetails> {
        let repository = self.existing(id)?;
        let (manifest, _) = repository.manifest(id)?;
        let standing = repository.attested()?.of(id);
        Ok(BackupDetails::of(
            manifest,
            repository.is_pinned(id)?,
            &standing,
        ))
    }

    /// Pins a backup, so that no policy forgets it. `false` when it was pinned already.
    ///
    /// # Errors
    /// `NotFound`, and `Corrupt` or `Incompatible` for a manifest that cannot be used.
    pub fn pin(&self, id: BackupId) -> Result<bool> {
        self.existing(id)?.pin(id)
    }

    /// Takes a pin away. `false` when there was none.
    ///
    /// # Errors
    /// As [`BackupManager::pin`].
    pub fn unpin(&self, id: BackupId) -> Result<bool> {
        self.existing(id)?.unpin(id)
    }

    /// Checks the repository as a whole: is all there that its backups need, and what is there
    /// besides? Reads all documents and lengths, not the records; changes nothing.
    ///
    /// # Errors
    /// `NotFound` where no repository is: a disk that is not mounted must not look well.
    pub fn check_repository(&self, progress: &Progress) -> Result<RepositoryReport> {
        let _ends = Ends(progress);
        self.present()?.check(progress)
    }

    /// Removes the objects that no manifest leads to and whose writer does not live; with `dry_run`
    /// only says which they are. Backups may be made meanwhile, here and elsewhere.
    ///
    /// # Errors
    /// Any folder that cannot be listed; `Conflict` when there are strays but no backup. What was
    /// removed before an error were strays.
    pub fn prune_strays(&self, dry_run: bool, progress: &Progress) -> Result<PruneReport> {
        let _ends = Ends(progress);
        match self.find()? {
            Some(repository) => repository.prune_strays(dry_run, progress),
            None => Ok(PruneReport {
                dry_run,
                ..PruneReport::default()
            }),
        }
    }

    /// Finishes what crashes left unfinished in the repository. Removes no
    /// backup and nothing that is damaged.
    ///
    /// # Errors
    /// `NotFound` where no repository is.
    pub fn repair_repository(&self, progress: &Progress) -> Result<RepairReport> {
        let _ends = Ends(progress);
        self.present()?.repair(progress)
    }

    /// Verifies a backup. Damage is in the report; an error means that it could not be done.
    pub fn verify(
        &self,
        id: BackupId,
        level: VerifyLevel,
        progress: &Progress,
    ) -> Result<VerifyReport> {
        let _ends = Ends(progress);
        let outcome = self.aside(|| self.read_again(id, level, progress));
        self.tell_verification(id, &outcome);
        outcome
    }

    fn read_again(
        &self,
        id: BackupId,
        level: VerifyLevel,
        progress: &Progress,
    ) -> Result<VerifyReport> {
        self.limit(progress);
        let repository = self.existing(id)?;
        let task = self.task(&repository, progress);
        let started_unix_ms = repository.now_ms();
        let reading = repository.begin_reading(id, Purpose::Verify)?;
        let mut begin = |manifest: &Manifest| {
            let drill = self.begin(&Chosen::end(manifest.clone()))?;
            Ok(Box::new(drill) as Box<dyn Drill>)
        };
        let drill: Option<BeginDrill<'_>> = match level {
            VerifyLevel::RestoreTest => Some(&mut begin),
            _ => None,
        };
        let mut report = verify(&repository, &task, id, level, drill)?;
        // Without a mark it may have been removed meanwhile, which is no damage.
        if !report.is_valid {
            repository.check_not_purged(id)?;
        }
        if let Some(what) = reading.warning.clone() {
            let object = ObjectName::manifest(id);
            let warning = Problem::new(ProblemKind::Unreadable, &object, what);
            report.warnings.push(warning);
        }
        repository.attest(&mut report, started_unix_ms);
        Ok(report)
    }

    /// Which moments can be restored, and every gap between.
    pub fn ranges(&self, progress: &Progress) -> Result<Ranges> {
        let _ends = Ends(progress);
        match self.find()? {
            Some(repository) => {
                let task = self.task(&repository, progress);
                ranges(&repository, &task, &self.timeline()?)
            }
            None => Ok(Ranges::default()),
        }
    }

    /// Does long work on a thread of its own that steps back, see [`aside`].
    pub(crate) fn aside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        aside(self.config.cores_free, work)
    }

    pub(crate) fn begin(&self, chosen: &Chosen) -> Result<NamespaceBuilder> {
        let tenants = chosen.manifest.tenants.iter();
        self.manager.begin_restore(RestoreSource {
            state_id: chosen.manifest.state.clone(),
            sequence: chosen.sequence(),
            tenants: tenants
                .map(|row| (TenantNumber(row.number), row.name.clone()))
                .collect(),
        })
    }

    pub(crate) fn timeline(&self) -> Result<String> {
        Ok(self.own_timeline()?.id)
    }

    /// The state's timeline, and where it left another one.
    pub(crate) fn own_timeline(&self) -> Result<Timeline> {
        Ok(self.describe(&self.manager.snapshot()?).timeline)
    }

    pub(crate) fn task<'a>(
        &'a self,
        repository: &'a Repository,
        progress: &'a Progress,
    ) -> ReadTask<'a> {
        ReadTask {
            store: repository.store.as_ref(),
            plugins: self.plugins(),
            threads: self.threads(),
            progress,
        }
    }

    /// Gives an operation the limit that is configured, if it has none.
    pub(crate) fn limit(&self, progress: &Progress) {
        progress.limit_rate_by_default(self.config.bytes_per_second_max);
    }

    /// The state.
    pub(crate) fn state(&self) -> &Arc<StateManager> {
        &self.manager
    }

    pub(crate) fn plugins(&self) -> &dyn Plugins {
        self.manager.plugins().as_ref()
    }

    pub(crate) fn threads(&self) -> usize {
        match self.config.threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(THREADS_DEFAULT)),
            threads => threads.min(THREADS_MAX),
        }
    }

    pub(crate) fn choose_codec(&self, options: &CreateOptions) -> Result<ChosenCodec> {
        let name = options.codec.as_ref().unwrap_or(&self.config.codec);
        // A configured level belongs to the configured codec.
        let configured = self.config.level.filter(|_| *name == self.config.codec);
        let level = options.level.or(configured);
        check_level(level)?;
        let level = level.filter(|_| name != CODEC_NONE);
        let codec = match name.as_str() {
            CODEC_NONE => None,
            name => Some(BlockCodec {
                codec: self.plugins().codec(name)?,
                level,
            }),
        };
        let name = codec
            .as_ref()
            .map_or(CODEC_NONE, |codec| codec.codec.name())
            .to_owned();
        Ok(ChosenCodec { name, level, codec })
    }

    pub(crate) fn describe(&self, snapshot: &Snapshot) -> Source {
        let facts = snapshot.facts();
        let tenants = facts.tenants.into_iter();
        Source {
            state: facts.state_id,
            timeline: Timeline {
                id: facts.timeline,
                fork_sequence: facts.fork.as_ref().map(|fork| fork.sequence.0),
                parent: facts.fork.map(|fork| fork.timeline),
            },
            sequence: snapshot.sequence().0,
            time_unix_ms: snapshot.time().0,
            as_of_unix_ms: snapshot.as_of().0,
            backend: self.manager.backend_name(),
            tenants: tenants
                .map(|(number, name)| TenantRow {
                    number: number.0,
                    name,
                })
                .collect(),
        }
    }
}
