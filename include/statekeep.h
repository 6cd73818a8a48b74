/*
 * statekeep.h - the C ABI of libstatekeep. Generated from ffi/src; do not edit.
 *
 * Names are statekeep_<noun>_<verb>. Arguments come in this order: handle, inputs, outputs, error.
 * Text and bytes go in as pointer and length, borrowed for the call; text is UTF-8 and not NUL-ended;
 * a pointer may be NULL when its length is 0. Outputs are zeroed first and written only on OK.
 *
 * Every function that can fail returns a statekeep_status. `err`, always last, may be NULL; else it
 * receives an error object on failure, which the caller frees with statekeep_error_free; there is no
 * last error of a thread. NOT_FOUND for a missing key, PENDING, BUFFER_TOO_SMALL and the TIMEOUT of a
 * watch make no object.
 *
 * Handles are opaque. What _new, _open and _start give is ended once by _free or _close, which accept
 * NULL; a handle that was ended before is answered with CLOSED, one that never was with
 * INVALID_ARGUMENT. Functions are tagged [any-thread], [one-thread-at-a-time] (per handle) or
 * [not-in-callback]. After a fork, the child gets FORKED from every call that returns a status and
 * touches a state or handle; errors can still be read.
 */
#ifndef STATEKEEP_H
#define STATEKEEP_H

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

/** Version of this header, see `statekeep_version`. */
#define STATEKEEP_VERSION "0.1.0"

/** An opaque error. */
typedef struct statekeep_error statekeep_error;
/** An opaque configuration. */
typedef struct statekeep_config statekeep_config;
/** An opaque reference to an open state. */
typedef struct statekeep_manager statekeep_manager;
/** An opaque batch. */
typedef struct statekeep_batch statekeep_batch;
/** An opaque scan. */
typedef struct statekeep_scan statekeep_scan;
/** An opaque snapshot. */
typedef struct statekeep_snapshot statekeep_snapshot;
/** An opaque transaction. */
typedef struct statekeep_txn statekeep_txn;
/** An opaque watch. */
typedef struct statekeep_watch statekeep_watch;
/** An opaque operation. */
typedef struct statekeep_op statekeep_op;
/** An opaque subscription to events. */
typedef struct statekeep_events statekeep_events;
/** An opaque evaluation: what a policy sees, and what it answers. */
typedef struct statekeep_policy_call statekeep_policy_call;

/** Kind of value: a JSON document, UTF-8. */
#define STATEKEEP_VALUE_JSON 1
/** Kind of value: raw bytes. */
#define STATEKEEP_VALUE_BYTES 2
/** Durability: on stable storage when the call returns. */
#define STATEKEEP_DURABILITY_SYNC 1
/** Durability: handed to the operating system; on stable storage within `flush_interval_ms`. */
#define STATEKEEP_DURABILITY_RELAXED 2
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


/**
 * Version of the C ABI: major in the upper, minor in the lower 16 bits. A program runs with a
 * library of the same major and at least its minor number.
 */
#define STATEKEEP_ABI_VERSION 1

/** Format of a configuration text: TOML. */
#define STATEKEEP_CONFIG_TOML 1

/** Format of a configuration text: JSON. */
#define STATEKEEP_CONFIG_JSON 2

/** Durability: as configured. */
#define STATEKEEP_DURABILITY_DEFAULT 0

/** Class of a record: as the configuration's rules say, else standard. */
#define STATEKEEP_CLASS_AS_CONFIGURED 0

/** Class of a record: nothing special. */
#define STATEKEEP_CLASS_STANDARD 1

/** Class of a record: each commit is synced, and it stays in the cache. */
#define STATEKEEP_CLASS_CRITICAL 2

/** Class of a record: written relaxed. */
#define STATEKEEP_CLASS_BULK 3

/** Class of a record: compressed and not cached. */
#define STATEKEEP_CLASS_ARCHIVE 4

/** Class of a record: in memory only, gone when the state is closed, and not part of the past. */
#define STATEKEEP_CLASS_EPHEMERAL 5

/** `ttl_ms`: as the configuration's rules say, else for ever. */
#define STATEKEEP_TTL_AS_CONFIGURED 0

/** `ttl_ms`: for ever, whatever the rules say. */
#define STATEKEEP_TTL_NEVER -1

/** Scan option: keys only; values are not read. */
#define STATEKEEP_SCAN_OPTION_KEYS_ONLY 1

/**
 * Kind of a value: there is none. It deletes in `statekeep_compare_and_swap`, and expects no value
 * in `statekeep_compare_and_swap_value`.
 */
#define STATEKEEP_VALUE_NONE 0

/** Phase of an operation: it has not started. */
#define STATEKEEP_OP_PHASE_WAITING 0

/** Phase of an operation: it reads what it needs. */
#define STATEKEEP_OP_PHASE_PREPARING 1

/** Phase of an operation: records go through. */
#define STATEKEEP_OP_PHASE_COPYING 2

/** Phase of an operation: it makes the result visible; from here on it cannot be cancelled. */
#define STATEKEEP_OP_PHASE_COMMITTING 3

/** Phase of an operation: it has ended, well or not. */
#define STATEKEEP_OP_PHASE_DONE 4

/** Phase of an operation: a swap takes over what was committed since it began to copy. */
#define STATEKEEP_OP_PHASE_FOLLOWING 5

/** Phase of an operation: a swap compares both sides. */
#define STATEKEEP_OP_PHASE_VERIFYING 6

/** Depth of a verification: manifest, sizes and checksums of files. */
#define STATEKEEP_VERIFY_QUICK 1

/** Depth of a verification: every record is decoded and the digest of the state is compared. */
#define STATEKEEP_VERIFY_FULL 2

/**
 * Depth of a verification: as full, and the backup is restored where nobody sees it and compared.
 */
#define STATEKEEP_VERIFY_RESTORE_TEST 3

/** Log level: errors only. */
#define STATEKEEP_LOG_ERROR 1

/** Log level: warnings and above. */
#define STATEKEEP_LOG_WARN 2

/** Log level: what happens once in a while, and above. */
#define STATEKEEP_LOG_INFO 3

/** Log level: for those who look for a fault, and above. */
#define STATEKEEP_LOG_DEBUG 4

/** Log level: everything. */
#define STATEKEEP_LOG_TRACE 5

/** Bytes that the library allocated; give them back with `statekeep_buf_free`. */
typedef struct statekeep_buf {
  /** First byte; NULL when there are none. */
  uint8_t *ptr;
  /** Number of bytes. */
  size_t len;
  /** For the library; leave it alone. */
  size_t cap;
} statekeep_buf;

/**
 * How a change is made; start from `STATEKEEP_SET_OPTIONS_INIT`, which means as configured. The
 * struct grows at its end; `struct_size` tells the library what the caller knows.
 */
typedef struct statekeep_set_options {
  /** `sizeof` of this struct. */
  size_t struct_size;
  /** `STATEKEEP_DURABILITY_DEFAULT`, `_SYNC` or `_RELAXED`. */
  uint32_t durability;
  /** `STATEKEEP_CLASS_*`. */
  uint32_t record_class;
  /**
   * Milliseconds after which the value ceases to be, `STATEKEEP_TTL_AS_CONFIGURED` or
   * `STATEKEEP_TTL_NEVER`.
   */
  int64_t ttl_ms;
  /**
   * When the value ceases to be, in milliseconds since 1970 UTC; 0 for what `ttl_ms` says. Both
   * together are INVALID_ARGUMENT.
   */
  int64_t expires_unix_ms;
} statekeep_set_options;

/**
 * Which keys of a scope; start from `STATEKEEP_SCAN_OPTIONS_INIT`, which means all of them. The
 * struct grows at its end; `struct_size` tells the library what the caller knows.
 */
typedef struct statekeep_scan_options {
  /** `sizeof` of this struct. */
  size_t struct_size;
  /** Keys that start with this text; NULL for any. */
  const char *prefix;
  /** Its length. */
  size_t prefix_len;
  /** Keys that match this pattern: `*` any characters, `?` any one, `\` refused; NULL for any. */
  const char *glob;
  /** Its length. */
  size_t glob_len;
  /** Keys that sort after this one; NULL for the first. */
  const char *after;
  /** Its length. */
  size_t after_len;
  /** Most keys that are delivered; 0 for no limit. */
  uint64_t limit;
  /** `STATEKEEP_SCAN_OPTION_*` flags; an unknown bit is INVALID_ARGUMENT. */
  uint32_t flags;
  /** Keys fetched at a time, up to 10000; 0 for the library's choice. */
  uint32_t page_keys;
} statekeep_scan_options;

/**
 * Called by `statekeep_transact` with a transaction that it has begun and will end. It answers OK
 * for the commit, or another status for none.
 */
typedef statekeep_status (*statekeep_transact_fn)(void *user_data, statekeep_txn *txn);

/**
 * How far an operation is; start from `STATEKEEP_PROGRESS_INIT`. A total of 0 is not known. The
 * struct grows at its end; `struct_size` tells the library what the caller knows.
 */
typedef struct statekeep_progress {
  /** `sizeof` of this struct. */
  size_t struct_size;
  /** `STATEKEEP_OP_PHASE_*`. */
  uint32_t phase;
  /** 1 when the outcome is there. */
  uint32_t is_done;
  /** Records that went through. */
  uint64_t records;
  /** Records expected. */
  uint64_t records_total;
  /** Bytes read. */
  uint64_t bytes_in;
  /** Bytes written. */
  uint64_t bytes_out;
  /** Bytes expected to be read. */
  uint64_t bytes_total;
  /** Commits that a swap has still to take over. */
  uint64_t commits_behind;
  /** Milliseconds since it began, or that it took. */
  uint64_t elapsed_ms;
  /** Bytes read in a second, on average. */
  uint64_t bytes_per_second;
  /** Milliseconds that are left at that rate; -1 when not known. */
  int64_t left_ms;
} statekeep_progress;

/** Called once when an operation has ended, with the status that `statekeep_op_wait` returns. */
typedef void (*statekeep_op_done_fn)(void *user_data, statekeep_status status);

/** Called exactly once when the library no longer needs `user_data`. */
typedef void (*statekeep_destroy_fn)(void *user_data);

/** Called while an operation runs, with how far it is; `info` is good until it returns. */
typedef void (*statekeep_progress_fn)(void *user_data, const struct statekeep_progress *info);

/**
 * Judges the backups of one series by `statekeep_policy_call_vote`. It runs on a thread of the library's
 * own, on several at once when several cleanups run, and has `retention.policy_timeout` for its answer.
 * `call` is good until it returns. It may read the state and its backups; what changes either is
 * REENTRANT. It must not unwind or long-jump.
 */
typedef void (*statekeep_policy_evaluate_fn)(void *user_data, statekeep_policy_call *call);

/**
 * A policy to be registered; start from `STATEKEEP_POLICY_INIT`. The struct grows at its end;
 * `struct_size` tells the library what the caller knows.
 */
typedef struct statekeep_policy {
  /** `sizeof` of this struct. */
  size_t struct_size;
  /** The name that rules give it: a-z, 0-9, `-` and `_`, from a letter on. Copied. */
  const char *name;
  /** Its bytes. */
  size_t name_len;
  /** The function. */
  statekeep_policy_evaluate_fn evaluate;
  /** What the function gets. */
  void *user_data;
  /** Ends `user_data`; may be NULL. */
  statekeep_destroy_fn destroy;
} statekeep_policy;

/**
 * One backup as a policy sees it; start from `STATEKEEP_POLICY_BACKUP_INIT`. Texts are UTF-8, not
 * NUL-ended, and good until the policy returns. The struct grows at its end.
 */
typedef struct statekeep_policy_backup {
  /** `sizeof` of this struct. */
  size_t struct_size;
  /** Its id. */
  const char *id;
  /** Bytes of the id. */
  size_t id_len;
  /** Backups that replace one another have one series; a call is about one. */
  const char *series;
  /** Bytes of the series. */
  size_t series_len;
  /** A name for people; may be empty. */
  const char *label;
  /** Bytes of the label. */
  size_t label_len;
  /** How many tags it has, see `statekeep_policy_call_tag`. */
  size_t tags_len;
  /** `STATEKEEP_BACKUP_FULL`, `_INCREMENTAL` or `_SYNTHETIC`. */
  uint32_t kind;
  /** `STATEKEEP_BACKUP_PINNED`, `_VERIFIED`, `_IN_USE` and `_SAFETY`. */
  uint32_t flags;
  /** Where its parent is in the list; -1 for none. */
  int64_t parent;
  /** When it was made, milliseconds since 1970 UTC. */
  int64_t created_unix_ms;
  /** The sequence that it shows. */
  uint64_t sequence;
  /** Its records. */
  uint64_t records;
  /** Bytes that it wrote, before the codec. */
  uint64_t raw_bytes;
  /** Bytes of the objects that it wrote. */
  uint64_t stored_bytes;
  /** How often it was restored. */
  uint64_t restores;
} statekeep_policy_backup;

/**
 * The circumstances of an evaluation; start from `STATEKEEP_POLICY_CONTEXT_INIT`. Texts are lent as those
 * of a backup. The struct grows at its end.
 */
typedef struct statekeep_policy_context {
  /** `sizeof` of this struct. */
  size_t struct_size;
  /** The moment of the evaluation, milliseconds since 1970 UTC; the only clock to use. */
  int64_t now_unix_ms;
  /** Bytes that all backups of the repository wrote, of every series, but for deleted ones. */
  uint64_t storage_bytes;
  /** How many it may have; `UINT64_MAX` for any number. */
  uint64_t storage_bytes_max;
  /** The time zone of calendars; empty for UTC. */
  const char *time_zone;
  /** Bytes of the time zone. */
  size_t time_zone_len;
  /** The options beside the policy's name in the rule, a JSON object. */
  const char *options;
  /** Bytes of the options. */
  size_t options_len;
} statekeep_policy_context;

/**
 * Takes one line: UTF-8, not NUL-ended, lent for the call. The library may be in the middle of a
 * call, with locks held: inside the callback only `statekeep_error_*`, `statekeep_buf_free`,
 * `statekeep_status_*`, `statekeep_version` and `statekeep_abi_version` do their work, every other
 * function answers REENTRANT and does nothing. It must not unwind, long-jump or wait for a thread
 * that uses the library.
 */
typedef void (*statekeep_log_fn)(void *user_data,
                                 uint32_t level,
                                 const char *message,
                                 size_t message_len);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/** The library's version, such as `0.1.0`; static and NUL-ended. `[any-thread]` Since: 0.1 */
const char *statekeep_version(void);

/**
 * The library's `STATEKEEP_ABI_VERSION`; compare it with the header's at start. `[any-thread]`
 * Since: 0.1
 */
uint32_t statekeep_abi_version(void);

/**
 * The name of a status, such as `NOT_FOUND`; `UNKNOWN` for a number that this build does not know.
 * Static; it ends with a NUL byte, and its length goes to `out_len` unless that is NULL.
 * `[any-thread]` Since: 0.1
 */
const char *statekeep_status_name(statekeep_status status, size_t *out_len);

/**
 * 1 when the same call can succeed when it is made again, such as after CONFLICT or BUSY; else 0.
 * `[any-thread]` Since: 0.1
 */
int32_t statekeep_status_is_retryable(statekeep_status status);

/**
 * The status that the failed call returned; OK for NULL, INVALID_ARGUMENT for what is no error.
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_error_code(const statekeep_error *error);

/**
 * What happened, to what, and what to do next: UTF-8, not NUL-ended, valid until the error is
 * freed. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_error_message(const statekeep_error *error,
                                         const char **out,
                                         size_t *out_len);

/**
 * The error as one JSON object: `code`, `status`, `retryable`, and what else is known, such as
 * `limit_name`, `limit`, `actual`, `path`, `holder`, `current_sequence` (of a CONFLICT; null when the
 * key is not there) or `oldest_sequence` (of COMPACTED). Lent as the message is. `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_error_detail_json(const statekeep_error *error,
                                             const char **out,
                                             size_t *out_len);

/** Frees an error; NULL is allowed. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_error_free(statekeep_error *error);

/**
 * Frees the bytes of a buffer and zeroes it, so freeing it again does nothing; NULL is allowed.
 * INVALID_ARGUMENT when `len` exceeds `cap`, which no buffer of the library does. `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_buf_free(struct statekeep_buf *buf);

/**
 * Makes a configuration with every default; free it with `statekeep_config_free`. `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_config_new(statekeep_config **out, statekeep_error **err);

/**
 * Sets one key, such as `backup.codec`, from its text form. An unknown key is INVALID_ARGUMENT, and
 * the message names the one that it is a typo of, if any; a key of a feature that is not built is
 * UNSUPPORTED. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_config_set(const statekeep_config *config,
                                      const char *key,
                                      size_t key_len,
                                      const char *value,
                                      size_t value_len,
                                      statekeep_error **err);

/**
 * Adds the settings of a text, which replace those of the same name. `format` is
 * `STATEKEEP_CONFIG_TOML` or `STATEKEEP_CONFIG_JSON`. All of it counts, or nothing. `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_config_load(const statekeep_config *config,
                                       uint32_t format,
                                       const char *document,
                                       size_t document_len,
                                       statekeep_error **err);

/**
 * Adds the settings of a file, TOML or JSON by its ending. Relative paths in it are relative to the
 * file. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_config_load_file(const statekeep_config *config,
                                            const char *path,
                                            size_t path_len,
                                            statekeep_error **err);

/**
 * Adds the settings of the environment: `STATEKEEP_` and the key in capitals, `__` for each dot,
 * such as `STATEKEEP_BACKUP__CODEC`. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_config_apply_env(const statekeep_config *config, statekeep_error **err);

/** The settings as TOML, which `statekeep_config_load` reads back. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_config_to_toml(const statekeep_config *config,
                                          struct statekeep_buf *out,
                                          statekeep_error **err);

/** Frees a configuration; NULL is allowed. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_config_free(statekeep_config *config);

/**
 * Opens the state that the configuration names, or shares the manager that this process has open
 * for it already (known by its canonical path). CONFLICT when that one was opened with another
 * configuration; BUSY, naming the owner, when another process or library copy holds the state.
 * Close each handle with `statekeep_manager_close`. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_manager_open(const statekeep_config *config,
                                        statekeep_manager **out,
                                        statekeep_error **err);

/**
 * A handle of the same manager that can only name keys of one tenant; close it as any other. A
 * handle that is bound to a tenant cannot make one. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_manager_tenant(const statekeep_manager *manager,
                                          const char *name,
                                          size_t name_len,
                                          statekeep_manager **out,
                                          statekeep_error **err);

/**
 * A handle of the same manager and tenant for one user and one piece of work: every commit through
 * it says who made it and what it belongs to, which `statekeep_history_json` and a watch tell. Either
 * text may be empty and takes up to 256 bytes. Close the handle as any other. `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_manager_with_origin(const statekeep_manager *manager,
                                               const char *principal,
                                               size_t principal_len,
                                               const char *correlation_id,
                                               size_t correlation_id_len,
                                               statekeep_manager **out,
                                               statekeep_error **err);

/**
 * Returns when every commit that returned before is on stable storage. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_manager_flush(const statekeep_manager *manager, statekeep_error **err);

/**
 * Facts about the open state as one JSON object: `path`, `backend`, `format`, `state_id`,
 * `timeline`, `created_unix_ms`, `head` (the newest sequence), `head_unix_ms`, `floor` (the oldest one
 * that can be read), `oldest_snapshot`, `tenants`, `cache`, `ephemeral_bytes`, `poisoned` (why it
 * takes no more writes, else null), `upkeep`, `references` (handles, scans, snapshots and running
 * operations), `tenant` (that of the handle). `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_manager_info_json(const statekeep_manager *manager,
                                             struct statekeep_buf *out,
                                             statekeep_error **err);

/**
 * Closes a handle; NULL is allowed. The last handle of a state flushes and closes its manager and
 * says how that went; transactions and watches that are open then end with CLOSED. Calls on the handle
 * that are running on other threads end first, and it waits for them. Whatever the status, the handle
 * is closed, except for REENTRANT: a thread that is in another call of the library (as in a log
 * callback) cannot wait for it. CLOSED when it was closed before, also while that call is still
 * waiting. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_manager_close(statekeep_manager *manager,
                                         statekeep_error **err);

/**
 * Reads a value into a buffer of the library's; free it with `statekeep_buf_free`. `out_kind` is
 * `STATEKEEP_VALUE_JSON` or `STATEKEEP_VALUE_BYTES` and may be NULL. NOT_FOUND when there is no
 * such key. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_get(const statekeep_manager *manager,
                               const char *scope,
                               size_t scope_len,
                               const char *key,
                               size_t key_len,
                               uint32_t *out_kind,
                               struct statekeep_buf *out,
                               statekeep_error **err);

/**
 * Reads a value into the caller's memory of `cap` bytes; `out_len` is its size. When it does not
 * fit, the memory is left alone, the answer is BUFFER_TOO_SMALL without an error object, and
 * `out_len` is the size that is needed. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_get_into(const statekeep_manager *manager,
                                    const char *scope,
                                    size_t scope_len,
                                    const char *key,
                                    size_t key_len,
                                    uint8_t *buffer,
                                    size_t cap,
                                    uint32_t *out_kind,
                                    size_t *out_len,
                                    statekeep_error **err);

/**
 * Sets a value and returns when it is as durable as asked: `STATEKEEP_DURABILITY_DEFAULT`, `_SYNC`
 * or `_RELAXED`. JSON is checked and kept as it was given. `out_sequence`, the commit's number, may
 * be NULL. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_set(const statekeep_manager *manager,
                               const char *scope,
                               size_t scope_len,
                               const char *key,
                               size_t key_len,
                               uint32_t kind,
                               const uint8_t *value,
                               size_t value_len,
                               uint32_t durability,
                               uint64_t *out_sequence,
                               statekeep_error **err);

/**
 * As `statekeep_set`, with a class and an expiry. From its time on the key is not there any more,
 * everywhere at once. `options` may be NULL. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_set_with(const statekeep_manager *manager,
                                    const char *scope,
                                    size_t scope_len,
                                    const char *key,
                                    size_t key_len,
                                    uint32_t kind,
                                    const uint8_t *value,
                                    size_t value_len,
                                    const struct statekeep_set_options *options,
                                    uint64_t *out_sequence,
                                    statekeep_error **err);

/**
 * Deletes a key; NOT_FOUND when it was not there. Durability and `out_sequence` as in
 * `statekeep_set`. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_delete(const statekeep_manager *manager,
                                  const char *scope,
                                  size_t scope_len,
                                  const char *key,
                                  size_t key_len,
                                  uint32_t durability,
                                  uint64_t *out_sequence,
                                  statekeep_error **err);

/** OK when the key is there, NOT_FOUND when it is not. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_exists(const statekeep_manager *manager,
                                  const char *scope,
                                  size_t scope_len,
                                  const char *key,
                                  size_t key_len,
                                  statekeep_error **err);

/**
 * What is known of a record beside its value, as one JSON object: `kind` (`"json"` or `"bytes"`),
 * `bytes`, `class`, `sequence`, `created_unix_ms`, `changed_unix_ms`, `expires_unix_ms` (null for
 * never). `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_record_json(const statekeep_manager *manager,
                                       const char *scope,
                                       size_t scope_len,
                                       const char *key,
                                       size_t key_len,
                                       struct statekeep_buf *out,
                                       statekeep_error **err);

/** Makes an empty batch; free it with `statekeep_batch_free`. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_batch_new(statekeep_batch **out, statekeep_error **err);

/**
 * Adds a set to a batch; arguments are checked and copied now. `[one-thread-at-a-time]` Since: 0.1
 */
statekeep_status statekeep_batch_set(const statekeep_batch *batch,
                                     const char *scope,
                                     size_t scope_len,
                                     const char *key,
                                     size_t key_len,
                                     uint32_t kind,
                                     const uint8_t *value,
                                     size_t value_len,
                                     statekeep_error **err);

/**
 * Adds a set with a class and an expiry; see `statekeep_set_with`. Of several durabilities in a
 * batch the safest holds, unless the commit says another. `[one-thread-at-a-time]` Since: 0.1
 */
statekeep_status statekeep_batch_set_with(const statekeep_batch *batch,
                                          const char *scope,
                                          size_t scope_len,
                                          const char *key,
                                          size_t key_len,
                                          uint32_t kind,
                                          const uint8_t *value,
                                          size_t value_len,
                                          const struct statekeep_set_options *options,
                                          statekeep_error **err);

/**
 * Adds a delete to a batch; a key that is not there is no error. `[one-thread-at-a-time]`
 * Since: 0.1
 */
statekeep_status statekeep_batch_delete(const statekeep_batch *batch,
                                        const char *scope,
                                        size_t scope_len,
                                        const char *key,
                                        size_t key_len,
                                        statekeep_error **err);

/**
 * Commits all changes or none, as durably as asked, and empties the batch. When it fails the batch
 * keeps its changes, so that it can be committed again. `out_sequence` may be NULL.
 * `[one-thread-at-a-time]` Since: 0.1
 */
statekeep_status statekeep_batch_commit(const statekeep_batch *batch,
                                        const statekeep_manager *manager,
                                        uint32_t durability,
                                        uint64_t *out_sequence,
                                        statekeep_error **err);

/** Frees a batch with what is in it; NULL is allowed. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_batch_free(statekeep_batch *batch);

/**
 * Opens a scan over a scope; `options` may be NULL for all keys. The scan keeps the state open by
 * itself; close it with `statekeep_scan_close`. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_scan_open(const statekeep_manager *manager,
                                     const char *scope,
                                     size_t scope_len,
                                     const struct statekeep_scan_options *options,
                                     statekeep_scan **out,
                                     statekeep_error **err);

/**
 * Moves to the next key; NOT_FOUND at the end. Key and value are lent until the next call on the
 * scan. The three outputs of the value may be NULL; with `STATEKEEP_SCAN_OPTION_KEYS_ONLY` they stay
 * zero. `[one-thread-at-a-time]`: BUSY when another thread is in it. Since: 0.1
 */
statekeep_status statekeep_scan_next(const statekeep_scan *scan,
                                     const char **out_key,
                                     size_t *out_key_len,
                                     uint32_t *out_kind,
                                     const uint8_t **out_value,
                                     size_t *out_value_len,
                                     statekeep_error **err);

/** Closes a scan; NULL is allowed. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_scan_close(statekeep_scan *scan);

/**
 * One page of keys as JSON: `{"keys": [..], "next": ".." or null}`; pass `next` as `after` for the
 * page that follows. `limit` is the size of the page, else `page_keys` is. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_list_json(const statekeep_manager *manager,
                                     const char *scope,
                                     size_t scope_len,
                                     const struct statekeep_scan_options *options,
                                     struct statekeep_buf *out,
                                     statekeep_error **err);

/**
 * The scopes of the tenant that have keys, as a JSON array of their text forms. `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_scope_list_json(const statekeep_manager *manager,
                                           struct statekeep_buf *out,
                                           statekeep_error **err);

/**
 * Deletes every key of a scope; `out_removed`, which may be NULL, says how many. `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_scope_clear(const statekeep_manager *manager,
                                       const char *scope,
                                       size_t scope_len,
                                       uint64_t *out_removed,
                                       statekeep_error **err);

/**
 * Copies every key of one scope into another, replacing keys of the same name; `out_copied` may be
 * NULL. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_scope_copy(const statekeep_manager *manager,
                                      const char *from,
                                      size_t from_len,
                                      const char *to,
                                      size_t to_len,
                                      uint64_t *out_copied,
                                      statekeep_error **err);

/**
 * Moves every key of one scope into another, replacing keys of the same name; `out_moved` may be
 * NULL. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_scope_move(const statekeep_manager *manager,
                                      const char *from,
                                      size_t from_len,
                                      const char *to,
                                      size_t to_len,
                                      uint64_t *out_moved,
                                      statekeep_error **err);

/**
 * A snapshot of the tenant as it is now; close it with `statekeep_snapshot_close`. `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_snapshot_open(const statekeep_manager *manager,
                                         statekeep_snapshot **out,
                                         statekeep_error **err);

/**
 * The tenant as it was right after a commit. COMPACTED when that past has been trimmed;
 * INVALID_ARGUMENT for a commit that has not been made, or was undone. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_snapshot_open_at(const statekeep_manager *manager,
                                            uint64_t sequence,
                                            statekeep_snapshot **out,
                                            statekeep_error **err);

/**
 * The tenant as it was at a time, in milliseconds since 1970 UTC. COMPACTED when that past has been
 * trimmed; INVALID_ARGUMENT for a time to come. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_snapshot_open_at_time(const statekeep_manager *manager,
                                                 int64_t unix_ms,
                                                 statekeep_snapshot **out,
                                                 statekeep_error **err);

/**
 * The last commit at or before a time; 0 for a time before the first one. COMPACTED when that past
 * has been trimmed. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_sequence_at(const statekeep_manager *manager,
                                       int64_t unix_ms,
                                       uint64_t *out,
                                       statekeep_error **err);

/** The last commit that a snapshot holds. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_snapshot_sequence(const statekeep_snapshot *snapshot,
                                             uint64_t *out,
                                             statekeep_error **err);

/** The time of that commit, in milliseconds since 1970 UTC. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_snapshot_time(const statekeep_snapshot *snapshot,
                                         int64_t *out,
                                         statekeep_error **err);

/** The value that a key had; as `statekeep_get`. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_snapshot_get(const statekeep_snapshot *snapshot,
                                        const char *scope,
                                        size_t scope_len,
                                        const char *key,
                                        size_t key_len,
                                        uint32_t *out_kind,
                                        struct statekeep_buf *out,
                                        statekeep_error **err);

/** OK when the key was there, NOT_FOUND when it was not. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_snapshot_exists(const statekeep_snapshot *snapshot,
                                           const char *scope,
                                           size_t scope_len,
                                           const char *key,
                                           size_t key_len,
                                           statekeep_error **err);

/**
 * What was known of a record beside its value; as `statekeep_record_json`. `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_snapshot_record_json(const statekeep_snapshot *snapshot,
                                                const char *scope,
                                                size_t scope_len,
                                                const char *key,
                                                size_t key_len,
                                                struct statekeep_buf *out,
                                                statekeep_error **err);

/** One page of the keys that a scope had; as `statekeep_list_json`. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_snapshot_list_json(const statekeep_snapshot *snapshot,
                                              const char *scope,
                                              size_t scope_len,
                                              const struct statekeep_scan_options *options,
                                              struct statekeep_buf *out,
                                              statekeep_error **err);

/** The scopes that had keys, as a JSON array of their text forms. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_snapshot_scope_list_json(const statekeep_snapshot *snapshot,
                                                    struct statekeep_buf *out,
                                                    statekeep_error **err);

/**
 * Opens a scan over a scope as it was; as `statekeep_scan_open`. The scan keeps the snapshot by
 * itself. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_snapshot_scan_open(const statekeep_snapshot *snapshot,
                                              const char *scope,
                                              size_t scope_len,
                                              const struct statekeep_scan_options *options,
                                              statekeep_scan **out,
                                              statekeep_error **err);

/**
 * A page of the records that matched a query at this commit; as `statekeep_query_json`.
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_snapshot_query_json(const statekeep_snapshot *snapshot,
                                               const char *query,
                                               size_t query_len,
                                               struct statekeep_buf *out,
                                               statekeep_error **err);

/**
 * Closes a snapshot and lets go of its past; NULL is allowed. Scans over it go on. `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_snapshot_close(statekeep_snapshot *snapshot);

/**
 * What a key was over time, newest first: a JSON object of `versions`, `next` (pass it as `before`
 * for the page that follows; null at the end) and `compacted` (versions that ended before this
 * commit are not kept any more, or null). A version is `sequence`, `time_unix_ms`, `until` (the
 * commit that ended it, or null), `op` (`"put"`, `"delete"`, and `"put_ephemeral"`,
 * `"delete_ephemeral"` for values in memory only), `commit_kind` (`"commit"`, `"restore"`, `"clear"`,
 * `"copy"`, `"move"`, `"expire"`), `principal`, `correlation_id` and `record`: the facts of
 * `statekeep_record_json` with `value`, or for raw bytes `base64`; null for a delete. `options` is a
 * JSON object or empty: `limit`, `before`. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_history_json(const statekeep_manager *manager,
                                        const char *scope,
                                        size_t scope_len,
                                        const char *key,
                                        size_t key_len,
                                        const char *options,
                                        size_t options_len,
                                        struct statekeep_buf *out,
                                        statekeep_error **err);

/**
 * What differs between the tenant right after one commit and right after another: a JSON object of
 * `entries` and `next` (pass it as `after` for the page that follows; null at the end). An entry is
 * `scope`, `key`, `change` (`"added"`, `"changed"`, `"removed"`) and the records `before` and `after`,
 * as in `statekeep_history_json`, null where there is none. `options` is a JSON object or empty:
 * `scope`, `prefix` of keys (needs a scope), `after` (`{"scope", "key"}`), `limit`. COMPACTED when
 * that past has been trimmed. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_diff_json(const statekeep_manager *manager,
                                     uint64_t before,
                                     uint64_t after,
                                     const char *options,
                                     size_t options_len,
                                     struct statekeep_buf *out,
                                     statekeep_error **err);

/**
 * Adds to the number that a key holds; one that is not there counts as 0. `out`, which may be NULL,
 * is the sum; of a key that holds a double it is cut to a whole number, see
 * `statekeep_increment_f64`. A key that was there keeps its class and expiry unless `options`, which
 * may be NULL, say otherwise. INVALID_ARGUMENT when the key holds no number, or the sum is beyond 64
 * bits. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_increment(const statekeep_manager *manager,
                                     const char *scope,
                                     size_t scope_len,
                                     const char *key,
                                     size_t key_len,
                                     int64_t by,
                                     const struct statekeep_set_options *options,
                                     int64_t *out,
                                     statekeep_error **err);

/**
 * As `statekeep_increment`, with doubles; the key holds a double from then on. INVALID_ARGUMENT for
 * what is not finite. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_increment_f64(const statekeep_manager *manager,
                                         const char *scope,
                                         size_t scope_len,
                                         const char *key,
                                         size_t key_len,
                                         double by,
                                         const struct statekeep_set_options *options,
                                         double *out,
                                         statekeep_error **err);

/**
 * Sets a key, or deletes it for the kind `STATEKEEP_VALUE_NONE`, when the commit `expected_version`
 * wrote it as it is; 0 expects that it is not there. CONFLICT when that does not hold. `options` and
 * `out_sequence` may be NULL. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_compare_and_swap(const statekeep_manager *manager,
                                            const char *scope,
                                            size_t scope_len,
                                            const char *key,
                                            size_t key_len,
                                            uint64_t expected_version,
                                            uint32_t kind,
                                            const uint8_t *value,
                                            size_t value_len,
                                            const struct statekeep_set_options *options,
                                            uint64_t *out_sequence,
                                            statekeep_error **err);

/**
 * As `statekeep_compare_and_swap`, when the key has the expected value: the same bytes, or documents
 * that say the same. The kind `STATEKEEP_VALUE_NONE` expects that it is not there. `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_compare_and_swap_value(const statekeep_manager *manager,
                                                  const char *scope,
                                                  size_t scope_len,
                                                  const char *key,
                                                  size_t key_len,
                                                  uint32_t expected_kind,
                                                  const uint8_t *expected,
                                                  size_t expected_len,
                                                  uint32_t kind,
                                                  const uint8_t *value,
                                                  size_t value_len,
                                                  const struct statekeep_set_options *options,
                                                  uint64_t *out_sequence,
                                                  statekeep_error **err);

/**
 * Sets a key that is not there. `out_is_set` is 1 when it did; 0 when the key was there, which is OK
 * too, and `out_sequence` is 0 then. Both outputs and `options` may be NULL. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_set_if_absent(const statekeep_manager *manager,
                                         const char *scope,
                                         size_t scope_len,
                                         const char *key,
                                         size_t key_len,
                                         uint32_t kind,
                                         const uint8_t *value,
                                         size_t value_len,
                                         const struct statekeep_set_options *options,
                                         uint32_t *out_is_set,
                                         uint64_t *out_sequence,
                                         statekeep_error **err);

/**
 * Applies a merge patch (RFC 7396) to the document of a key; one that is not there is patched as an
 * empty object. `out`, which may be NULL, is the document as it is then. Class and expiry as in
 * `statekeep_increment`. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_merge_patch(const statekeep_manager *manager,
                                       const char *scope,
                                       size_t scope_len,
                                       const char *key,
                                       size_t key_len,
                                       const uint8_t *patch,
                                       size_t patch_len,
                                       const struct statekeep_set_options *options,
                                       struct statekeep_buf *out,
                                       statekeep_error **err);

/**
 * Applies a JSON Patch (RFC 6902), an array of operations of which all or none are done, to the
 * document of a key; a failed `test` is CONFLICT. `out` and the rest as in `statekeep_merge_patch`;
 * NOT_FOUND, with an error object, when the key is not there. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_json_patch(const statekeep_manager *manager,
                                      const char *scope,
                                      size_t scope_len,
                                      const char *key,
                                      size_t key_len,
                                      const uint8_t *patch,
                                      size_t patch_len,
                                      const struct statekeep_set_options *options,
                                      struct statekeep_buf *out,
                                      statekeep_error **err);

/**
 * Begins a transaction on the state as it is; end it with `statekeep_txn_commit` or
 * `statekeep_txn_close`. `options` is a JSON object or empty: `durability` (`"sync"` or `"relaxed"`).
 * It is limited by `limits.transaction_age_ms_max`, after which its calls are TIMEOUT, and by
 * `limits.transaction_keys_max` and `_bytes_max`. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_txn_begin(const statekeep_manager *manager,
                                     const char *options,
                                     size_t options_len,
                                     statekeep_txn **out,
                                     statekeep_error **err);

/**
 * The value of a key as the transaction sees it; as `statekeep_get`. That it was read, or was not
 * there, must still hold at the commit. `[one-thread-at-a-time]`: BUSY when another thread is in it.
 * Since: 0.1
 */
statekeep_status statekeep_txn_get(const statekeep_txn *txn,
                                   const char *scope,
                                   size_t scope_len,
                                   const char *key,
                                   size_t key_len,
                                   uint32_t *out_kind,
                                   struct statekeep_buf *out,
                                   statekeep_error **err);

/**
 * OK when the key is there as the transaction sees it, else NOT_FOUND. `[one-thread-at-a-time]`
 * Since: 0.1
 */
statekeep_status statekeep_txn_exists(const statekeep_txn *txn,
                                      const char *scope,
                                      size_t scope_len,
                                      const char *key,
                                      size_t key_len,
                                      statekeep_error **err);

/**
 * What is known of a record beside its value; as `statekeep_record_json`. What the transaction has
 * set itself has the sequence 0. `[one-thread-at-a-time]` Since: 0.1
 */
statekeep_status statekeep_txn_record_json(const statekeep_txn *txn,
                                           const char *scope,
                                           size_t scope_len,
                                           const char *key,
                                           size_t key_len,
                                           struct statekeep_buf *out,
                                           statekeep_error **err);

/**
 * One page of keys as the transaction sees them; as `statekeep_list_json`. That there are these
 * keys and no others must still hold at the commit. `[one-thread-at-a-time]` Since: 0.1
 */
statekeep_status statekeep_txn_list_json(const statekeep_txn *txn,
                                         const char *scope,
                                         size_t scope_len,
                                         const struct statekeep_scan_options *options,
                                         struct statekeep_buf *out,
                                         statekeep_error **err);

/**
 * Opens a scan over a scope as the transaction sees it; as `statekeep_scan_open`. Its steps count as
 * calls on the transaction, and are CLOSED once that has ended. `[one-thread-at-a-time]` Since: 0.1
 */
statekeep_status statekeep_txn_scan_open(const statekeep_txn *txn,
                                         const char *scope,
                                         size_t scope_len,
                                         const struct statekeep_scan_options *options,
                                         statekeep_scan **out,
                                         statekeep_error **err);

/**
 * Sets a key when the transaction commits; its own reads see it at once.
 * `[one-thread-at-a-time]` Since: 0.1
 */
statekeep_status statekeep_txn_set(const statekeep_txn *txn,
                                   const char *scope,
                                   size_t scope_len,
                                   const char *key,
                                   size_t key_len,
                                   uint32_t kind,
                                   const uint8_t *value,
                                   size_t value_len,
                                   statekeep_error **err);

/**
 * As `statekeep_txn_set`, with a class and an expiry; see `statekeep_set_with`.
 * `[one-thread-at-a-time]` Since: 0.1
 */
statekeep_status statekeep_txn_set_with(const statekeep_txn *txn,
                                        const char *scope,
                                        size_t scope_len,
                                        const char *key,
                                        size_t key_len,
                                        uint32_t kind,
                                        const uint8_t *value,
                                        size_t value_len,
                                        const struct statekeep_set_options *options,
                                        statekeep_error **err);

/**
 * Deletes a key when the transaction commits; one that is not there is no error.
 * `[one-thread-at-a-time]` Since: 0.1
 */
statekeep_status statekeep_txn_delete(const statekeep_txn *txn,
                                      const char *scope,
                                      size_t scope_len,
                                      const char *key,
                                      size_t key_len,
                                      statekeep_error **err);

/**
 * A point that `statekeep_txn_rollback_to` comes back to; its number is not 0.
 * `[one-thread-at-a-time]` Since: 0.1
 */
statekeep_status statekeep_txn_savepoint(const statekeep_txn *txn,
                                         uint64_t *out_id,
                                         statekeep_error **err);

/**
 * Takes back every change since a savepoint, which can be used again; later ones cannot, and are
 * INVALID_ARGUMENT. What was read since stays read. `[one-thread-at-a-time]` Since: 0.1
 */
statekeep_status statekeep_txn_rollback_to(const statekeep_txn *txn,
                                           uint64_t id,
                                           statekeep_error **err);

/**
 * Makes all changes as one commit and ends the transaction, whatever the status; close the handle
 * then. `out_sequence` may be NULL; without changes it is the last commit that was read. CONFLICT,
 * with `current_sequence` in the detail where one key was in the way, when what was read has been
 * changed meanwhile: nothing is changed, and a new transaction can try again.
 * `[one-thread-at-a-time]` Since: 0.1
 */
statekeep_status statekeep_txn_commit(const statekeep_txn *txn,
                                      uint64_t *out_sequence,
                                      statekeep_error **err);

/**
 * Closes a handle; a transaction that was not committed has changed nothing. NULL is allowed.
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_txn_close(statekeep_txn *txn);

/**
 * Runs a function in a transaction and commits it; after a CONFLICT it is run again, in a
 * transaction that sees what came in between, after a short random wait. The function may run
 * several times, so it should do nothing but read and change through its transaction, whose handle
 * is good until it returns and which it must neither commit nor close. No lock is held: it may make
 * any call that does not close a handle of a manager. It must not unwind or long-jump.
 *
 * What it returns other than OK rolls back and is the status of this function, with an error that
 * says so; after CONFLICT it is run again. `options` is a JSON object or empty: `durability` (`"sync"` or
 * `"relaxed"`), `attempts_max` (100 when absent), after which it is CONFLICT. `out_sequence` may be
 * NULL. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_transact(const statekeep_manager *manager,
                                    const char *options,
                                    size_t options_len,
                                    statekeep_transact_fn callback,
                                    void *user_data,
                                    uint64_t *out_sequence,
                                    statekeep_error **err);

/**
 * Opens a watch; close it with `statekeep_watch_close`. `options` is a JSON object or empty: `from`
 * (`"now"` when absent; a sequence, for the changes after that commit; `{"cursor": NAME}`, for those
 * after what was last acknowledged under the name, which is created at the head when it is not
 * there), `scope` and `key` (patterns), `values` (true when absent), `all_tenants` (not for a handle
 * that is bound to a tenant). COMPACTED, with `oldest_sequence` in the detail, when the past to begin
 * with has been trimmed; BUSY while another watch reads the cursor. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_watch_open(const statekeep_manager *manager,
                                      const char *options,
                                      size_t options_len,
                                      statekeep_watch **out,
                                      statekeep_error **err);

/**
 * Waits for the next change. TIMEOUT, without an error object, when none came within `timeout_ms`; a
 * negative one waits as long as it takes, 0 only looks. CLOSED once the watch or the state is closed,
 * also for those who are waiting.
 *
 * `out_change` is a JSON object: `sequence`, `time_unix_ms`, `commit_kind` (as in
 * `statekeep_history_json`), `principal`, `correlation_id`, `tenant`, `scope`, `key`, `op` (`"put"`,
 * `"delete"`, `"put_ephemeral"`, `"delete_ephemeral"`), `kind` (of the value, null without one),
 * `value_gone` (it was asked for and is not kept any more), `last_of_commit`. With the commit kind
 * `"restore"` the whole state was replaced, and `scope`, `key` and `op` are null. The value goes to
 * `out_kind`, 0 without one, and `out_value`, which both may be NULL. The caller frees both buffers.
 * With a NULL `out_change` the change stays to be handed out: OK says that the next call has one, and
 * `timeout_ms` must not be negative.
 * `[any-thread]`: a change goes to one of the callers. Since: 0.1
 */
statekeep_status statekeep_watch_next(const statekeep_watch *watch,
                                      int64_t timeout_ms,
                                      struct statekeep_buf *out_change,
                                      uint32_t *out_kind,
                                      struct statekeep_buf *out_value,
                                      statekeep_error **err);

/**
 * Stores, as the position of the watch's cursor, that everything handed out so far has been dealt
 * with. What was not acknowledged is handed out again after the state was closed, and after a power
 * cut also what was acknowledged within the last `flush_interval_ms`. INVALID_ARGUMENT for a watch
 * without a cursor. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_watch_acknowledge(const statekeep_watch *watch, statekeep_error **err);

/**
 * Closes a watch and lets go of the past that it needs; NULL is allowed. Calls that wait in
 * `statekeep_watch_next` on other threads end with CLOSED. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_watch_close(statekeep_watch *watch);

/**
 * All cursors of the state, by name, as a JSON array of objects: `name`, `sequence` (all changes up to
 * this commit are acknowledged), `changes` (so many of the next one are too), `created_unix_ms`,
 * `updated_unix_ms`, `watched`, `system` (the library's own: no reader, it holds the past for the next
 * incremental backup). `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_cursor_list_json(const statekeep_manager *manager,
                                            struct statekeep_buf *out,
                                            statekeep_error **err);

/**
 * Forgets a cursor, so that it keeps no past any more; NOT_FOUND, without an error object, when there
 * is none of that name; BUSY while a watch reads it. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_cursor_delete(const statekeep_manager *manager,
                                         const char *name,
                                         size_t name_len,
                                         statekeep_error **err);

/**
 * Waits until an operation has ended: the status and error of the operation itself. PENDING,
 * without an error object, when `timeout_ms` ran out; a negative one waits as long as it takes, 0
 * only asks. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_op_wait(const statekeep_op *op,
                                   int64_t timeout_ms,
                                   statekeep_error **err);

/**
 * How far an operation is. `out->struct_size` says how much of the struct the caller knows.
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_op_progress(const statekeep_op *op,
                                       struct statekeep_progress *out,
                                       statekeep_error **err);

/**
 * Asks an operation to stop, which then ends as CANCELLED and leaves nothing behind; one that is
 * committing or has ended is not changed. Returns at once. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_op_cancel(const statekeep_op *op, statekeep_error **err);

/**
 * Limits the bytes of the repository that a backup writes, or a verification or restore reads, in a
 * second, from now on; 0 takes the limit away. Other operations are not changed by it.
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_op_limit_rate(const statekeep_op *op,
                                         uint64_t bytes_per_second,
                                         statekeep_error **err);

/**
 * The result as one JSON object; PENDING, without an error object, while there is none; the
 * operation's own status and error when it failed. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_op_result_json(const statekeep_op *op,
                                          struct statekeep_buf *out,
                                          statekeep_error **err);

/**
 * Has a function called when the operation has ended: at most once, on the operation's thread, or
 * at once on this one when it has ended already. Freeing the operation takes the call back.
 * `destroy`, which may be NULL, runs exactly once, also when this function fails. A second
 * registration is ALREADY_EXISTS. The callback may call any function but must not unwind, long-jump
 * or wait. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_op_on_done(const statekeep_op *op,
                                      statekeep_op_done_fn callback,
                                      void *user_data,
                                      statekeep_destroy_fn destroy,
                                      statekeep_error **err);

/**
 * Has a function called while the operation runs, at once and then at most ten times a second, on a
 * thread of the library's own. None comes after its end, which waits for a call that runs; none at
 * all when it has ended. Freeing the operation takes the calls back, but for one that runs.
 * `destroy`, which may be NULL, runs exactly once, also when this function fails. A second
 * registration is ALREADY_EXISTS. The callback may call any function, to cancel the operation among
 * them, but must not unwind, long-jump, or wait for the operation. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_op_on_progress(const statekeep_op *op,
                                          statekeep_progress_fn callback,
                                          void *user_data,
                                          statekeep_destroy_fn destroy,
                                          statekeep_error **err);

/**
 * Frees an operation's handle; NULL is allowed. Work that is running goes on, unseen and without
 * its callback; cancel it first to stop it. A callback that is running is not waited for.
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_op_free(statekeep_op *op);

/**
 * A page of the records that match a query, as of one commit: a JSON object of `rows` (`scope`, `key`,
 * `value`, `sequence`), `next` (the query's `after` for the page that follows; null at the end) and
 * `facts` (`examined`, `index`). `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_query_json(const statekeep_manager *manager,
                                      const char *query,
                                      size_t query_len,
                                      struct statekeep_buf *out,
                                      statekeep_error **err);

/**
 * How a query would be answered now: a JSON object of `index` (or null), `range`, `checked`, `order`
 * (`"key"`, `"index"` or `"sort"`), `estimate`. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_explain_json(const statekeep_manager *manager,
                                        const char *query,
                                        size_t query_len,
                                        struct statekeep_buf *out,
                                        statekeep_error **err);

/**
 * Declares an index, which every commit keeps from then on, and starts to add what is there already,
 * while readers and writers go on. `definition` is a JSON object: `name`, `scope` (a pattern such as
 * `agent:*`), `path` (a singular JSON path such as `$.status`), and `tenant` for another tenant than the
 * handle's. The operation ends when the index serves queries; its result is the index as in
 * `statekeep_index_list_json`. Cancelling it drops the index. A build that a crash interrupts goes on
 * when the state is opened again. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_index_create_start(const statekeep_manager *manager,
                                              const char *definition,
                                              size_t definition_len,
                                              statekeep_op **out,
                                              statekeep_error **err);

/**
 * All indexes that the handle may see, by name, as a JSON array of objects: `name`, `tenant`, `scope`,
 * `path`, `state` (`"building"` or `"ready"`), `scanned`, `indexed` (records that the build has read and
 * that got a row), `failure` (why the build stands still, or null). `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_index_list_json(const statekeep_manager *manager,
                                           struct statekeep_buf *out,
                                           statekeep_error **err);

/**
 * Drops an index: it is gone at once, its rows are removed in the background. NOT_FOUND, with an
 * error object, when the handle sees none of that name. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_index_drop(const statekeep_manager *manager,
                                      const char *name,
                                      size_t name_len,
                                      statekeep_error **err);

/**
 * Removes the keys whose time has come, now; answers a JSON object: `removed`.
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_upkeep_sweep_json(const statekeep_manager *manager,
                                             struct statekeep_buf *out,
                                             statekeep_error **err);

/**
 * Forgets the past that `keep` and the rules do not ask for and that no snapshot, backup or cursor
 * needs; answers a JSON object: `dry_run`, `journal_rows`, `history_rows`, `bytes`, `floor_before`, `floor`
 * (the oldest sequence that can be read), `held_by` (what keeps more than was asked for). `options` is a
 * JSON object or empty: `dry_run` (tell, and remove nothing). `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_upkeep_trim_json(const statekeep_manager *manager,
                                            const char *options,
                                            size_t options_len,
                                            struct statekeep_buf *out,
                                            statekeep_error **err);

/**
 * What the upkeep does and did, as a JSON object: `running` (`"sweep"`, `"trim"` or null), `paused`,
 * `interval_ms`, `last_run_unix_ms`, `last_sweep`, `last_trim`, `last_error`, `index_error` (why rows of
 * dropped indexes are still there; each trim has it tried again). `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_upkeep_status_json(const statekeep_manager *manager,
                                              struct statekeep_buf *out,
                                              statekeep_error **err);

/**
 * Stops the upkeep until `statekeep_upkeep_resume`: a run in progress ends after its batch as
 * CANCELLED, and so does each that is asked for meanwhile. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_upkeep_pause(const statekeep_manager *manager, statekeep_error **err);

/** Lets the upkeep run again. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_upkeep_resume(const statekeep_manager *manager, statekeep_error **err);

/**
 * Starts to move the whole state to another backend, or anew to the one it has, while clients go on
 * reading and writing; handles, snapshots and watches stay good. `options` is a JSON object or empty:
 * settings of the backend itself, which hold until the state is closed. The result is `from`, `to`,
 * `namespace`, `replaced` (the namespace to go back to), `records`, `bytes`, `digest`, `sequence`,
 * `pause_us` (for so long commits waited), `catch_up_commits`. The operation is BUSY while another swap
 * is under way, and leaves the state as it was when it fails or is cancelled. Open the state with the
 * new backend in the configuration from then on. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_swap_start(const statekeep_manager *manager,
                                      const char *backend,
                                      size_t backend_len,
                                      const char *options,
                                      size_t options_len,
                                      statekeep_op **out,
                                      statekeep_error **err);

/**
 * Every namespace of the state, oldest first, as a JSON array of objects: `namespace`, `backend`,
 * `created_unix_ms`, `is_current`, `is_read` (a snapshot still reads it), `bytes`. `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_namespace_list_json(const statekeep_manager *manager,
                                               struct statekeep_buf *out,
                                               statekeep_error **err);

/**
 * Goes back to a namespace that a restore or swap replaced, between two commits; the one in use stays
 * to be gone back to. `options` is a JSON object or empty: `commits_lost_max` (0 when absent). CONFLICT,
 * with their number in the message, when more commits than that would be lost; NOT_FOUND, with an
 * error object. `out_sequence`, the commit's number, may be NULL. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_namespace_undo(const statekeep_manager *manager,
                                          const char *namespace_id,
                                          size_t namespace_id_len,
                                          const char *options,
                                          size_t options_len,
                                          uint64_t *out_sequence,
                                          statekeep_error **err);

/**
 * Removes a namespace that is not in use, for good. CONFLICT for the one in use; BUSY while a snapshot
 * or backup reads it; NOT_FOUND, with an error object. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_namespace_release(const statekeep_manager *manager,
                                             const char *namespace_id,
                                             size_t namespace_id_len,
                                             statekeep_error **err);

/**
 * The metrics of the state, its backups and its plugins now, as OpenMetrics text that Prometheus
 * reads; the names are those of docs/metrics.md. Counters start again at 0 when the state is opened. It
 * looks at the sizes of the state's files and reads the manifests of its backups. PERMISSION_DENIED
 * for a handle that is bound to a tenant: it concerns all of them. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_metrics_text(const statekeep_manager *manager,
                                        struct statekeep_buf *out,
                                        statekeep_error **err);

/**
 * Starts a backup of the state as it is now; writers go on. `options` is a JSON object or empty:
 * `label` (text), `tags` (array of texts), `codec` (such as `"zstd"`), `level` (number), `pin`
 * (boolean), `incremental` (boolean: only what changed since the last backup; where that cannot be,
 * the backup is a full one and its `full_reason` says why), `history` (boolean: with the past that
 * the state keeps), `synthetic` (boolean: a full backup merged from the newest one and all that it
 * stands on, without reading the state), `from` (text: the id of another backup to merge). The result is
 * the manifest, with `pin`; where an incremental had its chain merged first, `merged_from` is the last
 * of that chain, and `parent` the synthetic full. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_backup_create_start(const statekeep_manager *manager,
                                               const char *options,
                                               size_t options_len,
                                               statekeep_op **out,
                                               statekeep_error **err);

/**
 * All backups as a JSON object: `backups`, oldest first, each with `last_verified_unix_ms` and
 * `last_restore_test_unix_ms` (null: never), and `problems`, what is wrong in the repository. `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_backup_list_json(const statekeep_manager *manager,
                                            struct statekeep_buf *out,
                                            statekeep_error **err);

/**
 * The manifest of one backup as JSON, with `pin` (boolean); NOT_FOUND, with an error object, when there is none of that
 * id. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_backup_show_json(const statekeep_manager *manager,
                                            const char *backup_id,
                                            size_t backup_id_len,
                                            struct statekeep_buf *out,
                                            statekeep_error **err);

/**
 * Pins a backup, so that no retention policy forgets it; OK also when it was pinned already,
 * NOT_FOUND when there is none of that id. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_backup_pin(const statekeep_manager *manager,
                                      const char *backup_id,
                                      size_t backup_id_len,
                                      statekeep_error **err);

/**
 * Takes a backup's pin away; OK also when it had none, NOT_FOUND when there is no backup of that
 * id. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_backup_unpin(const statekeep_manager *manager,
                                        const char *backup_id,
                                        size_t backup_id_len,
                                        statekeep_error **err);

/**
 * The scheduled backups as a JSON object: `enabled`, `every_ms`, `daily_at`, `time_zone`,
 * `full_every_ms`, `jitter_ms`, `running` (a progress, or null), `next_run_unix_ms`,
 * `newest_unix_ms`, `last_run` (`started_unix_ms`, `finished_unix_ms`, `done`: the backup's id, `error`),
 * `last_error`, `runs`, `failures`, `failures_in_row`, `warning` (what will not be as it was meant, or
 * null), `waits_for_other`; and `cleanups`, an object of the same members for the scheduled cleanups, whose
 * `done` has `deleted`, `purged` and `space_freed`. They are made while the state is open, as `backup.every`
 * or `backup.daily_at`, `retention.every` or `retention.daily_at` say. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_backup_schedule_json(const statekeep_manager *manager,
                                                struct statekeep_buf *out,
                                                statekeep_error **err);

/**
 * Which moments can be restored, and the gaps between, as a JSON object: `timelines`, each with
 * `ranges` and `gaps`. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_backup_ranges_json(const statekeep_manager *manager,
                                              struct statekeep_buf *out,
                                              statekeep_error **err);

/**
 * Starts a verification at `STATEKEEP_VERIFY_QUICK`, `_FULL` or `_RESTORE_TEST`. It ends as OK when the check was
 * made; whether the backup is good is `is_valid` of the result, beside `errors` and `warnings`.
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_backup_verify_start(const statekeep_manager *manager,
                                               const char *backup_id,
                                               size_t backup_id_len,
                                               uint32_t level,
                                               statekeep_op **out,
                                               statekeep_error **err);

/**
 * Starts a restore. Handles stay open and see the old state until it ends, then the restored one.
 * `options` is a JSON object or empty. With an empty id it names a moment: `to_sequence` or
 * `to_time_unix_ms` (numbers), and `timeline` (text) where it is not the state's own. `tenant`, `scope`
 * and `key` (patterns) restore a part, by one commit, in the `mode` `"replace"` or `"merge"`, which must
 * be given then. `dry_run` (boolean) only tells what would change. `safety_backup` (boolean, true unless
 * given): first back up the state. `backend` and `backend_options` (object) move the state to that
 * backend; with `to_dir` a new state is made in that directory instead, and this one stays as it is.
 * `principal` and `correlation_id` are those of the commit of a part. The result says what was
 * restored, and with `replaced` and `safety_backup` how to go back. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_backup_restore_start(const statekeep_manager *manager,
                                                const char *backup_id,
                                                size_t backup_id_len,
                                                const char *options,
                                                size_t options_len,
                                                statekeep_op **out,
                                                statekeep_error **err);

/**
 * Starts a comparison of a backup with a later one, or with the state as it is. `options` is a JSON
 * object or empty: `to` (a backup's id; the state when missing), `tenant`, `scope`, `key` (patterns;
 * only these). The result has `added`, `changed`, `removed`, `unchanged` and `samples`, up to ten
 * names of each kind. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_backup_diff_start(const statekeep_manager *manager,
                                             const char *backup_id,
                                             size_t backup_id_len,
                                             const char *options,
                                             size_t options_len,
                                             statekeep_op **out,
                                             statekeep_error **err);

/**
 * Starts a cleanup: what the retention policies forget is deleted, and what was deleted longer ago than
 * its grace is removed. `options` is a JSON object or empty: `dry_run` (boolean: only tell), `policies`
 * (array, as the setting `retention.policies`; the configured ones when missing), `mode` (`"any"`,
 * `"all"`), `grace_ms` (number), `state` (boolean: also remove what has expired in the state and the past that
 * its limits do not keep; else as the setting `retention.state` says), `principal` (text). The result has `evaluated`, `retained`, `deleted`,
 * `would_delete`, `deletion`, `grace_until_unix_ms`, `collected`, `space_freed`, `state` (its `limits`,
 * and `removed`, `would_remove`, `held_by`, `failure`), `decisions` (of each backup `keep`, `reason`, `floor`, `votes`), `failure` (text: why nothing was decided, such as a policy
 * that failed; the operation ends as OK) and `duration_ms`. UNSUPPORTED without any policy,
 * unless `state` is asked for. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_backup_cleanup_start(const statekeep_manager *manager,
                                                const char *options,
                                                size_t options_len,
                                                statekeep_op **out,
                                                statekeep_error **err);

/**
 * Deletes backups by hand, all of them or none; they can be undeleted until their grace is over.
 * `options` is a JSON object: `backups` (array of ids), `principal` (text). The result is the deletion:
 * `id`, `created_unix_ms`, `grace_until_unix_ms`, `principal`, `backups`. NOT_FOUND for one that is not
 * there or is deleted already, CONFLICT for a pinned one. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_backup_delete_json(const statekeep_manager *manager,
                                              const char *options,
                                              size_t options_len,
                                              struct statekeep_buf *out,
                                              statekeep_error **err);

/**
 * The backups that are deleted and not removed yet as a JSON object: `backups`, each with `id`, `deletion`,
 * `deleted_unix_ms`, `grace_until_unix_ms`, `reason`, `principal` and `purged` (it cannot come back).
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_backup_trash_json(const statekeep_manager *manager,
                                             struct statekeep_buf *out,
                                             statekeep_error **err);

/**
 * Takes the deletion of a backup back. NOT_FOUND when it is not deleted, COMPACTED when its grace is over
 * and it is being removed. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_backup_undelete(const statekeep_manager *manager,
                                           const char *backup_id,
                                           size_t backup_id_len,
                                           statekeep_error **err);

/**
 * Subscribes to events; close it with `statekeep_events_close`. `options` is a JSON object or empty:
 * `kinds` (array of `alert_raised`, `alert_changed`, `alert_cleared`, `backup_created`, `backup_failed`,
 * `backup_deleted`, `backup_undeleted`, `cleanup_done`, `cleanup_failed`, `verify_done`, `restore_done`;
 * all when missing), `subject` (text with `*` and `?`), `queue_max` (how many may wait, 1024 when
 * missing). The alerts that hold come first, then what happens from now on. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_events_open(const statekeep_manager *manager,
                                       const char *options,
                                       size_t options_len,
                                       statekeep_events **out,
                                       statekeep_error **err);

/**
 * Waits for the next event. TIMEOUT, without an error object, when none came within `timeout_ms`; a
 * negative one waits as long as it takes, 0 only looks. CLOSED once the subscription is closed, and once
 * the state is closed and nothing waits, also for those who are waiting. The event is a JSON object:
 * `number`, `time_unix_ms`, `kind`, `subject`, `correlation_id` and `principal` (null where nobody said),
 * `standing` (an alert that held before the subscription began), `lost` (so many events right before this
 * one were dropped, since the queue was full), `detail` (an object). `[any-thread]`: an event goes to one
 * of the callers. Since: 0.1
 */
statekeep_status statekeep_events_next(const statekeep_events *events,
                                       int64_t timeout_ms,
                                       struct statekeep_buf *out,
                                       statekeep_error **err);

/**
 * Ends a subscription; NULL is allowed. Calls that wait in `statekeep_events_next` on other threads end
 * with CLOSED. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_events_close(statekeep_events *events);

/**
 * What the backup repository takes, and for whom, as a JSON object: `bytes`, `objects`, `folders`,
 * `storage_bytes_max`, `trash` (what goes with deleted backups), `unknown` (what no backup needs),
 * `backups` (of each `own_bytes`, which it wrote, `only_bytes`, which removing it alone would free, and
 * `shared_bytes`), `chains` (of each `full`, `newest`, `backups`, `bytes`, `length`, `length_max`),
 * `series`, `scopes` (of the newest backup: `tenant`, `scope`, `records`, `raw_bytes`, `share`), `ages`,
 * `forecast` (docs/monitoring.md) and `problems`. It reads the names of all objects and every document, and no record. `[any-thread]`
 * Since: 0.1
 */
statekeep_status statekeep_backup_storage_json(const statekeep_manager *manager,
                                               struct statekeep_buf *out,
                                               statekeep_error **err);

/**
 * The alerts that hold now, worst first, as a JSON object: `alerts`, each with `id` (the rule, such as
 * `no_verified_backup`), `severity` (`warning`, `critical`), `subject`, `message`, `since_unix_ms` and
 * `next_step`. It looks now, which lists the repository. Limits are the settings `alerts.*`; events tell
 * when an alert comes and goes. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_alerts_json(const statekeep_manager *manager,
                                       struct statekeep_buf *out,
                                       statekeep_error **err);

/**
 * What is wrong with the state and its backups and what to do, as a JSON object: `severity` (the worst),
 * `path`, `at_unix_ms`, `is_open` and `findings`, worst first, each with `severity` (`fine`, `note`,
 * `warning`, `error`), `area`, `what`, `cause` and `next_step` (both may be null). It reads every document
 * of the repository and no record, and changes nothing. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_doctor_json(const statekeep_manager *manager,
                                       struct statekeep_buf *out,
                                       statekeep_error **err);

/**
 * Registers a retention policy on the manager, for every language that has the state open: rules name it
 * like a plugin, `{"policy": NAME, OPTION: VALUE}`, before plugins of that name. It stays until
 * `statekeep_policy_remove`, or until the state is closed. `destroy` runs exactly once, also when this
 * function fails, on any thread, when no call is running. ALREADY_EXISTS for a name that a plugin or
 * another registered policy has, INVALID_ARGUMENT for one that is no short name of a plugin; at most 64.
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_policy_register(const statekeep_manager *manager,
                                           const struct statekeep_policy *policy,
                                           statekeep_error **err);

/**
 * Removes a registered policy. Returns when no call of it is running and its `destroy` has run; a rule that
 * names it fails from then on and deletes nothing. Do not hold a lock that the policy waits for. NOT_FOUND
 * when there is none; REENTRANT from inside a policy. `[not-in-callback]` Since: 0.1
 */
statekeep_status statekeep_policy_remove(const statekeep_manager *manager,
                                         const char *name,
                                         size_t name_len,
                                         statekeep_error **err);

/**
 * How many backups there are to judge; they are in the order in which they were made, oldest first.
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_policy_call_count(const statekeep_policy_call *call,
                                             size_t *out,
                                             statekeep_error **err);

/**
 * One backup of the list. `out->struct_size` says how much of the struct the caller knows.
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_policy_call_backup(const statekeep_policy_call *call,
                                              size_t index,
                                              struct statekeep_policy_backup *out,
                                              statekeep_error **err);

/**
 * One tag of a backup: UTF-8, not NUL-ended, good until the policy returns. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_policy_call_tag(const statekeep_policy_call *call,
                                           size_t index,
                                           size_t tag,
                                           const char **out,
                                           size_t *out_len,
                                           statekeep_error **err);

/** The circumstances: time, storage, time zone, options. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_policy_call_context(const statekeep_policy_call *call,
                                               struct statekeep_policy_context *out,
                                               statekeep_error **err);

/**
 * Votes on one backup: `STATEKEEP_VERDICT_*`; of what is forgotten, lower `priority` goes first; `reason` is
 * shown to people, more than 256 bytes of it are cut. A backup without a vote is an abstention; of several
 * votes the last counts. A vote that is refused, as for an index or a verdict that is none, fails the
 * evaluation, and nothing is deleted. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_policy_call_vote(const statekeep_policy_call *call,
                                            size_t index,
                                            uint32_t verdict,
                                            int32_t priority,
                                            const char *reason,
                                            size_t reason_len,
                                            statekeep_error **err);

/**
 * Fails the evaluation: nothing is deleted, and the report of the cleanup says this. The first error
 * counts, votes do not any more. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_policy_call_set_error(const statekeep_policy_call *call,
                                                 const char *message,
                                                 size_t message_len,
                                                 statekeep_error **err);

/**
 * What retention is in force as a JSON object: `rule` (as the setting `retention.policies` has members;
 * null keeps every backup), `rule_in_words`, `settings` (array of `key`, `value` and `source`, who gave it),
 * `floors` (texts: what stays whatever policies say) and `state` (as `settings`, of the state's own past).
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_retention_show_json(const statekeep_manager *manager,
                                               struct statekeep_buf *out,
                                               statekeep_error **err);

/**
 * Gives the open state another retention, all of it or nothing. `settings` is a JSON object: settings of
 * `retention` and `backup.max_backups`, `backup.max_backup_age` by their keys or without the section, such
 * as `{"policies": [{"policy": "count", "keep": 7}], "grace": "14d"}`; null for what is configured no more.
 * Every policy is opened before, and asked about one backup. It holds for all handles of the state until
 * that is closed, and is written nowhere. The answer is that of `statekeep_retention_show_json`; `out` may
 * be NULL. INVALID_ARGUMENT for what is no such setting, NOT_FOUND for a policy that is not there.
 * `[not-in-callback]` Since: 0.1
 */
statekeep_status statekeep_retention_set_json(const statekeep_manager *manager,
                                              const char *settings,
                                              size_t settings_len,
                                              struct statekeep_buf *out,
                                              statekeep_error **err);

/**
 * Says what a rule would keep and delete; nothing is deleted. `options` is a JSON object or empty:
 * `policies` (array, as the setting `retention.policies`; the configured ones when missing), `mode` (`"any"`,
 * `"all"`), `backups` (array: judge these in place of the present ones, each with `started_unix_ms` or
 * `age_ms` and, if wanted, `id`, `kind`, `series`, `parent`, `tags`, `label`, `pin`, `in_use`, `verified`,
 * `stored_bytes`, `raw_bytes`, `records`, `restores`) and `at_unix_ms` (as if it were then). The answer has
 * `rule_in_words`, `at_unix_ms`, `evaluated`, `retained`, `would_delete`, `would_free`, `decisions` (of each
 * backup `keep`, `reason`, `floor`, `votes`) and `failure` (text: why nothing was decided, such as a policy
 * that failed; the status is OK). UNSUPPORTED without any policy. `[not-in-callback]` Since: 0.1
 */
statekeep_status statekeep_retention_test_json(const statekeep_manager *manager,
                                               const char *options,
                                               size_t options_len,
                                               struct statekeep_buf *out,
                                               statekeep_error **err);

/**
 * Starts a simulation: a rule is played over the time to come, with a cleanup after each backup; neither
 * the state nor its backups are touched. `options` is a JSON object or empty: `policies` and `mode` (as of
 * `statekeep_retention_test_json`), `every_ms` (number: a backup so often) or `daily_at` (text: a time of
 * the day), `for_ms` (number, 365 days), `start_unix_ms` (number), `chain_max` (number, 0 for full backups
 * only), `full_every_ms`, `full_bytes`, `incremental_bytes`, `growth_bytes_a_day`, `verify_every` (numbers),
 * `tags` (array of `tag` and `every`), `grace_ms` (number) and `format` (`"svg"` or `"html"`). What is
 * missing is as configured, sizes are those of the present backups. The result has `rule_in_words`, `made`,
 * `forgotten`, `kept`, `kept_max`, `bytes`, `bytes_max`, `bytes_max_with_trash`, `steady`, `keepers`,
 * `coverage`, `warnings`, `course` (array: the numbers over time) and `lifelines` (array: each backup from
 * its making to its end and why); with a `format` also `picture`, a text that needs nothing else. TOO_LARGE
 * for more than 100,000 backups. `[not-in-callback]` Since: 0.1
 */
statekeep_status statekeep_retention_simulate_start(const statekeep_manager *manager,
                                                    const char *options,
                                                    size_t options_len,
                                                    statekeep_op **out,
                                                    statekeep_error **err);

/**
 * Starts a check of the backup repository, which changes nothing. The result is a JSON object:
 * `is_valid`, `encrypted`, `looked_at` (names, sizes and documents), `unread_objects` and `unread_bytes` (segments,
 * which a verification reads), `problems` (what is missing, short, damaged or foreign), `strays` (what no manifest
 * leads to: `objects`, `bytes`, `listed`), `creations` (backups in the making, and those whose
 * writer is gone), `leftovers`, `undecided`, `warnings`. NOT_FOUND where no repository is. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_repository_check_start(const statekeep_manager *manager,
                                                  statekeep_op **out,
                                                  statekeep_error **err);

/**
 * Starts the removal of the objects that no manifest leads to and whose writer does not live.
 * `options` is a JSON object or empty: `dry_run` (boolean, true unless given: tell, and remove
 * nothing). The result is a JSON object: `dry_run`, `would_remove`, `removed` (each `objects`,
 * `bytes`, `listed`) and `undecided`, why others were kept. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_repository_prune_strays_start(const statekeep_manager *manager,
                                                         const char *options,
                                                         size_t options_len,
                                                         statekeep_op **out,
                                                         statekeep_error **err);

/**
 * Starts a repair: it finishes what crashes left unfinished in the repository and removes neither
 * backups nor what is damaged. The result is a JSON object: `leases`, `leftovers`, `indexed`,
 * `indexes_removed`, `problems` (left as they are). `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_repository_repair_start(const statekeep_manager *manager,
                                                   statekeep_op **out,
                                                   statekeep_error **err);

/**
 * The keys of the encrypted backup repository as a JSON object: `keys`, oldest first, each with `id`,
 * `kind` (`passphrase`, `key_file`), `label`, `created_unix_ms` and `in_use` (it opened the repository
 * here). UNSUPPORTED for a repository that is not encrypted, NOT_FOUND before the first backup,
 * PERMISSION_DENIED for a wrong secret in the configuration. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_repository_key_list_json(const statekeep_manager *manager,
                                                    struct statekeep_buf *out,
                                                    statekeep_error **err);

/**
 * Adds a key to the encrypted backup repository and answers it as `statekeep_repository_key_list_json` does;
 * no backup is written again. `options` is a JSON object: one of `passphrase`, `passphrase_file` and
 * `key_file`; `label` (text); `change` (boolean: it takes the place and the label of the key that opened
 * the repository here). Errors as there. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_repository_key_add_json(const statekeep_manager *manager,
                                                   const char *options,
                                                   size_t options_len,
                                                   struct statekeep_buf *out,
                                                   statekeep_error **err);

/**
 * Removes a key from the encrypted backup repository: what it was made of opens the repository no
 * longer. NOT_FOUND when there is none of that id, CONFLICT for the one that opened the repository
 * here; else errors as of `statekeep_repository_key_list_json`. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_repository_key_remove(const statekeep_manager *manager,
                                                 const char *key_id,
                                                 size_t key_id_len,
                                                 statekeep_error **err);

/**
 * Starts an export into a file, which has its name only once it is whole and synced; writers go on.
 * `options` is a JSON object or empty: `backup` (id; else the state), one of `at_sequence` and
 * `at_unix_ms` (a moment of the state's past or in the backup's history); `tenant`, `scope`, `key` (patterns) narrow it; `format` (`"jsonl"`, `"json"`),
 * `codec` (`"zstd"`, `"gzip"`, `"none"`), both else by the file's name; `level`; `overwrite`
 * (boolean). The result has `records`, `bytes`, `sha256` and more. `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_export_start(const statekeep_manager *manager,
                                        const char *path,
                                        size_t path_len,
                                        const char *options,
                                        size_t options_len,
                                        statekeep_op **out,
                                        statekeep_error **err);

/**
 * Starts an import of a file that an export made, or of plain lines, also packed by zstd or gzip.
 * `options` is a JSON object: `mode` (`"merge"`, `"replace"`; required), `plain` (boolean: lines
 * without header and footer), `tenant`, `scope`, `key` (patterns; only these), `dry_run` (boolean),
 * `principal`, `correlation_id`. A replacement that fails changes nothing; the error of a merge says
 * what had been committed. The result has `added`, `changed`, `removed` and more.
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_import_start(const statekeep_manager *manager,
                                        const char *path,
                                        size_t path_len,
                                        const char *options,
                                        size_t options_len,
                                        statekeep_op **out,
                                        statekeep_error **err);

/**
 * Loads a plugin library after the checks of the configuration (owner, rights, `plugins.lock`);
 * it stays for the life of the process. `out`, which may be NULL, is what the plugin is, as JSON.
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_plugin_load(const statekeep_manager *manager,
                                       const char *library,
                                       size_t library_len,
                                       struct statekeep_buf *out,
                                       statekeep_error **err);

/** Built-in and loaded plugins as a JSON array. `[any-thread]` Since: 0.1 */
statekeep_status statekeep_plugin_list_json(const statekeep_manager *manager,
                                            struct statekeep_buf *out,
                                            statekeep_error **err);

/**
 * What a plugin library says of itself in its ELF section, as JSON; none of its code runs.
 * `[any-thread]` Since: 0.1
 */
statekeep_status statekeep_plugin_inspect_json(const char *library,
                                               size_t library_len,
                                               struct statekeep_buf *out,
                                               statekeep_error **err);

/**
 * Sets the callback for log lines up to `level` (`STATEKEEP_LOG_*`), in place of the one before; a
 * NULL `callback` removes it. Returns when the one before is not running any more. Inside the
 * callback nearly every function, this one too, answers REENTRANT: see `statekeep_log_fn`.
 * `destroy`, which may be NULL, runs exactly once, also when this function fails; it may run where
 * the callback does, and then the same holds for it. `[not-in-callback]` Since: 0.1
 */
statekeep_status statekeep_log_set(uint32_t level,
                                   statekeep_log_fn callback,
                                   void *user_data,
                                   statekeep_destroy_fn destroy,
                                   statekeep_error **err);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus


/** Options that mean every key of the scope. */
#define STATEKEEP_SCAN_OPTIONS_INIT {sizeof(statekeep_scan_options), NULL, 0, NULL, 0, NULL, 0, 0, 0, 0}
/** Options that mean as configured. */
#define STATEKEEP_SET_OPTIONS_INIT {sizeof(statekeep_set_options), 0, 0, 0, 0}
/** A progress to be filled in. */
#define STATEKEEP_PROGRESS_INIT {sizeof(statekeep_progress), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
/** A policy without a name and a function yet. */
#define STATEKEEP_POLICY_INIT {sizeof(statekeep_policy), NULL, 0, NULL, NULL, NULL}
/** A backup to be filled in. */
#define STATEKEEP_POLICY_BACKUP_INIT \
  {sizeof(statekeep_policy_backup), NULL, 0, NULL, 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
/** Circumstances to be filled in. */
#define STATEKEEP_POLICY_CONTEXT_INIT {sizeof(statekeep_policy_context), 0, 0, 0, NULL, 0, NULL, 0}

#endif /* STATEKEEP_H */
