//! Threads that step back: who commits while a backup packs, or a verification unpacks, goes first.
//!
//! One thread of normal priority that scans is enough to hold up every commit for a time slice of the
//! scheduler, some milliseconds; so the thread that scans steps back, and those that pack for it once more.
//! Even threads of low priority are not always preempted at once for one that wakes, so they also leave
//! processors free. Linux gives both to the threads that such a thread starts; elsewhere nothing is done,
//! since there a nice value is the whole process's.

use statekeep_core::{Error, ErrorKind, Result};

/// Added to the nice value of a thread that steps back.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Lets threads of normal priority go before this one, and before those that it starts, from now on: a
/// thread cannot take that back, so only those that end with the work may call it.
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

/// Keeps this thread off the first `count` of the processors that it may use, if it may use more.
fn leave_free(count: usize) {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
        let left = sched_getaffinity(None).and_then(|mut allowed| {
            if count == 0 || allowed.count() as usize <= count {
                return Ok(());
            }
            let all = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
            for cpu in all.take(count).collect::<Vec<_>>() {
                allowed.unset(cpu);
            }
            sched_setaffinity(None, &allowed)
        });
        if let Err(error) = left {
            tracing::debug!(%error, "a thread of a backup leaves no processor free");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = count;
}

/// Does long work on a thread of its own that steps back and leaves `cores_free` processors to others, and
/// waits for it: the caller's thread could not take that back. A panic goes on in the caller.
///
/// # Errors
/// Those of `work`; `Unavailable` when there is no thread to be had.
pub(crate) fn aside<T: Send>(
    cores_free: usize,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let (span, dispatch) = (
        tracing::Span::current(),
        tracing::dispatcher::get_default(Clone::clone),
    );
    let work = || {
        leave_free(cores_free);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_done_aside_steps_back_with_all_that_it_starts() {
        use rustix::process::getpriority_process;
        use rustix::thread::sched_getaffinity;
        let seen = || {
            let nice = getpriority_process(None).unwrap();
            (nice, sched_getaffinity(None).unwrap().count())
        };
        let before = seen();
        let processors = if before.1 > 1 { before.1 - 1 } else { 1 };
        let (inside, deeper) = aside(1, || {
            let deeper = std::thread::spawn(move || {
                step_back();
                seen()
            });
            Ok((seen(), deeper.join().unwrap()))
        })
        .unwrap();
        let nicer = |by: i32| (before.0 + by * NICE).min(19);
        assert_eq!(inside, (nicer(1), processors));
        assert_eq!(deeper, (nicer(2), processors));
        assert_eq!(seen(), before);
        // Never off the last one.
        let many = aside(4096, || Ok(seen())).unwrap();
        assert_eq!(many, (nicer(1), before.1));
        let none = aside(0, || Ok(seen())).unwrap();
        assert_eq!(none, (nicer(1), before.1));
    }

    #[test]
    fn a_panic_aside_is_the_caller_s() {
        let panicked = std::panic::catch_unwind(|| aside::<()>(0, || panic!("as asked")));
        assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"as asked"));
    }
}
