//! Long work: a progress bar while it runs, and Ctrl-C.
//!
//! The first Ctrl-C asks the work to stop, which leaves nothing half done; the second ends the
//! process at once, which is safe too (the next open sweeps what is left).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use statekeep::{Error, ErrorKind, Phase, Progress, Result};

use crate::exit::Exit;
use crate::output::Output;

/// Runs `work` on a thread of its own and shows how far it is.
pub fn run<T: Send>(
    out: &Output,
    title: &'static str,
    work: impl FnOnce(&Progress) -> Result<T> + Send,
) -> Result<T> {
    let stop = interrupts()?;
    let progress = Progress::new();
    let bar = out.shows_progress().then(|| new_bar(title));
    thread::scope(|scope| {
        let (done, finished) = channel();
        let counters = progress.clone();
        let worker = scope.spawn(move || {
            let result = work(&counters);
            let _ = done.send(());
            result
        });
        while let Err(RecvTimeoutError::Timeout) = finished.recv_timeout(Duration::from_millis(50))
        {
            if stop.load(Ordering::Relaxed) {
                progress.cancel();
            }
            if let Some(bar) = &bar {
                draw(bar, &progress);
            }
        }
        if let Some(bar) = &bar {
            bar.finish_and_clear();
        }
        worker.join().unwrap_or_else(|_| {
            Err(Error::other(
                ErrorKind::Panic,
                format!("{title} stopped by a fault in the program"),
            ))
        })
    })
}

/// A flag that the first SIGINT or SIGTERM raises; the second ends the process.
pub fn interrupts() -> Result<&'static AtomicBool> {
    static STOP: OnceLock<std::io::Result<Arc<AtomicBool>>> = OnceLock::new();
    let listen = || {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order, so that only a second signal finds the flag raised.
            let code = Exit::Cancelled as i32;
            flag::register_conditional_shutdown(signal, code, Arc::clone(&stop))?;
            flag::register(signal, Arc::clone(&stop))?;
        }
        Ok(stop)
    };
    match STOP.get_or_init(listen) {
        Ok(stop) => Ok(stop),
        Err(error) => {
            let message = format!("cannot listen for Ctrl-C: {error}");
            Err(Error::other(ErrorKind::Io, message))
        }
    }
}

fn new_bar(title: &'static str) -> ProgressBar {
    let bar = ProgressBar::no_length();
    restyle(&bar, "{prefix} {spinner} {msg} {elapsed}");
    bar.set_prefix(title);
    bar
}

fn restyle(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

fn draw(bar: &ProgressBar, progress: &Progress) {
    let now = progress.snapshot();
    if now.bytes_total > 0 {
        if bar.length().is_none() {
            restyle(
                bar,
                "{prefix} {wide_bar} {percent}% {bytes}/{total_bytes} {msg} {elapsed}, {eta} left",
            );
        }
        bar.set_length(now.bytes_total.max(now.bytes_in));
        bar.set_position(now.bytes_in);
    }
    let mut message = crate::text::count(now.records, "record");
    // Work that has no phases says none.
    if now.phase != Phase::Waiting.name() {
        message = format!("{message} {}", now.phase);
    }
    if now.commits_behind > 0 {
        let behind = crate::text::count(now.commits_behind, "commit");
        message = format!("{message}, {behind} behind");
    }
    if now.bytes_per_second > 0 {
        message = format!("{message}, {}/s", crate::text::size(now.bytes_per_second));
    }
    bar.set_message(message);
    bar.tick();
}
