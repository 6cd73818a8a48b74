//! Developer tools; `cargo run -p statekeep-tools -- headers [--check]`.
//!
//! `headers` writes `include/*.h` and `include/statekeep.symbols` from the Rust sources; `--check`
//! writes nothing and fails when a committed file differs.
#![forbid(unsafe_code)]

mod comments;
mod host_header;
mod plugin_header;
mod status_block;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What went wrong, in words.
pub(crate) type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "usage: statekeep-tools headers [--check]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["headers"] => headers(false),
        ["headers", "--check"] => headers(true),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the generated files, or compares them with what is committed.
fn headers(check: bool) -> Result<(), Failure> {
    let root = root();
    let mut differing = Vec::new();
    let header = host_header::generate(&root)?;
    let files = [
        (
            "include/statekeep_plugin.h",
            plugin_header::generate(&root)?,
        ),
        ("include/statekeep.symbols", host_header::symbols(&header)),
        ("include/statekeep.h", header),
    ];
    for (name, text) in files {
        let path = root.join(name);
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        if committed == text {
            continue;
        }
        if check {
            differing.push(name);
        } else {
            std::fs::write(&path, text).map_err(|error| format!("cannot write {name}: {error}"))?;
            eprintln!("wrote {name}");
        }
    }
    if differing.is_empty() {
        return Ok(());
    }
    let names = differing.join(", ");
    Err(
        format!("{names} differ from the sources; run `cargo run -p statekeep-tools -- headers`")
            .into(),
    )
}

/// The repository's root: the parent of this crate's folder.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Reads a source file of the repository.
pub(crate) fn read(root: &Path, name: &str) -> Result<String, Failure> {
    std::fs::read_to_string(root.join(name))
        .map_err(|error| format!("cannot read {name}: {error}").into())
}
