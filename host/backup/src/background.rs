//! Threads that step back: who commits while a backup packs, or a verification unpacks, goes first.
//!
//! One thread of normal priority that scans is enough to hold up every commit for a time slice of the
//! scheduler, some milliseconds; so the thread that scans steps back as well as those that pack.

use statekeep_core::{Error, ErrorKind, Result};

/// Added to the nice value of a thread that steps back.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Lets threads of normal priority go before this one, from now on: a thread cannot take that back, so
/// only those that end with the work may call it. Elsewhere than on Linux it does nothing: there a nice
/// value is the whole process's.
pub(crate) fn step_back() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};
        let nicer = getpriority_process(None)
            .and_then(|nice| setpriority_process(None, nice.saturating_add(NICE)));
        if let Err(error) = nicer {
            tracing::debug!(%error, "a thread of a backup does not step back");
        }
    }
}

/// Does long work on a thread of its own that steps back, and waits for it: the caller's thread could
/// not take it back. A panic goes on in the caller.
///
/// # Errors
/// Those of `work`; `Unavailable` when there is no thread to be had.
pub(crate) fn aside<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let (span, dispatch) = (
        tracing::Span::current(),
        tracing::dispatcher::get_default(Clone::clone),
    );
    let work = || {
        step_back();
        tracing::dispatcher::with_default(&dispatch, || span.in_scope(work))
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("statekeep-backup".to_owned());
        let thread = thread.spawn_scoped(scope, work).map_err(|error| {
            let message = format!("no thread for the work on backups: {error}");
            Error::other(ErrorKind::Unavailable, message)
        })?;
        let outcome = thread.join();
        outcome.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_that_calls_it_steps_back() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let inside = std::thread::spawn(move || {
            step_back();
            nice()
        });
        assert_eq!(inside.join().unwrap(), (before + NICE).min(19));
        let inside = aside(|| Ok(nice())).unwrap();
        assert_eq!(inside, (before + NICE).min(19));
        assert_eq!(nice(), before);
    }

    #[test]
    fn a_panic_aside_is_the_caller_s() {
        let panicked = std::panic::catch_unwind(|| aside::<()>(|| panic!("as asked")));
        assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"as asked"));
    }
}
