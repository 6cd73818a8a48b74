//! The conformance suite of codecs.
//!
//! A codec passes by a test of a few lines:
//!
//! ```ignore
//! #[test]
//! fn conforms() {
//!     testkit::codec::run(&testkit::codec::Subject::new(my_codec::descriptor()));
//! }
//! ```

mod bomb;
mod frames;
mod raw;
mod sizes;
mod tools;

use statekeep_plugin_api::Descriptor;

pub use bomb::{BOMB_CHILD, bomb};
pub use frames::{concurrent_use, corrupted, random_input, trailing_garbage, truncated};
pub use raw::RawCodec;
pub use sizes::{
    bound_holds, create_failure_leaves_nothing, levels_are_clamped, round_trip, short_destination,
    two_instances,
};
pub use tools::{agrees_with_tool, has_tool};

use crate::{Check, Failure, Report, report::checks};

/// The codec under test.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The plugin.
    pub descriptor: &'static Descriptor,
    /// The `options` of its configuration, a JSON object.
    pub options_json: String,
    /// Whether its frames carry a checksum, so that any damage to the content is found.
    pub has_checksum: bool,
}

impl Subject {
    /// A codec with default options whose frames carry a checksum.
    pub fn new(descriptor: &'static Descriptor) -> Subject {
        Subject {
            descriptor,
            options_json: "{}".to_owned(),
            has_checksum: true,
        }
    }

    /// The same with options, a JSON object.
    #[must_use]
    pub fn options(mut self, options_json: &str) -> Subject {
        options_json.clone_into(&mut self.options_json);
        self
    }

    /// The same for a format without a checksum: damage may go unnoticed, but does no harm.
    #[must_use]
    pub fn without_checksum(mut self) -> Subject {
        self.has_checksum = false;
        self
    }

    /// An instance.
    ///
    /// # Errors
    /// What `create` answered.
    pub fn open(&self) -> Result<RawCodec, Failure> {
        RawCodec::open(self)
    }
}

/// Every check of a codec.
pub const CHECKS: &[Check<Subject>] = checks![
    create_failure_leaves_nothing,
    round_trip,
    bound_holds,
    levels_are_clamped,
    short_destination,
    truncated,
    corrupted,
    random_input,
    trailing_garbage,
    bomb,
    concurrent_use,
    two_instances,
];

/// Runs every check.
///
/// `bomb` starts the test executable again for the calling test, so call it on the test's own thread.
pub fn report(subject: &Subject) -> Report {
    if bomb::is_child() {
        return Report::of(subject, checks![bomb]);
    }
    Report::of(subject, CHECKS)
}

/// Runs every check and panics with the names of those that failed.
#[track_caller]
pub fn run(subject: &Subject) {
    report(subject).assert_clean();
}
