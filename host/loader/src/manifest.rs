//! The manifest of a plugin: what it says of itself, read from its file and running none of it.

use std::path::{Path, PathBuf};

use statekeep_plugin_api::{EPOCH, manifest};

use crate::elf::Library;
use crate::{LIBRARY_BYTES_MAX, LoadError, Result, names, trust};

/// Most interfaces that a manifest lists.
const INTERFACES_MAX: usize = 64;
/// Longest value of a line.
const VALUE_BYTES_MAX: usize = 1024;

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Manifest {
    /// ABI epoch it was built for.
    pub epoch: u32,
    /// ABI revision it was built for.
    pub revision: u32,
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// SPDX licence expression.
    pub license: String,
    /// Ids of the interfaces that it offers.
    pub interfaces: Vec<String>,
}

impl Manifest {
    /// The kinds this host knows among the interfaces: `backend`, `compression`, ...
    pub fn kinds(&self) -> Vec<&'static str> {
        self.interfaces
            .iter()
            .filter_map(|id| names::kind(id))
            .collect()
    }

    /// Refuses another epoch than ours.
    pub(crate) fn check_epoch(&self, path: &Path) -> Result<()> {
        if self.epoch == EPOCH {
            return Ok(());
        }
        let plugin = path.display().to_string();
        Err(LoadError::WrongEpoch {
            plugin,
            found: self.epoch,
            ours: EPOCH,
        })
    }
}

/// Reads the manifest of a library; runs no code of it and trusts nothing it says.
pub fn inspect(path: &Path) -> Result<Manifest> {
    let bytes = trust::read_untrusted(path, "LIBRARY_BYTES_MAX", LIBRARY_BYTES_MAX)?;
    of_library(&Library::parse(path, &bytes)?, path)
}

/// The manifest of a parsed library.
pub(crate) fn of_library(library: &Library<'_>, path: &Path) -> Result<Manifest> {
    let section = library
        .section(manifest::SECTION)?
        .ok_or_else(|| LoadError::NoManifest {
            path: path.to_owned(),
        })?;
    parse(section).map_err(|reason| LoadError::BadManifest {
        path: path.to_owned(),
        reason,
    })
}

fn parse(section: &[u8]) -> Result<Manifest, String> {
    if section.len() > manifest::BYTES_MAX {
        return Err(format!(
            "{} bytes, at most {} are read",
            section.len(),
            manifest::BYTES_MAX
        ));
    }
    let text = std::str::from_utf8(section).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut lines = text.split('\0').filter(|line| !line.is_empty());
    if lines.next() != Some(manifest::HEAD) {
        return Err(format!("it does not start with `{}`", manifest::HEAD));
    }
    let mut fields = Fields::default();
    for line in lines {
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| format!("the line `{}` has no `=`", cut(line)))?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(format!(
                "`{}` is longer than {VALUE_BYTES_MAX} bytes",
                cut(name)
            ));
        }
        fields.add(name, value)?;
    }
    fields.finish()
}

#[derive(Default)]
struct Fields {
    epoch: Option<String>,
    revision: Option<String>,
    id: Option<String>,
    version: Option<String>,
    license: Option<String>,
    interfaces: Vec<String>,
}

impl Fields {
    fn add(&mut self, name: &str, value: &str) -> Result<(), String> {
        let field = match name {
            "epoch" => &mut self.epoch,
            "revision" => &mut self.revision,
            "id" => &mut self.id,
            "version" => &mut self.version,
            "license" => &mut self.license,
            "interface" => return self.add_interface(value),
            // Two manifests in one file: two plugins were linked into one library.
            "statekeep_plugin" => return Err("it holds two manifests".to_owned()),
            _ => return Ok(()),
        };
        match field.replace(value.to_owned()) {
            None => Ok(()),
            Some(_) => Err(format!("`{name}` stands twice")),
        }
    }

    fn add_interface(&mut self, id: &str) -> Result<(), String> {
        if !names::is_interface(id) {
            return Err(format!("`{}` is no interface id", cut(id)));
        }
        if self.interfaces.iter().any(|known| known == id) {
            return Err(format!("interface `{id}` stands twice"));
        }
        if self.interfaces.len() == INTERFACES_MAX {
            return Err(format!("more than {INTERFACES_MAX} interfaces"));
        }
        self.interfaces.push(id.to_owned());
        Ok(())
    }

    fn finish(self) -> Result<Manifest, String> {
        fn need(value: Option<String>, name: &str) -> Result<String, String> {
            value.ok_or_else(|| format!("`{name}` is missing"))
        }
        fn number(value: Option<String>, name: &str) -> Result<u32, String> {
            let value = need(value, name)?;
            value
                .parse()
                .map_err(|_| format!("{name} `{}` is no number", cut(&value)))
        }
        let id = need(self.id, "id")?;
        let version = need(self.version, "version")?;
        if !names::is_id(&id) {
            return Err(format!("`{}` is no plugin id", cut(&id)));
        }
        if !names::is_version(&version) {
            return Err(format!("`{}` is no semantic version", cut(&version)));
        }
        if self.interfaces.is_empty() {
            return Err("it lists no interface".to_owned());
        }
        Ok(Manifest {
            epoch: number(self.epoch, "epoch")?,
            revision: number(self.revision, "revision")?,
            id,
            version,
            license: need(self.license, "license")?,
            interfaces: self.interfaces,
        })
    }
}

fn cut(text: &str) -> String {
    text.chars().take(80).filter(|c| !c.is_control()).collect()
}

/// The libraries of a folder: `lib*.so`, sorted by name.
pub(crate) fn libraries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_absolute() {
        return Err(LoadError::RelativeFolder {
            path: folder.to_owned(),
        });
    }
    let read = |source| trust::file_error("list", folder, source);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let name = entry.map_err(read)?.file_name();
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("lib") && name.ends_with(".so"))
        {
            found.push(folder.join(name));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "statekeep_plugin=1\0epoch=1\0revision=0\0id=org.example.x\0\
        version=1.0.0\0license=MIT\0interface=statekeep.hook/1\0colour=blue\0";

    #[test]
    fn a_manifest_is_read_and_unknown_names_are_ignored() {
        let manifest = parse(GOOD.as_bytes()).unwrap();
        assert_eq!(manifest.id, "org.example.x");
        assert_eq!(manifest.interfaces, ["statekeep.hook/1"]);
        assert_eq!(manifest.kinds(), ["hook"]);
    }

    #[test]
    fn a_bad_manifest_says_what_is_bad() {
        let cases = [
            (
                GOOD.replace("statekeep_plugin=1\0", ""),
                "does not start with",
            ),
            (GOOD.replace("id=org.example.x", "id=../x"), "no plugin id"),
            (GOOD.replace("id=org.example.x\0", ""), "`id` is missing"),
            (
                GOOD.replace("epoch=1", "epoch=one"),
                "epoch `one` is no number",
            ),
            (
                GOOD.replace("version=1.0.0", "version=1"),
                "no semantic version",
            ),
            (
                GOOD.replace("interface=statekeep.hook/1\0", ""),
                "lists no interface",
            ),
            (GOOD.replace("colour=blue", "colour"), "has no `=`"),
            (format!("{GOOD}{GOOD}"), "two manifests"),
            (format!("{GOOD}id=org.example.y\0"), "`id` stands twice"),
            ("x".repeat(20_000), "at most 16384 are read"),
        ];
        for (text, expected) in cases {
            let reason = parse(text.as_bytes()).unwrap_err();
            assert!(
                reason.contains(expected),
                "{reason} should contain {expected}"
            );
        }
    }
}
