//! The conformance suite of backends.
//!
//! A backend passes by a test of a few lines:
//!
//! ```ignore
//! fn subject() -> Subject {
//!     Subject::new(my_backend::descriptor())
//! }
//! #[test]
//! fn conforms() {
//!     backend::run(&subject());
//! }
//! #[test]
//! fn survives_kill() {
//!     backend::kill_rounds(&subject(), "survives_kill");
//! }
//! ```

mod commits;
mod kill;
mod limits;
mod model;
mod raw;
mod rows;
mod scans;
mod threads;

use std::path::Path;

use statekeep_plugin_api::Descriptor;

pub use commits::{
    atomic_over_spaces, large_commit, last_operation_wins, preconditions, relaxed_then_flush,
    reopen_keeps_everything, sorted_commit, unknown_is_refused_whole,
};
pub use kill::{KILL_CHILD, kill_rounds};
pub use limits::{
    capabilities_meet_the_minimum, create_failure_leaves_nothing, limits_are_kept,
    null_outputs_are_allowed, two_instances_are_separate,
};
pub use model::random_model;
pub use raw::{Range, RawBackend, RawScan, Row};
pub use rows::{
    delete, empty_value, every_byte_in_keys, inputs_are_not_retained, large_value, long_key,
    missing_key, overwrite, sink_refusal_is_handed_on,
};
pub use scans::{
    batch_sizes, cursor_survives_commits, empty_ranges, entries_stay_until_the_next_call,
    half_open_ranges, key_order, reverse_order, snapshot_scans_see_one_instant,
    spaces_are_separate, unbounded_ranges,
};
pub use threads::readers_beside_a_writer;

use crate::{Check, Failure, Report, report::checks};

/// The backend under test.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The plugin.
    pub descriptor: &'static Descriptor,
    /// The `options` of its configuration, a JSON object.
    pub options_json: String,
}

impl Subject {
    /// A backend with default options.
    pub fn new(descriptor: &'static Descriptor) -> Subject {
        Subject {
            descriptor,
            options_json: "{}".to_owned(),
        }
    }

    /// The same with options, a JSON object.
    #[must_use]
    pub fn options(mut self, options_json: &str) -> Subject {
        options_json.clone_into(&mut self.options_json);
        self
    }

    /// An instance on an existing folder.
    ///
    /// # Errors
    /// What `create` answered.
    pub fn open(&self, directory: &Path) -> Result<RawBackend, Failure> {
        RawBackend::open(self, directory)
    }

    /// An instance on a new folder, which goes with it.
    fn fresh(&self) -> Result<Fresh, String> {
        let folder =
            tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let backend = self.open(folder.path())?;
        Ok(Fresh { backend, folder })
    }
}

/// An instance and its folder; the instance goes first.
struct Fresh {
    backend: RawBackend,
    folder: tempfile::TempDir,
}

impl std::ops::Deref for Fresh {
    type Target = RawBackend;
    fn deref(&self) -> &RawBackend {
        &self.backend
    }
}

/// Every check of a backend, but for [`kill_rounds`], which needs a process of its own.
pub const CHECKS: &[Check<Subject>] = checks![
    create_failure_leaves_nothing,
    capabilities_meet_the_minimum,
    missing_key,
    overwrite,
    delete,
    empty_value,
    long_key,
    large_value,
    every_byte_in_keys,
    inputs_are_not_retained,
    sink_refusal_is_handed_on,
    null_outputs_are_allowed,
    limits_are_kept,
    two_instances_are_separate,
    key_order,
    half_open_ranges,
    unbounded_ranges,
    empty_ranges,
    reverse_order,
    spaces_are_separate,
    batch_sizes,
    entries_stay_until_the_next_call,
    cursor_survives_commits,
    snapshot_scans_see_one_instant,
    last_operation_wins,
    atomic_over_spaces,
    large_commit,
    sorted_commit,
    unknown_is_refused_whole,
    preconditions,
    relaxed_then_flush,
    reopen_keeps_everything,
    readers_beside_a_writer,
    random_model,
];

/// Runs every check.
pub fn report(subject: &Subject) -> Report {
    Report::of(subject, CHECKS)
}

/// Runs every check and panics with the names of those that failed.
#[track_caller]
pub fn run(subject: &Subject) {
    report(subject).assert_clean();
}
