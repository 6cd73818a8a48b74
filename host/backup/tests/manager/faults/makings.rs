//! Backups that are struck while they are made: incrementals, synthetic fulls, and one of each in turn.

use statekeep_backup::{BackupConfig, BackupKind, CreateOptions, Progress};

use super::{Subject, back_up};
use crate::support::{backups_of, open};

#[test]
fn an_incremental_backup() {
    let subject = Subject {
        made_max: (1, 0),
        ..Subject::chain()
    };
    subject.strike("an incremental backup", 100, &|_, backups| {
        let made = back_up(backups)?;
        assert_eq!(made.kind, BackupKind::Incremental, "{made:?}");
        Ok(vec![made.id])
    });
}

#[test]
fn a_synthetic_full() {
    let subject = Subject {
        made_max: (1, 0),
        ..Subject::chain()
    };
    let newest = subject.backups[2];
    let (_, backups) = open(&subject.disk.restart()).unwrap();
    let merged = backups.show(newest).unwrap().manifest;
    subject.strike("a synthetic full", 80, &|_, backups| {
        let options = CreateOptions::default();
        let made = backups.create_synthetic(Some(newest), &options, &Progress::new())?;
        assert_eq!(made.kind, BackupKind::Synthetic);
        assert_eq!(made.state_digest, merged.state_digest);
        Ok(vec![made.id])
    });
}

/// The chain has its maximum, so a synthetic full comes first.
#[test]
fn an_incremental_backup_of_a_chain_that_may_not_grow() {
    let subject = Subject {
        made_max: (2, 1),
        ..Subject::chain()
    };
    subject.strike("a merge and an incremental", 150, &|manager, backups| {
        let config = BackupConfig {
            chain_max: 2,
            ..backups.config().clone()
        };
        let made = back_up(&backups_of(manager, config)?)?;
        // Where the chain cannot be read, a full backup that says so takes the place of both.
        assert_eq!(made.kind == BackupKind::Full, made.full_reason.is_some());
        Ok(vec![made.id])
    });
}
