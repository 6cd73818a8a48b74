//! Text that was cut, changed or made to do harm: a clear error, and nothing lost.

use statekeep_backup::{ExportFormat, ImportMode, ImportOptions, Progress};
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{ErrorKind, Limits};

use crate::support::{State, gzip, in_format, mode, open, open_with, plain};

/// A state, and its text in both formats.
fn start() -> (State, [Vec<u8>; 2]) {
    let disk = SimDisk::new();
    let state = open(&disk);
    state.fill();
    let texts = [ExportFormat::JsonLines, ExportFormat::Json]
        .map(|format| state.export_with(&in_format(format)));
    (state, texts)
}

#[test]
fn text_that_was_cut_anywhere_is_refused_and_changes_nothing() {
    let (_, texts) = start();
    let disk = SimDisk::new();
    let target = open(&disk);
    target.put_json("global", "mine", "1");
    let before = target.export().len();
    for text in texts {
        // The last line feed may be missing.
        for end in 0..text.len() - 1 {
            // Most only as a dry run, which reads just as much.
            let options = ImportOptions {
                dry_run: end % 16 != 0,
                ..mode(ImportMode::Replace)
            };
            let error = target.import(&text[..end], &options).unwrap_err();
            // Also in a number, where what is left is a bad number, and before it is known whose text it is.
            assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at {end}: {error}");
        }
        let words = target.import(&text[..text.len() / 2], &mode(ImportMode::Replace));
        let words = words.unwrap_err().to_string();
        assert!(words.contains("line") || words.contains("cut"), "{words}");
    }
    assert_eq!(target.manager.head().0, 1);
    assert_eq!(target.export().len(), before);
}

#[test]
fn any_changed_byte_is_noticed() {
    let (_, texts) = start();
    let disk = SimDisk::new();
    let target = open(&disk);
    for text in texts {
        for at in 0..text.len() {
            let mut bad = text.clone();
            bad[at] ^= 1;
            let options = ImportOptions {
                dry_run: at % 16 != 0,
                ..mode(ImportMode::Replace)
            };
            let error = target.import(&bad, &options).unwrap_err();
            assert_ne!(error.kind(), ErrorKind::Internal, "byte {at}: {error}");
        }
    }
    assert_eq!(target.manager.head().0, 0);
}

#[test]
fn an_edited_count_a_foreign_version_and_more_text_are_named() {
    let (state, [text, _]) = start();
    let text = String::from_utf8(text).unwrap();
    let refused = |text: String| {
        let error = state.import(text.as_bytes(), &mode(ImportMode::Replace));
        let error = error.unwrap_err();
        (error.kind(), error.to_string())
    };
    let (kind, words) = refused(text.replace("\"records\":4", "\"records\":5"));
    assert_eq!(kind, ErrorKind::Corrupt);
    assert!(
        words.contains("5 records") && words.contains("it has 4"),
        "{words}"
    );
    let (kind, words) = refused(text.replace("{\"statekeep_export\":1", "{\"statekeep_export\":7"));
    assert_eq!(kind, ErrorKind::Incompatible);
    assert!(words.contains("format is 7"), "{words}");
    let (_, words) = refused(format!("{text}{text}"));
    assert!(words.contains("follows its footer"), "{words}");
    let (_, words) = refused("{\"scope\":\"global\",\"key\":\"a\",\"value\":1}\n".to_owned());
    assert!(words.contains("plain"), "{words}");
    assert_eq!(state.manager.head().0, 4);
}

/// Lines that no record may be, each with the words of its error.
#[test]
fn bad_lines_are_refused_with_their_number() {
    let (state, _) = start();
    let long = format!(
        r#"{{"scope":"global","key":"{}","value":1}}"#,
        "k".repeat(513)
    );
    let deep = format!(
        r#"{{"scope":"global","key":"a","value":{}{}}}"#,
        "[".repeat(129),
        "]".repeat(129)
    );
    for (line, words) in [
        (
            &b"{\"scope\":\"global\",\"key\":\"a\",\"value\":\"\xff\"}"[..],
            "invalid unicode",
        ),
        (
            b"{\"scope\":\"global\",\"key\":\"\xff\",\"value\":1}",
            "invalid unicode",
        ),
        (br#"{"scope":"global","key":"a"}"#, "exactly one"),
        (
            br#"{"scope":"global","key":"a","value":1,"text":"1"}"#,
            "exactly one",
        ),
        (
            br#"{"scope":"global","key":"a","value":1,"value":2}"#,
            "duplicate field",
        ),
        (
            br#"{"scope":"global","key":"a","value":1,"ttl":5}"#,
            "unknown field `ttl`",
        ),
        (br#"{"scope":"global","key":"a","value":01}"#, "column"),
        (br#"{"scope":"global","key":"a","base64":"a"}"#, "base64"),
        (
            br#"{"scope":"global","key":"a","text":"[1,"}"#,
            "JSON value",
        ),
        (br#"{"scope":"global","key":"","value":1}"#, "key"),
        (br#"{"scope":"global","key":"a\u0000","value":1}"#, "NUL"),
        (br#"{"scope":"nowhere:1","key":"a","value":1}"#, "scope"),
        (
            br#"{"scope":"global","key":"a","value":1,"class":"ephemeral"}"#,
            "memory only",
        ),
        (
            br#"{"scope":"global","key":"a","value":1,"schema_version":"1"}"#,
            "schema_version",
        ),
        (br#"[1]"#, "record"),
        (long.as_bytes(), "513"),
        (deep.as_bytes(), "128 deep"),
    ] {
        let good = br#"{"scope":"global","key":"good","value":1}"#;
        let text = [good, &b"\n\n"[..], line].concat();
        let error = state.import(&text, &plain(ImportMode::Merge)).unwrap_err();
        let shown = error.to_string();
        assert!(
            shown.contains("line 3: ") && shown.contains(words),
            "{words}: {shown}"
        );
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{shown}");
    }
    assert_eq!(state.manager.head().0, 4);
}

#[test]
fn a_header_that_does_not_fit_its_records_is_refused() {
    use sha2::{Digest as _, Sha256};
    let (state, [text, _]) = start();
    let text = String::from_utf8(text).unwrap();
    // As somebody would who can compute a hash.
    let forged = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.pop();
        change(&mut lines);
        let head: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let hash: String = Sha256::digest(&head)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let count = lines.len() - 1;
        let end = format!(r#"{{"statekeep_export_end":1,"records":{count},"sha256":"{hash}"}}"#);
        let error = state.import(
            format!("{head}{end}\n").as_bytes(),
            &mode(ImportMode::Replace),
        );
        error.unwrap_err().to_string()
    };
    let twice = forged(&|lines| lines.insert(2, lines[1].clone()));
    assert!(
        twice.contains("line 3") && twice.contains("does not come after"),
        "{twice}"
    );
    let order = forged(&|lines| lines.swap(2, 3));
    assert!(order.contains("line 4"), "{order}");
    let beyond = forged(&|lines| lines[1] = lines[1].replace("\"sequence\":3", "\"sequence\":99"));
    assert!(beyond.contains("commit 99"), "{beyond}");
    let huge = forged(&|lines| {
        lines[0] = lines[0].replace("\"sequence\":4", "\"sequence\":18446744073709551615");
    });
    assert!(huge.contains("beyond any"), "{huge}");
    let outside = forged(&|lines| {
        lines[0] = lines[0].replace("\"selection\":{}", r#""selection":{"tenant":""}"#);
    });
    assert!(
        outside.contains("line 5") && outside.contains("not in the part"),
        "{outside}"
    );
    let timeless = forged(&|lines| {
        let at = lines[1].find(",\"created").unwrap();
        let end = lines[1].find(",\"changed").unwrap();
        lines[1].replace_range(at..end, "");
    });
    assert!(timeless.contains("created_unix_ms"), "{timeless}");
    assert_eq!(state.manager.head().0, 4);
}

/// A line without an end, also one that a few packed bytes become, is cut off at the limit.
#[test]
fn lines_and_bombs_are_cut_off_at_their_limit() {
    let disk = SimDisk::new();
    let limits = Limits {
        value_bytes_max: 1_000,
        ..Limits::default()
    };
    let state = open_with(&disk, limits).unwrap();
    let endless = vec![b'['; 200_000];
    let header = r#"{"header":"#.as_bytes();
    let bombs = [
        gzip(&vec![b' '; 100 << 20]),
        zstd::bulk::compress(&vec![b'"'; 100 << 20], 1).unwrap(),
    ];
    for bomb in &bombs {
        assert!(bomb.len() < 2_000_000, "{}", bomb.len());
    }
    for text in [&endless, &bombs[0], &bombs[1]] {
        let error = state.import(text, &plain(ImportMode::Merge)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!(error.to_string().contains("line 1"), "{error}");
    }
    let document = [header, &vec![b'['; 1 << 20]].concat();
    let error = state
        .import(&document, &mode(ImportMode::Replace))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    let value = format!(
        r#"{{"scope":"global","key":"a","value":"{}"}}"#,
        "x".repeat(1_000)
    );
    let error = state.import(value.as_bytes(), &plain(ImportMode::Merge));
    let error = error.unwrap_err();
    assert!(
        error.to_string().contains("limits.value_bytes_max"),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn packed_text_that_is_damaged_is_refused() {
    let (state, _) = start();
    for codec in ["gzip", "zstd"] {
        let options = statekeep_backup::ExportOptions {
            codec: Some(codec.to_owned()),
            ..Default::default()
        };
        let packed = state.export_with(&options);
        for end in [1, 5, packed.len() / 2, packed.len() - 1] {
            let error = state.import(&packed[..end], &mode(ImportMode::Replace));
            let error = error.unwrap_err();
            assert!(
                [ErrorKind::Corrupt, ErrorKind::InvalidArgument].contains(&error.kind()),
                "{codec} cut at {end}: {error}"
            );
        }
    }
    let progress = Progress::new();
    progress.cancel();
    let mut text: &[u8] = b"";
    let from = statekeep_backup::ImportFrom::Stream(&mut text);
    let error = state
        .backups
        .import(from, &mode(ImportMode::Merge), &progress)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
