//! The doctor on a state that it opens itself, and on one that cannot be opened: another process has it,
//! it is damaged, or it is not there.

use std::path::Path;
use std::sync::Arc;

use statekeep_backup::{disks_of, look_apart};
use statekeep_core::vfs::{RealVfs, Vfs};
use statekeep_core::{Clock, Error, ErrorKind, Progress, Result, SystemClock};

use super::backups::{no_repository, repository};
use super::{Diagnosis, Findings, Gravity, alerts_apart, is_cancelled};
use crate::host::{absolute, backup_config};
use crate::{Config, open_unscheduled};

/// Looks at the state that a configuration names: opens it, where that can be, and closes it again.
/// Where it cannot be opened, that is a finding, and what can be seen without it is looked at: its folder,
/// disks and backup repository. No state is created.
///
/// # Errors
/// `Cancelled` by its progress; all else is a finding.
pub fn examine(config: &Config, progress: &Progress) -> Result<Diagnosis> {
    let mut existing = config.clone();
    existing.set("create", "false")?;
    let opened = open_unscheduled(&existing);
    match opened {
        Ok(host) => {
            let diagnosis = host.doctor(progress)?;
            if let Err(error) = host.close() {
                let mut findings = Findings::new(host.manager.clock().now());
                findings.found = diagnosis.findings;
                findings.failed("state", "closing the state failed", &error);
                return Ok(findings.finish(diagnosis.path, true));
            }
            Ok(diagnosis)
        }
        Err(error) => {
            let mut findings = Findings::new(SystemClock.now());
            findings.configuration(config);
            not_open(config, &error, &mut findings);
            outside(config, &mut findings, progress);
            progress.check()?;
            let path = config.path().unwrap_or_default();
            Ok(findings.finish(path.display().to_string(), false))
        }
    }
}

fn not_open(config: &Config, error: &Error, findings: &mut Findings) {
    let is_vacant = || {
        let path = config.path().unwrap_or_default();
        matches!(RealVfs.exists(&path.join("CURRENT")), Ok(false))
    };
    match error.kind() {
        ErrorKind::Busy => {
            let what = "another process has the state open, so only what can be seen from outside was \
                        looked at";
            findings
                .add(Gravity::Note, "state", what)
                .because(error.to_string())
                .then(
                    "ask that process: `state.doctor()` in Python, `statekeep_doctor_json` in C, its \
                     metrics; or stop it and run this again",
                );
        }
        ErrorKind::NotFound if is_vacant() => {
            findings
                .failed("state", "there is no state", error)
                .then("see that `path` is the one that was meant; `statekeep backup restore` makes a state of a backup");
        }
        ErrorKind::Corrupt | ErrorKind::Incompatible => {
            findings
                .failed("state", "the state cannot be opened", error)
                .then(
                    "keep a copy of its folder, then `statekeep backup restore` a good backup into a new \
                     folder (`--to-dir`)",
                );
        }
        _ => {
            findings
                .failed("state", "the state cannot be opened", error)
                .then("mend what the reason names and run this again");
        }
    }
}

/// What can be seen without the state.
fn outside(config: &Config, findings: &mut Findings, progress: &Progress) {
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs);
    let state = config.path().and_then(|path| absolute(&path).ok());
    let state = state.unwrap_or_default();
    let dir = config.backup_dir().and_then(|path| absolute(&path).ok());
    let is_remote = config.backup_is_remote();
    let mut places: Vec<(&str, &Path)> = vec![("state", &state)];
    if let Some(dir) = dir.as_deref().filter(|_| !is_remote) {
        places.push(("backups", dir));
    }
    let disks = disks_of(vfs.as_ref(), &places);
    findings.disks(&disks);
    let looked = backup_config(config).and_then(|backup| {
        let opener = match is_remote {
            true => Some(crate::remote::opener(config)?),
            false => None,
        };
        let key = config.backup_key()?;
        look_apart(&vfs, &backup, opener.as_ref(), key.as_ref(), progress)
    });
    match looked {
        Ok(mut apart) => {
            let told = match apart.report {
                Some(report) => repository(&Ok(report), findings),
                None => {
                    no_repository(findings);
                    &[]
                }
            };
            apart.facts.disks = disks;
            apart.facts.storage_bytes_max =
                config.retention().ok().and_then(|r| r.storage_bytes_max);
            findings.alerts(&alerts_apart(&apart.facts, config, findings.now), told);
        }
        Err(error) if is_cancelled(&error) => {}
        Err(error) => {
            repository(&Err(error), findings);
        }
    }
}
