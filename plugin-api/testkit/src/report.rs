//! Checks by name, and what they found.

use std::fmt;

/// What one check found: nothing wrong, or what was wrong.
pub type Outcome = Result<(), String>;

/// A named check of a subject.
pub struct Check<S> {
    /// The name of its function.
    pub name: &'static str,
    /// The function.
    pub run: fn(&S) -> Outcome,
}

/// What all checks of a kind found.
#[derive(Debug)]
pub struct Report {
    /// Name and outcome, in the order in which they ran.
    pub outcomes: Vec<(&'static str, Outcome)>,
}

impl Report {
    pub(crate) fn of<S>(subject: &S, checks: &[Check<S>]) -> Report {
        let run = |check: &Check<S>| (check.name, (check.run)(subject));
        Report {
            outcomes: checks.iter().map(run).collect(),
        }
    }

    /// Name and finding of each check that failed.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let rows = self.outcomes.iter();
        rows.filter_map(|(name, outcome)| Some((*name, outcome.as_ref().err()?.as_str())))
    }

    /// Panics with every failure; for use in a test.
    #[track_caller]
    pub fn assert_clean(&self) {
        let failed = self.failures().count();
        assert!(failed == 0, "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.outcomes.len();
        writeln!(f, "{} of {all} checks failed", self.failures().count())?;
        for (name, text) in self.failures() {
            writeln!(f, "  {name}: {text}")?;
        }
        Ok(())
    }
}

/// The checks of a kind, by the names of their functions.
macro_rules! checks {
    [$($name:ident),+ $(,)?] => {
        &[$($crate::Check {
            name: stringify!($name),
            run: $name,
        }),+]
    };
}

/// Ends the check with a text unless a condition holds.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}

pub(crate) use {checks, ensure};
