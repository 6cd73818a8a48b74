/*
 * statekeep_plugin.h - what a Statekeep host and a plugin agree on. Generated from plugin-api/src;
 * do not edit.
 *
 * A plugin library exports one function, statekeep_plugin_entry_1, which returns a static
 * descriptor; everything else is asked for by id. Interface tables are frozen: fill in struct_size
 * with sizeof and abi_hash with the table's STATEKEEP_*_ABI_HASH. Nobody frees the other's memory;
 * inputs are valid for the call; outputs are written only on success. docs/abi.md says the rest.
 */
#ifndef STATEKEEP_PLUGIN_H
#define STATEKEEP_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifndef STATEKEEP_STATUS_DEFINED
#define STATEKEEP_STATUS_DEFINED
/** The outcome of a call: 0 OK, positive for expected outcomes, negative for errors. Numbers are
 * never reused; treat one you do not know as a failure. */
typedef int32_t statekeep_status;
/** The call did what it says. */
#define STATEKEEP_STATUS_OK 0
/** The key, backup or row is not there; no error object is made for a missing key. */
#define STATEKEEP_STATUS_NOT_FOUND 1
/** The caller's buffer is too small; the needed size is in the length. */
#define STATEKEEP_STATUS_BUFFER_TOO_SMALL 2
/** The operation has not ended within the time given; it goes on. */
#define STATEKEEP_STATUS_PENDING 3
/** An argument is NULL, malformed, out of range or of an unknown kind. */
#define STATEKEEP_STATUS_INVALID_ARGUMENT (-1)
/** This part is not built, or the plugin does not offer it. */
#define STATEKEEP_STATUS_UNSUPPORTED (-2)
/** The operating system or the storage engine reported an I/O error. */
#define STATEKEEP_STATUS_IO (-3)
/** Stored bytes are not what was written. */
#define STATEKEEP_STATUS_CORRUPT (-4)
/** A condition of the commit did not hold, or the state is open with another configuration. */
#define STATEKEEP_STATUS_CONFLICT (-5)
/** Whether the commit took place is unknown; ask again with its token. */
#define STATEKEEP_STATUS_INDETERMINATE (-6)
/** A limit was exceeded; the message names it. */
#define STATEKEEP_STATUS_TOO_LARGE (-7)
/** The service is away for the moment; nothing was applied. */
#define STATEKEEP_STATUS_UNAVAILABLE (-8)
/** Another process or operation holds it; the message names the holder. */
#define STATEKEEP_STATUS_BUSY (-9)
/** The handle was closed. */
#define STATEKEEP_STATUS_CLOSED (-10)
/** A sync or a call failed earlier; no more writes until it is opened again. */
#define STATEKEEP_STATUS_POISONED (-11)
/** A panic was stopped at the boundary; the message carries its text. */
#define STATEKEEP_STATUS_PANIC (-12)
/** Access was refused by the operating system or by a grant. */
#define STATEKEEP_STATUS_PERMISSION_DENIED (-13)
/** A hook refused the change; the message names hook and reason. */
#define STATEKEEP_STATUS_VETOED (-14)
/** A callback wrote into the state that it guards, or made a call that would wait for itself. */
#define STATEKEEP_STATUS_REENTRANT (-15)
/** The process forked after the manager was opened. */
#define STATEKEEP_STATUS_FORKED (-16)
/** The call must be made from another thread. */
#define STATEKEEP_STATUS_WRONG_THREAD (-17)
/** The past that was asked for has been trimmed. */
#define STATEKEEP_STATUS_COMPACTED (-18)
/** The operation was cancelled. */
#define STATEKEEP_STATUS_CANCELLED (-19)
/** A time limit ran out. */
#define STATEKEEP_STATUS_TIMEOUT (-20)
/** It is there already. */
#define STATEKEEP_STATUS_ALREADY_EXISTS (-21)
/** The disk or a quota is full; nothing was applied. */
#define STATEKEEP_STATUS_NO_SPACE (-22)
/** The target can only be read. */
#define STATEKEEP_STATUS_READ_ONLY (-23)
/** A format, ABI or version is not one that this build reads; the message names it. */
#define STATEKEEP_STATUS_INCOMPATIBLE (-24)
/** A plugin is missing, refused or misbehaved; the message names it. */
#define STATEKEEP_STATUS_PLUGIN (-25)
/** Memory could not be had. */
#define STATEKEEP_STATUS_OUT_OF_MEMORY (-26)
/** A fault of this library; please report it. */
#define STATEKEEP_STATUS_INTERNAL (-27)
#endif /* STATEKEEP_STATUS_DEFINED */

typedef struct statekeep_instance statekeep_instance;
typedef struct statekeep_cursor statekeep_cursor;

/** First word of a descriptor: `SKPLUGIN` in ASCII, read as a little-endian number. */
#define STATEKEEP_MAGIC UINT64_C(0x4e4947554c504b53)
/** Level that means "the codec's own default". */
#define STATEKEEP_COMPRESSION_LEVEL_DEFAULT INT32_MIN
/** The symbol that every plugin library exports. */
#define STATEKEEP_ENTRY_SYMBOL "statekeep_plugin_entry_1"

/** Id and fingerprint of the table `statekeep_compression_v1`. */
#define STATEKEEP_COMPRESSION_V1_ID "statekeep.compression/1"
#define STATEKEEP_COMPRESSION_V1_ABI_HASH UINT64_C(0x628042310d4867b7)
/** Id and fingerprint of the table `statekeep_backend_v1`. */
#define STATEKEEP_BACKEND_V1_ID "statekeep.backend/1"
#define STATEKEEP_BACKEND_V1_ABI_HASH UINT64_C(0x611bfd13060fc983)
/** Id and fingerprint of the table `statekeep_retention_v1`. */
#define STATEKEEP_RETENTION_V1_ID "statekeep.retention/1"
#define STATEKEEP_RETENTION_V1_ABI_HASH UINT64_C(0xcb0a087189839abc)
/** Id and fingerprint of the table `statekeep_hook_v1`. */
#define STATEKEEP_HOOK_V1_ID "statekeep.hook/1"
#define STATEKEEP_HOOK_V1_ABI_HASH UINT64_C(0x4c002965845bd09b)
/** Id and fingerprint of the table `statekeep_log_v1`. */
#define STATEKEEP_LOG_V1_ID "statekeep.host.log/1"
#define STATEKEEP_LOG_V1_ABI_HASH UINT64_C(0x132a0a5481ee863e)
/** Id and fingerprint of the table `statekeep_metrics_v1`. */
#define STATEKEEP_METRICS_V1_ID "statekeep.host.metrics/1"
#define STATEKEEP_METRICS_V1_ABI_HASH UINT64_C(0x7b170a48f82a757a)
/** Id and fingerprint of the table `statekeep_clock_v1`. */
#define STATEKEEP_CLOCK_V1_ID "statekeep.host.clock/1"
#define STATEKEEP_CLOCK_V1_ABI_HASH UINT64_C(0x6aec03018790c896)

/** Point: before a value is set. */
#define STATEKEEP_POINT_BEFORE_SET (UINT64_C(1) << 0)
/** Point: after a value was set. */
#define STATEKEEP_POINT_AFTER_SET (UINT64_C(1) << 1)
/** Point: before a key is deleted. */
#define STATEKEEP_POINT_BEFORE_DELETE (UINT64_C(1) << 2)
/** Point: after a key was deleted. */
#define STATEKEEP_POINT_AFTER_DELETE (UINT64_C(1) << 3)
/** Point: before a commit. */
#define STATEKEEP_POINT_BEFORE_COMMIT (UINT64_C(1) << 4)
/** Point: after a commit. */
#define STATEKEEP_POINT_AFTER_COMMIT (UINT64_C(1) << 5)
/** Point: before a backup. */
#define STATEKEEP_POINT_BEFORE_BACKUP (UINT64_C(1) << 6)
/** Point: after a backup. */
#define STATEKEEP_POINT_AFTER_BACKUP (UINT64_C(1) << 7)
/** Point: before a restore. */
#define STATEKEEP_POINT_BEFORE_RESTORE (UINT64_C(1) << 8)
/** Point: after a restore. */
#define STATEKEEP_POINT_AFTER_RESTORE (UINT64_C(1) << 9)
/** Point: before a cleanup. */
#define STATEKEEP_POINT_BEFORE_CLEANUP (UINT64_C(1) << 10)
/** Point: after a cleanup. */
#define STATEKEEP_POINT_AFTER_CLEANUP (UINT64_C(1) << 11)
/** Point: before a migration. */
#define STATEKEEP_POINT_BEFORE_MIGRATE (UINT64_C(1) << 12)
/** Point: after a migration. */
#define STATEKEEP_POINT_AFTER_MIGRATE (UINT64_C(1) << 13)
/** Point: before a plugin is loaded. */
#define STATEKEEP_POINT_BEFORE_PLUGIN_LOAD (UINT64_C(1) << 14)
/** Point: after a plugin was loaded. */
#define STATEKEEP_POINT_AFTER_PLUGIN_LOAD (UINT64_C(1) << 15)


/** ABI epoch: the shape of descriptor, host table and shared types. Other epochs are refused. */
#define STATEKEEP_EPOCH 1

/** ABI revision: which interfaces existed when the plugin was built; informative. */
#define STATEKEEP_REVISION 0

/** The space of records: key -> record. */
#define STATEKEEP_SPACE_DATA 0

/** The space of superseded records. */
#define STATEKEEP_SPACE_HISTORY 1

/** The space of the journal: sequence -> what changed. */
#define STATEKEEP_SPACE_JOURNAL 2

/** The space of secondary indexes. */
#define STATEKEEP_SPACE_INDEX 3

/** The space of the state's own facts. */
#define STATEKEEP_SPACE_META 4

/** Spaces a backend must offer: numbers 0 to `SPACE_COUNT - 1`. */
#define STATEKEEP_SPACE_COUNT 8

/**
 * Longest key that every backend takes, in bytes: what two keys in a B-tree page of 4 KiB leave.
 */
#define STATEKEEP_KEY_BYTES_NEEDED 1980

/** Operation: write the row, replacing what is there. */
#define STATEKEEP_OP_PUT 1

/** Operation: remove the row; a missing row is no error. */
#define STATEKEEP_OP_DELETE 2

/** Precondition: the row's value equals `value`. */
#define STATEKEEP_PRECONDITION_EQUALS 1

/** Precondition: there is no such row. */
#define STATEKEEP_PRECONDITION_ABSENT 2

/**
 * Durability: on stable storage, through the engine's strongest sync, before `commit` returns; so
 * is every commit that returned before this one was called.
 */
#define STATEKEEP_DURABILITY_SYNC 1

/**
 * Durability: handed to the operating system before `commit` returns (survives kill -9), on stable
 * storage after the next `flush` or sync commit. A power cut may lose the latest of these commits,
 * never one from the middle: what survives is a prefix.
 */
#define STATEKEEP_DURABILITY_RELAXED 2

/** Scan flag: from the last row to the first. */
#define STATEKEEP_SCAN_REVERSE 1

/** Scan flag: `hi` is ignored, the range has no upper end. */
#define STATEKEEP_SCAN_UNBOUNDED 2

/** Capability flag: rows outlive the process. */
#define STATEKEEP_CAPABILITY_PERSISTENT 1

/** Capability flag: `get` and scans may wait for a disk or a network; call them off event loops. */
#define STATEKEEP_CAPABILITY_BLOCKING_READS 2

/** Capability flag: preconditions are honoured atomically with the commit. */
#define STATEKEEP_CAPABILITY_PRECONDITIONS 4

/** Capability flag: several hosts may share the data; implies preconditions. */
#define STATEKEEP_CAPABILITY_SHARED 8

/** Capability flag: a scan sees one instant, that of `scan_open`. */
#define STATEKEEP_CAPABILITY_SNAPSHOT_SCANS 16

/** Kind of backup: everything. */
#define STATEKEEP_BACKUP_FULL 1

/** Kind of backup: what changed since its parent. */
#define STATEKEEP_BACKUP_INCREMENTAL 2

/** Kind of backup: a full merged from a chain. */
#define STATEKEEP_BACKUP_SYNTHETIC 3

/** Backup flag: never forget. */
#define STATEKEEP_BACKUP_PINNED 1

/** Backup flag: its last verify was good. */
#define STATEKEEP_BACKUP_VERIFIED 2

/** Backup flag: a restore or verify is reading it. */
#define STATEKEEP_BACKUP_IN_USE 4

/** Backup flag: made by the host before a restore. */
#define STATEKEEP_BACKUP_SAFETY 8

/** Verdict: no opinion; an abstention is not a vote. */
#define STATEKEEP_VERDICT_ABSTAIN 0

/** Verdict: the backup stays. */
#define STATEKEEP_VERDICT_KEEP 1

/** Verdict: the backup may go. */
#define STATEKEEP_VERDICT_FORGET 2

/** Phase: may replace the value or veto; runs first. */
#define STATEKEEP_PHASE_MUTATE 1

/** Phase: may veto. */
#define STATEKEEP_PHASE_VALIDATE 2

/** Phase: is told, after the commit; its errors never reach the writer. */
#define STATEKEEP_PHASE_OBSERVE 3

/** Kind of value: none (a delete, or not about a value). */
#define STATEKEEP_VALUE_NONE 0

/** Kind of value: a JSON document, UTF-8. */
#define STATEKEEP_VALUE_JSON 1

/** Kind of value: raw bytes. */
#define STATEKEEP_VALUE_BYTES 2

/** Borrowed bytes, valid for the call. `ptr` may be NULL when `len` is 0. */
typedef struct statekeep_bytes {
  /** First byte. */
  const uint8_t *ptr;
  /** Number of bytes. */
  size_t len;
} statekeep_bytes;

/**
 * Memory of the caller that the callee fills: at most `cap` bytes, and `len` says how many.
 *
 * When the bytes do not fit, the callee sets `len` to the size that is needed, or to 0 when it does
 * not know it, and answers `BUFFER_TOO_SMALL`; what the memory holds is then of no meaning, and
 * nothing beyond `cap` was touched. Error texts and reasons are cut at `cap` instead.
 */
typedef struct statekeep_out_buf {
  /** First byte; may be NULL when `cap` is 0. */
  uint8_t *ptr;
  /** Bytes that may be written. */
  size_t cap;
  /** Bytes that were written, or that are needed. */
  size_t len;
} statekeep_out_buf;

/** Where a callee says what went wrong; owned by the caller, passed by pointer, NULL allowed. */
typedef struct statekeep_error_out {
  /** The same status that the function returns. */
  statekeep_status status;
  /** The errno or engine code behind it, 0 when there is none. */
  int32_t os_error;
  /** UTF-8 text: what happened, to what, and what to do next; cut at the capacity. */
  struct statekeep_out_buf message;
} statekeep_error_out;

/**
 * Where a backend delivers one value: exactly one of the two functions, once, before `get` returns.
 */
typedef struct statekeep_sink {
  /** Passed back to both functions. */
  void *ctx;
  /** Copies the bytes; a status other than OK must be returned from `get` unchanged. */
  statekeep_status (*put)(void *ctx, struct statekeep_bytes value);
  /**
   * Memory of exactly `len` bytes for the backend to write the value into before it returns
   * from `get`; NULL when the host refuses the size: answer TOO_LARGE then. An empty value goes
   * through `put`.
   */
  uint8_t *(*reserve)(void *ctx, size_t len);
} statekeep_sink;

/** The host as an instance sees it; valid until its `destroy` has returned. */
typedef struct statekeep_host {
  /** `sizeof` of this struct as the host was built. */
  size_t struct_size;
  /** ABI epoch of the host. */
  uint32_t epoch;
  /** ABI revision of the host. */
  uint32_t revision;
  /** Passed back to every function of the host and of its services. */
  void *ctx;
  /** `[any-thread]` The table of a service, such as `statekeep.host.log/1`; NULL when absent. */
  const void *(*get_service)(void *ctx, struct statekeep_bytes id);
} statekeep_host;

/** `statekeep.host.log/1`: log lines go to the host's log under the plugin's id. */
typedef struct statekeep_log_v1 {
  /** `sizeof` of this struct. */
  size_t struct_size;
  /** Fingerprint of this layout. */
  uint64_t abi_hash;
  /** `[any-thread]` `level`: 1 error, 2 warn, 3 info, 4 debug, 5 trace; text is UTF-8. */
  void (*log)(void *ctx, uint32_t level, struct statekeep_bytes message);
} statekeep_log_v1;

/** `statekeep.host.metrics/1`: named figures, shown with the host's own under the plugin's id. */
typedef struct statekeep_metrics_v1 {
  /** `sizeof` of this struct. */
  size_t struct_size;
  /** Fingerprint of this layout. */
  uint64_t abi_hash;
  /** `[any-thread]` Adds to a counter. Names: `a-z 0-9 _`, 1-64 bytes; others are ignored. */
  void (*counter_add)(void *ctx, struct statekeep_bytes name, uint64_t delta);
  /** `[any-thread]` Sets a gauge. */
  void (*gauge_set)(void *ctx, struct statekeep_bytes name, double value);
} statekeep_metrics_v1;

/** `statekeep.host.clock/1`: the host's clock, which tests can steer. */
typedef struct statekeep_clock_v1 {
  /** `sizeof` of this struct. */
  size_t struct_size;
  /** Fingerprint of this layout. */
  uint64_t abi_hash;
  /** `[any-thread]` Milliseconds since 1970-01-01 UTC. */
  int64_t (*now_unix_ms)(void *ctx);
  /** `[any-thread]` Nanoseconds of a clock that never goes back. */
  uint64_t (*monotonic_ns)(void *ctx);
} statekeep_clock_v1;

/** What a plugin is and how to make instances of it. */
typedef struct statekeep_descriptor {
  /** `STATEKEEP_MAGIC`. */
  uint64_t magic;
  /** `sizeof` of this struct as the plugin was built. */
  size_t struct_size;
  /** `STATEKEEP_EPOCH`. */
  uint32_t epoch;
  /** `STATEKEEP_REVISION`. */
  uint32_t revision;
  /** `statekeep.NAME` or reverse-DNS; 1-128 bytes of `a-z 0-9 . - _`. */
  struct statekeep_bytes id;
  /** Semantic version of the plugin. */
  struct statekeep_bytes version;
  /** SPDX licence expression. */
  struct statekeep_bytes license;
  /** One line for people. */
  struct statekeep_bytes description;
  /**
   * `[any-thread]` Makes an instance from one JSON document (`docs/abi.md` lists the keys the
   * host sets). On failure nothing is left behind and `out` is not written. `host` lives until
   * `destroy` has returned.
   */
  statekeep_status (*create)(const struct statekeep_host *host,
                             struct statekeep_bytes config_json,
                             statekeep_instance **out,
                             struct statekeep_error_out *err);
  /**
   * `[any-thread]` Ends an instance, once; no call is running and none follows. Threads and
   * runtimes of the instance have stopped when it returns.
   */
  void (*destroy)(statekeep_instance *instance);
  /** `[any-thread]` The table of an interface, static; NULL when the plugin does not offer it. */
  const void *(*get_interface)(struct statekeep_bytes id);
} statekeep_descriptor;

/** Returns the library's descriptor, static for the life of the process. `[any-thread]` */
typedef const struct statekeep_descriptor *(*statekeep_entry_fn)(void);

/** The functions of a codec. */
typedef struct statekeep_compression_v1 {
  /** `sizeof` of this struct. */
  size_t struct_size;
  /** Fingerprint of this layout. */
  uint64_t abi_hash;
  /**
   * `[any-thread]` Upper bound of the compressed size of `len` bytes; `SIZE_MAX` when `len` is
   * more than the codec takes.
   */
  size_t (*bound)(const statekeep_instance *instance, size_t len);
  /**
   * `[any-thread]` Compresses `src` into `dst` as one standard frame. A capacity of `bound(len)`
   * always suffices; with less it may answer BUFFER_TOO_SMALL (`dst.len` = a size that suffices).
   * Levels out of the codec's range are clamped to it.
   */
  statekeep_status (*compress)(const statekeep_instance *instance,
                               int32_t level,
                               struct statekeep_bytes src,
                               struct statekeep_out_buf *dst,
                               struct statekeep_error_out *err);
  /**
   * `[any-thread]` Decompresses one whole frame into `dst`; never writes more than `dst.cap`
   * bytes, whatever the frame claims, and uses memory in proportion to `dst.cap`. More output
   * than fits is BUFFER_TOO_SMALL; truncated, corrupted or trailing bytes are CORRUPT.
   */
  statekeep_status (*decompress)(const statekeep_instance *instance,
                                 struct statekeep_bytes src,
                                 struct statekeep_out_buf *dst,
                                 struct statekeep_error_out *err);
} statekeep_compression_v1;

/** What a backend can do. `UINT64_MAX` in a limit means "none that matters". */
typedef struct statekeep_backend_capabilities {
  /** `STATEKEEP_CAPABILITY_*` flags; unknown bits are ignored. */
  uint64_t flags;
  /** Longest key in bytes; at least `STATEKEEP_KEY_BYTES_NEEDED`. */
  uint64_t key_bytes_max;
  /** Longest value in bytes; at least 17 MiB. */
  uint64_t value_bytes_max;
  /** Most operations in one commit. */
  uint64_t commit_ops_max;
  /** Most bytes of keys and values in one commit. */
  uint64_t commit_bytes_max;
} statekeep_backend_capabilities;

/** One change of a row. */
typedef struct statekeep_commit_op {
  /** `STATEKEEP_OP_*`; an unknown kind is UNSUPPORTED and nothing of the commit is applied. */
  uint32_t kind;
  /**
   * `STATEKEEP_SPACE_*`; a number of `STATEKEEP_SPACE_COUNT` or more is INVALID_ARGUMENT, here and everywhere.
   */
  uint32_t space;
  /** The row's key, 1 byte or more. */
  struct statekeep_bytes key;
  /** The row's value; ignored by a delete. */
  struct statekeep_bytes value;
} statekeep_commit_op;

/** One condition of a commit. */
typedef struct statekeep_precondition {
  /** `STATEKEEP_PRECONDITION_*`; an unknown kind is UNSUPPORTED. */
  uint32_t kind;
  /** `STATEKEEP_SPACE_*`. */
  uint32_t space;
  /** The row's key. */
  struct statekeep_bytes key;
  /** The expected value, for `STATEKEEP_PRECONDITION_EQUALS`. */
  struct statekeep_bytes value;
} statekeep_precondition;

/** One atomic commit: all operations over all spaces, in order, or none. */
typedef struct statekeep_commit {
  /** The operations; a later one on the same row wins. */
  const struct statekeep_commit_op *ops;
  /** Number of operations. */
  size_t ops_len;
  /** Checked before anything is applied; not empty only where the backend has the capability. */
  const struct statekeep_precondition *preconditions;
  /** Number of preconditions. */
  size_t preconditions_len;
  /** `STATEKEEP_DURABILITY_*`; an unknown one is UNSUPPORTED. */
  uint32_t durability;
  /** Reserved flags, 0; a backend answers UNSUPPORTED to any bit it does not know. */
  uint32_t flags;
  /**
   * Idempotency token, 16 bytes, unique to this commit; empty when the host does not ask for one.
   */
  struct statekeep_bytes token;
} statekeep_commit;

/** What a commit answers beside its status. */
typedef struct statekeep_commit_outcome {
  /** On OK: the backend's own number of this commit, 0 when it has none. */
  uint64_t sequence;
  /** On CONFLICT: index of the first precondition that did not hold. */
  uint64_t conflict_index;
} statekeep_commit_outcome;

/** A half-open range of keys, `lo <= key < hi`; empty when `lo >= hi`. */
typedef struct statekeep_scan_range {
  /** `STATEKEEP_SPACE_*`. */
  uint32_t space;
  /** `STATEKEEP_SCAN_*` flags; an unknown bit is UNSUPPORTED. */
  uint32_t flags;
  /** First key that belongs; empty means from the start. */
  struct statekeep_bytes lo;
  /** First key that does not belong; see `STATEKEEP_SCAN_UNBOUNDED`. */
  struct statekeep_bytes hi;
} statekeep_scan_range;

/** One row of a scan. */
typedef struct statekeep_entry {
  /** The key. */
  struct statekeep_bytes key;
  /** The value. */
  struct statekeep_bytes value;
} statekeep_entry;

/**
 * The functions of a backend.
 *
 * The host passes `create` a configuration with `directory`, an existing folder of the instance's
 * own in which it keeps everything, and `options`, the user's settings.
 */
typedef struct statekeep_backend_v1 {
  /** `sizeof` of this struct. */
  size_t struct_size;
  /** Fingerprint of this layout. */
  uint64_t abi_hash;
  /** `[any-thread]` What the backend can do; the same for the life of the instance. */
  statekeep_status (*capabilities)(const statekeep_instance *instance,
                                   struct statekeep_backend_capabilities *out,
                                   struct statekeep_error_out *err);
  /**
   * `[any-thread]` Delivers the row's value to the sink, or answers NOT_FOUND. Sees every commit
   * that returned before it was called.
   */
  statekeep_status (*get)(const statekeep_instance *instance,
                          uint32_t space,
                          struct statekeep_bytes key,
                          const struct statekeep_sink *sink,
                          struct statekeep_error_out *err);
  /**
   * `[any-thread]` Applies all or nothing, at the durability asked for. OK committed; CONFLICT,
   * TOO_LARGE, NO_SPACE, UNAVAILABLE, UNSUPPORTED, INVALID_ARGUMENT: nothing was applied;
   * INDETERMINATE: unknown; any other error: the host treats the outcome as unknown and stops
   * writing. `out` is written on OK and CONFLICT; it may be NULL.
   */
  statekeep_status (*commit)(const statekeep_instance *instance,
                             const struct statekeep_commit *commit,
                             struct statekeep_commit_outcome *out,
                             struct statekeep_error_out *err);
  /**
   * `[any-thread]` Opens a cursor. A row that exists unchanged for the whole scan is delivered
   * exactly once, in order; a row changed meanwhile appears as before or as after. Never blocks
   * commits.
   */
  statekeep_status (*scan_open)(const statekeep_instance *instance,
                                const struct statekeep_scan_range *range,
                                statekeep_cursor **out,
                                struct statekeep_error_out *err);
  /**
   * `[one-thread-at-a-time]` Fills up to `cap` (1 or more) entries, which borrow from the cursor
   * until its next call; `*n = 0` means the end. Fewer than `cap` is not the end.
   */
  statekeep_status (*scan_next)(const statekeep_instance *instance,
                                statekeep_cursor *cursor,
                                struct statekeep_entry *entries,
                                size_t cap,
                                size_t *n,
                                struct statekeep_error_out *err);
  /** `[one-thread-at-a-time]` Ends a cursor, once, before the instance is destroyed. */
  void (*scan_close)(const statekeep_instance *instance, statekeep_cursor *cursor);
  /** `[any-thread]` Returns when every commit that returned before it is on stable storage. */
  statekeep_status (*flush)(const statekeep_instance *instance, struct statekeep_error_out *err);
} statekeep_backend_v1;

/** One backup as a policy sees it. */
typedef struct statekeep_backup_info {
  /** Identifier, UTF-8. */
  struct statekeep_bytes id;
  /** Series it belongs to, UTF-8; a call sees one series. */
  struct statekeep_bytes series;
  /** Label given by the user, UTF-8, may be empty. */
  struct statekeep_bytes label;
  /** Tags, UTF-8. */
  const struct statekeep_bytes *tags;
  /** Number of tags. */
  size_t tags_len;
  /** `STATEKEEP_BACKUP_FULL`, `STATEKEEP_BACKUP_INCREMENTAL` or `STATEKEEP_BACKUP_SYNTHETIC`. */
  uint32_t kind;
  /** `STATEKEEP_BACKUP_*` flags. */
  uint32_t flags;
  /** Index of the parent in the list, -1 when it has none. */
  int64_t parent;
  /** When it was made, milliseconds since 1970-01-01 UTC. */
  int64_t created_unix_ms;
  /** The state's sequence that it holds. */
  uint64_t sequence;
  /** Records in it. */
  uint64_t records;
  /** Bytes before compression. */
  uint64_t raw_bytes;
  /** Bytes that only this backup holds in the repository. */
  uint64_t stored_bytes;
  /** How often it was restored. */
  uint64_t restores;
} statekeep_backup_info;

/** The circumstances of an evaluation. */
typedef struct statekeep_retention_context {
  /** The moment of the evaluation, milliseconds since 1970-01-01 UTC. */
  int64_t now_unix_ms;
  /** Bytes that all backups of the repository wrote, of every series, but for deleted ones. */
  uint64_t storage_bytes;
  /** Configured limit of the repository, `UINT64_MAX` when none. */
  uint64_t storage_bytes_max;
  /** IANA time zone for calendar rules, UTF-8; empty means UTC. */
  struct statekeep_bytes time_zone;
} statekeep_retention_context;

/** What a policy says about one backup. */
typedef struct statekeep_decision {
  /**
   * `STATEKEEP_VERDICT_*`; the host sets ABSTAIN before the call; an unknown one fails the evaluation.
   */
  uint32_t verdict;
  /** Among backups to forget, lower goes first. */
  int32_t priority;
  /** The reason in words, UTF-8, into memory of the host; cut at its capacity. */
  struct statekeep_out_buf reason;
} statekeep_decision;

/** The functions of a retention policy. */
typedef struct statekeep_retention_v1 {
  /** `sizeof` of this struct. */
  size_t struct_size;
  /** Fingerprint of this layout. */
  uint64_t abi_hash;
  /**
   * `[any-thread]` Writes one decision for each backup. `backups` is sorted by creation, oldest
   * first. The same input gives the same output; nothing is read from outside.
   */
  statekeep_status (*evaluate)(const statekeep_instance *instance,
                               const struct statekeep_backup_info *backups,
                               size_t backups_len,
                               const struct statekeep_retention_context *context,
                               struct statekeep_decision *decisions,
                               struct statekeep_error_out *err);
} statekeep_retention_v1;

/** What is happening. */
typedef struct statekeep_hook_event {
  /** One `STATEKEEP_POINT_*` bit. */
  uint64_t point;
  /** The commit's sequence; 0 before it has one. */
  uint64_t sequence;
  /** Milliseconds since 1970-01-01 UTC. */
  int64_t time_unix_ms;
  /** Tenant, UTF-8; empty for the default tenant. */
  struct statekeep_bytes tenant;
  /** Scope in its text form, such as `user:42`; empty when there is none. */
  struct statekeep_bytes scope;
  /** Key, UTF-8; empty when there is none. */
  struct statekeep_bytes key;
  /** `STATEKEEP_VALUE_*` kind of `value`. */
  uint32_t value_kind;
  /** `STATEKEEP_VALUE_*` kind of `old_value`. */
  uint32_t old_value_kind;
  /** The new value. */
  struct statekeep_bytes value;
  /** The value before. */
  struct statekeep_bytes old_value;
  /** Who acts, UTF-8. */
  struct statekeep_bytes principal;
  /** Correlation id, UTF-8. */
  struct statekeep_bytes correlation_id;
  /** Everything else about the point as one JSON object; empty when there is nothing. */
  struct statekeep_bytes detail_json;
} statekeep_hook_event;

/** How a hook answers; saying nothing means "continue". Valid during the call. */
typedef struct statekeep_hook_reply {
  /** Passed back to both functions. */
  void *ctx;
  /** Refuses the change; the reason is UTF-8 and is copied. */
  statekeep_status (*veto)(void *ctx, struct statekeep_bytes reason);
  /** Replaces the value by one of the same kind, which is copied; mutate phase only. */
  statekeep_status (*replace)(void *ctx, struct statekeep_bytes value);
} statekeep_hook_reply;

/** The functions of a hook. */
typedef struct statekeep_hook_v1 {
  /** `sizeof` of this struct. */
  size_t struct_size;
  /** Fingerprint of this layout. */
  uint64_t abi_hash;
  /**
   * `[any-thread]` The `STATEKEEP_POINT_*` bits it wants to be called at; the same for its life.
   */
  uint64_t (*points)(const statekeep_instance *instance);
  /** `[any-thread]` Its `STATEKEEP_PHASE_*`; the same for its life. */
  uint32_t (*phase)(const statekeep_instance *instance);
  /**
   * `[any-thread]` Called at a point. It may read the state it guards; writing into it answers
   * REENTRANT. OK also after a veto, which is told through the reply. An error stops the change
   * in the mutate and validate phases.
   */
  statekeep_status (*call)(const statekeep_instance *instance,
                           const struct statekeep_hook_event *event,
                           const struct statekeep_hook_reply *reply,
                           struct statekeep_error_out *err);
} statekeep_hook_v1;


/** Bytes of a string literal, as an initializer. */
#define STATEKEEP_BYTES(literal) {(const uint8_t *)("" literal), sizeof(literal) - 1}

#if defined(__GNUC__)
#define STATEKEEP_PLUGIN_EXPORT __attribute__((visibility("default")))
#else
#define STATEKEEP_PLUGIN_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif
/** `[any-thread]` The one symbol that a plugin library exports; write this function. The descriptor
 * is static for the life of the process. */
STATEKEEP_PLUGIN_EXPORT const statekeep_descriptor *statekeep_plugin_entry_1(void);
#ifdef __cplusplus
}
#endif

/** Emits the manifest, from which hosts learn what a plugin is without running it. Write it once, at
 * file scope, with the strings of the descriptor and one to four interface ids:
 *
 *     STATEKEEP_PLUGIN_MANIFEST("org.example.rle", "1.0.0", "MIT", STATEKEEP_COMPRESSION_V1_ID);
 */
#define STATEKEEP_PLUGIN_MANIFEST(id, version, license, ...)                                       \
  __attribute__((section(".statekeep"), used)) static const char statekeep_plugin_manifest[] =     \
      "statekeep_plugin=1\0epoch=1\0revision=0\0id=" id "\0version=" version                     \
      "\0license=" license STATEKEEP_MANIFEST_IDS_(__VA_ARGS__)
#define STATEKEEP_MANIFEST_IDS_(...)                                                               \
  STATEKEEP_MANIFEST_PICK_(__VA_ARGS__, STATEKEEP_MANIFEST_4_, STATEKEEP_MANIFEST_3_,              \
                           STATEKEEP_MANIFEST_2_, STATEKEEP_MANIFEST_1_, 0)(__VA_ARGS__)
#define STATEKEEP_MANIFEST_PICK_(a, b, c, d, pick, ...) pick
#define STATEKEEP_MANIFEST_1_(a) "\0interface=" a
#define STATEKEEP_MANIFEST_2_(a, b) STATEKEEP_MANIFEST_1_(a) STATEKEEP_MANIFEST_1_(b)
#define STATEKEEP_MANIFEST_3_(a, b, c) STATEKEEP_MANIFEST_2_(a, b) STATEKEEP_MANIFEST_1_(c)
#define STATEKEEP_MANIFEST_4_(a, b, c, d) STATEKEEP_MANIFEST_3_(a, b, c) STATEKEEP_MANIFEST_1_(d)

#endif /* STATEKEEP_PLUGIN_H */
