//! The child process of `plugin check`: runs a library's code and says how far it came.
//!
//! Prints `{"step": NAME}` before each step and `{"plugin": FACTS}` at the end, so that the parent
//! knows where a crash struck. Hidden from `--help`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};
use statekeep::engine::{
    Backend, BackendConfig, Codec, CommitError, KeyRange, Plugins, RowOp, Space,
};
use statekeep::plugins::{Policy, Registry};
use statekeep::{Durability, Error, ErrorKind, Result};

use crate::exit::Exit;
use crate::output::Output;

/// Arguments of the hidden verb.
#[derive(Args)]
pub struct Probe {
    /// The library
    file: PathBuf,
    /// An empty folder for a backend to work in
    folder: PathBuf,
}

impl Probe {
    /// Loads the library, whether it is listed or not, and tries each kind it offers.
    pub fn run(&self, out: &mut Output) -> Result<Exit> {
        let policy = Policy {
            allow_unlisted: true,
            ..Policy::default()
        };
        let registry = Registry::new(policy);
        step(out, "load")?;
        let plugin = registry.load(&self.file)?;
        let mut tried = Vec::new();
        if plugin.kinds.contains(&"compression") {
            step(out, "compression")?;
            compression(&*registry.codec(&plugin.id)?)?;
            tried.push("compression");
        }
        if plugin.kinds.contains(&"backend") {
            step(out, "backend")?;
            let options = Value::Object(Map::new());
            let config = BackendConfig {
                directory: self.folder.clone(),
                options,
            };
            backend(&*registry.open_backend(&plugin.id, &config)?)?;
            tried.push("backend");
        }
        step(out, "end")?;
        out.document(&json!({ "plugin": super::document(&plugin)?, "tried": tried }))?;
        Ok(Exit::Ok)
    }
}

fn step(out: &mut Output, name: &str) -> Result<()> {
    out.document(&json!({ "step": name }))?;
    // A crash must not take the line with it.
    out.finish()
}

fn wrong(what: impl Into<String>) -> Error {
    Error::other(ErrorKind::Plugin, what)
}

/// What is packed comes back, and a torn frame is never taken for the whole.
fn compression(codec: &dyn Codec) -> Result<()> {
    let text: Vec<u8> = b"statekeep "
        .iter()
        .copied()
        .cycle()
        .take(100_000)
        .collect();
    // xorshift: bytes that do not shrink.
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()[0]
    })
    .take(100_000)
    .collect();
    let (mut packed, mut raw) = (Vec::new(), Vec::new());
    for sample in [&[][..], &[0], &text, &noise] {
        let bytes = sample.len();
        codec.compress(None, sample, &mut packed)?;
        codec.decompress(&packed, bytes, &mut raw)?;
        if raw != sample {
            return Err(wrong(format!("{bytes} bytes came back changed")));
        }
        let torn = &packed[..packed.len() / 2];
        if bytes > 1 && codec.decompress(torn, bytes, &mut raw).is_ok() && raw != sample {
            return Err(wrong(format!(
                "half a frame of {bytes} bytes was taken for the whole"
            )));
        }
    }
    Ok(())
}

/// Rows are found, in order, each in its space, and deleted rows are gone.
fn backend(backend: &dyn Backend) -> Result<()> {
    let (data, meta) = (Space::Data, Space::Meta);
    let put = |space, key: &'static [u8], value| RowOp::Put { space, key, value };
    let rows = [
        put(data, b"b", b"2"),
        put(data, b"a\0", b"1"),
        put(meta, b"a", b"3"),
        put(data, b"c", b""),
    ];
    commit(backend, &rows)?;
    commit(
        backend,
        &[RowOp::Delete {
            space: data,
            key: b"c",
        }],
    )?;
    backend.flush()?;
    let mut value = Vec::new();
    if !backend.get(data, b"b", &mut value)? || value != b"2" {
        return Err(wrong("a row that was written is not read"));
    }
    if backend.get(data, b"c", &mut value)? || backend.get(data, b"a", &mut value)? {
        return Err(wrong(
            "a row is read that was deleted, or that another space holds",
        ));
    }
    let mut found = Vec::new();
    let mut cursor = backend.scan(data, KeyRange::default())?;
    while cursor.next_batch(64, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
    })? > 0
    {}
    if found
        != [
            (b"a\0".to_vec(), b"1".to_vec()),
            (b"b".to_vec(), b"2".to_vec()),
        ]
    {
        return Err(wrong(format!(
            "a scan found {} rows, or not in the order of keys",
            found.len()
        )));
    }
    Ok(())
}

fn commit(backend: &dyn Backend, ops: &[RowOp<'_>]) -> Result<()> {
    backend
        .commit(ops, Durability::Sync)
        .map_err(|error| match error {
            CommitError::Refused(error) | CommitError::Unknown(error) => error,
        })
}

/// A folder of this process for a backend to be tried in; removed when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder, which must not be there yet.
    pub fn new() -> Result<Scratch> {
        let name = format!("statekeep-check-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(|source| Error::File {
            action: "create",
            path: path.clone(),
            source,
        })?;
        Ok(Scratch(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
