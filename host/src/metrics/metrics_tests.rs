//! The table, its page, and the text of a state that was used.

use std::collections::BTreeSet;
use std::path::Path;

use super::text::name_and_unit;
use super::*;
use crate::{
    Config, CreateOptions, Key, Progress, Scope, SetOptions, Start, TrimOptions, Value,
    WatchOptions,
};

/// Metrics that have samples only where a plugin reports figures of its own, which no built-in one
/// does, and where there are backups of several days.
const EMPTY: [&str; 3] = [
    "statekeep_plugin_counter_total",
    "statekeep_plugin_gauge",
    "statekeep_forecast_limit_seconds",
];

fn open(dir: &Path) -> std::sync::Arc<Host> {
    let mut config = Config::new(dir.join("state"));
    config.set("upkeep_interval_ms", "0").unwrap();
    config.set("backup.every", "1h").unwrap();
    config.set("retention.every", "1h").unwrap();
    config.set("backup.max_backups", "5").unwrap();
    config
        .set("retention.storage_bytes_max", "1000000")
        .unwrap();
    crate::open_unscheduled(&config).unwrap()
}

fn scope() -> Scope {
    "agent:1".parse().unwrap()
}

/// Everything that has a metric happens once at least.
fn use_it(host: &Host) {
    let state = host.manager.default_tenant().blocking();
    let key = Key::new("plan").unwrap();
    for value in ["1", "2"] {
        let value = Value::json(value).unwrap();
        state
            .set(&scope(), &key, value, SetOptions::default())
            .unwrap();
    }
    for _ in 0..4 {
        state.get(&scope(), &key).unwrap();
    }
    host.manager.trim(&TrimOptions::default()).unwrap();
    let (options, progress) = (CreateOptions::default(), Progress::default());
    let made = host.backups.create(&options, &progress).unwrap();
    let level = crate::VerifyLevel::RestoreTest;
    assert!(
        host.backups
            .verify(made.id, level, &progress)
            .unwrap()
            .is_valid
    );
}

/// The lines of a metric's samples, without the name and the state's id.
fn lines(text: &str, name: &str, state_id: &str) -> Vec<String> {
    let start = format!("{name}{{state_id=\"{state_id}\"");
    let own = text.lines().filter_map(|line| line.strip_prefix(&start));
    own.map(|rest| rest.trim_start_matches([',', '}', ' ']).to_owned())
        .collect()
}

fn reference() -> String {
    let mut page = "| name | kind | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for family in TABLE {
        let labels: Vec<_> = family
            .labels
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let kind = format!("{:?}", family.kind).to_lowercase();
        let (name, labels) = (family.name, labels.join(", "));
        page += &format!("| `{name}` | {kind} | {labels} | {} |\n", family.help);
    }
    page
}

#[test]
fn the_page_has_the_table() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let (head, rest) = page.split_once("| name | kind |").unwrap();
    let tail = rest.split_once("\n\n").unwrap().1;
    let wanted = format!("{head}{}\n{tail}", reference());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &wanted).unwrap();
        return;
    }
    let advice = "make it anew: UPDATE_DOCS=1 cargo test -p statekeep metrics";
    assert!(page == wanted, "{advice}");
}

#[test]
fn names_follow_the_conventions() {
    let mut seen = BTreeSet::new();
    for family in Metrics::new(String::new()).families() {
        let name = family.name;
        assert!(seen.insert(name), "{name} twice");
        assert!(name.starts_with("statekeep_"), "{name}");
        let is_counter = family.kind == Kind::Counter;
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
        let (stem, unit) = name_and_unit(family);
        for word in [
            "_ms", "_ns", "_us", "_seconds", "_bytes", "_total", "_count", "_sum",
        ] {
            assert!(!stem.ends_with(word), "{name}");
        }
        let unit = unit.map_or(String::new(), |unit| format!("_{}", unit.as_str()));
        let total = if is_counter { "_total" } else { "" };
        assert_eq!(format!("{stem}{unit}{total}"), name);
        assert!(
            family.help.ends_with('.') && !family.help.contains('\n'),
            "{name}"
        );
    }
}

#[test]
fn a_state_in_use_has_a_sample_of_every_metric_with_the_labels_of_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let host = open(dir.path());
    use_it(&host);
    let watch = host.manager.watch(&WatchOptions {
        from: Start::Cursor("indexer".into()),
        ..WatchOptions::default()
    });
    let metrics = host.metrics().unwrap();
    drop(watch);
    assert_eq!(metrics.families().len(), TABLE.len());
    let text = metrics.to_string();
    assert!(text.ends_with("# EOF\n"), "{text}");
    for (family, known) in metrics.families().iter().zip(TABLE) {
        let may_be_empty = EMPTY.contains(&family.name);
        assert_eq!(family.samples.is_empty(), may_be_empty, "{}", family.name);
        let typed = format!("# TYPE {} ", known.name.trim_end_matches("_total"));
        assert_eq!(text.matches(&typed).count(), 1, "{typed}");
        for sample in &family.samples {
            let labels: Vec<_> = sample.labels.iter().map(|(name, _)| *name).collect();
            assert_eq!(
                labels,
                [&["state_id"], known.labels].concat(),
                "{}",
                family.name
            );
        }
    }
}

#[test]
fn the_text_says_what_was_done() {
    let dir = tempfile::tempdir().unwrap();
    let host = open(dir.path());
    let id = host.manager.state_id();
    let before = host.metrics().unwrap().to_string();
    assert!(lines(&before, "statekeep_cache_hit_ratio", &id).is_empty());
    assert!(lines(&before, "statekeep_backup_newest_timestamp_seconds", &id).is_empty());
    use_it(&host);
    let text = host.metrics().unwrap().to_string();
    let of = |name| lines(&text, name, &id);
    assert_eq!(of("statekeep_cache_hits_total"), ["3"]);
    assert_eq!(of("statekeep_cache_misses_total"), ["1"]);
    assert_eq!(of("statekeep_cache_hit_ratio"), ["0.75"]);
    assert_eq!(of("statekeep_head_sequence"), ["2"]);
    assert_eq!(of("statekeep_commits_total")[0], "outcome=\"committed\"} 2");
    assert_eq!(of("statekeep_operations_total")[0], "op=\"get\"} 4");
    assert_eq!(of("statekeep_commit_seconds_count"), ["2"]);
    let ranges = |le| format!("statekeep_commit_seconds_bucket{{le=\"{le}\",state_id=\"{id}\"}} ");
    assert!(
        text.contains(&ranges("0.000005")) && text.contains(&ranges("0.25")),
        "{text}"
    );
    assert!(text.contains(&(ranges("+Inf") + "2\n")), "{text}");
    assert_eq!(of("statekeep_commit_group_size_sum"), ["2.0"]);
    assert_eq!(
        of("statekeep_backups"),
        [
            "kind=\"full\"} 1",
            "kind=\"incremental\"} 0",
            "kind=\"synthetic\"} 0"
        ]
    );
    assert_eq!(of("statekeep_backup_schedule_enabled"), ["1"]);
    assert_eq!(
        of("statekeep_backup_cleanups_total"),
        ["outcome=\"done\"} 1", "outcome=\"failed\"} 0"]
    );
    assert_eq!(of("statekeep_backup_chain_length"), ["0"]);
    let alert = "alert=\"no_verified_backup\",severity=\"warning\"} 0".to_owned();
    assert!(of("statekeep_alert").contains(&alert), "{text}");
    assert_eq!(of("statekeep_poisoned"), ["0"]);
    let info = of("statekeep_state_info").remove(0);
    assert!(
        info.contains("backend=\"fjall\"") && info.ends_with("} 1"),
        "{info}"
    );
}

#[test]
fn a_label_cannot_break_out_of_its_quotes() {
    let mut metrics = Metrics::new("id".to_owned());
    metrics.put(Metric::CursorLag, &["a\"\\\n# EOF"], 3);
    let text = metrics.to_string();
    let line = r#"statekeep_cursor_lag_commits{state_id="id",cursor="a\"\\\n# EOF"} 3"#;
    assert!(text.lines().any(|found| found == line), "{text}");
}

#[test]
fn a_family_is_one_json_object() {
    let mut metrics = Metrics::new("id".to_owned());
    metrics.put(Metric::TrimmedRows, &["journal"], 7);
    let observed = HistogramCounts {
        bounds: &[500, 1_000],
        counts: vec![1, 2, 3],
        sum: 9_000,
    };
    metrics.put_histogram(Metric::GroupSize, &observed, 1_000.0);
    let json = |metric: Metric| {
        let family = &metrics.families()[metric as usize];
        serde_json::to_value(family).unwrap()["samples"].clone()
    };
    assert_eq!(
        json(Metric::TrimmedRows),
        serde_json::json!([{"labels": {"state_id": "id", "space": "journal"}, "value": 7}])
    );
    assert_eq!(
        json(Metric::GroupSize),
        serde_json::json!([{"labels": {"state_id": "id"}, "count": 6, "sum": 9.0,
            "ranges": [[0.5, 1], [1.0, 2]]}])
    );
}

#[test]
fn a_repository_that_cannot_be_listed_is_said_and_hides_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let host = open(dir.path());
    use_it(&host);
    let manifests = host.backups.config().dir.join("man");
    std::fs::remove_dir_all(&manifests).unwrap();
    std::fs::write(&manifests, "no folder").unwrap();
    let mut metrics = host.metrics().unwrap();
    let text = metrics.to_string();
    let of = |name| lines(&text, name, &host.manager.state_id());
    assert_eq!(of("statekeep_backup_repository_readable"), ["0"]);
    assert!(of("statekeep_backups").is_empty());
    assert_eq!(of("statekeep_head_sequence"), ["2"]);
    metrics.set_poisoned();
    let text = metrics.to_string();
    assert_eq!(
        lines(&text, "statekeep_poisoned", &host.manager.state_id()),
        ["1"]
    );
    host.close().unwrap();
    assert_eq!(
        host.metrics().unwrap_err().kind(),
        statekeep_core::ErrorKind::Closed
    );
}
