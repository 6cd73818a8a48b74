//! Names that users bring along from elsewhere: other names of keys, and those that are refused.

/// Other names of keys, as users know them from elsewhere.
pub const ALIASES: &[(&str, &str)] = &[
    ("persistence_path", "path"),
    ("backend_type", "backend"),
    ("backup.backup_dir", "backup.dir"),
    ("backup.backup_path", "backup.dir"),
    ("backup.compression_type", "backup.codec"),
    ("backup.compression_level", "backup.level"),
    ("backup.interval", "backup.every"),
    ("backup.retention_count", "backup.max_backups"),
];

/// Names that users may bring along and that are refused, with what to do instead.
pub const UNSUPPORTED: &[(&str, &str)] = &[
    (
        "backup.enabled",
        "backups can always be made; have them made with `backup.every` or `backup.daily_at`",
    ),
    (
        "backup.compression_enabled",
        "choose how backups are packed with `backup.codec`; `none` stores them raw",
    ),
    (
        "enable_compression",
        "values are stored as they are given; remove the key",
    ),
    (
        "enable_wal",
        "each backend keeps its own log; say how safe a change is with `durability`",
    ),
    (
        "sync_mode",
        "say how safe a change is with `durability`: `sync` or `relaxed`",
    ),
    (
        "cache_size_mb",
        "say how many bytes of hot values are kept in memory with `cache_bytes`",
    ),
    (
        "encryption",
        "encryption at rest is not built yet; use an encrypted file system",
    ),
    ("hooks", "hooks are not built yet; remove the section"),
];
