//! What a configuration looks like to people: TOML, JSON and the reference page.

use std::fmt::Write;

use serde_json::{Map, Value};
use statekeep_core::{Error, ErrorKind, Result};

use super::schema::{ALIASES, KEYS, Key, Kind, UNSUPPORTED};
use super::{Config, Source, value};

impl Config {
    /// The keys that were set, as TOML that reads back as the same configuration, but for secrets,
    /// which are left out.
    pub fn to_toml(&self) -> Result<String> {
        let mut document = Map::new();
        let secret = |key: &Key| key.kind == Kind::Secret;
        for key in KEYS.iter().filter(|key| self.is_set(key) && !secret(key)) {
            insert(&mut document, key.name, self.value(key));
        }
        toml::to_string(&document).map_err(|error| {
            // TOML has no null, which a backend's own option may hold.
            let reason = format!("the configuration cannot be written as TOML: {error}");
            Error::other(ErrorKind::Unsupported, reason)
        })
    }

    /// Every key with the value that counts, nested by section; `null` where none is set, `***` for a
    /// secret that is set.
    pub fn to_json(&self) -> Value {
        let mut document = Map::new();
        for key in KEYS {
            insert(&mut document, key.name, self.shown(key));
        }
        Value::Object(document)
    }

    /// Every key with the value that counts and who set it, as TOML with comments.
    pub fn to_toml_commented(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        // TOML wants bare keys before tables; `backend_options` is written as an inline table.
        for key in KEYS {
            let (table, name) = key.name.split_once('.').unwrap_or(("", key.name));
            if table != section {
                let _ = writeln!(text, "\n[{table}]");
                section = table;
            }
            if key.kind == Kind::Secret && self.is_set(key) {
                let _ = writeln!(text, "# {name}: set, not shown");
                continue;
            }
            let value = self.value(key);
            let source = self
                .values
                .get(key.name)
                .map_or(Source::Default, |it| it.source.clone());
            let _ = match inline(&value) {
                Some(shown) => writeln!(text, "{name} = {shown}  # {source}"),
                None => writeln!(text, "# {name}: {}", key.unset),
            };
        }
        text
    }

    /// The reference page of all keys, in Markdown.
    pub fn reference() -> String {
        let mut page = HEAD.to_owned();
        page.push_str("| key | allowed | default | effect |\n|---|---|---|---|\n");
        for key in KEYS {
            let default = match key.default {
                None => key.unset.to_owned(),
                Some("") => "none".to_owned(),
                Some(text) => format!("`{text}`"),
            };
            let allowed = value::allowed(key);
            let _ = writeln!(
                page,
                "| `{}` | {allowed} | {default} | {} |",
                key.name, key.about
            );
        }
        page.push_str("\n## Other names\n\nThese mean the same as the key beside them.\n\n");
        page.push_str("| name | key |\n|---|---|\n");
        for (alias, key) in ALIASES {
            let _ = writeln!(page, "| `{alias}` | `{key}` |");
        }
        page.push_str("\n## Known names that are refused\n\n");
        page.push_str("These answer `unsupported`, so that nobody relies on them.\n\n");
        page.push_str("| name | why, and what to do |\n|---|---|\n");
        for (name, instead) in UNSUPPORTED {
            let _ = writeln!(page, "| `{name}` | {instead} |");
        }
        page
    }
}

/// Puts a value at a dotted name, in tables within tables.
fn insert(document: &mut Map<String, Value>, name: &str, value: Value) {
    match name.split_once('.') {
        None => drop(document.insert(name.to_owned(), value)),
        Some((table, name)) => {
            let table = document.entry(table).or_insert_with(|| Map::new().into());
            if let Value::Object(table) = table {
                insert(table, name, value);
            }
        }
    }
}

/// A value as it stands right of `=` in TOML; none for a value that TOML does not have.
fn inline(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(inline).collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                Some(format!(
                    "{} = {}",
                    toml::Value::String(name.clone()),
                    inline(value)?
                ))
            };
            let fields: Option<Vec<_>> = fields.iter().map(field).collect();
            let fields = fields?.join(", ");
            if fields.is_empty() {
                "{}".to_owned()
            } else {
                format!("{{ {fields} }}")
            }
        }
        other => other.to_string(),
    })
}

const HEAD: &str = "\
# Configuration

Made from the table in `host/src/config/table.rs`; a test says how to make it anew.

A setting comes from, the later over the earlier: the default, a TOML or JSON file, the
environment, `set` calls or the command line (`--set KEY=VALUE`). In a file the dots are sections;
in the environment the name is `STATEKEEP_` and the key in capitals with `__` for each dot, such as
`STATEKEEP_BACKUP__CODEC`. Relative paths in a file are relative to the folder of that file, others
to the working directory; all paths are UTF-8. A backend's own options are
`backend_options.NAME`.

An unknown key is an error that names the one it is a typo of, where one is that near. In the
environment, which is shared, a variable that is no key is left alone unless it is one or two
letters away from one.

```toml
path = \"state\"
backend = \"fjall\"

[backup]
codec = \"zstd\"
level = 3
```

## Keys

";
