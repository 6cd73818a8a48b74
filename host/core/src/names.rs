//! Names: tenants, scopes and keys, as callers write them.
//!
//! Scopes read `global`, `user:ID`, `session:ID`, `agent:ID`, `workflow:ID`, `step:WORKFLOW/STEP`,
//! `tool:ID`, `hook:ID`, `custom:NAME`; ids are UTF-8 of 1-256 bytes without NUL. In the workflow
//! part of a step, `/` is written `\/` and `\` is written `\\`. Keys are UTF-8 of 1-512 bytes
//! without NUL; every other character is ordinary.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Longest id of a scope in bytes.
pub const ID_BYTES_MAX: usize = 256;
/// Longest key in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// Longest tenant name in bytes.
pub const TENANT_BYTES_MAX: usize = 256;

/// The number of a commit, strictly rising; 0 is "before the first".
#[derive(
    Copy,
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Milliseconds since 1970-01-01 UTC.
#[derive(
    Copy,
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct UnixMs(pub i64);

/// The number that stands for a tenant in stored keys; 0 is the default tenant.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantNumber(pub u32);

/// Where a key lives within a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    kind: ScopeKind,
    id: String,
    step: String,
}

/// Kinds of scopes; the numbers are those of stored keys.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ScopeKind {
    /// `global`
    Global = 1,
    /// `user:ID`
    User = 2,
    /// `session:ID`
    Session = 3,
    /// `agent:ID`
    Agent = 4,
    /// `workflow:ID`
    Workflow = 5,
    /// `step:WORKFLOW/STEP`
    Step = 6,
    /// `tool:ID`
    Tool = 7,
    /// `hook:ID`
    Hook = 8,
    /// `custom:NAME`
    Custom = 9,
}

const KINDS: [(ScopeKind, &str); 9] = [
    (ScopeKind::Global, "global"),
    (ScopeKind::User, "user"),
    (ScopeKind::Session, "session"),
    (ScopeKind::Agent, "agent"),
    (ScopeKind::Workflow, "workflow"),
    (ScopeKind::Step, "step"),
    (ScopeKind::Tool, "tool"),
    (ScopeKind::Hook, "hook"),
    (ScopeKind::Custom, "custom"),
];

impl ScopeKind {
    /// The word in the text form.
    pub fn name(self) -> &'static str {
        KINDS
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    /// The kind of a word in the text form.
    pub fn from_name(name: &str) -> Option<ScopeKind> {
        KINDS
            .iter()
            .find(|(_, word)| *word == name)
            .map(|(kind, _)| *kind)
    }

    /// The kind of a number in a stored key.
    pub fn from_number(number: u8) -> Option<ScopeKind> {
        KINDS
            .iter()
            .find(|(kind, _)| *kind as u8 == number)
            .map(|(kind, _)| *kind)
    }
}

impl Scope {
    /// The scope that every session of a tenant shares.
    pub fn global() -> Scope {
        Scope {
            kind: ScopeKind::Global,
            id: String::new(),
            step: String::new(),
        }
    }

    /// A scope of any kind but `global` and `step`.
    pub fn new(kind: ScopeKind, id: &str) -> Result<Scope> {
        match kind {
            ScopeKind::Global => Err(Error::invalid("scope", "`global` takes no id")),
            ScopeKind::Step => Err(Error::invalid(
                "scope",
                "a step has a workflow and a step id",
            )),
            _ => {
                check_id(id)?;
                Ok(Scope {
                    kind,
                    id: id.to_owned(),
                    step: String::new(),
                })
            }
        }
    }

    /// The scope of one step of a workflow.
    pub fn step(workflow: &str, step: &str) -> Result<Scope> {
        check_id(workflow)?;
        check_id(step)?;
        Ok(Scope {
            kind: ScopeKind::Step,
            id: workflow.to_owned(),
            step: step.to_owned(),
        })
    }

    /// What kind of scope it is.
    pub fn kind(&self) -> ScopeKind {
        self.kind
    }

    /// The id; of a step, that of its workflow; empty for `global`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The step's id, for a step.
    pub fn step_id(&self) -> Option<&str> {
        (self.kind == ScopeKind::Step).then_some(self.step.as_str())
    }
}

pub(crate) fn check_id(id: &str) -> Result<()> {
    check_text("scope id", id, ID_BYTES_MAX)
}

/// Checks a key's text as [`Key::new`] does.
pub(crate) fn check_key(text: &str) -> Result<()> {
    check_text("key", text, KEY_BYTES_MAX)
}

fn check_text(what: &'static str, text: &str, bytes_max: usize) -> Result<()> {
    if text.is_empty() || text.len() > bytes_max {
        let reason = format!("it has {} bytes; 1 to {bytes_max} are allowed", text.len());
        return Err(Error::invalid(what, reason));
    }
    if has_nul(text.as_bytes()) {
        return Err(Error::invalid(what, "it contains a NUL character"));
    }
    Ok(())
}

/// Whether a byte is 0. Every read looks at two names, so eight bytes are one step (the zero-byte test of
/// Warren, "Hacker's Delight").
fn has_nul(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const TOPS: u64 = ONES << 7;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
    words.any(|word| word.wrapping_sub(ONES) & !word & TOPS != 0) || rest.contains(&0)
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Scope> {
        if text == "global" {
            return Ok(Scope::global());
        }
        let unknown = || {
            let names: Vec<_> = KINDS.iter().map(|(_, name)| *name).collect();
            let shown: String = text.chars().take(64).collect();
            let reason = format!(
                "`{shown}` is not `global` or KIND:ID with a kind of {}",
                names[1..].join(", ")
            );
            Error::invalid("scope", reason)
        };
        let (word, id) = text.split_once(':').ok_or_else(unknown)?;
        match ScopeKind::from_name(word).ok_or_else(unknown)? {
            ScopeKind::Step => {
                let (workflow, step) = split_step(id)?;
                Scope::step(&workflow, step)
            }
            kind => Scope::new(kind, id),
        }
    }
}

/// Splits `WORKFLOW/STEP` at the first `/` that has no backslash before it.
fn split_step(text: &str) -> Result<(String, &str)> {
    let mut workflow = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '/' => return Ok((workflow, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, escaped @ ('/' | '\\'))) => workflow.push(escaped),
                _ => {
                    return Err(Error::invalid(
                        "scope",
                        r"`\` stands only before `/` or `\`",
                    ));
                }
            },
            c => workflow.push(c),
        }
    }
    Err(Error::invalid("scope", "a step reads `step:WORKFLOW/STEP`"))
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ScopeKind::Global => f.write_str("global"),
            ScopeKind::Step => {
                let workflow = self.id.replace('\\', r"\\").replace('/', r"\/");
                write!(f, "step:{workflow}/{}", self.step)
            }
            kind => write!(f, "{}:{}", kind.name(), self.id),
        }
    }
}

/// A key within a scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// Checks and takes a key.
    pub fn new(text: &str) -> Result<Key> {
        check_key(text)?;
        Ok(Key(text.to_owned()))
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks the name of a tenant.
pub fn check_tenant(name: &str) -> Result<()> {
    check_text("tenant", name, TENANT_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_as_they_print() {
        for text in [
            "global",
            "user:42",
            "custom:a:b",
            "tool:%_*/",
            "step:w/s",
            r"step:a\/b\\/c/d",
        ] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        let step: Scope = r"step:a\/b/c/d".parse().unwrap();
        assert_eq!((step.id(), step.step_id()), ("a/b", Some("c/d")));
    }

    #[test]
    fn a_nul_is_found_wherever_it_stands() {
        for len in 1..20 {
            let mut bytes: Vec<u8> = (0..len)
                .map(|at| [0x01, 0x80, 0x81, 0xff][at % 4])
                .collect();
            assert!(!has_nul(&bytes), "{bytes:?}");
            for at in 0..len {
                let byte = std::mem::take(&mut bytes[at]);
                assert!(has_nul(&bytes), "{bytes:?}");
                bytes[at] = byte;
            }
        }
    }

    #[test]
    fn bad_scopes_and_keys_are_refused_with_words() {
        for text in [
            "",
            "user",
            "user:",
            "usr:1",
            "global:1",
            "step:w",
            r"step:\w/s",
            "user:a\0b",
        ] {
            let error = text.parse::<Scope>().unwrap_err();
            assert_eq!(
                error.kind(),
                crate::ErrorKind::InvalidArgument,
                "{text:?}: {error}"
            );
        }
        assert!(Key::new(&"k".repeat(512)).is_ok());
        assert!(
            Key::new(&"k".repeat(513))
                .unwrap_err()
                .to_string()
                .contains("513 bytes")
        );
        assert!(Key::new("").is_err());
    }
}
