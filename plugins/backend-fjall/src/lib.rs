//! Statekeep backend plugin: fjall.
