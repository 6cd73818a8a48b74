//! Where results, remarks and errors go.
//!
//! A reader that closes the pipe early (`| head`) is no error: what would follow is dropped, long
//! listings stop, and the exit code still says what the verb did. Any other failure to write is an
//! error, so a full disk behind `>` is noticed.

use std::fmt::Display;
use std::io::{self, BufRead, BufWriter, ErrorKind, IsTerminal, Stdout, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::json;
use statekeep::{Error, Result};

use crate::args::Globals;
use crate::exit::Exit;
use crate::table::Table;

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
    pub fn document(&mut self, document: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(document).map_err(|error| {
            Error::other(
                statekeep::ErrorKind::Internal,
                format!("the answer as JSON: {error}"),
            )
        })?;
        self.line(text)
    }

    /// Writes a table.
    pub fn table(&mut self, table: &Table) -> Result<()> {
        table.lines().iter().try_for_each(|line| self.line(line))
    }

    /// Writes a line in a colour, where the reader is a terminal that wants colours.
    pub fn coloured(&mut self, colour: u8, line: &str) -> Result<()> {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if self.json || dumb || set("NO_COLOR") || !io::stdout().is_terminal() {
            return self.line(line);
        }
        self.line(format_args!("\x1b[{colour}m{line}\x1b[0m"))
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

/// Asks on the terminal before something that cannot be taken back, unless `yes` says that it may
/// be done. `what` begins the error where nobody can answer, such as "it changes the state".
pub fn confirm(yes: bool, what: &str, question: impl FnOnce() -> Result<String>) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let message = format!("{what}; give --yes, since nobody can be asked here");
        return Err(Error::other(statekeep::ErrorKind::InvalidArgument, message));
    }
    let left = |_| {
        Error::other(
            statekeep::ErrorKind::Cancelled,
            "everything was left as it is",
        )
    };
    let mut terminal = io::stderr();
    write!(terminal, "{} [y/N] ", question()?)
        .and_then(|()| terminal.flush())
        .map_err(left)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(left)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(left(ErrorKind::Interrupted.into())),
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
