//! A disk that is really full, under a whole state: the error says so, nothing that was acknowledged
//! is lost, and work goes on when there is room again.
//!
//! A small tmpfs stands for the disk, which takes the right to mount. Without it the tests say SKIP
//! and pass, or fail when `STATEKEEP_NO_SKIP` is 1. What follows a failed sync, one call after the
//! other, is proved by the engine's tests on a simulated disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use statekeep::{
    CleanupOptions, Config, CreateOptions, ErrorKind, Host, Progress, RetentionRule, Scope,
    SetOptions, Value, VerifyLevel,
};
use statekeep_core::check::check_consistency;
use statekeep_tests::fixtures;
use statekeep_tests::states::{self, key};
use tempfile::TempDir;

/// A file system of its own; unmounted when dropped.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one of so many MiB, or says that the test is skipped.
    fn mount(mib: u64) -> Option<SmallDisk> {
        let folder = fixtures::folder();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={mib}m,mode=700"))
            .args(["tmpfs".as_ref(), folder.path().as_os_str()])
            .output();
        match mounted {
            Ok(output) if output.status.success() => return Some(SmallDisk { folder }),
            Ok(output) => fixtures::skip(&format!(
                "no tmpfs can be mounted: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )),
            Err(error) => fixtures::skip(&format!("no tmpfs can be mounted: {error}")),
        }
        None
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that takes up room until it is removed.
    fn ballast(&self, mib: usize) -> PathBuf {
        let path = self.path("ballast");
        fs::write(&path, vec![1; mib << 20]).unwrap();
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.folder.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.folder.path().display());
        }
    }
}

const VALUE_BYTES: usize = 200_000;

fn value(n: u64) -> Value {
    let mut random = states::Random(n);
    let words = (0..VALUE_BYTES / 16).map(|_| format!("{:016x}", random.number()));
    Value::bytes(words.collect::<String>())
}

fn put(host: &Host, n: u64) -> statekeep::Result<()> {
    let tenant = host.manager.default_tenant().blocking();
    let name = key(&format!("{n:05}"));
    tenant
        .set(&Scope::global(), &name, value(n), SetOptions::default())
        .map(|_| ())
}

/// Writes until it fails; answers how many were acknowledged, and the failure.
fn fill(host: &Host, from: u64) -> (u64, statekeep::Error) {
    for n in from..10_000 {
        if let Err(error) = put(host, n) {
            return (n, error);
        }
    }
    panic!("the disk never fills up");
}

/// What was acknowledged is there and readable; what was not may be there only as it was written.
fn check(host: &Host, acknowledged: u64) {
    check_consistency(&host.manager).unwrap();
    let tenant = host.manager.default_tenant().blocking();
    let read = |n: u64| {
        tenant
            .get(&Scope::global(), &key(&format!("{n:05}")))
            .unwrap()
    };
    for n in 0..acknowledged {
        assert_eq!(read(n), Some(value(n)), "{n} of {acknowledged} is lost");
    }
    let next = read(acknowledged);
    assert!(next.is_none() || next == Some(value(acknowledged)));
}

fn says_no_room(error: &statekeep::Error) -> bool {
    let text = error.to_string().to_lowercase();
    ["no space", "free some space"]
        .iter()
        .any(|word| text.contains(word))
}

fn open(config: &Config) -> Arc<Host> {
    states::open(config)
}

/// A backend with a check for room: commits are refused in time, reads and backups elsewhere go
/// on, and so do commits when there is room again, without opening anew.
fn refuses_commits_while_there_is_too_little_room(backend: &str) {
    let Some(disk) = SmallDisk::mount(300) else {
        return;
    };
    let elsewhere = fixtures::folder();
    let mut config = states::config(&disk.path("state"), backend);
    let repository = elsewhere.path().join("repository");
    config
        .set("backup.dir", repository.to_str().unwrap())
        .unwrap();
    let host = open(&config);
    let ballast = disk.ballast(120);
    let (acknowledged, error) = fill(&host, 0);
    assert!(acknowledged > 0, "{error}");
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    assert!(says_no_room(&error), "{error}");
    check(&host, acknowledged);
    assert_eq!(host.manager.info().unwrap().poisoned, None);
    host.backups
        .create(&CreateOptions::default(), &Progress::new())
        .unwrap();

    fs::remove_file(ballast).unwrap();
    // The file system is asked again after a moment; until then the answer stays.
    let again = (0..10_000).find_map(|_| match put(&host, acknowledged) {
        Ok(()) => Some(()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
            std::thread::yield_now();
            std::thread::sleep(std::time::Duration::from_millis(1));
            None
        }
    });
    assert!(again.is_some(), "it refuses although there is room");
    host.close().unwrap();
    drop(host);
    let host = open(&config);
    check(&host, acknowledged + 1);
    host.close().unwrap();
}

#[test]
fn fjall_refuses_commits_while_there_is_too_little_room() {
    refuses_commits_while_there_is_too_little_room("fjall");
}

#[test]
fn sled_refuses_commits_while_there_is_too_little_room() {
    refuses_commits_while_there_is_too_little_room("sled");
}

#[test]
fn redb_refuses_commits_while_there_is_too_little_room() {
    refuses_commits_while_there_is_too_little_room("redb");
}

#[test]
fn sqlite_refuses_commits_while_there_is_too_little_room() {
    refuses_commits_while_there_is_too_little_room("sqlite");
}

#[test]
fn lmdb_refuses_commits_while_there_is_too_little_room() {
    refuses_commits_while_there_is_too_little_room("lmdb");
}

/// The disk ends in the middle of a commit: the state stops writing and says why, reads go on, and
/// once there is room and it was opened again, everything acknowledged is there and writes go on.
fn runs_into_the_end(backend: &str, mib: u64, ballast: usize, options: &[(&str, &str)]) {
    let Some(disk) = SmallDisk::mount(mib) else {
        return;
    };
    let mut config = states::config(&disk.path("state"), backend);
    for (name, text) in options {
        config.set(name, text).unwrap();
    }
    let host = open(&config);
    put(&host, 0).unwrap();
    let ballast = disk.ballast(ballast);
    let (acknowledged, error) = fill(&host, 1);
    assert!(
        matches!(error.kind(), ErrorKind::NoSpace | ErrorKind::Indeterminate),
        "{:?}: {error}",
        error.kind()
    );
    assert!(says_no_room(&error), "{error}");
    let tenant = host.manager.default_tenant().blocking();
    let first = tenant.get(&Scope::global(), &key("00000")).unwrap();
    assert_eq!(first, Some(value(0)), "reads go on");
    if error.kind() == ErrorKind::Indeterminate {
        let later = put(&host, acknowledged).unwrap_err();
        assert_eq!(later.kind(), ErrorKind::Poisoned, "{later}");
        assert!(says_no_room(&later), "it names the first failure: {later}");
    }
    // Closing says so, or is done.
    if let Err(error) = host.close() {
        assert!(says_no_room(&error), "{error}");
    }
    drop((tenant, host));
    fs::remove_file(ballast).unwrap();
    let host = open(&config);
    check(&host, acknowledged);
    put(&host, acknowledged).unwrap();
    put(&host, acknowledged + 1).unwrap();
    check(&host, acknowledged + 2);
    host.close().unwrap();
}

#[test]
fn fjall_runs_into_the_end_of_the_disk() {
    let options = [("backend_options.free_bytes_min", "0")];
    runs_into_the_end("fjall", 48, 36, &options);
}

#[test]
fn redb_runs_into_the_end_of_the_disk() {
    let options = [("backend_options.free_bytes_min", "0")];
    runs_into_the_end("redb", 48, 36, &options);
}

#[test]
fn lmdb_runs_into_the_end_of_the_disk() {
    let options = [("backend_options.free_bytes_min", "0")];
    runs_into_the_end("lmdb", 48, 36, &options);
}

#[test]
fn sqlite_runs_into_the_end_of_the_disk() {
    let options = [("backend_options.free_bytes_min", "0")];
    runs_into_the_end("sqlite", 48, 36, &options);
}

/// A fault that is known: once a write failed for want of space, sled 0.34 waits for ever in the drop of
/// its tree, and so does the end of the state, even when space is freed. With its check for room on, that
/// takes somebody else who fills the disk between the check and the write.
#[test]
#[ignore = "sled waits for ever when it is closed after a write that failed"]
fn sled_runs_into_the_end_of_the_disk() {
    let options = [("backend_options.free_bytes_min", "0")];
    runs_into_the_end("sled", 48, 36, &options);
}

/// A backup that does not fit is an error and leaves nothing, and the state takes no harm.
#[test]
fn a_backup_that_does_not_fit_leaves_nothing() {
    let Some(disk) = SmallDisk::mount(8) else {
        return;
    };
    let folder = fixtures::folder();
    let mut config = states::config(&folder.path().join("state"), "fjall");
    let repository = disk.path("repository");
    config
        .set("backup.dir", repository.to_str().unwrap())
        .unwrap();
    config.set("backup.codec", "none").unwrap();
    let host = open(&config);
    for n in 0..10 {
        put(&host, n).unwrap();
    }
    let create = || {
        host.backups
            .create(&CreateOptions::default(), &Progress::new())
    };
    let first = create().unwrap().id;
    for n in 10..60 {
        put(&host, n).unwrap();
    }
    for _ in 0..3 {
        let error = create().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        let list = host.backups.list().unwrap();
        assert_eq!((list.backups.len(), list.problems.len()), (1, 0));
        assert_eq!(list.backups[0].id, first);
    }
    assert_eq!(segments(&repository), 1, "what did not fit is left behind");
    check(&host, 60);
    put(&host, 60).unwrap();
    host.close().unwrap();
}

fn segments(repository: &Path) -> usize {
    fs::read_dir(repository.join("seg")).unwrap().count()
}

/// A cleanup that finds no room for its record deletes nothing and loses nothing; with room again it is
/// done, and a full disk keeps nobody from reading what is there.
#[test]
fn a_cleanup_without_room_deletes_nothing() {
    let Some(disk) = SmallDisk::mount(40) else {
        return;
    };
    let elsewhere = fixtures::folder();
    let mut config = states::config(&elsewhere.path().join("state"), "fjall");
    let repository = disk.path("repository");
    config
        .set("backup.dir", repository.to_str().unwrap())
        .unwrap();
    let host = open(&config);
    let mut made = Vec::new();
    for n in 0..3 {
        put(&host, n).unwrap();
        let options = CreateOptions::default();
        made.push(host.backups.create(&options, &Progress::new()).unwrap().id);
    }
    let ballast = disk.path("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    // To the last page: then less than that at once.
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    let listed = || {
        let list = host.backups.list().unwrap();
        assert!(list.problems.is_empty(), "{list:?}");
        list.backups.iter().map(|one| one.id).collect::<Vec<_>>()
    };
    let clean = || {
        let options = CleanupOptions {
            rule: Some(RetentionRule::policy("count", &[("keep", 1.into())])),
            grace_ms: Some(0),
            ..CleanupOptions::default()
        };
        host.backups.cleanup(&options, &Progress::new())
    };
    let verify = |id| {
        let level = VerifyLevel::Full;
        host.backups.verify(id, level, &Progress::new()).unwrap()
    };
    let error = clean().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    assert_eq!(listed(), made);
    for id in &made {
        let report = verify(*id);
        assert!(report.is_valid && !report.warnings.is_empty(), "{report:?}");
    }
    drop(file);
    fs::remove_file(&ballast).unwrap();
    let report = clean().unwrap();
    assert_eq!(report.collected.purged, made[..2], "{report:?}");
    assert_eq!(listed(), made[2..]);
    let report = verify(made[2]);
    assert!(report.is_valid && report.warnings.is_empty(), "{report:?}");
    host.close().unwrap();
}
