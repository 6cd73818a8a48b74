//! `include/statekeep_plugin.h`: the plugin ABI for authors in C, from `plugin-api/src`.
//!
//! cbindgen translates types and constants; what it cannot evaluate (the magic, hook points, the
//! fingerprints) comes from the library itself, so no number is written twice.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use statekeep_plugin_api as api;
use statekeep_plugin_api::Interface;

use crate::{Failure, comments, read, status_block};

const SOURCES: [&str; 8] = [
    "types",
    "host",
    "descriptor",
    "interface",
    "compression",
    "backend",
    "retention",
    "hook",
];
const OPAQUE: [&str; 2] = ["Instance", "Cursor"];
/// Constants that cbindgen cannot evaluate; they come from the library.
const COMPUTED: [&str; 3] = ["MAGIC", "COMPRESSION_LEVEL_DEFAULT", "KINDS"];
/// `statekeep_op` is the long operation of `statekeep.h`, so the backend's operation has a longer name.
const OTHERWISE: [(&str, &str); 1] = [("Op", "statekeep_commit_op")];

/// The whole header.
pub(crate) fn generate(root: &Path) -> Result<String, Failure> {
    let mut names = BTreeMap::from([("Status".to_owned(), "statekeep_status".to_owned())]);
    let mut types = Vec::new();
    let mut points = String::new();
    let mut builder = cbindgen::Builder::new();
    for module in SOURCES {
        let file = format!("plugin-api/src/{module}.rs");
        let source = read(root, &file)?;
        builder = builder.with_src(root.join(&file));
        points.push_str(&point_constants(&source, &mut names));
        types.extend(comments::name(&source, &mut names));
    }
    names.extend(OTHERWISE.map(|(from, to)| (from.to_owned(), to.to_owned())));
    let header = builder
        .with_config(config(&names, types, &points))
        .generate()?;
    let mut text = Vec::new();
    header.write(&mut text);
    Ok(comments::rewrite(&String::from_utf8(text)?, &names))
}

fn config(names: &BTreeMap<String, String>, types: Vec<String>, points: &str) -> cbindgen::Config {
    let mut config = crate::host_header::style();
    config.header = Some(format!(
        "{INTRODUCTION}\n#ifndef STATEKEEP_PLUGIN_H\n#define STATEKEEP_PLUGIN_H"
    ));
    config.after_includes = Some(format!(
        "\n{}\n{}{points}",
        status_block::text(),
        preamble()
    ));
    config.trailer = Some(trailer());
    config.export.include = types;
    config.export.exclude = OPAQUE
        .iter()
        .chain(&COMPUTED)
        .map(|name| (*name).to_owned())
        .collect();
    config.export.renaming_overrides_prefixing = true;
    config.export.rename = names
        .iter()
        .map(|(from, to)| (from.clone(), to.clone()))
        .collect();
    config
}

/// The constants of the `points!` table, which cbindgen does not expand.
fn point_constants(source: &str, names: &mut BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut doc = "";
    let table = source
        .lines()
        .skip_while(|line| *line != "points! {")
        .skip(1);
    for line in table.take_while(|line| *line != "}").map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            doc = text;
        } else if let Some((name, bit)) = line.trim_end_matches(';').split_once(" = ") {
            names.insert(name.to_owned(), format!("STATEKEEP_{name}"));
            let _ = writeln!(
                out,
                "/** {doc} */\n#define STATEKEEP_{name} (UINT64_C(1) << {bit})"
            );
        }
    }
    out
}

fn preamble() -> String {
    let mut out = String::new();
    for name in OPAQUE {
        let name = comments::snake(name);
        let _ = writeln!(out, "typedef struct statekeep_{name} statekeep_{name};");
    }
    let _ = write!(
        out,
        "\n/** First word of a descriptor: `SKPLUGIN` in ASCII, read as a little-endian number. */\n\
         #define STATEKEEP_MAGIC UINT64_C({:#018x})\n\
         /** Level that means \"the codec's own default\". */\n\
         #define STATEKEEP_COMPRESSION_LEVEL_DEFAULT INT32_MIN\n\
         /** The symbol that every plugin library exports. */\n\
         #define STATEKEEP_ENTRY_SYMBOL \"{}\"\n\n",
        api::MAGIC,
        api::ENTRY_SYMBOL,
    );
    interface::<api::CompressionV1>(&mut out, "COMPRESSION_V1");
    interface::<api::BackendV1>(&mut out, "BACKEND_V1");
    interface::<api::RetentionV1>(&mut out, "RETENTION_V1");
    interface::<api::HookV1>(&mut out, "HOOK_V1");
    interface::<api::LogV1>(&mut out, "LOG_V1");
    interface::<api::MetricsV1>(&mut out, "METRICS_V1");
    interface::<api::ClockV1>(&mut out, "CLOCK_V1");
    out.push('\n');
    out
}

/// The id of an interface, and what its table carries in `abi_hash`.
fn interface<T: Interface>(out: &mut String, name: &str) {
    let _ = writeln!(
        out,
        "/** Id and fingerprint of the table `statekeep_{}`. */\n\
         #define STATEKEEP_{name}_ID \"{}\"\n\
         #define STATEKEEP_{name}_ABI_HASH UINT64_C({:#018x})",
        name.to_ascii_lowercase(),
        T::ID,
        T::ABI_HASH,
    );
}

fn trailer() -> String {
    let manifest = MANIFEST
        .replace("SECTION", api::manifest::SECTION)
        .replace("HEAD", api::manifest::HEAD)
        .replace("EPOCH", &api::EPOCH.to_string())
        .replace("REVISION", &api::REVISION.to_string());
    format!("{HELPERS}\n{manifest}\n#endif /* STATEKEEP_PLUGIN_H */")
}

const INTRODUCTION: &str = "\
/*
 * statekeep_plugin.h - what a Statekeep host and a plugin agree on. Generated from plugin-api/src;
 * do not edit.
 *
 * A plugin library exports one function, statekeep_plugin_entry_1, which returns a static
 * descriptor; everything else is asked for by id. Interface tables are frozen: fill in struct_size
 * with sizeof and abi_hash with the table's STATEKEEP_*_ABI_HASH. Nobody frees the other's memory;
 * inputs are valid for the call; outputs are written only on success. docs/abi.md says the rest.
 */";

const HELPERS: &str = r#"
/** Bytes of a string literal, as an initializer. */
#define STATEKEEP_BYTES(literal) {(const uint8_t *)("" literal), sizeof(literal) - 1}

#if defined(__GNUC__)
#define STATEKEEP_PLUGIN_EXPORT __attribute__((visibility("default")))
#else
#define STATEKEEP_PLUGIN_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif
/** `[any-thread]` The one symbol that a plugin library exports; write this function. The descriptor
 * is static for the life of the process. */
STATEKEEP_PLUGIN_EXPORT const statekeep_descriptor *statekeep_plugin_entry_1(void);
#ifdef __cplusplus
}
#endif
"#;

const MANIFEST: &str = r#"/** Emits the manifest, from which hosts learn what a plugin is without running it. Write it once, at
 * file scope, with the strings of the descriptor and one to four interface ids:
 *
 *     STATEKEEP_PLUGIN_MANIFEST("org.example.rle", "1.0.0", "MIT", STATEKEEP_COMPRESSION_V1_ID);
 */
#define STATEKEEP_PLUGIN_MANIFEST(id, version, license, ...)                                       \
  __attribute__((section("SECTION"), used)) static const char statekeep_plugin_manifest[] =     \
      "HEAD\0epoch=EPOCH\0revision=REVISION\0id=" id "\0version=" version                     \
      "\0license=" license STATEKEEP_MANIFEST_IDS_(__VA_ARGS__)
#define STATEKEEP_MANIFEST_IDS_(...)                                                               \
  STATEKEEP_MANIFEST_PICK_(__VA_ARGS__, STATEKEEP_MANIFEST_4_, STATEKEEP_MANIFEST_3_,              \
                           STATEKEEP_MANIFEST_2_, STATEKEEP_MANIFEST_1_, 0)(__VA_ARGS__)
#define STATEKEEP_MANIFEST_PICK_(a, b, c, d, pick, ...) pick
#define STATEKEEP_MANIFEST_1_(a) "\0interface=" a
#define STATEKEEP_MANIFEST_2_(a, b) STATEKEEP_MANIFEST_1_(a) STATEKEEP_MANIFEST_1_(b)
#define STATEKEEP_MANIFEST_3_(a, b, c) STATEKEEP_MANIFEST_2_(a, b) STATEKEEP_MANIFEST_1_(c)
#define STATEKEEP_MANIFEST_4_(a, b, c, d) STATEKEEP_MANIFEST_3_(a, b, c) STATEKEEP_MANIFEST_1_(d)
"#;
