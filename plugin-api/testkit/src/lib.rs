//! Conformance suites that any Statekeep plugin can run.
