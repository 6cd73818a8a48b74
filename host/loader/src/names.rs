//! Plugin ids and the names that users write for them.

use crate::{LoadError, Result};

/// Longest plugin id.
pub(crate) const ID_BYTES_MAX: usize = 128;
const STANDARD: &str = "statekeep.";

/// Whether this can be a plugin's id: `statekeep.NAME` or reverse-DNS, so at least one dot between
/// parts that are not empty.
pub(crate) fn is_id(id: &str) -> bool {
    is_name(id) && id.contains('.') && id.split('.').all(|part| !part.is_empty())
}

/// The id behind a name: `zstd` stands for `statekeep.zstd`; a name with a dot is an id.
pub(crate) fn resolve(name: &str) -> Result<String> {
    let id = if name.contains('.') {
        name.to_owned()
    } else {
        format!("{STANDARD}{name}")
    };
    if is_name(name) && is_id(&id) && id.len() <= ID_BYTES_MAX {
        Ok(id)
    } else {
        Err(LoadError::BadName {
            name: name.chars().take(ID_BYTES_MAX).collect(),
        })
    }
}

/// The name that users write for an id.
pub(crate) fn short(id: &str) -> &str {
    id.strip_prefix(STANDARD).unwrap_or(id)
}

/// Whether this can be an interface's id: `NAME/NUMBER`, or with `-draft` at its end.
pub(crate) fn is_interface(id: &str) -> bool {
    let Some((name, version)) = id.split_once('/') else {
        return false;
    };
    let number = version.strip_suffix("-draft").unwrap_or(version);
    is_name(name)
        && id.len() <= ID_BYTES_MAX
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the interface is not settled yet.
pub(crate) fn is_draft(interface: &str) -> bool {
    interface.ends_with("-draft")
}

/// The kind an interface belongs to, as users name it; `None` for one that this host does not use.
pub(crate) fn kind(interface: &str) -> Option<&'static str> {
    statekeep_plugin_api::KINDS
        .iter()
        .find(|(_, id)| *id == interface)
        .map(|(kind, _)| *kind)
}

/// What users call a plugin with this interface.
pub(crate) fn noun(interface: Option<&str>) -> &'static str {
    match interface.and_then(kind) {
        Some("compression") => "codec",
        Some("backend") => "backend",
        Some("retention") => "policy",
        Some("hook") => "hook",
        _ => "plugin",
    }
}

/// Whether the text is a semantic version (semver.org, 2.0.0), by its shape.
pub(crate) fn is_version(text: &str) -> bool {
    let is_number = |part: &str| {
        !part.is_empty()
            && part.len() <= 10
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
    };
    let is_label = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
    };
    let (rest, build) = text
        .split_once('+')
        .map_or((text, None), |(a, b)| (a, Some(b)));
    let (core, pre) = rest
        .split_once('-')
        .map_or((rest, None), |(a, b)| (a, Some(b)));
    text.len() <= 64
        && core.split('.').count() == 3
        && core.split('.').all(is_number)
        && build.is_none_or(is_label)
        && pre.is_none_or(is_label)
}

fn is_name(name: &str) -> bool {
    name.len() <= ID_BYTES_MAX
        && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve_and_paths_are_no_names() {
        assert_eq!(resolve("zstd").unwrap(), "statekeep.zstd");
        assert_eq!(resolve("org.example.log").unwrap(), "org.example.log");
        assert_eq!(short("statekeep.zstd"), "zstd");
        assert_eq!(short("org.example.log"), "org.example.log");
        for bad in [
            "", "/etc/x", "../x", "a..b", ".x", "x.", "X", "libx.so/", "1a", "a b",
        ] {
            assert!(resolve(bad).is_err(), "{bad}");
        }
        assert!(resolve(&"a".repeat(129)).is_err());
        assert!(
            resolve(&"a".repeat(120)).is_err(),
            "too long with its prefix"
        );
    }

    #[test]
    fn versions_and_interfaces_have_a_shape() {
        for good in ["1.0.0", "0.1.0-rc.1", "1.2.3+build.5", "10.20.30"] {
            assert!(is_version(good), "{good}");
        }
        for bad in [
            "", "1", "1.0", "v1.0.0", "1.0.0-", "01.0.0", "1.0.0.0", "1.0.x",
        ] {
            assert!(!is_version(bad), "{bad}");
        }
        assert!(is_interface("statekeep.backend/1"));
        assert!(is_interface("statekeep.stats/1-draft"));
        assert!(is_draft("statekeep.stats/1-draft"));
        for bad in [
            "statekeep.backend",
            "statekeep.backend/",
            "x/1a",
            "/1",
            "x/1-draft2",
        ] {
            assert!(!is_interface(bad), "{bad}");
        }
        assert_eq!(kind("statekeep.backend/1"), Some("backend"));
    }
}
