//! `swap`: the state moves to another backend.

use clap::Args;
use serde_json::{Map, Value};
use statekeep::{Config, Error, Result, Source};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{text, work};

const EXAMPLES: &str = "\
What was replaced stays on the disk: `namespace list` shows it, `namespace undo` goes back to it,
`namespace release` removes it.

Examples:
  statekeep swap sqlite
  statekeep swap fjall --option cache_bytes=67108864";

/// Arguments of `swap`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Swap {
    /// The backend to move to; the one in use makes its files anew
    to: String,
    /// An option of that backend; may be repeated
    #[arg(long = "option", value_name = "KEY=VALUE")]
    options: Vec<String>,
}

impl Swap {
    /// All or nothing: copies, compares both sides, and only then changes over.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let options = backend_options(&self.options)?;
        if self.to == "memory" {
            let reason = "the backend `memory` keeps nothing when this command ends";
            return Err(Error::invalid("backend", reason));
        }
        let host = session::open(globals, Access::Existing)?;
        let report = work::run(out, "swap", |progress| {
            host.manager.swap_backend(&self.to, &options, progress)
        })?;
        host.close()?;
        if out.json() {
            out.document(&report)?;
        } else {
            let records = text::count(report.records, "record");
            out.line(format_args!(
                "{records} moved from {} to {}",
                report.from, report.to
            ))?;
            out.remark(format_args!(
                "both sides have the digest {}; {} is kept for `namespace undo`",
                report.digest, report.replaced
            ));
        }
        self.follow_up(&host.config, &report.to, out)?;
        Ok(Exit::Ok)
    }

    /// What the configuration has to say from now on.
    fn follow_up(&self, config: &Config, to: &str, out: &mut Output) -> Result<()> {
        let source = config.source("backend")?;
        if source != Source::Default && config.backend() != to {
            out.warning(format_args!(
                "the setting `backend` is `{}` ({source}); make it `{to}`, or the state will not \
                 open",
                config.backend()
            ));
        }
        if !self.options.is_empty() {
            out.remark("give the options in the configuration too, for the next opening");
        }
        Ok(())
    }
}

/// The values of `--option KEY=VALUE`: JSON where it is some, else text.
pub fn backend_options(given: &[String]) -> Result<Value> {
    let mut options = Map::new();
    for option in given {
        let (key, value) = option.split_once('=').ok_or_else(|| {
            let reason = format!("--option {option:?} is not KEY=VALUE");
            Error::invalid("option", reason)
        })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        options.insert(key.to_owned(), value);
    }
    Ok(Value::Object(options))
}
