//! Which records a verb on backups is about: one tenant's scopes and keys, or all there is.

use clap::Args;
use statekeep::{Result, Selection};

use crate::args::Globals;

/// Arguments that narrow a verb.
#[derive(Args)]
pub struct Part {
    /// Only scopes that match this pattern: * is any text, ? any character
    #[arg(long, value_name = "PATTERN")]
    scope: Option<String>,
    /// Only keys that match this pattern
    #[arg(long, value_name = "PATTERN")]
    key: Option<String>,
    /// With --scope or --key: of all tenants, not of one
    #[arg(long, conflicts_with = "tenant")]
    all_tenants: bool,
}

impl Part {
    /// What is meant. As with every verb, scopes and keys are those of the default tenant unless
    /// another one is named; without any of them all of the state is meant.
    pub fn selection(&self, globals: &Globals) -> Result<Selection> {
        let [scope, key] = [&self.scope, &self.key].map(Option::as_deref);
        let of_one = (scope.is_some() || key.is_some()) && !self.all_tenants;
        let tenant = globals.tenant.as_deref().or(of_one.then_some(""));
        Selection::new(tenant, scope, key)
    }
}
