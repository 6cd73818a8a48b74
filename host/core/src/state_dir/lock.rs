//! The lock of a state directory: one process owns an embedded state.
//!
//! The file says who holds the lock, for the message that others get. Only the kernel's lock
//! counts: a file left by a process that ended locks nobody out.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::current::now;
use crate::vfs::{FileLock, LockOutcome, Vfs, failed};
use crate::{Error, Result};

pub(super) const LOCK: &str = "LOCK";

#[derive(Serialize, Deserialize)]
struct Holder {
    pid: u32,
    host: String,
    since_unix_ms: i64,
}

fn ourselves() -> String {
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let holder = Holder {
        pid: std::process::id(),
        host,
        since_unix_ms: now().0,
    };
    serde_json::to_string(&holder).map_or_else(|_| String::new(), |text| text + "\n")
}

fn describe(content: &str) -> String {
    match serde_json::from_str::<Holder>(content) {
        Ok(holder) => {
            let host: String = holder.host.chars().take(255).collect();
            let ours = if holder.pid == std::process::id() {
                " (this process)"
            } else {
                ""
            };
            format!("process {}{ours} on host {host}", holder.pid)
        }
        // The holder has the lock and has not yet said who it is.
        Err(_) => "another process".to_owned(),
    }
}

/// Takes the lock of a directory, or says who has it.
pub(super) fn take(vfs: &dyn Vfs, dir: &Path) -> Result<Box<dyn FileLock>> {
    let path = dir.join(LOCK);
    match vfs
        .try_lock(&path, &ourselves())
        .map_err(failed("lock", &path))?
    {
        LockOutcome::Held(lock) => Ok(lock),
        LockOutcome::Busy(content) => Err(Error::Busy {
            path: dir.to_owned(),
            holder: describe(&content),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_told_in_words_whatever_the_file_says() {
        let text = r#"{"pid":1,"host":"db-1","since_unix_ms":5}"#;
        assert_eq!(describe(text), "process 1 on host db-1");
        assert!(describe(&ourselves()).contains("(this process)"));
        for junk in ["", "{", "{\"pid\":-1}", "\u{1b}[2J"] {
            assert_eq!(describe(junk), "another process");
        }
    }
}
