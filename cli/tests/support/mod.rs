//! Runs the built command in a folder of its own and shows what a user would see.
#![allow(dead_code, reason = "each test program uses its part of this module")]
#![allow(
    clippy::unwrap_used,
    reason = "clippy takes a module of tests for no test"
)]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder with a state named `state` in it.
pub struct Place {
    dir: tempfile::TempDir,
}

/// What one run showed.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub bytes: Vec<u8>,
}

impl Place {
    pub fn new() -> Place {
        Place {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Backs the state up; the id.
    pub fn backup(&self) -> String {
        self.ok(&["backup", "create"]).trim_end().to_owned()
    }

    /// The command, in this folder, with an environment that holds no settings but the path.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_statekeep"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STATEKEEP_") {
                command.env_remove(name);
            }
        }
        command.env("STATEKEEP_PATH", "state");
        command
            .current_dir(self.dir.path())
            .args(args)
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        Run::of(self.command(args).output().unwrap())
    }

    pub fn run_with_input(&self, args: &[&str], input: &[u8]) -> Run {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // The command may end without reading all of it.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Run::of(output)
    }

    /// Runs what must succeed and answers stdout.
    pub fn ok(&self, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, 0, "{args:?}: {}", run.stderr);
        run.stdout
    }

    /// Runs what must succeed with `--json` and answers its one document.
    pub fn json(&self, args: &[&str]) -> Value {
        let lines = self.json_lines(args);
        assert_eq!(lines.len(), 1, "{args:?}: {lines:?}");
        lines.into_iter().next().unwrap()
    }

    /// Runs what must succeed with `--json` and answers its lines.
    pub fn json_lines(&self, args: &[&str]) -> Vec<Value> {
        let stdout = self.ok(&[&["--json"], args].concat());
        stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Runs what must fail with this exit code, and answers the message.
    pub fn fails(&self, code: i32, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, code, "{args:?}: {} {}", run.stdout, run.stderr);
        assert_eq!(run.stdout, "", "{args:?}");
        run.stderr
    }
}

impl Run {
    pub fn of(output: Output) -> Run {
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            bytes: output.stdout,
        }
    }

    /// The one JSON document on stderr.
    pub fn error(&self) -> Value {
        serde_json::from_str::<Value>(&self.stderr).unwrap()["error"].clone()
    }
}
