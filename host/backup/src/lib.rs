//! The Statekeep backup repository: create, verify, restore.
