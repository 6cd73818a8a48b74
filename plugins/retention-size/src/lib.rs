//! Retention policy `statekeep.size`: the oldest chains go when the repository is too large.
//!
//! What a backup wrote is freed once no backup stands on it any more, so whole chains are forgotten,
//! oldest first, until the rest fits. What fits is no reason to keep anything: of that it abstains.
//! Backups made before restores go first, so that none of them makes another one go.
#![deny(unsafe_code)]

use statekeep_plugin_sdk::{
    Backup, Config, Context, Decision, Error, Host, Plugin, Result, Retention, export_plugin,
};

/// The policy.
pub struct Size {
    max_bytes: Option<u64>,
}

impl Plugin for Size {
    const ID: &'static str = "statekeep.size";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str =
        "Forgets the oldest backups of a repository that is too large";

    fn create(_host: Host, config: &Config) -> Result<Size> {
        config.known_options(&["max_bytes"])?;
        let max_bytes = config.bytes("max_bytes")?;
        Ok(Size { max_bytes })
    }
}

impl Retention for Size {
    fn evaluate(&self, backups: &[Backup<'_>], context: &Context<'_>) -> Result<Vec<Decision>> {
        let limit = self
            .max_bytes
            .or(context.storage_bytes_max)
            .ok_or_else(|| {
                Error::invalid(
                    "no size is configured: set the option `max_bytes` or the limit of the storage",
                )
            })?;
        let held = held(backups);
        let mut chains = chains(backups);
        // The oldest chain is that whose newest backup is the oldest.
        chains.sort_by_key(|chain| {
            let is_safety = chain.iter().all(|i| backups[*i].safety);
            (!is_safety, chain.last().copied())
        });
        let fits = format!("the repository fits into {limit} bytes without it being forgotten");
        let mut decisions = vec![Decision::abstain(fits); backups.len()];
        let mut bytes = context.storage_bytes;
        for (priority, chain) in chains.iter().enumerate() {
            if bytes <= limit {
                break;
            }
            for i in chain.iter().copied().filter(|i| !held[*i]) {
                bytes = bytes.saturating_sub(backups[i].stored_bytes);
                decisions[i] = Decision {
                    priority: i32::try_from(priority).unwrap_or(i32::MAX),
                    ..Decision::forget(format!(
                        "the repository has {} bytes and {limit} are allowed",
                        context.storage_bytes
                    ))
                };
            }
        }
        Ok(decisions)
    }
}

/// Those that stay whatever anybody says, with all that they stand on.
fn held(backups: &[Backup<'_>]) -> Vec<bool> {
    let mut held = vec![false; backups.len()];
    for (i, backup) in backups.iter().enumerate() {
        if backup.pinned || backup.in_use {
            let mut next = Some(i);
            // A list with a circle in it ends where it was before.
            while let Some(at) = next.filter(|at| !held[*at]) {
                held[at] = true;
                next = backups[at].parent;
            }
        }
    }
    held
}

/// The backups by the first one of their chain, each chain in order of creation.
fn chains(backups: &[Backup<'_>]) -> Vec<Vec<usize>> {
    let mut of = vec![usize::MAX; backups.len()];
    let mut chains: Vec<Vec<usize>> = Vec::new();
    for (i, backup) in backups.iter().enumerate() {
        // A parent is older; one that is not is none of its chain.
        let chain = backup.parent.filter(|parent| *parent < i);
        let chain = chain.map_or(chains.len(), |parent| of[parent]);
        if chain == chains.len() {
            chains.push(Vec::new());
        }
        of[i] = chain;
        chains[chain].push(i);
    }
    chains
}

export_plugin!(Size: retention);
