//! `plugin check`: is a library a plugin that works?
//!
//! First every check that runs none of its code, then a trial in a child process, so that a crash
//! or a hang of the plugin is a finding and not ours.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use statekeep::{Config, Error, ErrorKind, Result};

use super::probe::Scratch;
use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::text;

/// How long a trial may take.
const TRIAL_SECONDS_MAX: u64 = 60;
/// Most bytes of a trial's output that are read.
const TRIAL_BYTES_MAX: u64 = 1 << 20;

/// Arguments of `plugin check`.
#[derive(Args)]
pub struct Check {
    /// The library
    file: PathBuf,
}

impl Check {
    /// Says what was tried, or ends with what is wrong.
    pub fn run(&self, _globals: &Globals, out: &mut Output) -> Result<Exit> {
        let trial = try_in_child(&self.file)?;
        if let Some(id) = trial.built_in()? {
            out.warning(format_args!(
                "{id} is built in, so this library will be refused beside it"
            ));
        }
        if out.json() {
            out.document(&json!({
                "path": self.file,
                "valid": true,
                "plugin": trial.plugin,
                "tried": trial.tried,
            }))?;
        } else {
            let id = text::shown(trial.plugin["id"].as_str().unwrap_or_default());
            let tried = if trial.tried.is_empty() {
                "loading".to_owned()
            } else {
                trial.tried.join(", ")
            };
            out.line(format_args!("{id} works as far as it was tried: {tried}"))?;
        }
        Ok(Exit::Ok)
    }
}

/// What a trial that ended well found.
pub struct Trial {
    /// What the library says of itself.
    pub plugin: Value,
    /// The kinds that were tried.
    pub tried: Vec<String>,
}

impl Trial {
    /// The hash of what was tried.
    pub fn sha256(&self) -> &str {
        self.plugin["sha256"].as_str().unwrap_or_default()
    }

    /// Its id, if that is a built-in plugin's: two plugins never share an id, and the built-in one
    /// is first.
    pub fn built_in(&self) -> Result<Option<String>> {
        let built_in = statekeep::registry(&Config::default())?.list();
        let mut ids = built_in.into_iter().map(|plugin| plugin.id.to_string());
        Ok(ids.find(|id| self.plugin["id"] == id.as_str()))
    }
}

/// Runs the hidden verb `plugin probe` on a library.
pub fn try_in_child(file: &Path) -> Result<Trial> {
    let scratch = Scratch::new()?;
    let failed = |source| Error::File {
        action: "start a trial of",
        path: file.to_owned(),
        source,
    };
    let mut child = Command::new(std::env::current_exe().map_err(failed)?)
        .args(["--json", "plugin", "probe", "--"])
        .args([file, scratch.path()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let stdout = child.stdout.take().map(read);
    let stderr = child.stderr.take().map(read);
    let status = wait(&mut child).map_err(failed)?;
    let text = |reader: Option<thread::JoinHandle<String>>| {
        reader
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    judge(file, status, &stdout, &stderr)
}

fn read(stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What could be read counts; the exit status says the rest.
        let _ = stream.take(TRIAL_BYTES_MAX).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits for the child; one that takes too long is killed, and answers `None`.
fn wait(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    let end = Instant::now() + Duration::from_secs(TRIAL_SECONDS_MAX);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn judge(file: &Path, status: Option<ExitStatus>, stdout: &str, stderr: &str) -> Result<Trial> {
    // A plugin may print lines of its own.
    let lines: Vec<Value> = stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let step = lines
        .iter()
        .rev()
        .find_map(|line| line["step"].as_str())
        .unwrap_or("start");
    let refused = |what: String| {
        let path = text::shown(&file.display().to_string());
        Error::other(
            ErrorKind::Plugin,
            format!("{path} failed its trial at `{step}`: {what}"),
        )
    };
    let Some(status) = status else {
        return Err(refused(format!(
            "it did not end within {TRIAL_SECONDS_MAX} seconds"
        )));
    };
    if let Some(signal) = status.signal() {
        return Err(refused(format!("it crashed with signal {signal}")));
    }
    if !status.success() {
        let error = stderr
            .lines()
            .find_map(|line| serde_json::from_str::<Value>(line).ok());
        let message = error
            .as_ref()
            .and_then(|error| error["error"]["message"].as_str());
        let code = status.code().unwrap_or_default();
        return Err(refused(
            message.map_or(format!("it ended with code {code}"), str::to_owned),
        ));
    }
    let end = lines.last().filter(|line| line["plugin"].is_object());
    let end = end.ok_or_else(|| refused("it ended the process before the trial's end".into()))?;
    let tried = end["tried"].as_array().into_iter().flatten();
    Ok(Trial {
        plugin: end["plugin"].clone(),
        tried: tried.filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}
