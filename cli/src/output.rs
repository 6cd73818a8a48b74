//! Where results, remarks and errors go.
//!
//! A reader that closes the pipe early (`| head`) is no error: what would follow is dropped, long
//! listings stop, and the exit code still says what the verb did. Any other failure to write is an
//! error, so a full disk behind `>` is noticed.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Stdout, Write};
use std::path::Path;

use serde_json::{Value, json};
use statekeep::{Error, Result};

use crate::args::Globals;
use crate::exit::Exit;

/// The two streams of one run.
pub struct Output {
    json: bool,
    quiet: bool,
    closed: bool,
    stdout: BufWriter<Stdout>,
}

impl Output {
    /// The streams, as the options want them.
    pub fn new(globals: &Globals) -> Output {
        let stdout = BufWriter::new(io::stdout());
        Output {
            json: globals.json,
            quiet: globals.quiet,
            closed: false,
            stdout,
        }
    }

    /// Whether results are JSON.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Whether nobody reads any more.
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// Whether a progress bar would be seen and wanted.
    pub fn shows_progress(&self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }

    /// Writes bytes of a result as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let written = self.stdout.write_all(bytes);
        self.outcome(written)
    }

    /// Writes one line of a result.
    pub fn line(&mut self, line: impl Display) -> Result<()> {
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// Writes one JSON document on a line of its own.
    pub fn document(&mut self, document: &Value) -> Result<()> {
        self.line(document)
    }

    /// Says something that is no result, unless it is not wanted.
    pub fn remark(&mut self, remark: impl Display) {
        if !self.json && !self.quiet {
            let _ = self.stdout.flush();
            let _ = writeln!(io::stderr(), "{remark}");
        }
    }

    /// Says something that the user must know even when a script reads the result.
    pub fn warning(&mut self, warning: impl Display) {
        let _ = self.stdout.flush();
        let _ = if self.json {
            writeln!(
                io::stderr(),
                "{}",
                json!({ "warning": warning.to_string() })
            )
        } else {
            writeln!(io::stderr(), "statekeep: warning: {warning}")
        };
    }

    /// Reports the error that ended the verb.
    pub fn error(&mut self, error: &Error) {
        if self.json {
            let kind = snake_case(&format!("{:?}", error.kind()));
            error_document(&kind, Exit::of(error.kind()), &error.to_string());
        } else {
            let _ = writeln!(io::stderr(), "statekeep: {error}");
        }
    }

    /// Hands the rest to the reader.
    pub fn finish(&mut self) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.stdout.flush();
        self.outcome(flushed)
    }

    fn outcome(&mut self, written: io::Result<()>) -> Result<()> {
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(source) => {
                // Dropping the buffer would try once more.
                self.closed = true;
                let path = Path::new("standard output").to_owned();
                Err(Error::File {
                    action: "write to",
                    path,
                    source,
                })
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Writes an error as one JSON document to stderr.
pub fn error_document(code: &str, exit: Exit, message: &str) {
    let error = json!({ "error": { "code": code, "exit": exit as u8, "message": message } });
    let _ = writeln!(io::stderr(), "{error}");
}

/// `NotFound` as `not_found`.
fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}
