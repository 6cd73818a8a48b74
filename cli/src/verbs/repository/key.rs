//! `repository key`: the passphrases and key files that open an encrypted repository.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use statekeep::{KeyId, KeyInfo, KeySource, Result, UnixMs};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::table::Table;
use crate::{text, time};

/// Verbs on keys.
#[derive(Subcommand)]
pub enum Key {
    /// List the keys: what opens the repository, and which one did
    List(List),
    /// Add a passphrase or key file; no backup is written again
    Add(Add),
    /// Remove a key, so that it opens the repository no longer
    Remove(Remove),
    /// Put another passphrase or key file in the place of the configured one
    Change(Change),
}

/// Arguments of `repository key list`.
#[derive(Args)]
pub struct List {}

/// Arguments of `repository key add`.
#[derive(Args)]
pub struct Add {
    #[command(flatten)]
    secret: Secret,
    /// A name for people
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
}

/// Arguments of `repository key remove`.
#[derive(Args)]
pub struct Remove {
    /// The key, as `list` shows it
    id: String,
}

/// Arguments of `repository key change`.
#[derive(Args)]
pub struct Change {
    #[command(flatten)]
    secret: Secret,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Secret {
    /// The file whose one line is the other passphrase
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// The other key file: 32 random bytes, or their hexadecimal digits
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
}

impl Secret {
    fn source(&self) -> KeySource {
        match (&self.new_passphrase_file, &self.new_key_file) {
            (Some(file), _) => KeySource::passphrase_file(file),
            (None, file) => KeySource::key_file(file.as_deref().unwrap_or("".as_ref())),
        }
    }
}

impl Key {
    /// Runs the verb.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let backups = &host.backups;
        match self {
            Key::List(_) => list(&backups.keys()?, out)?,
            Key::Add(verb) => {
                let added = backups.add_key(&verb.secret.source(), verb.label.as_deref())?;
                one(&added, "added", out)?;
            }
            Key::Remove(verb) => {
                let id = KeyId::parse(&verb.id.to_ascii_uppercase())?;
                backups.remove_key(id)?;
                if out.json() {
                    out.document(&json!({ "id": id, "removed": true }))?;
                } else {
                    out.line(format_args!("{id} removed"))?;
                }
            }
            Key::Change(verb) => {
                let changed = backups.change_key(&verb.secret.source())?;
                one(
                    &changed,
                    "took its place; name it in the configuration",
                    out,
                )?;
            }
        }
        Ok(Exit::Ok)
    }
}

fn one(key: &KeyInfo, verdict: &str, out: &mut Output) -> Result<()> {
    if out.json() {
        return out.document(key);
    }
    out.line(format_args!("{} {verdict}", key.id))
}

fn list(keys: &[KeyInfo], out: &mut Output) -> Result<()> {
    if out.json() {
        return keys.iter().try_for_each(|key| out.document(key));
    }
    let mut table = Table::titled(&[], &["KEY", "KIND", "ADDED", "USE", "LABEL"]);
    for key in keys {
        table.row(vec![
            key.id.to_string(),
            key.kind.name().to_owned(),
            time::seconds(UnixMs(key.created_unix_ms)),
            if key.in_use { "in use" } else { "" }.to_owned(),
            text::shown(key.label.as_deref().unwrap_or_default()),
        ]);
    }
    out.table(&table)
}
