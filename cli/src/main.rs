//! The `statekeep` command.
//!
//! Results go to stdout, everything else to stderr; with `--json` both are JSON. The exit code says
//! what happened (see [`exit::Exit`]); `docs/cli.md` describes every verb.
#![forbid(unsafe_code)]

mod args;
mod at;
mod exit;
mod input;
mod keeping;
mod output;
mod policies;
mod rate;
mod session;
mod table;
mod text;
mod time;
mod verbs;
mod work;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind as Usage;

use args::Cli;
use exit::Exit;
use output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let mut out = Output::new(&cli.globals);
    let done = verbs::run(&cli, &mut out).and_then(|exit| out.finish().map(|()| exit));
    let exit = done.unwrap_or_else(|error| {
        // What was printed before the error belongs to the result.
        let _ = out.finish();
        out.error(&error);
        Exit::of(error.kind())
    });
    exit.into()
}

/// Help and version go to stdout; mistakes in the arguments to stderr, as JSON if that was asked.
fn usage(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), Usage::DisplayHelp | Usage::DisplayVersion) {
        // A closed pipe is no failure of ours.
        let _ = error.print();
        return Exit::Ok.into();
    }
    let words = std::env::args_os().take_while(|word| word != "--");
    if words.into_iter().any(|word| word == "--json") {
        let text = error.to_string();
        let message = text.trim().trim_start_matches("error: ");
        output::error_document("usage", Exit::Usage, message);
    } else {
        let _ = error.print();
    }
    Exit::Usage.into()
}
