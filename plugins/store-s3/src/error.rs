//! What the server or the way to it reports, in our words and without secrets.

use std::error::Error as _;

use object_store::Error as Remote;
use statekeep_core::{Error, ErrorKind};

/// Our error for one of the object store's; `secrets` are cut out of its text.
pub(crate) fn remote(action: &str, what: &str, secrets: &[String], error: &Remote) -> Error {
    let kind = match error {
        Remote::NotFound { .. } => ErrorKind::NotFound,
        Remote::AlreadyExists { .. } | Remote::Precondition { .. } => ErrorKind::AlreadyExists,
        Remote::PermissionDenied { .. } | Remote::Unauthenticated { .. } => {
            ErrorKind::PermissionDenied
        }
        Remote::NotSupported { .. } | Remote::NotImplemented { .. } => ErrorKind::Unsupported,
        Remote::UnknownConfigurationKey { .. } | Remote::InvalidPath { .. } => {
            ErrorKind::InvalidArgument
        }
        _ => ErrorKind::Unavailable,
    };
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    for secret in secrets {
        text = text.replace(secret.as_str(), "***");
    }
    Error::other(kind, format!("cannot {action} {what}: {text}"))
}
