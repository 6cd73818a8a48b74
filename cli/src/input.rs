//! What a verb reads from a file, from standard input or from its own words.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use statekeep::{Error, Result};

/// Largest document that is given as an argument's file, in bytes.
const DOCUMENT_BYTES_MAX: u64 = 16 << 20;

/// Reads a file, or standard input for `-`, up to one byte more than `bytes_max`, so that who has the
/// limit refuses it by name.
pub fn file(path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    let stdin = path == Path::new("-");
    let shown = match stdin {
        true => Path::new("standard input"),
        false => path,
    };
    let failed = |source| Error::File {
        action: "read",
        path: shown.to_owned(),
        source,
    };
    let limit = bytes_max.saturating_add(1);
    let mut bytes = Vec::new();
    if stdin {
        let mut input = io::stdin().lock().take(limit);
        input.read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let mut input = File::open(path).map_err(failed)?.take(limit);
        input.read_to_end(&mut bytes).map_err(failed)?;
    }
    Ok(bytes)
}

/// The text that an argument stands for: that of the file for `@FILE`, standard input for `-`, else
/// the argument itself.
pub fn text(what: &'static str, argument: &str) -> Result<String> {
    let path = match argument {
        "-" => Path::new("-"),
        argument => match argument.strip_prefix('@') {
            Some(path) => Path::new(path),
            None => return Ok(argument.to_owned()),
        },
    };
    document(what, path)
}

/// The text of a file, or of standard input for `-`.
pub fn document(what: &'static str, path: &Path) -> Result<String> {
    let bytes = file(path, DOCUMENT_BYTES_MAX)?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        let reason = format!("it is longer than {DOCUMENT_BYTES_MAX} bytes");
        return Err(Error::invalid(what, reason));
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid(what, "it is not UTF-8"))
}
