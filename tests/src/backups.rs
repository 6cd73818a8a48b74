//! Backups of every kind in turn, for tests that interrupt them.

use statekeep::{BackupKind, CreateOptions, Host, Manifest, Progress, Result};

/// Makes a full backup, two incrementals with history, a synthetic full of them, and begins anew.
#[derive(Default)]
pub struct EachKind {
    made: u64,
    last: Option<BackupKind>,
}

impl EachKind {
    /// Makes the next one. What cannot be an incremental is a full one, which is not merged.
    pub fn next(&mut self, host: &Host) -> Result<Manifest> {
        let turn = self.made % 4;
        let options = CreateOptions {
            incremental: (turn < 3).then_some(turn > 0),
            history: (turn < 3).then_some(true),
            ..CreateOptions::default()
        };
        let progress = Progress::new();
        let made = match (turn, self.last) {
            (3, Some(BackupKind::Incremental)) => {
                host.backups.create_synthetic(None, &options, &progress)
            }
            _ => host.backups.create(&options, &progress),
        }?;
        self.made += 1;
        self.last = Some(made.kind);
        Ok(made)
    }
}
