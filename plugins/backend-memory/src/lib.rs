//! Statekeep backend plugin: memory.
