//! Backups through the facade, on the real backends and codecs: every pair of them, the proof that
//! a backup is one instant, damage that is named, and clients that stay over a restore.

mod damage;
mod handles;
mod instant;

use std::path::Path;
use std::sync::Arc;

use statekeep::{
    BackupId, Config, CreateOptions, ErrorKind, Host, Progress, RestoreOptions, VerifyLevel,
};
use statekeep_tests::fixtures;
use statekeep_tests::states::{self, Rows};

const CODECS: [&str; 5] = ["zstd", "brotli", "gzip", "lz4", "none"];

/// A state in `folder`/NAME whose repository is `folder`/repository.
fn config(folder: &Path, name: &str, backend: &str, codec: &str) -> Config {
    let mut config = states::config(&folder.join(name), backend);
    let repository = folder.join("repository");
    config
        .set("backup.dir", repository.to_str().unwrap())
        .unwrap();
    config.set("backup.codec", codec).unwrap();
    config
}

/// Values that compress and some that do not, over tenants and scopes; names with every odd
/// character that names may have.
fn fill(host: &Host, version: &str) -> Rows {
    let mut random = states::Random(3);
    for n in 0..400 {
        let noise: String = (0..8)
            .map(|_| format!("{:016x}", random.number()))
            .collect();
        let tenant = ["", "acme", "a.b-c"][n % 3];
        let scope = ["global", "user:1", "step:w/s", "custom:a:b"][n % 4];
        let value = format!("{version} {n} {}{noise}", "agent ".repeat(n % 50));
        states::put(&host.manager, (tenant, scope, &format!("k/{n}:%*")), &value);
    }
    states::put(&host.manager, ("", "global", "empty"), "");
    states::put(
        &host.manager,
        ("", "user:ü", "big"),
        &version.repeat(1 << 20),
    );
    states::rows(&host.manager)
}

fn create(host: &Host) -> statekeep::Result<BackupId> {
    let options = CreateOptions::default();
    Ok(host.backups.create(&options, &Progress::new())?.id)
}

fn restore(host: &Host, id: BackupId) -> statekeep::Result<statekeep::RestoreReport> {
    host.backups.restore(
        id,
        &RestoreOptions {
            safety_backup: false,
            ..RestoreOptions::default()
        },
        &Progress::new(),
    )
}

fn verify(host: &Host, id: BackupId) -> statekeep::VerifyReport {
    host.backups
        .verify(id, VerifyLevel::Full, &Progress::new())
        .unwrap()
}

/// A backup says by itself how it is packed: it is restored whatever codec is configured now.
fn every_codec(backend: &str) {
    let folder = fixtures::folder();
    let mut made = Vec::new();
    let mut host = states::open(&config(folder.path(), "state", backend, CODECS[0]));
    for codec in CODECS {
        host = reopened(host, &config(folder.path(), "state", backend, codec));
        let rows = fill(&host, codec);
        let id = create(&host).unwrap();
        assert_eq!(host.backups.show(id).unwrap().manifest.codec, codec);
        made.push((id, codec, rows));
    }
    for other in CODECS {
        host = reopened(host, &config(folder.path(), "state", backend, other));
        for (id, codec, rows) in &made {
            let what = format!("{codec} backup under {other} on {backend}");
            let report = verify(&host, *id);
            assert!(
                report.is_valid && report.warnings.is_empty(),
                "{what}: {report:?}"
            );
            let before = host.manager.head();
            let report = restore(&host, *id).unwrap();
            assert_eq!(report.records, rows.len() as u64, "{what}");
            assert!(host.manager.head() > before, "{what}: sequences went back");
            assert_eq!(states::rows(&host.manager), *rows, "{what}");
        }
    }
    // What was restored last is what is there after opening again, if the backend keeps anything.
    if backend != "memory" {
        host = reopened(host, &config(folder.path(), "state", backend, "zstd"));
        assert_eq!(states::rows(&host.manager), made[CODECS.len() - 1].2);
    }
    host.close().unwrap();
}

/// Closes and opens with other settings.
fn reopened(host: Arc<Host>, config: &Config) -> Arc<Host> {
    host.close().unwrap();
    drop(host);
    states::open(config)
}

#[test]
fn every_codec_on_fjall() {
    every_codec("fjall");
}

#[test]
fn every_codec_on_sled() {
    every_codec("sled");
}

#[test]
fn every_codec_on_redb() {
    every_codec("redb");
}

#[test]
fn every_codec_on_lmdb() {
    every_codec("lmdb");
}

#[test]
fn every_codec_on_sqlite() {
    every_codec("sqlite");
}

#[test]
fn every_codec_on_memory() {
    every_codec("memory");
}

/// A repository belongs to nobody: a state on any backend restores what another state on any other
/// backend has put there, byte for byte, and keeps its own id, backend and rising sequences.
#[test]
fn a_backup_of_one_backend_is_restored_on_another() {
    let backends = ["fjall", "sled", "redb", "lmdb", "sqlite", "memory"];
    let folder = fixtures::folder();
    let mut made = Vec::new();
    for from in backends {
        let host = states::open(&config(folder.path(), &format!("from-{from}"), from, "lz4"));
        let rows = fill(&host, from);
        let id = create(&host).unwrap();
        assert_eq!(host.backups.show(id).unwrap().manifest.backend, from);
        made.push((from, id, rows, host.manager.state_id()));
        host.close().unwrap();
    }
    for to in backends {
        let host = states::open(&config(folder.path(), &format!("to-{to}"), to, "zstd"));
        states::put(&host.manager, ("other", "global", "mine"), "to be replaced");
        let own = host.manager.info().unwrap();
        for (from, id, rows, state) in &made {
            let what = format!("{from} onto {to}");
            assert_ne!(own.state_id, *state);
            let report = restore(&host, *id).unwrap();
            assert_eq!(states::rows(&host.manager), *rows, "{what}");
            let now = host.manager.info().unwrap();
            assert_eq!((&now.state_id, &now.backend), (&own.state_id, &own.backend));
            assert_ne!(now.timeline, own.timeline, "{what}");
            assert!(
                now.head > own.head && now.head.0 == report.sequence,
                "{what}"
            );
            states::put(&host.manager, ("acme", "user:1", "after"), "x");
        }
        host.close().unwrap();
    }
}

/// What is asked for and cannot be had is refused by its name, and nothing is made.
#[test]
fn a_codec_that_is_not_there_is_named() {
    let folder = fixtures::folder();
    let host = states::open(&config(folder.path(), "state", "fjall", "snappy"));
    states::put(&host.manager, ("", "global", "k"), "v");
    let error = create(&host).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("snappy"), "{error}");
    assert!(host.backups.list().unwrap().backups.is_empty());
    assert!(!folder.path().join("repository").exists());
    let id = BackupId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
    let error = restore(&host, id).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains(&id.to_string()), "{error}");
    host.close().unwrap();
}
