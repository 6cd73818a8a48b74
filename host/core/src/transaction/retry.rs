//! Trying again after a conflict.
//!
//! Those who collided wait a random time each, out of a span that doubles from attempt to attempt
//! ("full jitter", M. Brooker, "Exponential Backoff And Jitter", 2015), so that they do not collide
//! again. Nothing is held while waiting.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::{Transaction, TransactionOptions};
use crate::{BlockingTenant, Durability, Error, ErrorKind, Result, Tenant};

/// How often a transaction is tried unless told otherwise.
pub const ATTEMPTS_MAX: u32 = 100;

/// The first span to wait in.
const SPAN_MIN: Duration = Duration::from_micros(100);
/// No span is longer.
const SPAN_MAX: Duration = Duration::from_millis(20);

/// How a transaction is tried until it succeeds.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactOptions {
    /// How safe the commit is when it is acknowledged; see [`TransactionOptions`].
    pub durability: Option<Durability>,
    /// Most attempts; 0 stands for [`ATTEMPTS_MAX`].
    pub attempts_max: u32,
}

impl BlockingTenant {
    /// Runs a function in a transaction and commits it; after a conflict it is run again, in a
    /// transaction that sees what came in between. Answers what the last run answered.
    ///
    /// The function may run several times, so it should do nothing but read and change through its
    /// transaction. An error that it answers ends the transaction without a change and is handed
    /// on, unless it is a `Conflict`, which is tried again.
    ///
    /// # Errors
    /// `Conflict` when every attempt met one.
    ///
    /// # Example
    /// ```
    /// use statekeep_core::{BlockingTenant, Key, Result, Scope, SetOptions, TransactOptions, Value};
    ///
    /// fn claim(tenant: &BlockingTenant, task: &Scope, agent: &str) -> Result<bool> {
    ///     let owner = Key::new("owner")?;
    ///     tenant.transact(&TransactOptions::default(), |txn| {
    ///         if txn.exists(task, &owner)? {
    ///             return Ok(false);
    ///         }
    ///         txn.set(task, &owner, Value::bytes(agent), SetOptions::default())?;
    ///         Ok(true)
    ///     })
    /// }
    /// ```
    pub fn transact<T>(
        &self,
        options: &TransactOptions,
        mut run: impl FnMut(&mut Transaction) -> Result<T>,
    ) -> Result<T> {
        self.retry(options, |mut transaction| {
            let answer = run(&mut transaction)?;
            transaction.commit()?;
            Ok(answer)
        })
    }

    /// As [`BlockingTenant::transact`], for a function that owns its transaction and commits it
    /// itself.
    ///
    /// # Errors
    /// `Conflict` when every attempt met one.
    pub fn retry<T>(
        &self,
        options: &TransactOptions,
        mut run: impl FnMut(Transaction) -> Result<T>,
    ) -> Result<T> {
        let attempts_max = match options.attempts_max {
            0 => ATTEMPTS_MAX,
            attempts => attempts,
        };
        let transaction = TransactionOptions {
            durability: options.durability,
        };
        let mut backoff = Backoff::default();
        loop {
            match self.begin(&transaction).and_then(&mut run) {
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    if backoff.attempts() + 1 >= attempts_max {
                        return Err(given_up(attempts_max, &error));
                    }
                    backoff.wait();
                }
                outcome => return outcome,
            }
        }
    }
}

impl Tenant {
    /// As [`BlockingTenant::transact`], on a thread that may block: the function reads and changes
    /// with calls that block. Dropping the future does not take the transaction back.
    pub async fn transact<T: Send + 'static>(
        &self,
        options: &TransactOptions,
        run: impl FnMut(&mut Transaction) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let options = *options;
        self.aside(move |tenant| tenant.transact(&options, run))
            .await
    }
}

/// What a caller hears after the last attempt.
pub(crate) fn given_up(attempts: u32, last: &Error) -> Error {
    let message = format!("given up after {attempts} attempts that met a conflict: {last}");
    Error::other(ErrorKind::Conflict, message)
}

/// The waits between attempts.
#[derive(Default)]
pub(crate) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// How many attempts have failed and been waited for.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Waits before the next attempt.
    pub(crate) fn wait(&mut self) {
        let span = span(self.attempts).as_nanos();
        self.attempts = self.attempts.saturating_add(1);
        // Keyed at random, so the hash of anything is a random number.
        let random = RandomState::new().hash_one(self.attempts);
        let nanos = (span * u128::from(random)) >> 64;
        std::thread::sleep(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)));
    }
}

/// The span out of which the wait after so many attempts is taken.
fn span(attempts: u32) -> Duration {
    let factor = 1u32.checked_shl(attempts).unwrap_or(u32::MAX);
    SPAN_MIN.saturating_mul(factor).min(SPAN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_doubles_up_to_its_end() {
        assert_eq!(span(0), SPAN_MIN);
        assert_eq!(span(3), SPAN_MIN * 8);
        for attempts in [8, 31, 32, u32::MAX] {
            assert_eq!(span(attempts), SPAN_MAX);
        }
    }
}
