//! What the loader refuses, proved with real libraries: each refusal says what is wrong, with which
//! file, and what to do; and of what is refused before loading, not even a constructor runs.

mod crafted;
mod file;
mod said;
mod trust;

use std::path::Path;

use statekeep_core::{Error, ErrorKind};
use statekeep_loader::{LoadError, Policy, Registry};
use statekeep_tests::fixtures;

fn unlisted() -> Registry {
    Registry::new(Policy {
        allow_unlisted: true,
        ..Policy::default()
    })
}

#[track_caller]
fn refused(path: &Path, kind: ErrorKind, texts: &[&str]) -> LoadError {
    let error = unlisted().load(path).expect_err("it must be refused");
    let message = error.to_string();
    for text in texts {
        assert!(message.contains(text), "`{message}` does not say `{text}`");
    }
    let core = Error::from(error);
    assert_eq!(core.kind(), kind, "{message}");
    assert_eq!(core.to_string(), message);
    unlisted().load(path).expect_err("it is refused every time")
}

#[track_caller]
fn c_refused(name: &str, flags: &[&str], kind: ErrorKind, texts: &[&str]) {
    let folder = fixtures::folder();
    let path = fixtures::install(&fixtures::c_fixture(name, flags), folder.path());
    let file = format!("lib{name}.so");
    refused(&path, kind, texts);
    refused(&path, kind, &[file.as_str()]);
}
