//! The status codes as one guarded C block that stands, word for word, in both headers.

use std::fmt::Write;

use statekeep_plugin_api::status::TABLE;

/// `statekeep_status` and its constants; including it twice is harmless.
pub(crate) fn text() -> String {
    let mut out = String::from(
        "#ifndef STATEKEEP_STATUS_DEFINED\n\
         #define STATEKEEP_STATUS_DEFINED\n\
         /** The outcome of a call: 0 OK, positive for expected outcomes, negative for errors. Numbers are\n\
         \x20* never reused; treat one you do not know as a failure. */\n\
         typedef int32_t statekeep_status;\n",
    );
    for entry in TABLE {
        let number = if entry.value < 0 {
            format!("({})", entry.value)
        } else {
            entry.value.to_string()
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "/** {} */\n#define STATEKEEP_STATUS_{} {number}",
            entry.doc.trim(),
            entry.name,
        );
    }
    out.push_str("#endif /* STATEKEEP_STATUS_DEFINED */\n");
    out
}
