//! The one table of every configuration key: type, range, default, unit and description.
//!
//! TOML, JSON, environment, `set`, `config show` and `docs/configuration.md` are all made from it.
//! A key that is not here does not exist.

use super::schema::{Key, Kind};

const fn key(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    unit: &'static str,
    about: &'static str,
) -> Key {
    Key {
        name,
        kind,
        default,
        unset: "",
        unit,
        about,
    }
}

const fn unset(name: &'static str, kind: Kind, unset: &'static str, about: &'static str) -> Key {
    Key {
        name,
        kind,
        default: None,
        unset,
        unit: "",
        about,
    }
}

/// Every key, in the order in which it is shown.
pub const KEYS: &[Key] = &[
    unset(
        "path",
        Kind::Path,
        "must be set before a state is opened",
        "The state directory: everything of one state, and by default its backups.",
    ),
    key(
        "backend",
        Kind::Name,
        Some("fjall"),
        "",
        "The backend plugin that stores a new state: `fjall`, `sled`, `redb`, `lmdb`, \
         `sqlite`, `memory` (lost when closed) or the name of a plugin in `plugins.paths`.",
    ),
    key(
        "backend_options",
        Kind::Table,
        Some("{}"),
        "",
        "Settings of the backend itself; its documentation lists them. Paths in it are not made \
         relative to the file.",
    ),
    key(
        "create",
        Kind::Bool,
        Some("true"),
        "",
        "Whether opening creates a state that is not there yet.",
    ),
    key(
        "durability",
        Kind::Choice(&["sync", "relaxed"]),
        Some("sync"),
        "",
        "How safe a change is when it is acknowledged: `sync` is on stable storage, `relaxed` is \
         there within `flush_interval_ms`.",
    ),
    key(
        "flush_interval_ms",
        Kind::Integer {
            min: 1,
            max: 60_000,
        },
        Some("100"),
        "milliseconds",
        "The longest time a relaxed change waits before it is synced.",
    ),
    key(
        "cache_bytes",
        Kind::Integer {
            min: 0,
            max: 1 << 40,
        },
        Some("67108864"),
        "bytes",
        "The most bytes of hot values that are kept in memory; 0 for none.",
    ),
    key(
        "archive_codec",
        Kind::Name,
        Some("zstd"),
        "",
        "The compression plugin that packs values of class `archive`.",
    ),
    key(
        "upkeep_interval_ms",
        Kind::Integer {
            min: 0,
            max: 86_400_000,
        },
        Some("60000"),
        "milliseconds",
        "How often expired values are removed and the past is trimmed; 0 for only when asked.",
    ),
    key(
        "rules",
        Kind::Rules,
        Some("[]"),
        "",
        "What holds for the keys of a pattern: `tenant`, `scope` and `key` are globs, `class`, \
         `ttl_ms` and `history` (`age_ms`, `versions`, `bytes`) what they give; each from the first \
         rule that matches and states it. Where `history` has forgotten a version of one key, \
         reading that key as of then answers `compacted`, and so does every list, scan, query or \
         difference as of then that meets it, up to that of the whole tenant.",
    ),
    key(
        "limits.value_bytes_max",
        Kind::Integer {
            min: 1,
            max: 1 << 30,
        },
        Some("16777216"),
        "bytes",
        "The longest value.",
    ),
    key(
        "limits.batch_ops_max",
        Kind::Integer {
            min: 1,
            max: 1_000_000,
        },
        Some("10000"),
        "changes",
        "The most changes in one batch.",
    ),
    key(
        "limits.batch_bytes_max",
        Kind::Integer {
            min: 1,
            max: 1 << 31,
        },
        Some("67108864"),
        "bytes",
        "The most bytes of keys and values in one batch.",
    ),
    key(
        "limits.page_keys_max",
        Kind::Integer {
            min: 1,
            max: 1_000_000,
        },
        Some("10000"),
        "keys",
        "The most keys that one page of a listing holds, or one call reads.",
    ),
    key(
        "limits.page_bytes_max",
        Kind::Integer {
            min: 1,
            max: 1 << 31,
        },
        Some("8388608"),
        "bytes",
        "The bytes of values after which a page ends early.",
    ),
    key(
        "limits.scope_keys_max",
        Kind::Integer {
            min: 1,
            max: 10_000_000,
        },
        Some("100000"),
        "keys",
        "The most keys that one clear, copy or move of a scope may touch.",
    ),
    key(
        "limits.scope_bytes_max",
        Kind::Integer {
            min: 1,
            max: 1 << 32,
        },
        Some("268435456"),
        "bytes",
        "The most bytes of keys and records that one clear, copy or move of a scope may touch.",
    ),
    key(
        "limits.queue_bytes_max",
        Kind::Integer {
            min: 1,
            max: 1 << 32,
        },
        Some("268435456"),
        "bytes",
        "The most bytes of changes that may wait to be committed.",
    ),
    key(
        "limits.queue_commits_max",
        Kind::Integer {
            min: 1,
            max: 1_000_000,
        },
        Some("65536"),
        "commits",
        "The most commits that may wait.",
    ),
    key(
        "limits.ephemeral_bytes_max",
        Kind::Integer {
            min: 0,
            max: 1 << 36,
        },
        Some("268435456"),
        "bytes",
        "The most bytes of values of class `ephemeral`, which are kept in memory only.",
    ),
    key(
        "limits.transaction_keys_max",
        Kind::Integer {
            min: 1,
            max: 1_000_000,
        },
        Some("10000"),
        "keys",
        "The most keys and ranges that one transaction may read or write.",
    ),
    key(
        "limits.transaction_bytes_max",
        Kind::Integer {
            min: 1,
            max: 1 << 31,
        },
        Some("67108864"),
        "bytes",
        "The most bytes of keys and values that one transaction may hold.",
    ),
    key(
        "limits.transaction_age_ms_max",
        Kind::Integer {
            min: 1,
            max: 86_400_000,
        },
        Some("60000"),
        "milliseconds",
        "The longest life of a transaction; a later commit of it is refused.",
    ),
    key(
        "limits.query_bytes_max",
        Kind::Integer {
            min: 1,
            max: 1 << 32,
        },
        Some("67108864"),
        "bytes",
        "The most bytes of rows that one query may hold to put them in order.",
    ),
    key(
        "keep.age_ms",
        Kind::Integer {
            min: 0,
            max: 1 << 52,
        },
        Some("2592000000"),
        "milliseconds",
        "How long the past can be read: older commits are forgotten, unless a snapshot, a backup or a cursor needs them. 0 keeps everything; the default is 30 days.",
    ),
    key(
        "keep.commits",
        Kind::Integer {
            min: 0,
            max: 1 << 52,
        },
        Some("0"),
        "commits",
        "The most commits whose past can be read; 0 for any number.",
    ),
    unset(
        "backup.dir",
        Kind::Path,
        "`backups` in the state directory",
        "The backup repository; created by the first backup. A folder, or `s3://BUCKET/PREFIX` in a \
         build with the feature `s3`.",
    ),
    key(
        "backup.codec",
        Kind::Name,
        Some("zstd"),
        "",
        "The compression plugin that packs backups: `zstd`, `lz4`, `gzip`, `brotli`, \
         `none` to store them raw, or the name of a plugin in `plugins.paths`.",
    ),
    unset(
        "backup.level",
        Kind::Integer {
            min: statekeep_backup::LEVEL_MIN as i64,
            max: statekeep_backup::LEVEL_MAX as i64,
        },
        "the codec's own default",
        "The compression level; each codec has its own range within this one.",
    ),
    unset(
        "backup.threads",
        Kind::Integer { min: 1, max: 16 },
        "two, or one on a single processor",
        "How many threads pack a backup.",
    ),
    key(
        "backup.cores_free",
        Kind::Integer { min: 0, max: 1024 },
        Some("1"),
        "processors",
        "So many processors are left to others by the threads that make, verify, compare and export \
         backups, where the process may use more than that (Linux). 0 makes backups faster and commits \
         beside them slower; the command line, which commits nothing meanwhile, takes 0 unless it is set.",
    ),
    unset(
        "backup.s3.endpoint",
        Kind::Text,
        "`AWS_ENDPOINT_URL`, else AWS",
        "The server of an S3-compatible store, such as `https://s3.example.com`.",
    ),
    unset(
        "backup.s3.region",
        Kind::Name,
        "`AWS_REGION`, else `us-east-1`",
        "The region of the bucket.",
    ),
    unset(
        "backup.s3.access_key_id",
        Kind::Text,
        "`AWS_ACCESS_KEY_ID`, else what the machine offers",
        "The name of the access key.",
    ),
    unset(
        "backup.s3.secret_access_key",
        Kind::Secret,
        "`AWS_SECRET_ACCESS_KEY`",
        "The access key. Never shown; better set in the environment than in a file.",
    ),
    unset(
        "backup.s3.session_token",
        Kind::Secret,
        "`AWS_SESSION_TOKEN`",
        "The token of temporary credentials. Never shown.",
    ),
    key(
        "backup.s3.allow_http",
        Kind::Bool,
        Some("false"),
        "",
        "Reach the server by `http:` too, where everybody on the way reads and changes what is sent.",
    ),
    unset(
        "backup.encryption.passphrase_file",
        Kind::Path,
        "no passphrase",
        "A file whose one line is the passphrase of the backup repository. With a passphrase or a key \
         file, a repository that the first backup makes is encrypted, and one that is not is refused.",
    ),
    unset(
        "backup.encryption.passphrase",
        Kind::Secret,
        "no passphrase",
        "The passphrase itself, for programs that get it elsewhere. Never shown; better in a file or the \
         environment than in the configuration.",
    ),
    unset(
        "backup.encryption.key_file",
        Kind::Path,
        "no key file",
        "A file of 32 random bytes, or their 64 hexadecimal digits, that opens the backup repository in \
         place of a passphrase.",
    ),
    key(
        "backup.incremental_enabled",
        Kind::Bool,
        Some("false"),
        "",
        "Backups hold only what changed since the last one, unless asked for otherwise. Where that \
         cannot be, a backup is a full one and says why.",
    ),
    key(
        "backup.history",
        Kind::Bool,
        Some("false"),
        "",
        "Backups hold the past that the state keeps, so that any point of it can be restored, \
         unless asked for otherwise.",
    ),
    key(
        "backup.chain_max",
        Kind::Integer {
            min: 1,
            max: statekeep_backup::CHAIN_MAX as i64,
        },
        Some("30"),
        "backups",
        "The most incremental backups on one full; before the next one they are merged into a synthetic \
         full, without reading the state.",
    ),
    key(
        "backup.hold_ms",
        Kind::Integer {
            min: 0,
            max: 1 << 52,
        },
        Some("604800000"),
        "milliseconds",
        "How long the past that the next incremental backup needs is kept whatever `keep` says; 0 \
         for not at all. Longer than the time between two backups, or each becomes a full one.",
    ),
    unset(
        "backup.every",
        Kind::Span {
            min_ms: statekeep_backup::EVERY_MS_MIN,
            max_ms: statekeep_backup::SPAN_MS_MAX,
        },
        "no backup is made at an interval",
        "While the state is open, a backup is made when the newest one is that old, by whomever it \
         was made; after a time without, one at once.",
    ),
    unset(
        "backup.daily_at",
        Kind::TimeOfDay,
        "no backup is made at a time of the day",
        "While the state is open, a backup is made at that time of each day; one that was missed, \
         at once. Not beside `backup.every`.",
    ),
    unset(
        "backup.time_zone",
        Kind::TimeZone,
        "the system's",
        "The zone of `backup.daily_at`. Where the clocks skip that time it is met as long after, \
         where they show it twice the first time.",
    ),
    unset(
        "backup.full_backup_interval",
        Kind::Span {
            min_ms: statekeep_backup::EVERY_MS_MIN,
            max_ms: statekeep_backup::SPAN_MS_MAX,
        },
        "only `backup.chain_max` asks for full ones",
        "Of scheduled backups that are incremental: the next one is a full one when the newest full \
         one is that old.",
    ),
    key(
        "backup.jitter",
        Kind::Span {
            min_ms: 0,
            max_ms: statekeep_backup::JITTER_MS_MAX,
        },
        Some("60s"),
        "",
        "Scheduled backups and cleanups begin up to that much later, each state by another amount, so \
         that many do not begin at once; at most a tenth of `backup.every` or `retention.every`.",
    ),
    key(
        "backup.bytes_per_second_max",
        Kind::Integer {
            min: 0,
            max: 1 << 40,
        },
        Some("0"),
        "bytes",
        "The most bytes a second that making a backup writes into the repository, or verifying one \
         reads from it, unless asked for otherwise; 0 for no limit.",
    ),
    unset(
        "backup.max_backups",
        Kind::Integer {
            min: 0,
            max: 1_000_000,
        },
        "any number of backups stays",
        "The newest so many backups stay, beside those that no policy may forget, such as the newest \
         one and what is pinned; older ones are deleted after each backup. Those made before a restore \
         are not counted.",
    ),
    unset(
        "backup.max_backup_age",
        Kind::Span {
            min_ms: 0,
            max_ms: statekeep_backup::SPAN_MS_MAX,
        },
        "backups of any age stay",
        "Older backups are deleted after each backup, but for those that no policy may forget.",
    ),
    key(
        "retention.policies",
        Kind::Policies,
        Some("[]"),
        "",
        "Which backups stay: the built-in policies `count`, `age`, `calendar`, `size` and \
         `importance`, or those of plugins. [retention.md](retention.md)",
    ),
    key(
        "retention.mode",
        Kind::Choice(&["any", "all"]),
        Some("any"),
        "",
        "A backup stays when `any` of the policies keeps it, or only when `all` do that have an \
         opinion.",
    ),
    key(
        "retention.automatic",
        Kind::Bool,
        Some("true"),
        "",
        "A cleanup follows each backup that is made while policies are configured.",
    ),
    unset(
        "retention.every",
        Kind::Span {
            min_ms: statekeep_backup::EVERY_MS_MIN,
            max_ms: statekeep_backup::SPAN_MS_MAX,
        },
        "no cleanup is made at an interval",
        "While the state is open, a cleanup is made when the last one that was scheduled is that old; \
         after a time without, one at once. Without policies it only removes what was deleted longer ago \
         than its grace.",
    ),
    unset(
        "retention.daily_at",
        Kind::TimeOfDay,
        "no cleanup is made at a time of the day",
        "While the state is open, a cleanup is made at that time of each day, in \
         `retention.time_zone`; one that was missed, at once. Not beside `retention.every`.",
    ),
    key(
        "retention.state",
        Kind::Bool,
        Some("false"),
        "",
        "Cleanups remove of the state itself what has expired and what `keep` and the `history` of \
         `rules` do not keep, and report it; else only the upkeep does.",
    ),
    key(
        "retention.grace",
        Kind::Span {
            min_ms: 0,
            max_ms: statekeep_backup::SPAN_MS_MAX,
        },
        Some("7d"),
        "",
        "How long a backup that a cleanup deleted can be undeleted; then it is removed.",
    ),
    key(
        "retention.safety_grace",
        Kind::Span {
            min_ms: 0,
            max_ms: statekeep_backup::SPAN_MS_MAX,
        },
        Some("7d"),
        "",
        "How long no policy may forget a backup that was made before a restore.",
    ),
    key(
        "retention.policy_timeout",
        Kind::Span {
            min_ms: 1,
            max_ms: 86_400_000,
        },
        Some("10s"),
        "",
        "How long a policy may take for an answer. One that takes longer fails the cleanup, which \
         deletes nothing then, and is not asked again until it is back.",
    ),
    unset(
        "retention.time_zone",
        Kind::TimeZone,
        "UTC",
        "The zone of the policies' calendars and of `retention.daily_at`.",
    ),
    Key {
        unit: "bytes",
        ..unset(
            "retention.storage_bytes_max",
            Kind::Integer {
                min: 1,
                max: 1 << 52,
            },
            "any number of bytes",
            "How many bytes the repository may have, for the policy `size`, which forgets the oldest \
         backups beyond, and for alerts.",
        )
    },
    key(
        "alerts.interval",
        Kind::Span {
            min_ms: 0,
            max_ms: 86_400_000,
        },
        Some("1m"),
        "",
        "How often it is looked whether an alert holds, beside after each backup, cleanup, verification \
         and restore; `0` for only when asked. [monitoring.md](monitoring.md)",
    ),
    key(
        "alerts.storage_percent",
        Kind::Integer { min: 0, max: 100 },
        Some("90"),
        "percent",
        "The alert `storage_limit_near` holds from that part of `retention.storage_bytes_max` on, and is \
         critical from all of it; 0 for never.",
    ),
    key(
        "alerts.disk_percent",
        Kind::Integer { min: 0, max: 100 },
        Some("90"),
        "percent",
        "The alert `disk_nearly_full` holds while a disk of the state or of a local repository is that \
         full; 0 for never.",
    ),
    key(
        "alerts.limit_within",
        Kind::Span {
            min_ms: 0,
            max_ms: statekeep_backup::SPAN_MS_MAX,
        },
        Some("7d"),
        "",
        "Both alerts hold also when the limit or the end of the disk is that near by the forecast of \
         growth; `0` for not.",
    ),
    unset(
        "alerts.backup_age",
        Kind::Span {
            min_ms: 0,
            max_ms: statekeep_backup::SPAN_MS_MAX,
        },
        "two hours more than from one scheduled backup to the next; without a schedule, never",
        "The alert `no_backup` holds when the newest backup is older, and is critical at twice that age; \
         `0` for never.",
    ),
    key(
        "alerts.verified_age",
        Kind::Span {
            min_ms: 0,
            max_ms: statekeep_backup::SPAN_MS_MAX,
        },
        Some("8d"),
        "",
        "The alert `no_verified_backup` holds when there are backups and none was read and found good for \
         that long; `0` for never.",
    ),
    key(
        "alerts.restore_test_age",
        Kind::Span {
            min_ms: 0,
            max_ms: statekeep_backup::SPAN_MS_MAX,
        },
        Some("32d"),
        "",
        "The alert `restore_drill_overdue` holds when there are backups and no restore was tried for that \
         long; `0` for never.",
    ),
    unset(
        "alerts.chain_length",
        Kind::Integer {
            min: 0,
            max: statekeep_backup::CHAIN_MAX as i64,
        },
        "`backup.chain_max`",
        "The alert `chain_too_long` holds when more incremental backups stand on one full; 0 for never.",
    ),
    key(
        "plugins.paths",
        Kind::Paths,
        Some(""),
        "",
        "Folders where plugin libraries are looked for, in this order, after the built-in plugins.",
    ),
    unset(
        "plugins.lock",
        Kind::Path,
        "no file: only built-in plugins load, unless `plugins.allow_unlisted`",
        "The `plugins.lock` file that lists the SHA-256 of each library that may be loaded.",
    ),
    key(
        "plugins.allow_unlisted",
        Kind::Bool,
        Some("false"),
        "",
        "Load libraries that `plugins.lock` does not list. For development only: a library runs \
         with all rights of the process.",
    ),
    key(
        "plugins.deepbind",
        Kind::Bool,
        Some("false"),
        "",
        "Load plugins with RTLD_DEEPBIND, so that each prefers its own copies of shared symbols.",
    ),
];
