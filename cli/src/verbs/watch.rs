//! `watch`: changes in the order of their commits, a line each.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::Args;
use statekeep::{
    BlockingTenant, Change, CommitKind, Error, Result, Sequence, Start, Watch as Engine,
    WatchOptions,
};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{text, time, work};

/// How long it waits before it looks for Ctrl-C, and how many changes are printed before a cursor
/// is moved on.
const LOOK: Duration = Duration::from_millis(100);
const ACKNOWLEDGE: u64 = 256;

const EXAMPLES: &str = "\
One process has a state open at a time: this shows what applications have committed before, from a
sequence or cursor on, and what expires meanwhile. Ctrl-C is its regular end.

Examples:
  statekeep watch --from oldest --timeout 0s
  statekeep watch --from 17 --scope 'agent:*' --values
  statekeep watch --cursor mailer --key 'note-*' --timeout 0s --json";

/// Arguments of `watch`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Watch {
    /// Only scopes that match this pattern: * is any text, ? any character
    #[arg(long, value_name = "PATTERN")]
    scope: Option<String>,
    /// Only keys that match this pattern
    #[arg(long, value_name = "PATTERN")]
    key: Option<String>,
    /// Begin with the changes after this commit, `oldest` for all that are kept, or `now`
    #[arg(
        long,
        value_name = "SEQUENCE",
        default_value = "now",
        conflicts_with = "cursor"
    )]
    from: String,
    /// Go on where this cursor stands, made at the head if it is not there, and move it on
    #[arg(long, value_name = "NAME")]
    cursor: Option<String>,
    /// With the values
    #[arg(long)]
    values: bool,
    /// Changes of all tenants
    #[arg(long, conflicts_with = "tenant")]
    all_tenants: bool,
    /// Stop after this many changes
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Stop when no change came for so long: 10s, 5m; 0s only looks
    #[arg(long, value_name = "SPAN")]
    timeout: Option<String>,
}

impl Watch {
    /// Prints until the limit, the timeout or Ctrl-C. What was printed is acknowledged.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let timeout = self.timeout.as_deref().map(pause).transpose()?;
        let from = self.start()?;
        let stop = work::interrupts()?;
        let host = session::open(globals, Access::Existing)?;
        let tenant: BlockingTenant = session::tenant(globals, &host)?;
        let options = WatchOptions {
            from: match from {
                Some(start) => start,
                None => Start::Sequence(host.manager.info()?.floor),
            },
            scope: self.scope.clone(),
            key: self.key.clone(),
            values: self.values,
        };
        if options.from == Start::Now && timeout.is_none() {
            out.remark(
                "no other process can write while this one has the state open; --from and --cursor \
                 show what was committed before",
            );
        }
        let watch = match self.all_tenants {
            true => host.manager.watch(&options)?,
            false => tenant.watch(&options)?,
        };
        if watch.created_cursor() {
            let name = self.cursor.as_deref().unwrap_or_default();
            out.remark(format_args!("the cursor `{name}` was made; it begins now"));
        }
        let mut left = self.limit.unwrap_or(u64::MAX);
        let mut printed = 0;
        let mut idle_since = Instant::now();
        while left > 0 && !out.closed() && !stop.load(Ordering::Relaxed) {
            let wait = timeout.map_or(LOOK, |most| LOOK.min(most));
            if let Some(change) = watch.next_timeout(wait)? {
                self.print(&change, out)?;
                (left, printed) = (left - 1, printed + 1);
                if printed % ACKNOWLEDGE == 0 {
                    self.acknowledge(&watch, out)?;
                }
                idle_since = Instant::now();
                continue;
            }
            self.acknowledge(&watch, out)?;
            if timeout.is_some_and(|most| idle_since.elapsed() >= most) {
                break;
            }
        }
        self.acknowledge(&watch, out)?;
        drop(watch);
        host.close()?;
        Ok(Exit::Ok)
    }

    /// Where to begin; `None` for the oldest commit whose past is kept.
    fn start(&self) -> Result<Option<Start>> {
        if let Some(name) = &self.cursor {
            return Ok(Some(Start::Cursor(name.clone())));
        }
        match self.from.as_str() {
            "now" => Ok(Some(Start::Now)),
            "oldest" => Ok(None),
            from => from.parse().map_or_else(
                |_| {
                    let shown = text::shown(from);
                    let reason = format!("`{shown}` is neither a sequence nor `oldest` or `now`");
                    Err(Error::invalid("--from", reason))
                },
                |sequence| Ok(Some(Start::Sequence(Sequence(sequence)))),
            ),
        }
    }

    /// Hands over what was printed, and only then moves the cursor on.
    fn acknowledge(&self, watch: &Engine, out: &mut Output) -> Result<()> {
        out.finish()?;
        match self.cursor.is_some() && !out.closed() {
            true => watch.acknowledge(),
            false => Ok(()),
        }
    }

    fn print(&self, change: &Change, out: &mut Output) -> Result<()> {
        if out.json() {
            return match self.values {
                true => out.document(change),
                false => out.document(&change.facts()),
            };
        }
        let op = match (change.kind, change.op) {
            (CommitKind::Restore, _) => "restore",
            (CommitKind::Expire, _) => "expire",
            (_, op) => op.map_or("", |op| op.name()),
        };
        let mut words = vec![
            format!("{:>8}", change.sequence),
            time::millis(change.time),
            format!("{op:<7}"),
        ];
        if self.all_tenants && !change.tenant.is_empty() {
            words.push(format!("[{}]", text::shown(&change.tenant)));
        }
        match (&change.scope, &change.key) {
            (Some(scope), Some(key)) => {
                words.push(text::shown(&scope.to_string()));
                words.push(text::shown(key.as_str()));
            }
            _ => words.push("the whole state was replaced".to_owned()),
        }
        let who = text::who(&change.principal, &change.correlation_id);
        words.extend(Some(format!("by {who}")).filter(|_| !who.is_empty()));
        let mut line = words.join("  ");
        if let Some(value) = &change.value {
            line = format!("{line}\t{}", text::value_line(value)?);
        } else if change.value_gone {
            line.push_str("\t(the value is not kept any more)");
        }
        out.line(line)
    }
}

/// A span that may be zero.
fn pause(text: &str) -> Result<Duration> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        text => time::span_ms(text).map(Duration::from_millis),
    }
}
