//! Threads that step back: who commits while a backup packs, or a verification unpacks, goes first.

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
        assert_eq!(nice(), before);
    }
}
