//! Patterns over scopes: which part of the keys they cover, and which pattern covers another.
//!
//! A pattern is a glob over the text of a scope: `*` any characters, `?` any one. Without them it is
//! one scope.

use wildmatch::WildMatch;

use crate::list::literal_prefix;
use crate::stored_key::{prefix_end, scope_prefix, split_parts};
use crate::{Error, ID_BYTES_MAX, Result, Scope, ScopeKind, TenantNumber};

/// Longest pattern in bytes: that of the longest step's text, whose workflow is all escapes.
const PATTERN_BYTES_MAX: usize = 16 + 3 * ID_BYTES_MAX;

/// A set of scopes.
#[derive(Clone, Debug)]
pub(crate) struct ScopePattern {
    text: String,
    glob: WildMatch,
    /// The one scope that it matches, when it has no wildcard.
    one: Option<Scope>,
    /// What its matches have after the tenant in their stored keys.
    prefix: Vec<u8>,
    /// Every scope whose keys begin with `prefix` matches.
    decided: bool,
}

impl ScopePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// `InvalidArgument` for a scope or kind of scope that there is not, and for `\` beside a
    /// wildcard.
    pub(crate) fn parse(text: &str) -> Result<ScopePattern> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(Error::TooLarge {
                what: "bytes of a scope pattern",
                actual: text.len() as u64,
                limit_name: "PATTERN_BYTES_MAX",
                limit: PATTERN_BYTES_MAX as u64,
            });
        }
        let literal = literal_prefix(text);
        let mut pattern = ScopePattern {
            text: text.to_owned(),
            glob: WildMatch::new(text),
            one: None,
            prefix: Vec::new(),
            decided: text == "*",
        };
        if literal == text {
            let scope: Scope = text.parse()?;
            pattern.prefix = scope_prefix(TenantNumber(0), &scope).split_off(4);
            pattern.decided = true;
            pattern.one = Some(scope);
            return Ok(pattern);
        }
        check_glob("scope pattern", text)?;
        if let Some((word, id)) = literal.split_once(':') {
            let kind = ScopeKind::from_name(word).ok_or_else(|| {
                Error::invalid("scope pattern", format!("`{word}` is no kind of scope"))
            })?;
            let ends_there = text.strip_suffix('*') == Some(literal);
            pattern.prefix.push(kind as u8);
            // The text of a step has its own escapes, so only its kind narrows the keys.
            if kind == ScopeKind::Step {
                pattern.decided = ends_there && id.is_empty();
            } else {
                pattern.prefix.extend_from_slice(id.as_bytes());
                pattern.decided = ends_there;
            }
        }
        Ok(pattern)
    }

    /// The pattern that every scope matches.
    pub(crate) fn all() -> ScopePattern {
        ScopePattern {
            text: "*".to_owned(),
            glob: WildMatch::new("*"),
            one: None,
            prefix: Vec::new(),
            decided: true,
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What the stored keys of all its matches begin with, in a tenant.
    pub(crate) fn key_prefix(&self, tenant: TenantNumber) -> Vec<u8> {
        [&tenant.0.to_be_bytes()[..], &self.prefix].concat()
    }

    /// Whether it is one scope.
    pub(crate) fn is_one(&self) -> bool {
        self.one.is_some()
    }

    /// Whether a stored key of any tenant is in one of its scopes.
    pub(crate) fn has_key(&self, data_key: &[u8]) -> bool {
        let within = data_key
            .get(4..)
            .is_some_and(|key| key.starts_with(&self.prefix));
        within && (self.decided || split_parts(data_key).is_ok_and(|(_, s, _)| self.has(&s)))
    }

    /// Whether it matches a scope.
    pub(crate) fn has(&self, scope: &Scope) -> bool {
        match &self.one {
            Some(one) => one == scope,
            None => self.glob.matches(&scope.to_string()),
        }
    }

    /// Whether every scope that `other` matches is surely one of its own.
    pub(crate) fn covers(&self, other: &ScopePattern) -> bool {
        if let Some(scope) = &other.one {
            return self.has(scope);
        }
        let literal = literal_prefix(&self.text);
        self.text == other.text
            || (self.text.strip_suffix('*') == Some(literal)
                && literal_prefix(&other.text).starts_with(literal))
    }
}

/// The range of the keys that begin with a prefix.
pub(crate) fn prefix_range(prefix: Vec<u8>) -> (Vec<u8>, Option<Vec<u8>>) {
    let hi = prefix_end(&prefix);
    (prefix, hi)
}

/// Fails for an escape in a glob.
pub(crate) fn check_glob(what: &'static str, glob: &str) -> Result<()> {
    if glob.contains('\\') {
        let reason = "`\\` is kept for an escape that is not built; use `?` or a prefix";
        return Err(Error::invalid(what, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Key, data_key};

    fn pattern(text: &str) -> ScopePattern {
        ScopePattern::parse(text).unwrap()
    }

    #[test]
    fn a_pattern_that_can_match_nothing_is_refused() {
        for text in ["", "agent", "agnt:*", "agent:", r"step:a\/*"] {
            let error = ScopePattern::parse(text).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument, "{text}");
        }
        assert!(pattern(r"step:a\/b/c").is_one());
    }

    #[test]
    fn what_covers_what() {
        for (index, query, covers) in [
            ("*", "agent:7", true),
            ("agent:*", "agent:7", true),
            ("agent:*", "agent:7*", true),
            ("agent:*", "agent:*", true),
            ("agent:7*", "agent:*", false),
            ("agent:?", "agent:7", true),
            ("agent:?", "agent:*", false),
            ("agent:7", "agent:7", true),
            ("agent:7", "agent:70", false),
            ("a*", "agent:?", true),
            ("user:*", "*", false),
        ] {
            assert_eq!(
                pattern(index).covers(&pattern(query)),
                covers,
                "{index} {query}"
            );
        }
    }

    fn patterns() -> impl Strategy<Value = String> {
        const KINDS: [&str; 6] = ["user:", "step:", "custom:", "u?er:", "*", "c*:"];
        (prop::sample::select(&KINDS[..]), "[ab/*?]{0,3}")
            .prop_map(|(kind, id)| format!("{kind}{id}"))
            .prop_filter("a pattern", |text| ScopePattern::parse(text).is_ok())
    }

    fn scopes() -> impl Strategy<Value = Scope> {
        prop_oneof![
            Just(Scope::global()),
            "[ab/]{1,3}".prop_map(|id| Scope::new(ScopeKind::User, &id).unwrap()),
            "[ab/]{1,3}".prop_map(|id| Scope::new(ScopeKind::Custom, &id).unwrap()),
            ("[ab/\\\\]{1,2}", "[ab]{1,2}").prop_map(|(w, s)| Scope::step(&w, &s).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn keys_and_texts_agree(text in patterns(), other in patterns(), scope in scopes()) {
            let (pattern, other) = (pattern(&text), self::pattern(&other));
            let matches = WildMatch::new(&text).matches(&scope.to_string());
            let key = data_key(TenantNumber(3), &scope, &Key::new("k").unwrap());
            prop_assert_eq!(pattern.has(&scope), matches);
            prop_assert_eq!(pattern.has_key(&key), matches);
            prop_assert!(!matches || key.starts_with(&pattern.key_prefix(TenantNumber(3))));
            if pattern.covers(&other) && other.has(&scope) {
                prop_assert!(matches, "{} does not cover {}", text, other.text());
            }
        }
    }
}
