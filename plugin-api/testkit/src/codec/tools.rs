//! The usual command line tool of a format reads what a codec wrote, and the other way round.

use std::io::Write;
use std::process::{Command, Stdio};

use super::Subject;
use super::sizes::contents;
use crate::{Outcome, report::ensure};

/// Whether a program of this name is installed; without it a check against it says nothing.
pub fn has_tool(tool: &str) -> bool {
    let version = Command::new(tool)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

/// The tool unpacks the codec's frames with `-dc`, and the codec unpacks what it packs with `-c`.
/// Says nothing where the tool is not installed.
pub fn agrees_with_tool(subject: &Subject, tool: &str) -> Outcome {
    if !has_tool(tool) {
        return Ok(());
    }
    let codec = subject.open()?;
    for len in [0, 1, 1000, 300_000] {
        for (name, raw) in contents(len) {
            for level in [None, Some(1), Some(9)] {
                let frame = codec.compress(level, &raw)?;
                let back = run(tool, "-dc", &frame)?;
                ensure!(
                    back == raw,
                    "{tool} -dc unpacks {len} bytes of {name} to others"
                );
            }
            let frame = run(tool, "-c", &raw)?;
            let back = codec.decompress_into(&frame, len);
            let back = back.map_err(|(failure, _)| format!("a frame of {tool}: {failure}"))?;
            ensure!(
                back == raw,
                "{len} bytes of {name} packed by {tool} come back as others"
            );
        }
    }
    Ok(())
}

fn run(tool: &str, option: &str, input: &[u8]) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{tool} {option}: {error}");
    let mut child = Command::new(tool)
        .arg(option)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // A pipe holds little: feed it while the output is read.
        scope.spawn(move || stdin.take().map(|mut stdin| stdin.write_all(input)));
        child.wait_with_output()
    })
    .map_err(failed)?;
    ensure!(
        output.status.success(),
        "{tool} {option} ends with {}",
        output.status
    );
    Ok(output.stdout)
}
