//! `increment`: a counter.

use clap::Args;
use serde_json::json;
use statekeep::{Error, Number, Result};

use crate::args::Globals;
use crate::exit::Exit;
use crate::keeping::Keeping;
use crate::output::Output;
use crate::session::{self, Access};
use crate::text;

const EXAMPLES: &str = "\
Examples:
  statekeep increment user:42 visits
  statekeep increment user:42 points -5
  statekeep increment agent:planner cost 0.25 --ttl 30d";

/// Arguments of `increment`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Increment {
    /// Where the key is; see `get --help`
    scope: String,
    /// The key; one that is not there counts as 0
    key: String,
    /// What to add: an integer, or a number with a point
    #[arg(default_value = "1", allow_negative_numbers = true)]
    by: String,
    #[command(flatten)]
    keeping: Keeping,
}

impl Increment {
    /// Prints the sum.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let (scope, key) = session::name(&self.scope, &self.key)?;
        let (by, options) = (self.by()?, self.keeping.options()?);
        let host = session::open(globals, Access::Create)?;
        self.keeping.warn(out, &host.manager.backend_name());
        let tenant = session::tenant(globals, &host)?;
        let sum = tenant.increment(&scope, &key, by, options)?;
        host.close()?;
        if out.json() {
            let value = match sum {
                Number::Integer(sum) => json!(sum),
                Number::Float(sum) => json!(sum),
            };
            out.document(&json!({ "scope": self.scope, "key": self.key, "value": value }))?;
        } else {
            out.line(sum)?;
        }
        Ok(Exit::Ok)
    }

    fn by(&self) -> Result<Number> {
        if let Ok(by) = self.by.parse::<i64>() {
            return Ok(Number::Integer(by));
        }
        let digits = self.by.bytes().any(|byte| byte.is_ascii_digit());
        let by = self
            .by
            .parse::<f64>()
            .ok()
            .filter(|by| digits && by.is_finite());
        by.map(Number::Float).ok_or_else(|| {
            let reason = format!(
                "`{}` is no number; give one such as 5, -1 or 0.25",
                text::shown(&self.by)
            );
            Error::invalid("increment", reason)
        })
    }
}
