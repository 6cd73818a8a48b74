//! The policies of a rule, ready to be asked: the one way in which a cleanup, a trial and a simulation come
//! to a judgement. Whatever fails on the way fails the whole judgement.

use std::sync::Arc;
use std::time::Duration;

use statekeep_core::{BackupFacts, Circumstances, Plugins, Result, RetentionPolicy};

use super::plan::{Ballot, Decided, Judgement, fates, judge};
use super::registry::Policies;
use super::rule::RetentionRule;

/// The policies of a rule.
pub(crate) struct Panel<'r> {
    rule: &'r RetentionRule,
    policies: Vec<Arc<dyn RetentionPolicy>>,
}

impl<'r> Panel<'r> {
    /// Makes each policy of a rule; each has `time_limit` for an answer.
    ///
    /// # Errors
    /// `InvalidArgument` for a rule that is none and for options that a policy refuses, `NotFound`
    /// for a policy that is not there.
    pub(crate) fn of(
        rule: &'r RetentionRule,
        policies: &Policies,
        plugins: &Arc<dyn Plugins>,
        time_limit: Duration,
    ) -> Result<Panel<'r>> {
        let choices = rule.choices()?.into_iter();
        let policies = choices.map(|choice| policies.open(choice, plugins, time_limit));
        Ok(Panel {
            rule,
            policies: policies.collect::<Result<_>>()?,
        })
    }

    /// Judges the backups of one series, oldest first.
    ///
    /// # Errors
    /// That of the first policy that fails or that does not judge every backup.
    pub(crate) fn judge(
        &self,
        backups: &Arc<[BackupFacts]>,
        circumstances: &Arc<Circumstances>,
        safety_grace_ms: u64,
    ) -> Result<Vec<Judgement>> {
        let ballots = self.ask(backups, circumstances)?;
        let now = circumstances.now;
        Ok(judge(backups, self.rule, &ballots, now, safety_grace_ms))
    }

    /// As [`judge`](Self::judge), for who asks often and needs few of the words.
    ///
    /// # Errors
    /// As those of [`judge`](Self::judge).
    pub(crate) fn decide(
        &self,
        backups: &Arc<[BackupFacts]>,
        circumstances: &Arc<Circumstances>,
        safety_grace_ms: u64,
    ) -> Result<Decided> {
        let ballots = self.ask(backups, circumstances)?;
        let now = circumstances.now;
        let fates = fates(backups, self.rule, &ballots, now, safety_grace_ms);
        Ok(Decided { ballots, fates })
    }

    fn ask(
        &self,
        backups: &Arc<[BackupFacts]>,
        circumstances: &Arc<Circumstances>,
    ) -> Result<Vec<Ballot>> {
        let ballots = self.policies.iter().map(|policy| {
            let votes = policy.evaluate(backups, circumstances)?;
            let policy = policy.name().to_owned();
            Ok(Ballot { policy, votes })
        });
        ballots.collect()
    }
}
