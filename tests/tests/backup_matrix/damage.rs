//! Damage in a repository, by accident and by intent: verify and restore say what is wrong with
//! which object, the state goes on as it is, and nothing outside of the repository changes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use statekeep::{BackupId, ErrorKind, Host};
use statekeep_tests::fixtures;
use statekeep_tests::states::{self, Rows};
use tempfile::TempDir;

/// A state with two backups that differ, and things around it that nobody may touch.
struct Scene {
    folder: TempDir,
    host: Arc<Host>,
    ids: [BackupId; 2],
    rows: Rows,
    outside: BTreeMap<PathBuf, u64>,
}

impl Scene {
    fn new() -> Scene {
        let folder = fixtures::folder();
        let host = states::open(&super::config(folder.path(), "state", "fjall", "zstd"));
        super::fill(&host, "first");
        let first = super::create(&host).unwrap();
        super::fill(&host, "second");
        let second = super::create(&host).unwrap();
        states::put(&host.manager, ("", "global", "newer"), "than both");
        host.manager.flush().unwrap();
        fs::write(folder.path().join("victim"), "precious").unwrap();
        fs::create_dir(folder.path().join("victims")).unwrap();
        fs::write(folder.path().join("victims/one"), "precious too").unwrap();
        let rows = states::rows(&host.manager);
        let outside = outside(folder.path());
        Scene {
            folder,
            host,
            ids: [first, second],
            rows,
            outside,
        }
    }

    fn object(&self, name: &str) -> PathBuf {
        self.folder.path().join("repository").join(name)
    }

    fn segment(&self, of: usize) -> String {
        format!("seg/{}-000000.seg", self.ids[of])
    }

    /// Nothing has changed but what was planted in the repository.
    fn check_untouched(&self, what: &str) {
        assert_eq!(states::rows(&self.host.manager), self.rows, "{what}");
        assert_eq!(outside(self.folder.path()), self.outside, "{what}");
    }

    /// The backup is refused by verify and restore, which both name the object.
    fn check_refused(&self, id: BackupId, object: &str, what: &str) {
        let options = statekeep::VerifyLevel::Full;
        let progress = statekeep::Progress::new();
        match self.host.backups.verify(id, options, &progress) {
            Ok(report) => {
                assert!(!report.is_valid, "{what}: {report:?}");
                let named = report.errors.iter().any(|e| e.object.starts_with(object));
                assert!(named, "{what}: {object} is not named in {report:?}");
            }
            Err(error) => assert!(error.to_string().contains(object), "{what}: {error}"),
        }
        let error = super::restore(&self.host, id).unwrap_err();
        assert!(error.to_string().contains(object), "{what}: {error}");
        self.check_untouched(what);
    }

    /// Does something to one object, sees it refused and the other backup good, and puts it back.
    fn damage(&self, object: &str, what: &str, harm: impl FnOnce(&Path)) {
        let path = self.object(object);
        let good = fs::read(&path).unwrap();
        harm(&path);
        self.check_refused(self.ids[0], object, what);
        let report = super::verify(&self.host, self.ids[1]);
        assert!(report.is_valid, "{what}: the other backup: {report:?}");
        if path.is_symlink() || path.exists() {
            fs::remove_file(&path).unwrap();
        }
        fs::write(&path, good).unwrap();
        let report = super::verify(&self.host, self.ids[0]);
        assert!(report.is_valid, "{what}, mended: {report:?}");
    }
}

/// All files beside the repository; of engines, which work in the background, only that they are
/// there and no further namespace is.
fn outside(folder: &Path) -> BTreeMap<PathBuf, u64> {
    states::tree(folder, &|path| {
        path.starts_with("repository") || path.ends_with("engine")
    })
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 4;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_flipped_cut_or_gone_is_named() {
    let scene = Scene::new();
    let objects = [
        format!("man/{}", scene.ids[0]),
        format!("run/{}-0", scene.ids[0]),
        scene.segment(0),
    ];
    for object in &objects {
        assert!(scene.object(object).exists(), "{object}");
        for at in [0, 9, 40, 1000, usize::MAX / 3] {
            let what = format!("{object}, byte {at}");
            scene.damage(object, &what, |path| flip(path, at));
        }
        for keep in [0, 1, 100] {
            let what = format!("{object} cut to {keep}");
            scene.damage(object, &what, |path| {
                let file = fs::File::options().write(true).open(path).unwrap();
                file.set_len(keep).unwrap();
            });
        }
        let longer = format!("{object} with a tail");
        scene.damage(object, &longer, |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes.extend_from_slice(b"tail");
            fs::write(path, bytes).unwrap();
        });
    }
    for object in &objects[1..] {
        scene.damage(object, &format!("{object} gone"), |path| {
            fs::remove_file(path).unwrap();
        });
    }
    // Without its manifest a backup does not exist.
    let manifest = scene.object(&objects[0]);
    fs::remove_file(&manifest).unwrap();
    let error = super::restore(&scene.host, scene.ids[0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    scene.check_untouched("no manifest");
}

#[test]
fn objects_that_took_each_others_place_are_named() {
    let scene = Scene::new();
    let (first, second) = (scene.segment(0), scene.segment(1));
    let pairs = [
        (first, second),
        (
            format!("run/{}-0", scene.ids[0]),
            format!("run/{}-0", scene.ids[1]),
        ),
        (
            format!("man/{}", scene.ids[0]),
            format!("man/{}", scene.ids[1]),
        ),
    ];
    for (one, other) in &pairs {
        let aside = scene.folder.path().join("repository/aside");
        let swap = || {
            fs::rename(scene.object(one), &aside).unwrap();
            fs::rename(scene.object(other), scene.object(one)).unwrap();
            fs::rename(&aside, scene.object(other)).unwrap();
        };
        swap();
        let what = format!("{one} and {other} swapped");
        scene.check_refused(scene.ids[0], one, &what);
        scene.check_refused(scene.ids[1], other, &what);
        swap();
        assert!(super::verify(&scene.host, scene.ids[0]).is_valid);
        assert!(super::verify(&scene.host, scene.ids[1]).is_valid);
    }
}

/// Rewrites a sealed document and seals it anew, as somebody with bad intent would.
fn forge(document: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let text = std::str::from_utf8(document).unwrap();
    let (body, seal) = text.trim_end().rsplit_once("\nsha256 ").unwrap();
    assert_eq!(seal, hex(body.as_bytes()), "the seal as it is documented");
    let mut value = serde_json::from_str(body).unwrap();
    change(&mut value);
    let body = serde_json::to_string_pretty(&value).unwrap();
    format!("{body}\nsha256 {}\n", hex(body.as_bytes())).into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Manifests with a good seal whose names lead out of the repository.
#[test]
fn names_that_are_paths_lead_nowhere() {
    let scene = Scene::new();
    let good = fs::read(scene.object(&format!("man/{}", scene.ids[0]))).unwrap();
    let tricks = [
        "../victim",
        "../../victim",
        "/etc/passwd",
        "man/../../victim",
        "seg/../../victims/one",
        "run/..",
        "run/.",
        "run/a/../../../victim",
        "run/\u{0}",
        "run\\..\\..\\victim",
        "run/%2e%2e%2fvictim",
        "",
    ];
    let planted = BackupId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
    let object = format!("man/{planted}");
    for trick in tricks {
        let absolute = scene.folder.path().join("victim");
        for name in [trick, absolute.to_str().unwrap()] {
            type Forgery = fn(&mut serde_json::Value, &str, &str);
            let forgeries: [(&str, Forgery); 3] = [
                ("id", |value, _, name| value["id"] = name.into()),
                ("run", |value, id, name| {
                    value["id"] = id.into();
                    value["runs"][0]["name"] = name.into();
                }),
                ("previous", |value, id, name| {
                    value["id"] = id.into();
                    value["previous"] = serde_json::json!({ "id": name, "sha256": "0".repeat(64) });
                }),
            ];
            for (field, forgery) in forgeries {
                let what = format!("{field} {name:?}");
                let forged = forge(&good, |value| forgery(value, &planted.to_string(), name));
                fs::write(scene.object(&object), forged).unwrap();
                let list = scene.host.backups.list().unwrap();
                let listed: Vec<_> = list.backups.iter().map(|backup| backup.id).collect();
                assert_eq!(listed, scene.ids, "{what}");
                assert_eq!(list.problems.len(), 1, "{what}: {:?}", list.problems);
                assert_eq!(list.problems[0].object, object, "{what}");
                scene.check_refused(planted, &object, &what);
            }
        }
    }
    fs::remove_file(scene.object(&object)).unwrap();
    // A file in man/ whose own name is a trick, and one that is a link to the outside.
    fs::write(scene.object("man/..victim"), &good).unwrap();
    symlink("../../victim", scene.object(&object)).unwrap();
    let list = scene.host.backups.list().unwrap();
    assert_eq!(list.backups.len(), 2);
    assert!(
        list.problems.iter().any(|problem| problem.object == object),
        "{:?}",
        list.problems
    );
    scene.check_refused(planted, &object, "a link to the outside");
    // A further backup goes by all of this.
    fs::remove_file(scene.object(&object)).unwrap();
    let id = super::create(&scene.host).unwrap();
    assert!(super::verify(&scene.host, id).is_valid);
    scene.check_untouched("after all");
}

/// A segment that is a link to somebody else's file is not what was written.
#[test]
fn a_link_in_the_place_of_a_segment_is_refused() {
    let scene = Scene::new();
    let object = scene.segment(0);
    scene.damage(&object, "a link", |path| {
        fs::remove_file(path).unwrap();
        symlink(scene.folder.path().join("victim"), path).unwrap();
    });
}
