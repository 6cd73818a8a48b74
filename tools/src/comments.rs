//! Turns Rust documentation that cbindgen copied into C comments: names become the C names, links
//! become plain text. Only comment lines change.

use std::collections::BTreeMap;

/// Rewrites the names inside comments; `names` maps a Rust name to its C name.
pub(crate) fn rewrite(header: &str, names: &BTreeMap<String, String>) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(header.len());
    for line in header.lines() {
        inside |= line.trim_start().starts_with("/*");
        if inside {
            out.push_str(translate(line, names).trim_end());
        } else {
            out.push_str(line.trim_end());
        }
        inside &= !line.contains("*/");
        out.push('\n');
    }
    one_line(&out)
}

/// Brings comments of one sentence, which cbindgen writes on three lines, back to one.
fn one_line(header: &str) -> String {
    let lines: Vec<&str> = header.lines().collect();
    let mut out = String::with_capacity(header.len());
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let short = (line.trim() == "/**"
            && lines.get(at + 2).is_some_and(|end| end.trim() == "*/"))
        .then(|| lines[at + 1].trim_start().trim_start_matches("* "))
        .filter(|text| line.len() + text.len() + 4 <= LINE_MAX);
        if let Some(text) = short {
            out.push_str(line);
            out.push(' ');
            out.push_str(text);
            out.push_str(" */");
            at += 3;
        } else {
            out.push_str(line);
            at += 1;
        }
        out.push('\n');
    }
    out
}

const LINE_MAX: usize = 100;

/// Replaces each `` `Name` `` and ``[`Name`]`` by the C name, when there is one.
fn translate(line: &str, names: &BTreeMap<String, String>) -> String {
    let line = line
        .replace("[`crate::", "`")
        .replace("[`", "`")
        .replace("`]", "`")
        .replace("`u64::MAX`", "`UINT64_MAX`")
        .replace('→', "->");
    let mut out = String::new();
    for (at, part) in line.split('`').enumerate() {
        if at > 0 {
            out.push('`');
        }
        out.push_str(&if at % 2 == 1 {
            in_c(part, names)
        } else {
            part.to_owned()
        });
    }
    out
}

fn in_c(part: &str, names: &BTreeMap<String, String>) -> String {
    if let Some(known) = names.get(part) {
        return known.clone();
    }
    // `OP_*` stands for every constant that starts so.
    let family = part.strip_suffix("_*").filter(|stem| {
        let stem = format!("{stem}_");
        names.keys().any(|name| name.starts_with(&stem))
    });
    family.map_or_else(|| part.to_owned(), |stem| format!("STATEKEEP_{stem}_*"))
}

/// `CompressionV1` as `compression_v1`.
pub(crate) fn snake(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Gives the types and constants that a source declares their C names; the types.
pub(crate) fn name(source: &str, names: &mut BTreeMap<String, String>) -> Vec<String> {
    let kinds = ["pub struct ", "pub type "].into_iter();
    let types = kinds.flat_map(|kind| declared(source, kind).map(str::to_owned));
    let types: Vec<String> = types.collect();
    for name in &types {
        names.insert(name.clone(), format!("statekeep_{}", snake(name)));
    }
    for name in declared(source, "pub const ") {
        names.insert(name.to_owned(), format!("STATEKEEP_{name}"));
    }
    types
}

/// The names that follow `keyword` (such as `pub struct `) at the start of a line.
pub(crate) fn declared<'a>(source: &'a str, keyword: &'a str) -> impl Iterator<Item = &'a str> {
    source.lines().filter_map(move |line| {
        let rest = line.strip_prefix(keyword)?;
        rest.split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
    })
}
