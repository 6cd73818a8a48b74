//! Rules: which class, life time and history the keys of a pattern have unless a caller says more.
//!
//! Rules come from the configuration and are looked at in their order; each fact is taken from the
//! first matching rule that states it. They never look at values.

use wildmatch::WildMatch;

use crate::{Class, Error, Key, Result, Scope};

/// Most rules of a state.
pub const RULES_MAX: usize = 256;

/// How much of a key's history is kept; what no limit reaches stays.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryLimits {
    /// Superseded records older than this are dropped, in milliseconds since they were superseded.
    pub age_ms: Option<u64>,
    /// At most this many superseded records of a key; the newest stay.
    pub versions: Option<u64>,
    /// At most this many bytes of superseded records of a key; the newest stay.
    pub bytes: Option<u64>,
}

/// What holds for the keys that a pattern matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Tenants, a glob over the tenant's name; every tenant when it is missing. The default tenant
    /// has the empty name.
    pub tenant: Option<String>,
    /// Scopes, a glob over the scope's text such as `session:*`; every scope when it is missing.
    pub scope: Option<String>,
    /// Keys, a glob; every key when it is missing.
    pub key: Option<String>,
    /// The class of values that are set without one.
    pub class: Option<Class>,
    /// How long values that are set without an expiry live, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// How much history is kept.
    pub history: Option<HistoryLimits>,
}

/// Checks rules as opening a state does.
///
/// # Errors
/// `InvalidArgument` names the rule by its place, from 1.
pub fn check_rules(rules: &[Rule]) -> Result<()> {
    Rules::new(rules).map(drop)
}

/// What the rules say about one key.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RuleFacts {
    pub(crate) class: Option<Class>,
    pub(crate) ttl_ms: Option<u64>,
    pub(crate) history: Option<HistoryLimits>,
}

/// All rules, with their globs made ready.
#[derive(Default)]
pub(crate) struct Rules {
    rules: Vec<(Globs, Rule)>,
}

struct Globs {
    tenant: Option<WildMatch>,
    scope: Option<WildMatch>,
    key: Option<WildMatch>,
}

impl Rules {
    /// Checks rules and makes them ready.
    ///
    /// # Errors
    /// `InvalidArgument` names the rule by its place, from 1.
    pub(crate) fn new(rules: &[Rule]) -> Result<Rules> {
        if rules.len() > RULES_MAX {
            let reason = format!("{} rules; at most {RULES_MAX}", rules.len());
            return Err(Error::invalid("rules", reason));
        }
        let ready = rules.iter().enumerate().map(|(at, rule)| {
            let wrong = |what: &str| Error::invalid("rules", format!("rule {}: {what}", at + 1));
            let glob = |text: &Option<String>| match text {
                Some(text) if text.contains('\\') => Err(wrong(
                    "`\\` is kept for an escape that is not built; use `?`",
                )),
                text => Ok(text.as_deref().map(WildMatch::new)),
            };
            if rule.ttl_ms == Some(0) {
                return Err(wrong(
                    "`ttl_ms` is 0; leave it out for values that do not expire",
                ));
            }
            if rule.class.is_none() && rule.ttl_ms.is_none() && rule.history.is_none() {
                return Err(wrong("it states no `class`, `ttl_ms` or `history`"));
            }
            let globs = Globs {
                tenant: glob(&rule.tenant)?,
                scope: glob(&rule.scope)?,
                key: glob(&rule.key)?,
            };
            Ok((globs, rule.clone()))
        });
        Ok(Rules {
            rules: ready.collect::<Result<_>>()?,
        })
    }

    /// Whether any rule limits history.
    pub(crate) fn limit_history(&self) -> bool {
        self.rules.iter().any(|(_, rule)| rule.history.is_some())
    }

    /// How many rules give keys a life time, and how many limit history.
    pub(crate) fn patterns(&self) -> (u64, u64) {
        let count = |states: fn(&Rule) -> bool| {
            let rules = self.rules.iter();
            rules.filter(|(_, rule)| states(rule)).count() as u64
        };
        let limits_history = |rule: &Rule| rule.history.is_some();
        (count(|rule| rule.ttl_ms.is_some()), count(limits_history))
    }

    /// What holds for a key.
    pub(crate) fn facts(&self, tenant: &str, scope: &Scope, key: &Key) -> RuleFacts {
        let mut facts = RuleFacts::default();
        if self.rules.is_empty() {
            return facts;
        }
        let scope = scope.to_string();
        for (globs, rule) in &self.rules {
            let fits = |glob: &Option<WildMatch>, text: &str| {
                glob.as_ref().is_none_or(|glob| glob.matches(text))
            };
            if fits(&globs.tenant, tenant)
                && fits(&globs.scope, &scope)
                && fits(&globs.key, key.as_str())
            {
                facts.class = facts.class.or(rule.class);
                facts.ttl_ms = facts.ttl_ms.or(rule.ttl_ms);
                facts.history = facts.history.or(rule.history);
            }
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_comes_from_the_first_rule_that_states_it() {
        let rule = |scope: &str, class, ttl_ms| Rule {
            scope: Some(scope.to_owned()),
            class,
            ttl_ms,
            ..Rule::default()
        };
        let rules = Rules::new(&[
            rule("session:a*", Some(Class::Bulk), None),
            rule("session:*", Some(Class::Critical), Some(5)),
            Rule {
                tenant: Some("acme".to_owned()),
                key: Some("tmp/?".to_owned()),
                ttl_ms: Some(9),
                ..Rule::default()
            },
        ])
        .unwrap();
        let facts = |tenant, scope: &str, key| {
            let facts = rules.facts(tenant, &scope.parse().unwrap(), &Key::new(key).unwrap());
            (facts.class, facts.ttl_ms)
        };
        assert_eq!(facts("", "session:abc", "k"), (Some(Class::Bulk), Some(5)));
        assert_eq!(
            facts("", "session:b", "k"),
            (Some(Class::Critical), Some(5))
        );
        assert_eq!(facts("", "user:a", "tmp/1"), (None, None));
        assert_eq!(facts("acme", "user:a", "tmp/1"), (None, Some(9)));
        assert_eq!(facts("acme", "session:b", "tmp/1").1, Some(5));
    }

    #[test]
    fn a_rule_that_says_nothing_or_cannot_be_is_refused_by_its_place() {
        for (rule, words) in [
            (Rule::default(), "rule 2: it states no"),
            (
                Rule {
                    ttl_ms: Some(0),
                    ..Rule::default()
                },
                "rule 2: `ttl_ms` is 0",
            ),
            (
                Rule {
                    key: Some("a\\*".to_owned()),
                    ttl_ms: Some(1),
                    ..Rule::default()
                },
                "rule 2: `\\`",
            ),
        ] {
            let good = Rule {
                ttl_ms: Some(1),
                ..Rule::default()
            };
            let error = Rules::new(&[good, rule]).err().unwrap().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
