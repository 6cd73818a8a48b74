//! Safe traits and export_plugin! for Statekeep plugin authors.
