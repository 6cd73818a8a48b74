/*
 * A Statekeep backend in one C file: an append-only log on disk, a sorted index in memory.
 *
 * Every commit is one record of `rows.log`; opening reads the log again. A record is
 *   u64 body length, u32 operations, u32 CRC-32 of the body, u64 synced, u32 CRC-32 of these, then:
 *   u32 kind, u32 space, u32 key length, u32 value length, key, value      (for each operation)
 * in little-endian, so a commit that a crash cut short counts as a whole: all of it or nothing. What
 * was written since the last sync may be missing after a power cut, also with later bytes there; so
 * each record says how much of the log was synced before it. A bad record is damage, and refused,
 * when one behind it says that it was synced; else the log ends before it. The log is rewritten at
 * opening when most of it is dead.
 *
 * Locks: `writer` is held for a whole commit, `index` only while rows are read or changed in
 * memory, so that readers never wait for the disk. All rows live in memory: this is an example, and
 * fine for small states.
 */
#define _GNU_SOURCE
#include "statekeep_plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID "org.example.template-backend"
#define VERSION "0.1.0"
#define LICENSE "MIT OR Apache-2.0"

STATEKEEP_PLUGIN_MANIFEST(ID, VERSION, LICENSE, STATEKEEP_BACKEND_V1_ID);

#define LOG_MAGIC "SKTLOG2\n"
#define FILE_HEADER_BYTES 8
#define RECORD_HEADER_BYTES 28
#define OP_HEADER_BYTES 16
#define KEY_BYTES_MAX ((size_t)4096)
#define VALUE_BYTES_MAX ((size_t)64 << 20)
#define COMMIT_OPS_MAX ((size_t)1 << 20)
#define COMMIT_BYTES_MAX ((size_t)256 << 20)
#define REWRITE_BYTES_MIN ((uint64_t)4 << 20)
#define BATCH_BYTES_MAX ((size_t)1 << 20)
#define HEIGHT_MAX 14

/* A row of the index, a skip list ordered by space, then by the bytes of the key. */
struct row {
  struct row *next[HEIGHT_MAX], *previous;
  uint8_t *value;
  size_t value_len, key_len;
  uint32_t space;
  int height;
  uint8_t key[];
};

struct statekeep_instance {
  pthread_mutex_t writer;  /* one commit at a time; guards log, end, synced, broken, seed */
  pthread_rwlock_t index;  /* guards head and every row */
  struct row *head;
  int folder, lock, log;
  uint64_t end, live;      /* bytes of the log, and those that a rewrite would keep */
  uint64_t synced;         /* that many bytes of the log are surely on disk */
  bool broken;             /* a write or sync failed: what is on disk is unknown */
  uint32_t seed;
};

struct statekeep_cursor {
  uint32_t space, flags;
  uint8_t *lo, *hi;        /* the range */
  size_t lo_len, hi_len;
  uint8_t *batch;          /* what the delivered entries borrow; at its front the last key */
  size_t batch_cap, last_len;
};

/* Says what went wrong into the caller's buffer, which may be missing, and answers the status. */
__attribute__((format(printf, 4, 5))) static statekeep_status
fail(statekeep_error_out *err, statekeep_status status, int os_error, const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  int len = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (err != NULL) {
    size_t wanted = len < 0 ? 0 : (size_t)len < sizeof text ? (size_t)len : sizeof text - 1;
    err->status = status;
    err->os_error = os_error;
    err->message.len = wanted < err->message.cap ? wanted : err->message.cap;
    if (err->message.len > 0) memcpy(err->message.ptr, text, err->message.len);
  }
  return status;
}

/* CRC-32 (IEEE 802.3), four bits at a time. */
static uint32_t crc32(uint32_t crc, const uint8_t *bytes, size_t len) {
  static const uint32_t table[16] = {
      0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
      0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
  crc = ~crc;
  for (size_t i = 0; i < len; i++) {
    crc = table[(crc ^ bytes[i]) & 15] ^ (crc >> 4);
    crc = table[(crc ^ (bytes[i] >> 4)) & 15] ^ (crc >> 4);
  }
  return ~crc;
}

static void put_le(uint8_t *to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *from, int bytes) {
  uint64_t value = 0;
  for (int i = bytes; i > 0; i--) value = value << 8 | from[i - 1];
  return value;
}

/* ---- the index ---- */

static int compare(const struct row *row, uint32_t space, const uint8_t *key, size_t len) {
  if (row->space != space) return row->space < space ? -1 : 1;
  int order = memcmp(row->key, key, row->key_len < len ? row->key_len : len);
  if (order != 0) return order;
  return row->key_len < len ? -1 : row->key_len > len;
}

/* The first row at or after a key; `path`, when asked for, gets the rows before it by level. */
static struct row *seek(struct row *head, uint32_t space, const uint8_t *key, size_t len,
                        struct row **path) {
  struct row *row = head;
  for (int level = HEIGHT_MAX - 1; level >= 0; level--) {
    while (row->next[level] != NULL && compare(row->next[level], space, key, len) < 0)
      row = row->next[level];
    if (path != NULL) path[level] = row;
  }
  return row->next[0];
}

static void free_row(struct row *row) {
  if (row != NULL) free(row->value);
  free(row);
}

static struct row *new_row(statekeep_instance *instance, uint32_t space, statekeep_bytes key,
                           statekeep_bytes value) {
  struct row *row = calloc(1, sizeof *row + key.len);
  if (row == NULL) return NULL;
  row->value = malloc(value.len > 0 ? value.len : 1);
  if (row->value == NULL) {
    free(row);
    return NULL;
  }
  row->space = space;
  row->key_len = key.len;
  row->value_len = value.len;
  if (key.len > 0) memcpy(row->key, key.ptr, key.len);
  if (value.len > 0) memcpy(row->value, value.ptr, value.len);
  instance->seed = instance->seed * UINT32_C(1664525) + UINT32_C(1013904223);
  for (row->height = 1; row->height < HEIGHT_MAX && !(instance->seed >> (32 - 2 * row->height) & 3);)
    row->height++;
  return row;
}

/* Removes a row, then puts `fresh` in its place unless that is NULL; cannot fail. */
static void apply(statekeep_instance *instance, uint32_t space, statekeep_bytes key,
                  struct row *fresh) {
  struct row *path[HEIGHT_MAX];
  struct row *old = seek(instance->head, space, key.ptr, key.len, path);
  if (old != NULL && compare(old, space, key.ptr, key.len) == 0) {
    for (int level = 0; level < old->height; level++) path[level]->next[level] = old->next[level];
    if (old->next[0] != NULL) old->next[0]->previous = old->previous;
    instance->live -= OP_HEADER_BYTES + old->key_len + old->value_len;
    free_row(old);
  }
  if (fresh == NULL) return;
  for (int level = 0; level < fresh->height; level++) {
    fresh->next[level] = path[level]->next[level];
    path[level]->next[level] = fresh;
  }
  fresh->previous = path[0];
  if (fresh->next[0] != NULL) fresh->next[0]->previous = fresh;
  instance->live += OP_HEADER_BYTES + fresh->key_len + fresh->value_len;
}

/* ---- the log ---- */

static bool write_at(int file, const uint8_t *bytes, size_t len, uint64_t offset) {
  while (len > 0) {
    ssize_t n = pwrite(file, bytes, len, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes += n;
    len -= (size_t)n;
    offset += (size_t)n;
  }
  return true;
}

static bool read_at(int file, uint8_t *bytes, size_t len, uint64_t offset) {
  while (len > 0) {
    ssize_t n = pread(file, bytes, len, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes += n;
    len -= (size_t)n;
    offset += (size_t)n;
  }
  return true;
}

static uint8_t *encode_op(uint8_t *to, uint32_t kind, uint32_t space, statekeep_bytes key,
                          statekeep_bytes value) {
  put_le(to, kind, 4);
  put_le(to + 4, space, 4);
  put_le(to + 8, key.len, 4);
  put_le(to + 12, value.len, 4);
  to += OP_HEADER_BYTES;
  memcpy(to, key.ptr, key.len);
  if (value.len > 0) memcpy(to + key.len, value.ptr, value.len);
  return to + key.len + value.len;
}

static void seal(uint8_t *record, size_t body_len, size_t ops, uint64_t synced) {
  put_le(record, body_len, 8);
  put_le(record + 8, ops, 4);
  put_le(record + 12, crc32(0, record + RECORD_HEADER_BYTES, body_len), 4);
  put_le(record + 16, synced, 8);
  put_le(record + 24, crc32(0, record, 24), 4);
}

static bool is_header(const uint8_t *header) {
  return crc32(0, header, 24) == (uint32_t)get_le(header + 24, 4);
}

/* Applies the operations of one record that passed its CRC. */
static bool replay(statekeep_instance *instance, const uint8_t *body, size_t len, size_t ops) {
  for (; ops > 0; ops--) {
    if (len < OP_HEADER_BYTES) return false;
    uint32_t kind = (uint32_t)get_le(body, 4), space = (uint32_t)get_le(body + 4, 4);
    statekeep_bytes key = {body + OP_HEADER_BYTES, (size_t)get_le(body + 8, 4)};
    statekeep_bytes value = {key.ptr + key.len, (size_t)get_le(body + 12, 4)};
    len -= OP_HEADER_BYTES;
    if (key.len == 0 || key.len > len || value.len > len - key.len || space >= STATEKEEP_SPACE_COUNT)
      return false;
    struct row *fresh = kind == STATEKEEP_OP_PUT ? new_row(instance, space, key, value) : NULL;
    if (kind == STATEKEEP_OP_PUT && fresh == NULL) return false;
    apply(instance, space, key, fresh);
    body += OP_HEADER_BYTES + key.len + value.len;
    len -= key.len + value.len;
  }
  return len == 0;
}

/* Whether a record behind a bad one says that the bad one was synced; `tail` is all from it on. */
static bool was_synced(const uint8_t *tail, uint64_t len, uint64_t at) {
  for (uint64_t i = 1; i + RECORD_HEADER_BYTES <= len; i++)
    if (get_le(tail + i + 16, 8) > at && is_header(tail + i)) return true;
  return false;
}

/* What a bad record means: OK when the log ends before it. */
static statekeep_status judge(statekeep_instance *instance, uint64_t at, uint64_t size,
                              statekeep_error_out *err) {
  uint8_t *tail = malloc((size_t)(size - at));
  if (tail == NULL)
    return fail(err, STATEKEEP_STATUS_OUT_OF_MEMORY, 0, "no memory for the end of rows.log");
  bool is_read = read_at(instance->log, tail, (size_t)(size - at), at);
  bool is_damage = is_read && was_synced(tail, size - at, at);
  free(tail);
  if (!is_read)
    return fail(err, STATEKEEP_STATUS_IO, errno, "cannot read rows.log: %s", strerror(errno));
  if (!is_damage) return STATEKEEP_STATUS_OK;
  return fail(err, STATEKEEP_STATUS_CORRUPT, 0,
              "rows.log is damaged at byte %llu of %llu; restore a backup", (unsigned long long)at,
              (unsigned long long)size);
}

static statekeep_status read_log(statekeep_instance *instance, statekeep_error_out *err) {
  struct stat stat;
  uint8_t header[RECORD_HEADER_BYTES], *body = NULL;
  if (fstat(instance->log, &stat) != 0)
    return fail(err, STATEKEEP_STATUS_IO, errno, "cannot stat rows.log: %s", strerror(errno));
  uint64_t size = (uint64_t)stat.st_size, at = FILE_HEADER_BYTES;
  if (size < FILE_HEADER_BYTES) { /* new, or a crash came before its first commit */
    if (ftruncate(instance->log, 0) != 0 || !write_at(instance->log, (const uint8_t *)LOG_MAGIC, 8, 0) ||
        fsync(instance->log) != 0 || fsync(instance->folder) != 0)
      return fail(err, STATEKEEP_STATUS_IO, errno, "cannot create rows.log: %s", strerror(errno));
    size = FILE_HEADER_BYTES;
  }
  if (!read_at(instance->log, header, 8, 0) || memcmp(header, LOG_MAGIC, 8) != 0)
    return fail(err, STATEKEEP_STATUS_INCOMPATIBLE, 0, "rows.log is no log of this backend's version 2");
  for (; size - at >= RECORD_HEADER_BYTES; at += RECORD_HEADER_BYTES + get_le(header, 8)) {
    if (!read_at(instance->log, header, sizeof header, at))
      return fail(err, STATEKEEP_STATUS_IO, errno, "cannot read rows.log: %s", strerror(errno));
    uint64_t len = get_le(header, 8), left = size - at - RECORD_HEADER_BYTES;
    bool is_good = is_header(header);
    if (is_good && len > left) break; /* cut short */
    if (is_good) {
      body = malloc(len > 0 ? (size_t)len : 1);
      if (body == NULL)
        return fail(err, STATEKEEP_STATUS_OUT_OF_MEMORY, 0, "no memory for a record of rows.log");
      is_good = read_at(instance->log, body, (size_t)len, at + RECORD_HEADER_BYTES) &&
                crc32(0, body, (size_t)len) == (uint32_t)get_le(header + 12, 4);
      bool is_known = !is_good || replay(instance, body, (size_t)len, (size_t)get_le(header + 8, 4));
      free(body);
      if (!is_known)
        return fail(err, STATEKEEP_STATUS_CORRUPT, 0, "rows.log has unknown operations at byte %llu",
                    (unsigned long long)at);
    }
    if (!is_good) {
      statekeep_status status = judge(instance, at, size, err);
      if (status != STATEKEEP_STATUS_OK) return status;
      break;
    }
  }
  /* Take back what was cut short, so that the next record does not hide behind it. */
  if (at < size && (ftruncate(instance->log, (off_t)at) != 0 || fsync(instance->log) != 0))
    return fail(err, STATEKEEP_STATUS_IO, errno, "cannot repair rows.log: %s", strerror(errno));
  instance->end = at;
  return STATEKEEP_STATUS_OK;
}

/* Writes every row to a new log, syncs it and renames it over the old one. */
static statekeep_status rewrite(statekeep_instance *instance, statekeep_error_out *err) {
  int file = openat(instance->folder, "rows.log.new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool is_good = file >= 0 && write_at(file, (const uint8_t *)LOG_MAGIC, FILE_HEADER_BYTES, 0);
  uint64_t end = FILE_HEADER_BYTES;
  for (struct row *row = instance->head->next[0]; is_good && row != NULL; row = row->next[0]) {
    size_t body_len = OP_HEADER_BYTES + row->key_len + row->value_len;
    uint8_t *record = malloc(RECORD_HEADER_BYTES + body_len);
    is_good = record != NULL;
    if (!is_good) break;
    statekeep_bytes key = {row->key, row->key_len}, value = {row->value, row->value_len};
    encode_op(record + RECORD_HEADER_BYTES, STATEKEEP_OP_PUT, row->space, key, value);
    seal(record, body_len, 1, end); /* it gets its name only when all of it is synced */
    is_good = write_at(file, record, RECORD_HEADER_BYTES + body_len, end);
    end += RECORD_HEADER_BYTES + body_len;
    free(record);
  }
  if (!is_good || fsync(file) != 0 ||
      renameat(instance->folder, "rows.log.new", instance->folder, "rows.log") != 0 ||
      fsync(instance->folder) != 0) {
    int error = errno;
    if (file >= 0) close(file);
    return fail(err, STATEKEEP_STATUS_IO, error, "cannot rewrite rows.log: %s", strerror(error));
  }
  close(instance->log);
  instance->log = file;
  instance->end = instance->synced = end;
  return STATEKEEP_STATUS_OK;
}

/* ---- the functions of the table ---- */

static statekeep_status capabilities(const statekeep_instance *instance,
                                     statekeep_backend_capabilities *out, statekeep_error_out *err) {
  if (instance == NULL || out == NULL)
    return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, 0, "capabilities: an argument is NULL");
  *out = (statekeep_backend_capabilities){
      .flags = STATEKEEP_CAPABILITY_PERSISTENT | STATEKEEP_CAPABILITY_PRECONDITIONS,
      .key_bytes_max = KEY_BYTES_MAX,
      .value_bytes_max = VALUE_BYTES_MAX,
      .commit_ops_max = COMMIT_OPS_MAX,
      .commit_bytes_max = COMMIT_BYTES_MAX,
  };
  return STATEKEEP_STATUS_OK;
}

static bool is_bad(statekeep_bytes bytes) { return bytes.ptr == NULL && bytes.len > 0; }

static struct row *find(const statekeep_instance *instance, uint32_t space, statekeep_bytes key) {
  struct row *row = seek(instance->head, space, key.ptr, key.len, NULL);
  return row != NULL && compare(row, space, key.ptr, key.len) == 0 ? row : NULL;
}

static statekeep_status get(const statekeep_instance *instance, uint32_t space, statekeep_bytes key,
                            const statekeep_sink *sink, statekeep_error_out *err) {
  if (instance == NULL || sink == NULL || is_bad(key) || key.len == 0)
    return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, 0, "get: an argument is NULL or empty");
  if (space >= STATEKEEP_SPACE_COUNT)
    return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, 0, "get: there is no space %u", space);
  pthread_rwlock_rdlock((pthread_rwlock_t *)&instance->index);
  struct row *row = find(instance, space, key);
  statekeep_status status = STATEKEEP_STATUS_NOT_FOUND;
  if (row != NULL) status = sink->put(sink->ctx, (statekeep_bytes){row->value, row->value_len});
  pthread_rwlock_unlock((pthread_rwlock_t *)&instance->index);
  return status;
}

/* Checks a commit before anything is done; `bytes` gets the length of its record's body. */
static statekeep_status check(const statekeep_commit *commit, size_t *bytes, statekeep_error_out *err) {
  if ((commit->ops == NULL && commit->ops_len > 0) ||
      (commit->preconditions == NULL && commit->preconditions_len > 0))
    return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, 0, "commit: an argument is NULL");
  if (commit->flags != 0 || (commit->durability != STATEKEEP_DURABILITY_SYNC &&
                             commit->durability != STATEKEEP_DURABILITY_RELAXED))
    return fail(err, STATEKEEP_STATUS_UNSUPPORTED, 0, "commit: unknown flags %#x or durability %u",
                commit->flags, commit->durability);
  if (commit->ops_len > COMMIT_OPS_MAX)
    return fail(err, STATEKEEP_STATUS_TOO_LARGE, 0, "commit: more than %zu operations", COMMIT_OPS_MAX);
  *bytes = 0;
  for (size_t i = 0; i < commit->ops_len; i++) {
    const statekeep_commit_op *op = &commit->ops[i];
    if (op->kind != STATEKEEP_OP_PUT && op->kind != STATEKEEP_OP_DELETE)
      return fail(err, STATEKEEP_STATUS_UNSUPPORTED, 0, "commit: unknown kind %u of operation", op->kind);
    size_t value_len = op->kind == STATEKEEP_OP_PUT ? op->value.len : 0;
    if (op->space >= STATEKEEP_SPACE_COUNT || op->key.len == 0 || is_bad(op->key) ||
        (value_len > 0 && is_bad(op->value)))
      return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, 0,
                  "commit: operation %zu has no key, no value or no space %u", i, op->space);
    if (op->key.len > KEY_BYTES_MAX || value_len > VALUE_BYTES_MAX)
      return fail(err, STATEKEEP_STATUS_TOO_LARGE, 0, "commit: a key of %zu or a value of %zu bytes",
                  op->key.len, value_len);
    *bytes += OP_HEADER_BYTES + op->key.len + value_len;
    if (*bytes > COMMIT_BYTES_MAX + OP_HEADER_BYTES * (i + 1))
      return fail(err, STATEKEEP_STATUS_TOO_LARGE, 0, "commit: more than %zu bytes", COMMIT_BYTES_MAX);
  }
  return STATEKEEP_STATUS_OK;
}

static statekeep_status check_preconditions(const statekeep_instance *instance,
                                            const statekeep_commit *commit,
                                            statekeep_commit_outcome *out, statekeep_error_out *err) {
  for (size_t i = 0; i < commit->preconditions_len; i++) {
    const statekeep_precondition *condition = &commit->preconditions[i];
    if (condition->kind != STATEKEEP_PRECONDITION_EQUALS &&
        condition->kind != STATEKEEP_PRECONDITION_ABSENT)
      return fail(err, STATEKEEP_STATUS_UNSUPPORTED, 0, "commit: unknown kind %u of precondition",
                  condition->kind);
    if (condition->space >= STATEKEEP_SPACE_COUNT || condition->key.len == 0 ||
        is_bad(condition->key) || is_bad(condition->value))
      return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, 0, "commit: precondition %zu is malformed", i);
    const struct row *row = find(instance, condition->space, condition->key);
    bool holds = condition->kind == STATEKEEP_PRECONDITION_ABSENT
                     ? row == NULL
                     : row != NULL && row->value_len == condition->value.len &&
                           (row->value_len == 0 ||
                            memcmp(row->value, condition->value.ptr, row->value_len) == 0);
    if (holds) continue;
    if (out != NULL) *out = (statekeep_commit_outcome){.sequence = 0, .conflict_index = i};
    return fail(err, STATEKEEP_STATUS_CONFLICT, 0, "commit: precondition %zu does not hold", i);
  }
  return STATEKEEP_STATUS_OK;
}

/* Appends a record and syncs it if asked. A write that fails is taken back: nothing was applied. */
static statekeep_status append(statekeep_instance *instance, const uint8_t *record, size_t len,
                               bool is_sync, statekeep_error_out *err) {
  if (!write_at(instance->log, record, len, instance->end)) {
    int error = errno;
    if (ftruncate(instance->log, (off_t)instance->end) == 0)
      return fail(err, error == ENOSPC || error == EDQUOT ? STATEKEEP_STATUS_NO_SPACE
                                                          : STATEKEEP_STATUS_UNAVAILABLE,
                  error, "cannot write rows.log: %s", strerror(error));
    instance->broken = true;
    return fail(err, STATEKEEP_STATUS_IO, error, "cannot write rows.log: %s", strerror(error));
  }
  /* After a failed sync nobody knows what is on disk: no more writes until it is opened again. */
  if (is_sync && fdatasync(instance->log) != 0) {
    instance->broken = true;
    return fail(err, STATEKEEP_STATUS_IO, errno, "cannot sync rows.log: %s", strerror(errno));
  }
  instance->end += len;
  if (is_sync) instance->synced = instance->end;
  return STATEKEEP_STATUS_OK;
}

static statekeep_status commit(const statekeep_instance *shared, const statekeep_commit *commit,
                               statekeep_commit_outcome *out, statekeep_error_out *err) {
  statekeep_instance *instance = (statekeep_instance *)shared;
  size_t bytes = 0;
  if (instance == NULL || commit == NULL)
    return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, 0, "commit: an argument is NULL");
  statekeep_status status = check(commit, &bytes, err);
  if (status != STATEKEEP_STATUS_OK) return status;

  /* All memory first: once the record is in the log, nothing may fail any more. */
  uint8_t *record = malloc(RECORD_HEADER_BYTES + bytes), *to = record;
  struct row **rows = calloc(commit->ops_len > 0 ? commit->ops_len : 1, sizeof *rows);
  pthread_mutex_lock(&instance->writer);
  bool has_memory = record != NULL && rows != NULL;
  if (has_memory) to += RECORD_HEADER_BYTES;
  for (size_t i = 0; has_memory && i < commit->ops_len; i++) {
    const statekeep_commit_op *op = &commit->ops[i];
    bool is_put = op->kind == STATEKEEP_OP_PUT;
    statekeep_bytes value = is_put ? op->value : (statekeep_bytes){NULL, 0};
    to = encode_op(to, op->kind, op->space, op->key, value);
    if (is_put) rows[i] = new_row(instance, op->space, op->key, value);
    has_memory = !is_put || rows[i] != NULL;
  }
  if (instance->broken)
    status = fail(err, STATEKEEP_STATUS_POISONED, 0, "commit: an earlier write failed; open it again");
  else if (!has_memory)
    status = fail(err, STATEKEEP_STATUS_UNAVAILABLE, 0, "commit: no memory for %zu bytes", bytes);
  else
    status = check_preconditions(instance, commit, out, err);
  bool is_sync = commit->durability == STATEKEEP_DURABILITY_SYNC;
  if (status == STATEKEEP_STATUS_OK) {
    seal(record, bytes, commit->ops_len, instance->synced);
    status = append(instance, record, RECORD_HEADER_BYTES + bytes, is_sync, err);
  }
  bool is_done = status == STATEKEEP_STATUS_OK;
  if (is_done) {
    pthread_rwlock_wrlock(&instance->index);
    for (size_t i = 0; i < commit->ops_len; i++)
      apply(instance, commit->ops[i].space, commit->ops[i].key, rows[i]);
    pthread_rwlock_unlock(&instance->index);
    if (out != NULL) *out = (statekeep_commit_outcome){0, 0};
  }
  pthread_mutex_unlock(&instance->writer);
  for (size_t i = 0; !is_done && rows != NULL && i < commit->ops_len; i++) free_row(rows[i]);
  free(rows);
  free(record);
  return status;
}

static void scan_close(const statekeep_instance *instance, statekeep_cursor *cursor) {
  (void)instance;
  if (cursor == NULL) return;
  free(cursor->lo);
  free(cursor->hi);
  free(cursor->batch);
  free(cursor);
}

static uint8_t *copy(statekeep_bytes bytes) {
  uint8_t *to = malloc(bytes.len > 0 ? bytes.len : 1);
  if (to != NULL && bytes.len > 0) memcpy(to, bytes.ptr, bytes.len);
  return to;
}

static statekeep_status scan_open(const statekeep_instance *instance, const statekeep_scan_range *range,
                                  statekeep_cursor **out, statekeep_error_out *err) {
  if (instance == NULL || range == NULL || out == NULL || is_bad(range->lo) || is_bad(range->hi))
    return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, 0, "scan_open: an argument is NULL");
  if (range->space >= STATEKEEP_SPACE_COUNT)
    return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, 0, "scan_open: no space %u", range->space);
  if ((range->flags & ~(uint32_t)(STATEKEEP_SCAN_REVERSE | STATEKEEP_SCAN_UNBOUNDED)) != 0)
    return fail(err, STATEKEEP_STATUS_UNSUPPORTED, 0, "scan_open: unknown flags %#x", range->flags);
  statekeep_cursor *cursor = calloc(1, sizeof *cursor);
  if (cursor == NULL)
    return fail(err, STATEKEEP_STATUS_OUT_OF_MEMORY, 0, "scan_open: no memory for a cursor");
  cursor->space = range->space;
  cursor->flags = range->flags;
  cursor->lo = copy(range->lo);
  cursor->lo_len = range->lo.len;
  cursor->hi = copy(range->hi);
  cursor->hi_len = range->hi.len;
  if (cursor->lo == NULL || cursor->hi == NULL) {
    scan_close(instance, cursor);
    return fail(err, STATEKEEP_STATUS_OUT_OF_MEMORY, 0, "scan_open: no memory for a cursor");
  }
  *out = cursor;
  return STATEKEEP_STATUS_OK;
}

/* The row that comes next in the scan's direction, NULL at its end. No row is remembered between
 * calls, only a key: rows come and go while a cursor is open. */
static struct row *first(const statekeep_instance *instance, const statekeep_cursor *cursor) {
  struct row *path[HEIGHT_MAX], *row;
  if (!(cursor->flags & STATEKEEP_SCAN_REVERSE)) {
    if (cursor->last_len == 0)
      return seek(instance->head, cursor->space, cursor->lo, cursor->lo_len, NULL);
    row = seek(instance->head, cursor->space, cursor->batch, cursor->last_len, NULL);
    bool is_last =
        row != NULL && compare(row, cursor->space, cursor->batch, cursor->last_len) == 0;
    return is_last ? row->next[0] : row;
  }
  if (cursor->last_len > 0)
    seek(instance->head, cursor->space, cursor->batch, cursor->last_len, path);
  else if (cursor->flags & STATEKEEP_SCAN_UNBOUNDED)
    seek(instance->head, cursor->space + 1, cursor->lo, 0, path);
  else
    seek(instance->head, cursor->space, cursor->hi, cursor->hi_len, path);
  return path[0] == instance->head ? NULL : path[0];
}

static struct row *following(const statekeep_instance *instance, const statekeep_cursor *cursor,
                             const struct row *row) {
  if (!(cursor->flags & STATEKEEP_SCAN_REVERSE)) return row->next[0];
  return row->previous == instance->head ? NULL : row->previous;
}

static bool is_inside(const statekeep_cursor *cursor, const struct row *row) {
  return row != NULL && row->space == cursor->space &&
         compare(row, cursor->space, cursor->lo, cursor->lo_len) >= 0 &&
         ((cursor->flags & STATEKEEP_SCAN_UNBOUNDED) ||
          compare(row, cursor->space, cursor->hi, cursor->hi_len) < 0);
}

static statekeep_status scan_next(const statekeep_instance *instance, statekeep_cursor *cursor,
                                  statekeep_entry *entries, size_t cap, size_t *n,
                                  statekeep_error_out *err) {
  if (instance == NULL || cursor == NULL || entries == NULL || cap == 0 || n == NULL)
    return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, 0, "scan_next: an argument is NULL or 0");
  pthread_rwlock_rdlock((pthread_rwlock_t *)&instance->index);
  struct row *start = first(instance, cursor), *row = start, *last = NULL;
  size_t count = 0, bytes = 0;
  for (; count < cap && bytes < BATCH_BYTES_MAX && is_inside(cursor, row); count++) {
    bytes += row->key_len + row->value_len;
    last = row;
    row = following(instance, cursor, row);
  }
  /* The last key lies in front of the rows, so that it outlives them. */
  size_t last_len = last != NULL ? last->key_len : 0;
  uint8_t *to = cursor->batch;
  if (last_len + bytes > cursor->batch_cap) {
    to = realloc(cursor->batch, last_len + bytes);
    if (to == NULL) {
      pthread_rwlock_unlock((pthread_rwlock_t *)&instance->index);
      return fail(err, STATEKEEP_STATUS_OUT_OF_MEMORY, 0, "scan_next: no memory for the rows");
    }
    cursor->batch = to;
    cursor->batch_cap = last_len + bytes;
  }
  if (last != NULL) {
    memcpy(to, last->key, last_len);
    cursor->last_len = last_len;
    to += last_len;
  }
  row = start;
  for (size_t i = 0; i < count; i++, row = following(instance, cursor, row)) {
    memcpy(to, row->key, row->key_len);
    memcpy(to + row->key_len, row->value, row->value_len);
    entries[i].key = (statekeep_bytes){to, row->key_len};
    entries[i].value = (statekeep_bytes){to + row->key_len, row->value_len};
    to += row->key_len + row->value_len;
  }
  pthread_rwlock_unlock((pthread_rwlock_t *)&instance->index);
  *n = count;
  return STATEKEEP_STATUS_OK;
}

static statekeep_status flush(const statekeep_instance *shared, statekeep_error_out *err) {
  statekeep_instance *instance = (statekeep_instance *)shared;
  if (instance == NULL)
    return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, 0, "flush: the instance is NULL");
  statekeep_status status = STATEKEEP_STATUS_OK;
  pthread_mutex_lock(&instance->writer);
  if (instance->broken) {
    status = fail(err, STATEKEEP_STATUS_POISONED, 0, "flush: an earlier write failed; open it again");
  } else if (fdatasync(instance->log) != 0) {
    instance->broken = true;
    status = fail(err, STATEKEEP_STATUS_IO, errno, "cannot sync rows.log: %s", strerror(errno));
  } else {
    instance->synced = instance->end;
  }
  pthread_mutex_unlock(&instance->writer);
  return status;
}

/* ---- the instance ---- */

/* A reader of the configuration, one JSON object that the host wrote. */
struct json {
  const char *at, *end;
};

static char peek(struct json *json) {
  while (json->at < json->end && strchr(" \t\r\n", *json->at) != NULL && *json->at != '\0') json->at++;
  return json->at < json->end ? *json->at : '\0';
}

/* Reads a string into `out`, cut at its capacity; false when there is none, or one with an escape
 * that no path needs (this is an example: a real plugin takes a JSON library). */
static bool string(struct json *json, char *out, size_t cap) {
  size_t len = 0;
  if (peek(json) != '"') return false;
  for (json->at++; json->at < json->end && *json->at != '"'; json->at++) {
    char c = *json->at;
    if (c == '\\') {
      c = ++json->at < json->end ? *json->at : '\0';
      if (c != '"' && c != '\\' && c != '/') return false;
    }
    if (len + 1 < cap) out[len++] = c;
  }
  if (cap > 0) out[len] = '\0';
  return json->at++ < json->end;
}

/* Reads the configuration: a directory, and no options, since this backend has none. */
static statekeep_status configure(statekeep_bytes config, char *directory, size_t cap,
                                  statekeep_error_out *err) {
  struct json json = {(const char *)config.ptr, (const char *)config.ptr + config.len};
  char name[64];
  directory[0] = '\0';
  for (char c = peek(&json); c == '{' || c == ','; c = peek(&json)) {
    json.at++;
    if (peek(&json) == '}') break;
    if (!string(&json, name, sizeof name) || peek(&json) != ':') goto malformed;
    json.at++;
    if (strcmp(name, "directory") == 0) {
      if (!string(&json, directory, cap)) goto malformed;
    } else if (strcmp(name, "options") == 0 && peek(&json) == '{') {
      json.at++;
      if (peek(&json) != '}' && string(&json, name, sizeof name))
        return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, 0, "unknown option %s; there is none", name);
      if (peek(&json) != '}') goto malformed;
      json.at++;
    } else {
      goto malformed;
    }
  }
  if (directory[0] == '/' && peek(&json) == '}') return STATEKEEP_STATUS_OK;
malformed:
  return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, 0,
              "the configuration must be {\"directory\": \"/absolute/path\", \"options\": {}}");
}

static void destroy(statekeep_instance *instance) {
  if (instance == NULL) return;
  for (struct row *row = instance->head; row != NULL;) {
    struct row *next = row->next[0];
    free_row(row);
    row = next;
  }
  if (instance->log >= 0) close(instance->log);
  if (instance->lock >= 0) close(instance->lock);
  if (instance->folder >= 0) close(instance->folder);
  pthread_rwlock_destroy(&instance->index);
  pthread_mutex_destroy(&instance->writer);
  free(instance);
}

static statekeep_status open_files(statekeep_instance *instance, const char *directory,
                                   statekeep_error_out *err) {
  instance->folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (instance->folder >= 0)
    instance->lock = openat(instance->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (instance->lock < 0)
    return fail(err, STATEKEEP_STATUS_IO, errno, "cannot open %s: %s", directory, strerror(errno));
  if (flock(instance->lock, LOCK_EX | LOCK_NB) != 0)
    return fail(err, STATEKEEP_STATUS_BUSY, errno, "%s is open already; close it there", directory);
  instance->log = openat(instance->folder, "rows.log", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (instance->log < 0)
    return fail(err, STATEKEEP_STATUS_IO, errno, "cannot open rows.log: %s", strerror(errno));
  statekeep_status status = read_log(instance, err);
  if (status == STATEKEEP_STATUS_OK && instance->end > REWRITE_BYTES_MIN + 2 * instance->live)
    status = rewrite(instance, err);
  return status;
}

static statekeep_status create(const statekeep_host *host, statekeep_bytes config_json,
                               statekeep_instance **out, statekeep_error_out *err) {
  char directory[4096];
  if (host == NULL || out == NULL || config_json.ptr == NULL)
    return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, 0, "create: an argument is NULL");
  statekeep_status status = configure(config_json, directory, sizeof directory, err);
  if (status != STATEKEEP_STATUS_OK) return status;
  statekeep_instance *instance = calloc(1, sizeof *instance);
  struct row *head = calloc(1, sizeof *head);
  if (instance == NULL || head == NULL) {
    free(instance);
    free(head);
    return fail(err, STATEKEEP_STATUS_OUT_OF_MEMORY, 0, "create: no memory for an instance");
  }
  instance->head = head;
  instance->folder = instance->lock = instance->log = -1;
  instance->seed = 1;
  pthread_mutex_init(&instance->writer, NULL);
  /* Without this, readers that never pause would keep commits waiting for ever. */
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&instance->index, &attributes);
  pthread_rwlockattr_destroy(&attributes);
  status = open_files(instance, directory, err);
  if (status != STATEKEEP_STATUS_OK) {
    destroy(instance);
    return status;
  }
  *out = instance;
  return STATEKEEP_STATUS_OK;
}

static const statekeep_backend_v1 backend = {
    .struct_size = sizeof(statekeep_backend_v1),
    .abi_hash = STATEKEEP_BACKEND_V1_ABI_HASH,
    .capabilities = capabilities,
    .get = get,
    .commit = commit,
    .scan_open = scan_open,
    .scan_next = scan_next,
    .scan_close = scan_close,
    .flush = flush,
};

static const void *get_interface(statekeep_bytes id) {
  static const char name[] = STATEKEEP_BACKEND_V1_ID;
  if (id.len == sizeof name - 1 && memcmp(id.ptr, name, id.len) == 0) return &backend;
  return NULL;
}

static const statekeep_descriptor descriptor = {
    .magic = STATEKEEP_MAGIC,
    .struct_size = sizeof(statekeep_descriptor),
    .epoch = STATEKEEP_EPOCH,
    .revision = STATEKEEP_REVISION,
    .id = STATEKEEP_BYTES(ID),
    .version = STATEKEEP_BYTES(VERSION),
    .license = STATEKEEP_BYTES(LICENSE),
    .description = STATEKEEP_BYTES("An append-only log with an index in memory; the example to copy"),
    .create = create,
    .destroy = destroy,
    .get_interface = get_interface,
};

const statekeep_descriptor *statekeep_plugin_entry_1(void) { return &descriptor; }
