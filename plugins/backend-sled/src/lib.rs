//! Statekeep backend plugin: sled.
