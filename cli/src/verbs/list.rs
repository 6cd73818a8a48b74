//! `list`: the keys of a scope, or the scopes of the tenant.

use clap::Args;
use serde::Serialize;
use serde_json::json;
use statekeep::{ListOptions, Result, Scope, ScopeListOptions, TenantSnapshot, Value};

use crate::args::Globals;
use crate::at::At;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::text;

const EXAMPLES: &str = "\
Examples:
  statekeep list
  statekeep list user:42 --values
  statekeep list user:42 --prefix note- --at \"2026-03-01 14:03\"";

/// Arguments of `list`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct List {
    /// Whose keys to list; without it, the scopes that hold a key are listed
    scope: Option<String>,
    /// Only keys that start with this
    #[arg(long, value_name = "TEXT", requires = "scope")]
    prefix: Option<String>,
    /// Only keys that match this pattern: * is any text, ? any character
    #[arg(long, value_name = "PATTERN", requires = "scope")]
    glob: Option<String>,
    /// With the values
    #[arg(long, requires = "scope")]
    values: bool,
    /// Stop after this many
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Start after this key, as the previous call ended
    #[arg(long, value_name = "KEY", requires = "scope")]
    after: Option<String>,
    #[command(flatten)]
    at: At,
}

impl List {
    /// One line an entry; with `--json`, one document a line.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let scope = self.scope.as_deref().map(str::parse::<Scope>).transpose()?;
        self.at.check()?;
        let page_max = session::settings(globals)?.config.limits().page_keys_max;
        let host = session::open(globals, Access::Existing)?;
        let tenant = self.at.view(&session::tenant(globals, &host)?)?;
        match scope {
            Some(scope) => self.keys(&scope, &tenant, page_max, out)?,
            None => self.scopes(&tenant, page_max, out)?,
        }
        Ok(Exit::Ok)
    }

    fn keys(
        &self,
        scope: &Scope,
        tenant: &TenantSnapshot,
        page_max: u64,
        out: &mut Output,
    ) -> Result<()> {
        let mut left = self.limit.unwrap_or(u64::MAX);
        let mut options = ListOptions {
            prefix: self.prefix.clone(),
            glob: self.glob.clone(),
            after: self.after.clone(),
            limit: 0,
        };
        loop {
            options.limit = usize::try_from(left.min(page_max)).unwrap_or(usize::MAX);
            let (count, next) = self.page(scope, tenant, &options, out)?;
            left = left.saturating_sub(count as u64);
            match next {
                Some(next) if left > 0 && !out.closed() => options.after = Some(next),
                Some(next) if left == 0 => {
                    out.remark(format_args!(
                        "there may be more; go on with --after {next:?}"
                    ));
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
    }

    /// Prints one page; answers how many entries it had and where the next one starts.
    fn page(
        &self,
        scope: &Scope,
        tenant: &TenantSnapshot,
        options: &ListOptions,
        out: &mut Output,
    ) -> Result<(usize, Option<String>)> {
        if self.values {
            let page = tenant.scan_page(scope, options)?;
            for (key, value) in &page.entries {
                entry(out, key, value)?;
            }
            return Ok((page.entries.len(), page.next));
        }
        let page = tenant.list(scope, options)?;
        for key in &page.keys {
            if out.json() {
                out.document(&json!({ "key": key }))?;
            } else {
                out.line(text::shown(key))?;
            }
        }
        Ok((page.keys.len(), page.next))
    }

    fn scopes(&self, tenant: &TenantSnapshot, page_max: u64, out: &mut Output) -> Result<()> {
        let mut left = self.limit.unwrap_or(u64::MAX);
        let mut options = ScopeListOptions::default();
        while left > 0 && !out.closed() {
            options.limit = usize::try_from(left.min(page_max)).unwrap_or(usize::MAX);
            let page = tenant.list_scopes(&options)?;
            for scope in &page.scopes {
                if out.json() {
                    out.document(&json!({ "scope": scope.to_string() }))?;
                } else {
                    out.line(text::shown(&scope.to_string()))?;
                }
            }
            left = left.saturating_sub(page.scopes.len() as u64);
            let Some(next) = page.next else { break };
            options.after = Some(next);
        }
        Ok(())
    }
}

/// A key and its value on one line.
fn entry(out: &mut Output, key: &str, value: &Value) -> Result<()> {
    #[derive(Serialize)]
    struct Entry<'a> {
        key: &'a str,
        kind: &'static str,
        #[serde(flatten)]
        value: text::ValueMember,
    }
    if out.json() {
        return out.document(&Entry {
            key,
            kind: value.kind().name(),
            value: text::ValueMember::new(value)?,
        });
    }
    out.line(format_args!(
        "{}\t{}",
        text::shown(key),
        text::value_line(value)?
    ))
}
