//! Statekeep: one StateManager for state, backup and migration, over plugins.
