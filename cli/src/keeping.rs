//! `--ttl`, `--expires` and `--class`: how what a verb writes is kept.

use clap::Args;
use statekeep::{Class, Expiry, Result, SetOptions};

use crate::output::Output;
use crate::time;

/// As the rules of the configuration say, unless told otherwise.
#[derive(Args)]
pub struct Keeping {
    /// The value is gone after so long: 90s, 10m, 1h30m, 7d
    #[arg(long, value_name = "SPAN")]
    ttl: Option<String>,
    /// The value is gone at this time, or `never`; times as in `get --help`
    #[arg(long, value_name = "TIME", conflicts_with = "ttl")]
    expires: Option<String>,
    /// critical, standard, bulk, archive or ephemeral
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
}

impl Keeping {
    /// The options of the change.
    pub fn options(&self) -> Result<SetOptions> {
        let expires = match (&self.ttl, self.expires.as_deref()) {
            (Some(span), _) => Some(Expiry::After(time::span_ms(span)?)),
            (None, Some("never")) => Some(Expiry::Never),
            (None, Some(at)) => Some(Expiry::At(time::parse(at)?)),
            (None, None) => None,
        };
        let class = self.class.as_deref().map(str::parse).transpose()?;
        Ok(SetOptions {
            expires,
            class,
            ..SetOptions::default()
        })
    }

    /// Says when what is written does not outlive the command.
    pub fn warn(&self, out: &mut Output, backend: &str) {
        if backend == "memory" {
            out.warning("the backend `memory` keeps nothing when this command ends");
        } else if self.class.as_deref() == Some(Class::Ephemeral.name()) {
            out.warning("a value of class `ephemeral` is gone when this command ends");
        }
    }
}
