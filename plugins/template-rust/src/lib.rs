//! The smallest Statekeep plugin of each kind, in Rust: the first thing an author copies.
