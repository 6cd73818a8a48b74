//! Finds, checks and opens Statekeep plugins and adapts them to the core.
