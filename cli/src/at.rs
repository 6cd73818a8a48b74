//! `--at` and `--at-sequence`: the same verbs on the past.

use clap::Args;
use statekeep::{BlockingTenant, Result, Sequence, TenantSnapshot};

use crate::{text, time};

/// Which state is read; the present one when none is said.
#[derive(Args)]
pub struct At {
    /// As it was at a time: 2026-03-01, "2026-03-01 14:03" (local), 2026-03-01T14:03:05Z
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// As it was right after a commit
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "at")]
    at_sequence: Option<u64>,
}

impl At {
    /// Checks what can be checked before the state is open.
    pub fn check(&self) -> Result<()> {
        self.at
            .as_deref()
            .map_or(Ok(()), |at| time::parse(at).map(drop))
    }

    /// The tenant then. This process holds no values in memory only, so a snapshot of now is all.
    pub fn view(&self, tenant: &BlockingTenant) -> Result<TenantSnapshot> {
        match (&self.at, self.at_sequence) {
            (Some(at), _) => tenant.at_time(time::parse(at)?),
            (None, Some(sequence)) => tenant.at(Sequence(sequence)),
            (None, None) => tenant.snapshot(),
        }
    }

    /// The words to end a sentence with.
    pub fn words(&self) -> String {
        match (&self.at, self.at_sequence) {
            (Some(at), _) => format!(" at {}", text::shown(at)),
            (None, Some(sequence)) => format!(" at sequence {sequence}"),
            (None, None) => String::new(),
        }
    }
}
