//! `include/statekeep.h`: the C ABI of `libstatekeep`, from `ffi/src`.

use std::path::Path;

use crate::Failure;

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
pub(crate) fn generate(_root: &Path) -> Result<String, Failure> {
    Ok(String::new())
}

/// The functions that a header declares, one a line, sorted.
pub(crate) fn symbols(_header: &str) -> String {
    String::new()
}
