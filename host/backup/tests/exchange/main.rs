//! Export and import: what goes out comes back in, byte for byte.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod hostile;
mod moments;
mod support;
mod ways;

use proptest::prelude::*;
use statekeep_backup::{
    CreateOptions, ExportFormat, ExportFrom, ExportOptions, ImportMode, Progress,
};
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{Class, Expiry, SetOptions, UnixMs, Value};

use support::{in_format, mode, open, records, said};

/// JSON as programs write it, and as they should not.
fn json_texts() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "-0".to_owned(),
        "1e400".to_owned(),
        "-0.0E+00".to_owned(),
        "18446744073709551617.000000000000000000001".to_owned(),
        r#""\ud800""#.to_owned(),
        r#""\u0000\/\b""#.to_owned(),
        r#"{"a":1,"a":{"a":2}}"#.to_owned(),
        r#"{"":[],"\u0061":null}"#.to_owned(),
        " \t{\r\n\"a\" :\n[ ]}\n".to_owned(),
        "\"\u{2028}\u{feff}é\"".to_owned(),
        format!("{}{}", "[".repeat(128), "]".repeat(128)),
        r#"{"statekeep_export_end":1,"records":0}"#.to_owned(),
    ]);
    let leaf = prop_oneof![
        odd,
        any::<f64>()
            .prop_filter("a number", |n| n.is_finite())
            .prop_map(|n| n.to_string()),
        ".{0,8}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    prop_oneof![
        leaf.clone(),
        (prop::collection::vec(leaf, 0..3), "[ \t\n\r]{0,2}")
            .prop_map(|(items, space)| format!("{space}[{}]", items.join(&format!(",{space}"))))
            .prop_filter("not too deep", |text| Value::json(text.as_str()).is_ok()),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => json_texts().prop_map(|text| Value::json(text).unwrap()),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::bytes),
        1 => (0_usize..5_000).prop_map(|n| Value::bytes("long ".repeat(n))),
    ]
}

fn options() -> impl Strategy<Value = SetOptions> {
    let class = prop::sample::select(vec![
        None,
        Some(Class::Critical),
        Some(Class::Bulk),
        Some(Class::Archive),
    ]);
    let expires = prop::option::weighted(0.2, 4_000_000_000_000_i64..i64::MAX);
    (class, expires).prop_map(|(class, expires)| SetOptions {
        durability: None,
        expires: expires.map(|at| Expiry::At(UnixMs(at))),
        class,
    })
}

const TENANTS: [&str; 4] = ["", "acme", "b\"\\\n", "zürich"];
const SCOPES: [&str; 5] = [
    "global",
    "user:a/b",
    r"step:w\/x\\/s",
    "custom:\u{1}é\"",
    "tool:*",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Into an empty state, a replacement gives equal rows, and a merge equal values.
    #[test]
    fn what_goes_out_comes_back_in(
        rows in prop::collection::vec(
            (0..TENANTS.len(), 0..SCOPES.len(), "[ -~é\n]{1,6}", values(), options()), 0..20),
        document in any::<bool>(),
        codec in prop::sample::select(vec![None, Some("zstd"), Some("gzip")]),
    ) {
        let (from, replaced, merged) = (SimDisk::new(), SimDisk::new(), SimDisk::new());
        let (from, replaced, merged) = (open(&from), open(&replaced), open(&merged));
        for (tenant, scope, key, value, how) in rows {
            from.put(TENANTS[tenant], SCOPES[scope], &key, value, how);
        }
        let format = match document {
            true => ExportFormat::Json,
            false => ExportFormat::JsonLines,
        };
        let codec = codec.map(str::to_owned);
        let text = from.export_with(&ExportOptions { codec, ..in_format(format) });
        let before = from.records();
        prop_assert_eq!(&records(&text), &before);

        let report = replaced.import(&text, &mode(ImportMode::Replace)).unwrap();
        prop_assert_eq!(report.written, before.len() as u64);
        prop_assert!(report.times_kept);
        prop_assert_eq!(&replaced.records(), &before);
        statekeep_core::check::check_consistency(&replaced.manager).unwrap();

        let dry = statekeep_backup::ImportOptions { dry_run: true, ..mode(ImportMode::Merge) };
        let dry = merged.import(&text, &dry).unwrap();
        let report = merged.import(&text, &mode(ImportMode::Merge)).unwrap();
        prop_assert_eq!(report.added, Some(before.len() as u64));
        prop_assert_eq!((dry.added, dry.changed), (report.added, report.changed));
        // Tenants may have other numbers, so their order may differ.
        let sorted = |mut records: Vec<statekeep_backup::TextRecord>| {
            records.sort_by(|a, b| (&a.tenant, &a.scope, &a.key).cmp(&(&b.tenant, &b.scope, &b.key)));
            records
        };
        prop_assert_eq!(sorted(said(&merged.records())), sorted(said(&before)));
        let again = merged.import(&text, &mode(ImportMode::Merge)).unwrap();
        prop_assert_eq!((again.written, again.commits), (0, 0));
        prop_assert_eq!(again.unchanged, Some(before.len() as u64));
    }
}

#[test]
fn a_backup_and_the_past_are_exported_as_they_were() {
    let disk = SimDisk::new();
    let state = open(&disk);
    state.fill();
    let then = state.records();
    let id = state
        .backups
        .create(&CreateOptions::default(), &Progress::new())
        .unwrap()
        .id;
    let sequence = state.manager.head();
    state.put_json("agent:1", "plan", "\"ruined\"");
    state.put_json("agent:1", "more", "1");
    assert_ne!(state.records(), then);
    for from in [ExportFrom::Backup(id), ExportFrom::Sequence(sequence)] {
        let options = ExportOptions {
            from,
            ..ExportOptions::default()
        };
        let text = state.export_with(&options);
        assert_eq!(records(&text), then, "{from:?}");
        let header = text.split(|byte| *byte == b'\n').next().unwrap();
        let header: serde_json::Value = serde_json::from_slice(header).unwrap();
        assert_eq!(header["statekeep_export"], 1);
        assert_eq!(header["sequence"], sequence.0);
        assert_eq!(header["state"], state.manager.state_id());
        let backup = match from {
            ExportFrom::Backup(id) => serde_json::Value::from(id.to_string()),
            _ => serde_json::Value::Null,
        };
        assert_eq!(header["backup"], backup);
    }
}

/// The footer's hash is what `head -n -1 | sha256sum` prints, and lines are what the format says.
#[test]
fn the_text_is_what_the_format_says() {
    use sha2::{Digest as _, Sha256};
    let disk = SimDisk::new();
    let state = open(&disk);
    state.fill();
    let text = String::from_utf8(state.export()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 6);
    assert!(lines[1].starts_with(r#"{"scope":"global","key":"../../etc/passwd","sequence":3,"#));
    assert!(lines[1].ends_with(r#","value":null}"#));
    assert!(
        lines[2].ends_with(r#","text":"[\n  1\n]\n"}"#),
        "{}",
        lines[2]
    );
    assert!(lines[3].ends_with(r#","value":{"step": 1.50, "step": 2}}"#));
    assert!(lines[4].starts_with(r#"{"tenant":"acme","scope":"user:ä/\"","key":"blob","#));
    assert!(lines[4].ends_with(r#","base64":"/wD+"}"#));
    let head: String = lines[..5].iter().map(|line| format!("{line}\n")).collect();
    let hash: String = Sha256::digest(head)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(
        lines[5],
        format!(r#"{{"statekeep_export_end":1,"records":4,"sha256":"{hash}"}}"#)
    );
    let document = state.export_with(&in_format(ExportFormat::Json));
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["records"].as_array().unwrap().len(), 4);
    assert_eq!(document["records"][0]["key"], "../../etc/passwd");
}
