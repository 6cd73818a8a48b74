//! `retention show`: the rule, its settings, the floors, and what is kept of the state's own past.

use clap::Args;
use serde_json::Value;
use statekeep::{Result, RetentionRule, RetentionView, SettingRow};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::table::Table;
use crate::{session, text};

/// Arguments of `retention show`.
#[derive(Args)]
pub struct Show {}

impl Show {
    /// Reads the configuration only.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let config = session::settings(globals)?.config;
        let view = RetentionView::of(&config)?;
        if out.json() {
            out.document(&view)?;
            return Ok(Exit::Ok);
        }
        match &view.rule {
            None => out.line("Every backup stays: no policy is configured.")?,
            Some(rule) => {
                out.line("A backup stays when this keeps it:")?;
                let mut lines = Vec::new();
                tree(rule, "  ", "", &mut lines);
                lines.iter().try_for_each(|line| out.line(line))?;
            }
        }
        out.line("\nAnd whatever the policies say:")?;
        for floor in &view.floors {
            out.line(format_args!("  {floor}"))?;
        }
        out.line("")?;
        out.table(&settings(&view.settings))?;
        out.line("\nOf the past of the state itself:")?;
        out.table(&settings(&view.state))?;
        Ok(Exit::Ok)
    }
}

fn settings(rows: &[SettingRow]) -> Table {
    let mut table = Table::titled(&[], &["SETTING", "VALUE", "FROM"]);
    for row in rows {
        let value = match &row.value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let value = text::beginning(text::shown_text(&value), 60);
        table.row(vec![row.key.to_owned(), value, text::shown(&row.source)]);
    }
    table
}

/// A group with its members under it; `first` begins its line, `rest` those below.
fn tree(rule: &RetentionRule, first: &str, rest: &str, lines: &mut Vec<String>) {
    let (members, words) = match rule {
        RetentionRule::Policy(_) => {
            lines.push(format!("{first}{}", text::shown_text(&rule.in_words())));
            return;
        }
        RetentionRule::Any { any } => (any, "any of"),
        RetentionRule::All { all } => (all, "all of those that have an opinion"),
    };
    if let [only] = members.as_slice() {
        return tree(only, first, rest, lines);
    }
    lines.push(format!("{first}{words}"));
    let indent = match rest {
        "" => "  ",
        rest => rest,
    };
    for (number, member) in members.iter().enumerate() {
        let (branch, below) = match number + 1 == members.len() {
            true => ("\u{2514}\u{2500} ", "   "),
            false => ("\u{251c}\u{2500} ", "\u{2502}  "),
        };
        let (first, rest) = (format!("{indent}{branch}"), format!("{indent}{below}"));
        tree(member, &first, &rest, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_their_members_under_them() {
        let rule = r#"{"all": [{"policy": "count", "keep": 7},
            {"any": [{"policy": "age", "max_age": "3d"}, {"policy": "size"}]}]}"#;
        let mut lines = Vec::new();
        tree(&serde_json::from_str(rule).unwrap(), "  ", "", &mut lines);
        let wanted = "  all of those that have an opinion
  ├─ count(keep 7)
  └─ any of
     ├─ age(max_age 3d)
     └─ size";
        assert_eq!(lines.join("\n"), wanted);
    }
}
