//! Changes of one key that depend on what it is: counters, swaps on a condition, patches.
//!
//! Each reads the key, works on the caller's thread, and commits on the condition that the key is
//! as it was read. When it is not, it is read again, so no other change is lost. Of all who change
//! a key at once one succeeds in each round.

mod number;
mod patch;

pub use number::Number;

use crate::commit::{Changes, Condition, Done, Expect, Work};
use crate::transaction::{Backoff, given_up};
use crate::{
    BlockingTenant, Error, ErrorKind, Expiry, Key, Record, Result, Scope, Sequence, SetOptions,
    Tenant, Value,
};

/// What a key must be for a swap.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Expected<'a> {
    /// It was written by this commit.
    Version(Sequence),
    /// It has this value. Documents are equal when they say the same, whatever their spaces and the
    /// order of their members.
    Value(&'a Value),
    /// It is not there.
    Absent,
}

impl BlockingTenant {
    /// Sets a key, or deletes it for `None`, when it is what is expected, and answers the commit's
    /// sequence. Class and expiry are those of a set.
    ///
    /// # Errors
    /// `Conflict` when it is not what is expected; nothing is changed then.
    pub fn compare_and_swap(
        &self,
        scope: &Scope,
        key: &Key,
        expected: Expected<'_>,
        value: Option<Value>,
        options: SetOptions,
    ) -> Result<Sequence> {
        let expect = match expected {
            Expected::Version(version) => Expect::Version(version),
            Expected::Absent => Expect::Absent,
            Expected::Value(wanted) => {
                return self.update(scope, key, |found| {
                    check_value(scope, key, wanted, found)?;
                    Ok((value.clone(), options))
                });
            }
        };
        let done = self.commit_if(scope, key, value, options, expect)?;
        Ok(done.sequence.unwrap_or(done.head))
    }

    /// Sets a key that is not there, and answers the commit's sequence; `None` when it is there. A
    /// key whose time has come is not there.
    pub fn set_if_absent(
        &self,
        scope: &Scope,
        key: &Key,
        value: Value,
        options: SetOptions,
    ) -> Result<Option<Sequence>> {
        match self.commit_if(scope, key, Some(value), options, Expect::Absent) {
            Ok(done) => Ok(done.sequence),
            Err(Error::Changed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes a key by what it is. `decide` gets its record, answers its value and how to set it,
    /// and is asked again when the key was changed in between.
    fn update(
        &self,
        scope: &Scope,
        key: &Key,
        mut decide: impl FnMut(Option<&Record>) -> Result<(Option<Value>, SetOptions)>,
    ) -> Result<Sequence> {
        let committer = &self.manager.committer;
        let age_max = committer.limits().transaction_age_ms_max;
        let began = committer.clock.now();
        let mut backoff = Backoff::default();
        loop {
            // Else what is decided from the value would hide that nothing can be written.
            committer.check_poison()?;
            let found = self.get_record(scope, key)?;
            let (value, options) = decide(found.as_ref())?;
            let expect = (found.as_ref()).map_or(Expect::Absent, |r| Expect::Version(r.sequence));
            match self.commit_if(scope, key, value, options, expect) {
                Ok(done) => return Ok(done.sequence.unwrap_or(done.head)),
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    let age = committer.clock.now().0.saturating_sub(began.0);
                    if u64::try_from(age).unwrap_or(0) > age_max {
                        return Err(given_up(backoff.attempts() + 1, &error));
                    }
                    backoff.wait();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Commits one change on a condition.
    fn commit_if(
        &self,
        scope: &Scope,
        key: &Key,
        value: Option<Value>,
        options: SetOptions,
        expect: Expect,
    ) -> Result<Done> {
        let mut changes: Changes =
            self.encode(|encoder| encoder.single(scope, key, value, options))?;
        let conditions = changes.keys.iter().cloned();
        changes.conditions = conditions.map(|key| Condition { key, expect }).collect();
        self.manager.committer.run_blocking(Work::Commit(changes))
    }
}

/// How a value that takes the place of another is kept: like that one, unless told otherwise.
fn kept(found: Option<&Record>, options: SetOptions) -> SetOptions {
    let Some(found) = found else { return options };
    SetOptions {
        durability: options.durability,
        class: options.class.or(Some(found.class)),
        expires: options
            .expires
            .or(Some(found.expires.map_or(Expiry::Never, Expiry::At))),
    }
}

fn check_value(scope: &Scope, key: &Key, wanted: &Value, found: Option<&Record>) -> Result<()> {
    let found = match found {
        Some(record) if wanted.says_the_same(&record.value) => return Ok(()),
        found => found.map(|record| record.sequence),
    };
    Err(Error::Changed {
        what: format!("`{key}` in {scope}"),
        expected: "the given value".to_owned(),
        found: match found {
            Some(version) => format!("has another value, of commit {}", version.0),
            None => "has no value".to_owned(),
        },
        current: found,
    })
}

impl Tenant {
    /// As [`BlockingTenant::compare_and_swap`], without blocking.
    pub async fn compare_and_swap(
        &self,
        scope: &Scope,
        key: &Key,
        expected: Expected<'_>,
        value: Option<Value>,
        options: SetOptions,
    ) -> Result<Sequence> {
        let (scope, key) = (scope.clone(), key.clone());
        let (version, wanted) = match expected {
            Expected::Version(version) => (Some(version), None),
            Expected::Value(value) => (None, Some(value.clone())),
            Expected::Absent => (None, None),
        };
        self.aside(move |tenant| {
            let expected = match (version, &wanted) {
                (Some(version), _) => Expected::Version(version),
                (None, Some(value)) => Expected::Value(value),
                (None, None) => Expected::Absent,
            };
            tenant.compare_and_swap(&scope, &key, expected, value, options)
        })
        .await
    }

    /// As [`BlockingTenant::set_if_absent`], without blocking.
    pub async fn set_if_absent(
        &self,
        scope: &Scope,
        key: &Key,
        value: Value,
        options: SetOptions,
    ) -> Result<Option<Sequence>> {
        let (scope, key) = (scope.clone(), key.clone());
        self.aside(move |tenant| tenant.set_if_absent(&scope, &key, value, options))
            .await
    }
}
