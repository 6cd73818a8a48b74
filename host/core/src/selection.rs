//! A part of a state: one tenant, the scopes and the keys that match patterns.
//!
//! What an export, an import or a restore of a part is about. Patterns are globs: `*` any
//! characters, `?` any one; without them a scope or a key is meant as it stands.

use std::collections::BTreeSet;

use wildmatch::WildMatch;

use crate::list::literal_prefix;
use crate::query::pattern::{ScopePattern, check_glob};
use crate::stored_key::{prefix_end, split_parts};
use crate::{
    Error, ErrorKind, KEY_BYTES_MAX, Key, KeyRange, Result, Scope, Snapshot, SnapshotScan,
    TenantNumber, check_tenant, meant,
};

/// Most tenants that an error names.
const TENANTS_SHOWN_MAX: usize = 5;

/// Which records are meant; all of the state unless narrowed.
#[derive(Clone, Debug)]
pub struct Selection {
    tenant: Option<String>,
    scope: Option<ScopePattern>,
    key: Option<KeyPattern>,
}

/// The stored keys of a selection, where tenants have the numbers of one state or backup.
#[derive(Clone, Debug)]
pub struct SelectedKeys {
    selection: Selection,
    lo: Vec<u8>,
    hi: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
struct KeyPattern {
    text: String,
    /// Missing when the text is one key.
    glob: Option<WildMatch>,
}

impl KeyPattern {
    fn parse(text: &str) -> Result<KeyPattern> {
        if literal_prefix(text) == text {
            Key::new(text)?;
            let text = text.to_owned();
            return Ok(KeyPattern { text, glob: None });
        }
        check_glob("key pattern", text)?;
        if text.len() > KEY_BYTES_MAX {
            return Err(Error::TooLarge {
                what: "bytes of a key pattern",
                actual: text.len() as u64,
                limit_name: "KEY_BYTES_MAX",
                limit: KEY_BYTES_MAX as u64,
            });
        }
        Ok(KeyPattern {
            text: text.to_owned(),
            glob: Some(WildMatch::new(text)),
        })
    }

    fn has(&self, key: &str) -> bool {
        match &self.glob {
            Some(glob) => glob.matches(key),
            None => self.text == key,
        }
    }
}

impl Selection {
    /// All records of all tenants.
    pub fn whole() -> Selection {
        Selection {
            tenant: None,
            scope: None,
            key: None,
        }
    }

    /// The records of a tenant (the empty name is the default tenant) in the scopes and under the
    /// keys that match; what is not given does not narrow.
    ///
    /// # Errors
    /// `InvalidArgument` and `TooLarge` for what is no tenant's name or no pattern.
    pub fn new(tenant: Option<&str>, scope: Option<&str>, key: Option<&str>) -> Result<Selection> {
        if let Some(name) = tenant.filter(|name| !name.is_empty()) {
            check_tenant(name)?;
        }
        Ok(Selection {
            tenant: tenant.map(str::to_owned),
            scope: scope.map(ScopePattern::parse).transpose()?,
            key: key.map(KeyPattern::parse).transpose()?,
        })
    }

    /// Whether nothing narrows it.
    pub fn is_whole(&self) -> bool {
        self.tenant.is_none() && self.scope.is_none() && self.key.is_none()
    }

    /// The tenant's name, when it is of one tenant.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The pattern of scopes.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_ref().map(ScopePattern::text)
    }

    /// The pattern of keys.
    pub fn key(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.text.as_str())
    }

    /// Whether a record of this name is meant.
    pub fn has(&self, tenant: &str, scope: &Scope, key: &Key) -> bool {
        self.tenant.as_deref().is_none_or(|own| own == tenant)
            && self.scope.as_ref().is_none_or(|own| own.has(scope))
            && self.key.as_ref().is_none_or(|own| own.has(key.as_str()))
    }

    /// Refuses a tenant that nobody knows, so that a misspelt one does not select nothing; `known` are the
    /// named ones. The default tenant is always there.
    ///
    /// # Errors
    /// `NotFound`, with the names of some.
    pub fn check_tenant<'a>(&self, known: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let Some(name) = self.tenant().filter(|name| !name.is_empty()) else {
            return Ok(());
        };
        let known: BTreeSet<&str> = known.into_iter().filter(|one| !one.is_empty()).collect();
        if known.contains(name) {
            return Ok(());
        }
        let meant = meant(name, known.iter().copied());
        let meant = meant.map_or_else(String::new, |meant| format!(", did you mean {meant:?}?"));
        let some = known.iter().take(TENANTS_SHOWN_MAX);
        let mut named: Vec<String> = some.map(|name| format!("{name:?}")).collect();
        let more = known.len() - named.len();
        if more > 0 {
            named.push(format!("{more} more"));
        }
        let named = match named.is_empty() {
            true => "only the default one is there".to_owned(),
            false => format!("beside the default one there are {}", named.join(", ")),
        };
        let message = format!("there is no tenant {name:?}{meant}; {named}");
        Err(Error::other(ErrorKind::NotFound, message))
    }

    /// Its stored keys, by the numbers of the named tenants; `None` when there is no such tenant.
    pub fn keys(&self, tenants: &[(TenantNumber, String)]) -> Option<SelectedKeys> {
        let number = match self.tenant.as_deref() {
            None => None,
            Some("") => Some(TenantNumber(0)),
            Some(name) => Some(tenants.iter().find(|(_, known)| known == name)?.0),
        };
        let lo = match (number, &self.scope) {
            (Some(number), Some(scope)) => scope.key_prefix(number),
            (Some(number), None) => number.0.to_be_bytes().to_vec(),
            (None, _) => Vec::new(),
        };
        Some(SelectedKeys {
            selection: self.clone(),
            hi: prefix_end(&lo),
            lo,
        })
    }
}

/// The same tenant and the same texts of patterns.
impl PartialEq for Selection {
    fn eq(&self, other: &Selection) -> bool {
        (self.tenant(), self.scope(), self.key()) == (other.tenant(), other.scope(), other.key())
    }
}

impl SelectedKeys {
    /// The smallest range that holds all of them; not every key in it is selected.
    pub fn range(&self) -> KeyRange<'_> {
        KeyRange {
            lo: &self.lo,
            hi: self.hi.as_deref(),
            reverse: false,
        }
    }

    /// Whether a stored key is one of them.
    ///
    /// # Errors
    /// `Corrupt` for what is no stored key.
    pub fn has(&self, data_key: &[u8]) -> Result<bool> {
        let within =
            data_key >= self.lo.as_slice() && self.hi.as_deref().is_none_or(|hi| data_key < hi);
        if !within
            || self
                .selection
                .scope
                .as_ref()
                .is_some_and(|s| !s.has_key(data_key))
        {
            return Ok(false);
        }
        match &self.selection.key {
            None => Ok(true),
            Some(pattern) => Ok(pattern.has(split_parts(data_key)?.2)),
        }
    }
}

impl Snapshot {
    /// The records of the range that holds all selected keys, in the order of their keys; who reads
    /// them asks [`SelectedKeys::has`] of each.
    pub fn scan_keys(&self, keys: &SelectedKeys) -> Result<SnapshotScan<'_>> {
        self.scan_range(keys.range())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_key;

    #[test]
    fn names_and_stored_keys_are_selected_alike() {
        let tenants = [(TenantNumber(1), "acme".to_owned())];
        let names = [
            ("", "global", "a"),
            ("", "agent:1", "plan"),
            ("acme", "agent:1", "plan"),
            ("acme", "agent:2", "plan:b"),
            ("acme", "step:w/s", "k"),
        ];
        let chosen = |tenant, scope, key| {
            let selection = Selection::new(tenant, scope, key).unwrap();
            let keys = selection.keys(&tenants).unwrap();
            let mut chosen = Vec::new();
            for (at, (tenant, scope, key)) in names.iter().enumerate() {
                let (scope, key) = (scope.parse().unwrap(), Key::new(key).unwrap());
                let number = TenantNumber(u32::from(*tenant == "acme"));
                let by_key = keys.has(&data_key(number, &scope, &key)).unwrap();
                assert_eq!(by_key, selection.has(tenant, &scope, &key));
                chosen.extend(by_key.then_some(at));
            }
            chosen
        };
        assert_eq!(chosen(None, None, None), [0, 1, 2, 3, 4]);
        assert_eq!(chosen(Some(""), None, None), [0, 1]);
        assert_eq!(chosen(Some("acme"), Some("agent:*"), None), [2, 3]);
        assert_eq!(chosen(None, Some("agent:1"), None), [1, 2]);
        assert_eq!(chosen(None, None, Some("plan")), [1, 2]);
        assert_eq!(chosen(None, Some("step:w/?"), Some("*")), [4]);
        assert_eq!(chosen(Some("acme"), None, Some("*:*")), [3]);
    }

    #[test]
    fn a_tenant_that_is_not_there_selects_nothing_and_bad_patterns_are_refused() {
        let selection = Selection::new(Some("nobody"), None, None).unwrap();
        assert!(selection.keys(&[]).is_none() && !selection.is_whole());
        assert!(Selection::new(None, Some("agnt:*"), None).is_err());
        assert!(Selection::new(None, None, Some("")).is_err());
        assert!(Selection::new(None, None, Some(r"a\*")).is_err());
    }
}
