//! `retention set`: retention settings written into the configuration file, with its comments and order.
//!
//! What is written was tried first: the settings are valid, and every policy exists and takes its options.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value as Json, json};
use statekeep::engine::{Clock, SystemClock};
use statekeep::{Config, DescribedBackup, Error, ErrorKind, Result, retention_key, try_rule};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::policies::{Mode, Policies};
use crate::{session, text};

/// Arguments of `retention set`.
#[derive(Args)]
pub struct Set {
    /// Settings such as grace=14d or max_backups=30; without a value one is taken out
    #[arg(value_name = "KEY=[VALUE]")]
    assignments: Vec<String>,
    #[command(flatten)]
    policies: Policies,
    /// Only show what would be written
    #[arg(long)]
    dry_run: bool,
}

/// A key with the value that it gets; `None` takes it out.
type Change = (&'static str, Option<Json>);

impl Set {
    /// Tries the settings, and writes them all at once.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let changes = self.changes()?;
        let path = file(globals)?;
        let before = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(failed("read the configuration", &path, source)),
        };
        let after = edited(&before, &changes)?;
        // Also refuses what was wrong in the file before.
        Config::from_toml(&after)?;
        let mut config = session::settings(globals)?.config;
        for (key, value) in &changes {
            match value {
                Some(value) => config.set_json(key, value)?,
                None => config.unset(key)?,
            }
        }
        check(&config)?;
        let lines = difference(&before, &after);
        if !self.dry_run && after != before {
            write(&path, &after).map_err(|source| failed("write", &path, source))?;
        }
        let written = !self.dry_run && after != before;
        if out.json() {
            let path = path.display().to_string();
            out.document(&json!({ "file": path, "written": written, "difference": lines }))?;
            return Ok(Exit::Ok);
        }
        for line in &lines {
            let colour = if line.starts_with('+') { 32 } else { 31 };
            out.coloured(colour, &text::shown_text(line))?;
        }
        let path = text::shown(&path.display().to_string());
        out.remark(match (lines.is_empty(), self.dry_run) {
            (true, _) => format!("{path} says so already"),
            (false, true) => format!("{path} was not written"),
            (false, false) => format!("wrote {path}"),
        });
        Ok(Exit::Ok)
    }

    fn changes(&self) -> Result<Vec<Change>> {
        let mut changes: Vec<Change> = Vec::new();
        for setting in &self.assignments {
            let (name, value) = setting.split_once('=').ok_or_else(|| {
                let reason = format!("`{}` is not KEY=VALUE", text::shown(setting));
                Error::invalid("setting", reason)
            })?;
            let key = retention_key(name)?;
            let value = match value {
                "" => None,
                text => {
                    let mut config = Config::default();
                    config.set(key, text)?;
                    Some(config.get(key)?)
                }
            };
            changes.push((key, value));
        }
        if !self.policies.policy.is_empty() {
            let policies = serde_json::to_value(&self.policies.policy);
            let policies = policies.map_err(|error| Error::invalid("policy", error.to_string()))?;
            changes.push(("retention.policies", Some(policies)));
            let mode = match self.policies.mode {
                Mode::Any => None,
                Mode::All => Some(Json::from("all")),
            };
            changes.push(("retention.mode", mode));
        }
        match changes.is_empty() {
            true => Err(Error::invalid(
                "setting",
                "nothing is to be set; give KEY=VALUE or --policy",
            )),
            false => Ok(changes),
        }
    }
}

/// The file that the next command reads, behind a link the file itself.
fn file(globals: &Globals) -> Result<PathBuf> {
    let path = globals
        .config
        .clone()
        .unwrap_or_else(|| PathBuf::from(session::DEFAULT_FILE));
    if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        let message = "a configuration in JSON has no comments to keep; edit it, or use TOML";
        return Err(Error::other(ErrorKind::Unsupported, message));
    }
    match fs::canonicalize(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path),
        found => found.map_err(|source| failed("find", &path, source)),
    }
}

/// Opens every policy, and asks each about one backup.
fn check(config: &Config) -> Result<()> {
    let retention = config.retention()?;
    let Some(rule) = &retention.rule else {
        return Ok(());
    };
    let one = [DescribedBackup {
        age_ms: Some(0),
        ..DescribedBackup::default()
    }];
    let plugins = super::plugins(config)?;
    let trial = try_rule(rule, &retention, &one, SystemClock.now(), &plugins)?;
    match trial.failure {
        Some(why) => Err(Error::invalid(
            "retention",
            format!("{why}; nothing was written"),
        )),
        None => Ok(()),
    }
}

/// The text with the changes made, all else as it was.
fn edited(before: &str, changes: &[Change]) -> Result<String> {
    let mut document: DocumentMut = before
        .parse()
        .map_err(|error: toml_edit::TomlError| Error::invalid("TOML", error.to_string()))?;
    for (key, value) in changes {
        // A dotted key at the top stays one.
        let (section, name) = key.split_once('.').unwrap_or(("", key));
        let table = document.as_table_mut();
        let Some(value) = value else {
            if let Some(section) = table.get_mut(section).and_then(Item::as_table_like_mut) {
                section.remove(name);
            }
            continue;
        };
        let new = || {
            let mut table = Table::new();
            table.set_implicit(false);
            Item::Table(table)
        };
        let section = table.entry(section).or_insert_with(new).as_table_like_mut();
        let section = section.ok_or_else(|| {
            Error::invalid("configuration", format!("`{key}`: its section is no table"))
        })?;
        let mut value = toml(value, true)?;
        match section.get_mut(name).and_then(Item::as_value_mut) {
            // Keeps the comment at the end of the line.
            Some(old) => {
                *value.decor_mut() = old.decor().clone();
                *old = value;
            }
            None => drop(section.insert(name, Item::Value(value))),
        }
    }
    Ok(document.to_string())
}

fn toml(json: &Json, is_outer: bool) -> Result<Value> {
    let refused = || Error::invalid("setting", format!("TOML has no {json}"));
    Ok(match json {
        Json::Null => return Err(refused()),
        Json::Bool(value) => Value::from(*value),
        Json::String(text) => Value::from(text.as_str()),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(float)) => Value::from(float),
            (None, None) => return Err(refused()),
        },
        Json::Array(items) => {
            let items = items.iter().map(|item| toml(item, false));
            let mut array: Array = items.collect::<Result<Vec<_>>>()?.into_iter().collect();
            // Several policies stand one on a line.
            if is_outer && array.len() > 1 {
                array
                    .iter_mut()
                    .for_each(|item| item.decor_mut().set_prefix("\n    "));
                array.set_trailing("\n");
                array.set_trailing_comma(true);
            }
            Value::Array(array)
        }
        Json::Object(fields) => {
            let mut table = InlineTable::new();
            // What says which policy it is stands first.
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name != "policy");
            for (name, value) in fields {
                table.insert(name, toml(value, false)?);
            }
            Value::InlineTable(table)
        }
    })
}

/// The lines between the first and the last that differ: what goes with `-`, what comes with `+`.
fn difference(before: &str, after: &str) -> Vec<String> {
    let (mut old, mut new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let same = old
        .iter()
        .zip(&new)
        .take_while(|(old, new)| old == new)
        .count();
    old.drain(..same);
    new.drain(..same);
    while old.last().is_some_and(|line| new.last() == Some(line)) {
        old.pop();
        new.pop();
    }
    let gone = old.iter().map(|line| format!("-{line}"));
    gone.chain(new.iter().map(|line| format!("+{line}")))
        .collect()
}

/// Replaces a file as a whole; a crash leaves the old or the new one.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}.new", std::process::id()));
    let written = || {
        let mut file = File::create_new(&beside)?;
        if let Ok(old) = fs::metadata(path) {
            file.set_permissions(old.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(folder)?.sync_all()
    };
    let done = written();
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "# mine\npath = \"state\"\n\n[backup]  # of it\nmax_backups = 9 # few\n# end\n";

    #[test]
    fn comments_and_order_stay() {
        let changes = [
            ("backup.max_backups", Some(json!(30))),
            ("retention.grace", Some(json!("14d"))),
        ];
        let after = edited(FILE, &changes).unwrap();
        let wanted = "# mine\npath = \"state\"\n\n[backup]  # of it\nmax_backups = 30 # few\n\n\
                      [retention]\ngrace = \"14d\"\n# end\n";
        assert_eq!(after, wanted);
        let told = difference(FILE, &after);
        assert_eq!(
            told[..2],
            ["-max_backups = 9 # few", "+max_backups = 30 # few"]
        );
        let changes = [("backup.max_backups", None), ("retention.mode", None)];
        assert!(!edited(FILE, &changes).unwrap().contains("max_backups"));
    }

    #[test]
    fn several_policies_stand_one_on_a_line_and_read_back() {
        let policies = json!([{"keep": 3, "policy": "count"}, {"policy": "age", "max_age": "3d"}]);
        let after = edited("", &[("retention.policies", Some(policies.clone()))]).unwrap();
        assert!(
            after.contains("\n    { policy = \"count\", keep = 3 },\n"),
            "{after}"
        );
        let config = Config::from_toml(&after).unwrap();
        assert_eq!(config.get("retention.policies").unwrap(), policies);
    }
}
