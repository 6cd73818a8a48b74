//! How several policies make one verdict.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use statekeep_core::{Error, Result, Verdict, Vote};

/// Most policies that one rule has, in all its groups together.
pub const POLICIES_MAX: usize = 32;
/// Deepest group within groups.
pub const RULE_DEPTH_MAX: usize = 8;

/// A policy, or a group of rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum RetentionRule {
    /// A backup stays when any of these keeps it.
    Any {
        /// The members.
        any: Vec<RetentionRule>,
    },
    /// A backup stays only when all of these keep it that have an opinion.
    All {
        /// The members.
        all: Vec<RetentionRule>,
    },
    /// A policy by its name, with its options beside it: `{"policy": "count", "keep": 7}`.
    Policy(Choice),
}

/// A policy and its options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The name of the plugin or of the registered callback.
    pub policy: String,
    /// Its options.
    #[serde(flatten)]
    pub options: Map<String, Value>,
}

impl RetentionRule {
    /// One policy.
    pub fn policy(name: &str, options: &[(&str, Value)]) -> RetentionRule {
        let options = options.iter();
        RetentionRule::Policy(Choice {
            policy: name.to_owned(),
            options: options
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        })
    }

    /// The policies in it, as they are asked.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty group, and for too many or too deep ones.
    pub fn choices(&self) -> Result<Vec<&Choice>> {
        let mut choices = Vec::new();
        self.collect(0, &mut choices)?;
        Ok(choices)
    }

    fn collect<'a>(&'a self, depth: usize, choices: &mut Vec<&'a Choice>) -> Result<()> {
        let refused = |reason: String| Err(Error::invalid("retention rule", reason));
        let members = match self {
            RetentionRule::Policy(choice) if choices.len() < POLICIES_MAX => {
                choices.push(choice);
                return Ok(());
            }
            RetentionRule::Policy(_) => {
                return refused(format!("it has more than {POLICIES_MAX} policies"));
            }
            RetentionRule::Any { any: members } | RetentionRule::All { all: members } => members,
        };
        if members.is_empty() {
            return refused("a group has no members; name at least one policy".to_owned());
        }
        if depth >= RULE_DEPTH_MAX {
            return refused(format!("its groups are more than {RULE_DEPTH_MAX} deep"));
        }
        let mut members = members.iter();
        members.try_for_each(|member| member.collect(depth + 1, choices))
    }

    /// The verdict on one backup. `votes` are those of the policies in the order of
    /// [`choices`](Self::choices); what has no vote abstains.
    pub(crate) fn decide(&self, votes: &mut dyn Iterator<Item = &Vote>) -> Tally {
        match self {
            RetentionRule::Policy(_) => votes.next().map_or(Tally::ABSTAIN, |vote| Tally {
                verdict: vote.verdict,
                priority: vote.priority,
            }),
            RetentionRule::Any { any } => Tally::of(any, Verdict::Keep, votes),
            RetentionRule::All { all } => Tally::of(all, Verdict::Forget, votes),
        }
    }
}

/// What a rule says of a backup.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) verdict: Verdict,
    /// The lowest of those that would forget.
    pub(crate) priority: i32,
}

impl Tally {
    const ABSTAIN: Tally = Tally {
        verdict: Verdict::Abstain,
        priority: i32::MAX,
    };

    /// A group in which one verdict wins over the other wherever a member gives it.
    fn of(
        members: &[RetentionRule],
        wins: Verdict,
        votes: &mut dyn Iterator<Item = &Vote>,
    ) -> Tally {
        let mut tally = Tally::ABSTAIN;
        // Each member takes its votes, whatever was decided before.
        for member in members {
            let Tally { verdict, priority } = member.decide(votes);
            if verdict == Verdict::Forget {
                tally.priority = tally.priority.min(priority);
            }
            if verdict == wins || tally.verdict == Verdict::Abstain {
                tally.verdict = verdict;
            }
        }
        tally
    }
}
