//! What operators want to know of a repository: what it takes and for whom.

mod storage;

pub use storage::{
    AGES, AgeStorage, BackupStorage, ChainStorage, FolderStorage, ScopeStorage, SeriesStorage,
    StorageReport, Stored,
};
