//! Files and faults, parts, merges that were stopped, dry runs.

use std::io::Read;
use std::path::Path;

use statekeep_backup::{
    ExportOptions, ExportTo, ImportFrom, ImportMode, ImportOptions, Progress, RecordName,
};
use statekeep_core::vfs::sim::{SimDisk, Times};
use statekeep_core::{ErrorKind, Key, Limits, Scope, Selection, SetOptions, Value};

use crate::support::{mode, open, open_with, plain, records, said};

const FILE: &str = "/out/state.jsonl";

fn with_folder() -> SimDisk {
    let disk = SimDisk::new();
    disk.vfs().create_dir(Path::new("/out")).unwrap();
    disk.vfs().sync_dir(Path::new("/")).unwrap();
    disk
}

/// Wherever an export stops, there is no file under its name or the whole one.
#[test]
fn an_export_that_stops_anywhere_leaves_no_half_file() {
    let start = with_folder();
    let state = open(&start);
    state.fill();
    let whole = state.records();
    state.manager.close().unwrap();
    drop(state);
    for fault in ["fail", "full", "kill"] {
        for n in 1.. {
            let disk = start.restart();
            let state = open(&disk);
            let first = disk.call_count();
            match fault {
                "fail" => disk.fail_at(first + n, std::io::ErrorKind::Other, Times::Once),
                "full" => disk.fail_at(first + n, std::io::ErrorKind::StorageFull, Times::Forever),
                _ => disk.kill_at(first + n),
            }
            let to = ExportTo::File(Path::new(FILE));
            let done = state
                .backups
                .export(to, &ExportOptions::default(), &Progress::new());
            let struck = disk.fault_struck();
            disk.clear_faults();
            for after in [disk.restart(), disk.crash(n), disk.crash(n + 1_000)] {
                match after.peek(Path::new(FILE)) {
                    Ok(text) => assert_eq!(records(&text), whole, "{fault} at {n}"),
                    Err(_) => assert!(done.is_err(), "{fault} at {n}: an export was lost"),
                }
            }
            if done.is_err() && fault != "kill" {
                let left = disk.listing();
                let left: Vec<_> = left.iter().filter(|name| name.contains(".tmp-")).collect();
                assert!(
                    left.is_empty() || fault == "full",
                    "{fault} at {n}: {left:?}"
                );
            }
            if !struck {
                assert!(n > 4, "only {n} calls");
                break;
            }
        }
    }
}

#[test]
fn names_of_files_say_codec_and_format_and_are_not_overwritten() {
    let disk = with_folder();
    let state = open(&disk);
    state.fill();
    let export = |name: &str, overwrite| {
        let options = ExportOptions {
            overwrite,
            ..ExportOptions::default()
        };
        let to = ExportTo::File(Path::new(name));
        state.backups.export(to, &options, &Progress::new())
    };
    for (name, magic) in [
        ("/out/a.jsonl", &b"{\"statekeep_export\":1"[..]),
        ("/out/a.json", b"{\"header\":{"),
        ("/out/a.jsonl.zst", &[0x28, 0xb5, 0x2f, 0xfd]),
        ("/out/a.json.gz", &[0x1f, 0x8b]),
    ] {
        export(name, false).unwrap();
        let bytes = disk.peek(Path::new(name)).unwrap();
        assert!(bytes.starts_with(magic), "{name}");
        assert_eq!(records(&bytes), state.records(), "{name}");
        let report = state
            .backups
            .import(
                ImportFrom::File(Path::new(name)),
                &mode(ImportMode::Merge),
                &Progress::new(),
            )
            .unwrap();
        assert_eq!((report.unchanged, report.commits), (Some(4), 0), "{name}");
    }
    let error = export("/out/a.json", false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    state.put_json("global", "more", "1");
    export("/out/a.json", true).unwrap();
    assert_eq!(
        records(&disk.peek(Path::new("/out/a.json")).unwrap()).len(),
        5
    );
    let error = export("relative.json", false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

/// Reads a text and has the import cancelled on its way.
struct Cancelling<'a> {
    text: &'a [u8],
    at: usize,
    progress: Progress,
}

impl Read for Cancelling<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.text.len() < self.at {
            self.progress.cancel();
        }
        let most = buf.len().min(4_096);
        self.text.read(&mut buf[..most])
    }
}

#[test]
fn a_merge_that_was_stopped_says_so_and_goes_on_when_it_is_run_again() {
    let disk = SimDisk::new();
    let state = open(&disk);
    let mut text = String::new();
    for n in 0..5_000 {
        text += &format!(
            "{{\"scope\":\"user:{}\",\"key\":\"k{n}\",\"value\":{n}}}\n",
            n % 9
        );
    }
    let progress = Progress::new();
    let mut stream = Cancelling {
        text: text.as_bytes(),
        at: text.len() / 3,
        progress: progress.clone(),
    };
    let from = ImportFrom::Stream(&mut stream);
    let error = state
        .backups
        .import(from, &plain(ImportMode::Merge), &progress)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let part = state.records().len();
    assert!(part > 0 && part < 5_000, "{part}");
    let words = format!(
        "{part} records in {} commits had been imported",
        part / 1_000
    );
    assert!(error.to_string().contains(&words), "{error}");
    let again = state
        .import(text.as_bytes(), &plain(ImportMode::Merge))
        .unwrap();
    assert_eq!(again.unchanged, Some(part as u64));
    assert_eq!(again.added, Some(5_000 - part as u64));
    assert_eq!(state.records().len(), 5_000);
}

/// Lines whose tenants took turns were one commit, and one sync, each: 20,000 of them took minutes.
#[test]
fn tenants_that_take_turns_share_no_commit_and_cost_none_each_time() {
    let disk = SimDisk::new();
    let state = open(&disk);
    let mut text = String::new();
    for n in 0..6_000 {
        let tenant = ["", "acme", "globex"][n % 3];
        let key = n / 3 % 1_500;
        text += &format!(
            "{{\"tenant\":\"{tenant}\",\"scope\":\"global\",\"key\":\"k{key}\",\"value\":{n}}}\n"
        );
    }
    let report = state
        .import(text.as_bytes(), &plain(ImportMode::Merge))
        .unwrap();
    // 2,000 lines a tenant, of which 500 are of names that were there before.
    assert_eq!((report.added, report.changed), (Some(4_500), Some(1_500)));
    assert!(report.commits <= 9, "{} commits", report.commits);
    for (at, tenant) in ["", "acme", "globex"].into_iter().enumerate() {
        let tenant = state.manager.tenant(tenant).unwrap().blocking();
        for (key, last) in [(0, 4_500 + at), (1_499, 4_497 + at)] {
            let key = Key::new(&format!("k{key}")).unwrap();
            let value = tenant.get(&Scope::global(), &key).unwrap().unwrap();
            assert_eq!(value.as_bytes(), last.to_string().as_bytes());
        }
    }
}

/// A file is checked to its end before anything is written.
#[test]
fn a_file_with_a_bad_line_is_not_merged_at_all() {
    let disk = with_folder();
    let state = open(&disk);
    let mut file = disk.vfs().create(Path::new(FILE)).unwrap();
    for n in 0..3_000 {
        let line = format!("{{\"scope\":\"global\",\"key\":\"k{n}\",\"value\":1}}\n");
        file.write_all(line.as_bytes()).unwrap();
    }
    file.write_all(b"{\"scope\":\"global\"").unwrap();
    drop(file);
    let from = ImportFrom::File(Path::new(FILE));
    let error = state
        .backups
        .import(from, &plain(ImportMode::Merge), &Progress::new())
        .unwrap_err();
    assert!(
        error.to_string().contains("/out/state.jsonl, line 3001"),
        "{error}"
    );
    assert_eq!(state.manager.head().0, 0);
}

fn part(tenant: &str, scope: Option<&str>, key: Option<&str>) -> Option<Selection> {
    Some(Selection::new(Some(tenant), scope, key).unwrap())
}

#[test]
fn a_part_is_replaced_by_one_commit_and_the_rest_stays() {
    let disk = SimDisk::new();
    let state = open(&disk);
    state.fill();
    let selection = part("", Some("agent:*"), None);
    let text = state.export_with(&ExportOptions {
        selection,
        ..ExportOptions::default()
    });
    assert_eq!(records(&text).len(), 2);
    state.put_json("agent:1", "plan", "0");
    state.put_json("agent:2", "new", "1");
    state.put_json("user:1", "other", "1");
    let memory = SetOptions {
        class: Some(statekeep_core::Class::Ephemeral),
        ..SetOptions::default()
    };
    state.put("", "agent:1", "busy", Value::bytes("x"), memory);
    let dry = ImportOptions {
        dry_run: true,
        ..mode(ImportMode::Replace)
    };
    let head = state.manager.head();
    let would = state.import(&text, &dry).unwrap();
    assert_eq!((state.manager.head(), would.commits), (head, 0));
    let samples = would.samples.unwrap();
    let name = |key: &str, scope: &str| RecordName {
        tenant: String::new(),
        scope: scope.to_owned(),
        key: key.to_owned(),
    };
    assert_eq!(samples.changed, [name("plan", "agent:1")]);
    assert_eq!(samples.removed, [name("new", "agent:2")]);
    let report = state.import(&text, &mode(ImportMode::Replace)).unwrap();
    for counts in [
        [would.added, would.changed, would.unchanged, would.removed],
        [
            report.added,
            report.changed,
            report.unchanged,
            report.removed,
        ],
    ] {
        assert_eq!(counts, [Some(0), Some(1), Some(1), Some(1)]);
    }
    assert_eq!(report.sequence, Some(head.0 + 1));
    assert!(!report.times_kept);
    let keys: Vec<_> = state.records().iter().map(|r| r.key.to_string()).collect();
    assert_eq!(
        keys,
        ["../../etc/passwd", "other", "note:1", "plan", "blob"]
    );
    let tenant = state.manager.default_tenant().blocking();
    let busy = tenant.get(&"agent:1".parse().unwrap(), &Key::new("busy").unwrap());
    assert_eq!(busy.unwrap(), Some(Value::bytes("x")));
    let again = state.import(&text, &mode(ImportMode::Replace)).unwrap();
    assert_eq!((again.commits, again.unchanged), (0, Some(2)));
}

#[test]
fn what_is_too_large_for_one_commit_or_not_covered_is_refused_with_the_next_step() {
    let disk = SimDisk::new();
    let limits = Limits {
        transaction_keys_max: 3,
        ..Limits::default()
    };
    let state = open_with(&disk, limits).unwrap();
    state.fill();
    let text = state.export();
    let of = |selection| ImportOptions {
        selection,
        ..mode(ImportMode::Replace)
    };
    let error = state.import(&text, &of(part("acme", None, None)));
    assert_eq!(error.unwrap().written, 0);
    let scope = Some(Selection::new(None, Some("agent:*"), None).unwrap());
    let error = state.import(&text, &of(scope)).unwrap_err();
    assert!(error.to_string().contains("name the tenant"), "{error}");
    let narrow = state.export_with(&ExportOptions {
        selection: part("", Some("agent:1"), None),
        ..ExportOptions::default()
    });
    let error = state
        .import(&narrow, &of(part("", None, None)))
        .unwrap_err();
    assert!(error.to_string().contains("just that part"), "{error}");
    let lines: String = (0..4)
        .map(|n| format!("{{\"scope\":\"user:1\",\"key\":\"k{n}\",\"value\":1}}\n"))
        .collect();
    let options = ImportOptions {
        plain: true,
        ..of(part("", Some("user:1"), None))
    };
    let error = state.import(lines.as_bytes(), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("or merge"), "{error}");
    let error = state.import(lines.as_bytes(), &plain(ImportMode::Replace));
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("plain lines replace a part")
    );
    assert_eq!(state.manager.head().0, 4);
}

#[test]
fn expired_records_are_counted_and_of_a_name_that_comes_twice_the_last_one_counts() {
    let disk = SimDisk::new();
    let state = open(&disk);
    let text = br#"{"scope":"global","key":"old","value":1,"expires_unix_ms":1000}
{"scope":"global","key":"twice","value":1}
{"scope":"global","key":"twice","value":2,"class":"critical"}
{"tenant":"acme","scope":"global","key":"theirs","value":3}
{"scope":"global","key":"twice","value":1,"class":"critical"}
"#;
    let selection = part("", None, None);
    let options = ImportOptions {
        selection,
        principal: "ada".to_owned(),
        ..plain(ImportMode::Merge)
    };
    let report = state.import(text, &options).unwrap();
    assert_eq!(
        (report.records, report.expired, report.not_selected),
        (5, 1, 1)
    );
    let found = said(&state.records());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].value.as_bytes(), b"1");
    assert_eq!(found[0].class, Some(statekeep_core::Class::Critical));
    let tenant = state.manager.default_tenant().blocking();
    let (scope, key) = ("global".parse().unwrap(), Key::new("twice").unwrap());
    let history = tenant.history(&scope, &key, &Default::default()).unwrap();
    assert_eq!(history.versions[0].principal, "ada");
}
