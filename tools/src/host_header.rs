//! `include/statekeep.h`: the C ABI of `libstatekeep`, from `ffi/src`; and its list of symbols.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use statekeep_plugin_api as api;

use crate::{Failure, comments, read, status_block};

/// Files with exported functions, in the order of the header.
const SOURCES: [&str; 31] = [
    "version",
    "status",
    "error",
    "buf",
    "config",
    "manager",
    "kv",
    "batch",
    "scan",
    "scope",
    "snapshot",
    "history",
    "atomic",
    "txn",
    "transact",
    "watch",
    "op",
    "query",
    "upkeep",
    "swap",
    "metrics",
    "backup",
    "cleanup",
    "events",
    "monitor",
    "policy",
    "retention",
    "repository",
    "exchange",
    "plugin",
    "log",
];
const OTHERWISE: [(&str, &str); 1] = [("ProgressInfo", "statekeep_progress")];

/// What both headers share: language, layout, comments.
pub(crate) fn style() -> cbindgen::Config {
    cbindgen::Config {
        language: cbindgen::Language::C,
        style: cbindgen::Style::Both,
        no_includes: true,
        sys_includes: vec!["stddef.h".into(), "stdint.h".into()],
        usize_is_size_t: true,
        documentation_style: cbindgen::DocumentationStyle::Doxy,
        tab_width: 2,
        line_length: 100,
        ..cbindgen::Config::default()
    }
}

/// The whole header.
pub(crate) fn generate(root: &Path) -> Result<String, Failure> {
    let mut names = BTreeMap::from([("Status".to_owned(), "statekeep_status".to_owned())]);
    let (mut opaque, mut types, mut exclude) = (String::new(), Vec::new(), Vec::new());
    let mut builder = cbindgen::Builder::new();
    for module in SOURCES {
        let file = format!("ffi/src/{module}.rs");
        let source = read(root, &file)?;
        builder = builder.with_src(root.join(&file));
        types.extend(comments::name(&source, &mut names));
        for (name, doc) in opaque_types(&source) {
            let name_c = comments::snake(name);
            // Writing to a String cannot fail.
            let _ = writeln!(
                opaque,
                "/** {doc} */\ntypedef struct statekeep_{name_c} statekeep_{name_c};"
            );
            exclude.push(name.to_owned());
        }
    }
    names.extend(OTHERWISE.map(|(from, to)| (from.to_owned(), to.to_owned())));
    let mut config = style();
    config.header = Some(format!(
        "{INTRODUCTION}\n#ifndef STATEKEEP_H\n#define STATEKEEP_H"
    ));
    config.after_includes = Some(format!(
        "\n{}\n{}\n{opaque}\n{}",
        status_block::text(),
        version(root)?,
        shared()
    ));
    config.trailer = Some(format!("{INITIALIZERS}\n#endif /* STATEKEEP_H */"));
    config.cpp_compat = true;
    config.export.include = types;
    config.export.exclude = exclude;
    config.export.renaming_overrides_prefixing = true;
    config.export.rename = names
        .iter()
        .map(|(from, to)| (from.clone(), to.clone()))
        .collect();
    let mut text = Vec::new();
    builder.with_config(config).generate()?.write(&mut text);
    Ok(comments::rewrite(&String::from_utf8(text)?, &names))
}

/// The opaque types of a source with the first line of their documentation.
fn opaque_types(source: &str) -> Vec<(&str, &str)> {
    let lines: Vec<&str> = source.lines().collect();
    let windows = lines
        .windows(4)
        .filter(|window| window[3].trim().starts_with("_opaque:"));
    let named = windows.filter_map(|window| {
        let name = window[2]
            .strip_prefix("pub struct ")?
            .trim_end_matches(" {");
        Some((name, window[0].trim_start_matches("/// ")))
    });
    named.collect()
}

/// The version macros, from the workspace's version.
fn version(root: &Path) -> Result<String, Failure> {
    let manifest = read(root, "Cargo.toml")?;
    let section = manifest
        .split("[workspace.package]")
        .nth(1)
        .unwrap_or_default();
    let line = section
        .lines()
        .find_map(|line| line.strip_prefix("version = \""));
    let version = line
        .ok_or("the workspace has no version")?
        .trim_end_matches('"');
    Ok(format!(
        "/** Version of this header, see `statekeep_version`. */\n\
         #define STATEKEEP_VERSION \"{version}\"\n"
    ))
}

/// Constants that both headers define with the same words.
fn shared() -> String {
    let rows = [
        (
            "Kind of value: a JSON document, UTF-8.",
            "VALUE_JSON",
            api::VALUE_JSON,
        ),
        ("Kind of value: raw bytes.", "VALUE_BYTES", api::VALUE_BYTES),
        (
            "Durability: on stable storage when the call returns.",
            "DURABILITY_SYNC",
            api::DURABILITY_SYNC,
        ),
        (
            "Durability: handed to the operating system; on stable storage within `flush_interval_ms`.",
            "DURABILITY_RELAXED",
            api::DURABILITY_RELAXED,
        ),
        (
            "Kind of backup: everything.",
            "BACKUP_FULL",
            api::BACKUP_FULL,
        ),
        (
            "Kind of backup: what changed since its parent.",
            "BACKUP_INCREMENTAL",
            api::BACKUP_INCREMENTAL,
        ),
        (
            "Kind of backup: a full merged from a chain.",
            "BACKUP_SYNTHETIC",
            api::BACKUP_SYNTHETIC,
        ),
        (
            "Backup flag: never forget.",
            "BACKUP_PINNED",
            api::BACKUP_PINNED,
        ),
        (
            "Backup flag: its last verify was good.",
            "BACKUP_VERIFIED",
            api::BACKUP_VERIFIED,
        ),
        (
            "Backup flag: a restore or verify is reading it.",
            "BACKUP_IN_USE",
            api::BACKUP_IN_USE,
        ),
        (
            "Backup flag: made by the host before a restore.",
            "BACKUP_SAFETY",
            api::BACKUP_SAFETY,
        ),
        (
            "Verdict: no opinion; an abstention is not a vote.",
            "VERDICT_ABSTAIN",
            api::VERDICT_ABSTAIN,
        ),
        (
            "Verdict: the backup stays.",
            "VERDICT_KEEP",
            api::VERDICT_KEEP,
        ),
        (
            "Verdict: the backup may go.",
            "VERDICT_FORGET",
            api::VERDICT_FORGET,
        ),
    ];
    let mut out = String::new();
    for (doc, name, number) in rows {
        let _ = writeln!(out, "/** {doc} */\n#define STATEKEEP_{name} {number}");
    }
    out
}

/// The functions that a header declares, one a line, sorted: the whole export list.
pub(crate) fn symbols(header: &str) -> String {
    let mut found = BTreeSet::new();
    let code = header
        .lines()
        .filter(|line| !line.trim_start().starts_with(['*', '/', '#']));
    for line in code {
        let call = line.split('(').next().unwrap_or_default();
        let name = call.rsplit([' ', '*']).next().unwrap_or_default();
        if line.contains('(') && name.starts_with("statekeep_") {
            found.insert(name);
        }
    }
    found.into_iter().map(|name| format!("{name}\n")).collect()
}

const INTRODUCTION: &str = "\
/*
 * statekeep.h - the C ABI of libstatekeep. Generated from ffi/src; do not edit.
 *
 * Names are statekeep_<noun>_<verb>. Arguments come in this order: handle, inputs, outputs, error.
 * Text and bytes go in as pointer and length, borrowed for the call; text is UTF-8 and not NUL-ended;
 * a pointer may be NULL when its length is 0. Outputs are zeroed first and written only on OK.
 *
 * Every function that can fail returns a statekeep_status. `err`, always last, may be NULL; else it
 * receives an error object on failure, which the caller frees with statekeep_error_free; there is no
 * last error of a thread. NOT_FOUND for a missing key, PENDING, BUFFER_TOO_SMALL and the TIMEOUT of a
 * watch make no object.
 *
 * Handles are opaque. What _new, _open and _start give is ended once by _free or _close, which accept
 * NULL; a handle that was ended before is answered with CLOSED, one that never was with
 * INVALID_ARGUMENT. Functions are tagged [any-thread], [one-thread-at-a-time] (per handle) or
 * [not-in-callback]. After a fork, the child gets FORKED from every call that returns a status and
 * touches a state or handle; errors can still be read.
 */";

const INITIALIZERS: &str = r"
/** Options that mean every key of the scope. */
#define STATEKEEP_SCAN_OPTIONS_INIT {sizeof(statekeep_scan_options), NULL, 0, NULL, 0, NULL, 0, 0, 0, 0}
/** Options that mean as configured. */
#define STATEKEEP_SET_OPTIONS_INIT {sizeof(statekeep_set_options), 0, 0, 0, 0}
/** A progress to be filled in. */
#define STATEKEEP_PROGRESS_INIT {sizeof(statekeep_progress), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
/** A policy without a name and a function yet. */
#define STATEKEEP_POLICY_INIT {sizeof(statekeep_policy), NULL, 0, NULL, NULL, NULL}
/** A backup to be filled in. */
#define STATEKEEP_POLICY_BACKUP_INIT \
  {sizeof(statekeep_policy_backup), NULL, 0, NULL, 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
/** Circumstances to be filled in. */
#define STATEKEEP_POLICY_CONTEXT_INIT {sizeof(statekeep_policy_context), 0, 0, 0, NULL, 0, NULL, 0}
";
