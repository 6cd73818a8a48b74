/*
 * A Statekeep codec in one C file: greedy LZ77 in a frame of its own.
 *
 * Frame: "SKC1", raw length (u64, little-endian), FNV-1a of the raw bytes (u32), then tokens:
 *   0..127    that many + 1 literal bytes follow
 *   128..255  copy (token - 128) + 4 bytes from `distance` (u16, little-endian, 1 or more) back
 *
 * A codec sees bytes that somebody may have damaged or made up: every length is checked against
 * what is left before it is used, and no more is written than the caller's buffer holds.
 */
#include "statekeep_plugin.h"

#include <stdlib.h>
#include <string.h>

#define ID "org.example.template-codec"
#define VERSION "0.1.0"
#define LICENSE "MIT OR Apache-2.0"

STATEKEEP_PLUGIN_MANIFEST(ID, VERSION, LICENSE, STATEKEEP_COMPRESSION_V1_ID);

#define MAGIC "SKC1"
#define HEADER_BYTES 16
#define INPUT_BYTES_MAX ((size_t)1 << 30)
#define MATCH_MIN 4
#define MATCH_MAX (127 + MATCH_MIN)
#define LITERALS_MAX 128
#define DISTANCE_MAX 65535
#define HASH_BITS 13

/* The host never looks inside; this codec needs nothing but a place for the host's log. */
struct statekeep_instance {
  const statekeep_log_v1 *log;
  void *host;
};

/* Says what went wrong into the caller's buffer, which may be missing, and answers the status. */
static statekeep_status fail(statekeep_error_out *err, statekeep_status status, const char *text) {
  if (err != NULL) {
    size_t len = strlen(text);
    err->status = status;
    err->os_error = 0;
    err->message.len = len < err->message.cap ? len : err->message.cap;
    if (err->message.len > 0) memcpy(err->message.ptr, text, err->message.len);
  }
  return status;
}

static uint32_t checksum(const uint8_t *bytes, size_t len) {
  uint32_t hash = UINT32_C(2166136261);
  for (size_t i = 0; i < len; i++) hash = (hash ^ bytes[i]) * UINT32_C(16777619);
  return hash;
}

static void put_le(uint8_t *to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *from, int bytes) {
  uint64_t value = 0;
  for (int i = bytes; i > 0; i--) value = value << 8 | from[i - 1];
  return value;
}

/* Literals cost one token for each 128 of them; matches always shrink. */
static size_t bound(const statekeep_instance *instance, size_t len) {
  (void)instance;
  if (len > INPUT_BYTES_MAX) return SIZE_MAX;
  return HEADER_BYTES + len + len / LITERALS_MAX + 1;
}

static uint8_t *put_literals(uint8_t *to, const uint8_t *from, size_t len) {
  while (len > 0) {
    size_t run = len < LITERALS_MAX ? len : LITERALS_MAX;
    *to++ = (uint8_t)(run - 1);
    memcpy(to, from, run);
    to += run;
    from += run;
    len -= run;
  }
  return to;
}

static statekeep_status compress(const statekeep_instance *instance, int32_t level,
                                 statekeep_bytes src, statekeep_out_buf *dst,
                                 statekeep_error_out *err) {
  (void)level; /* there is one level only, so every level is clamped to it */
  if (instance == NULL || dst == NULL || (src.ptr == NULL && src.len > 0) ||
      (dst->ptr == NULL && dst->cap > 0))
    return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, "compress: an argument is NULL");
  if (src.len > INPUT_BYTES_MAX)
    return fail(err, STATEKEEP_STATUS_TOO_LARGE, "compress: more than 1 GiB; compress in parts");
  size_t needed = bound(instance, src.len);
  if (dst->cap < needed) {
    dst->len = needed;
    return fail(err, STATEKEEP_STATUS_BUFFER_TOO_SMALL, "compress: give a buffer of bound() bytes");
  }
  uint32_t heads[1 << HASH_BITS] = {0}; /* hash of 4 bytes -> position + 1 of its last occurrence */
  uint8_t *out = dst->ptr;
  memcpy(out, MAGIC, 4);
  put_le(out + 4, src.len, 8);
  put_le(out + 12, src.len > 0 ? checksum(src.ptr, src.len) : checksum(NULL, 0), 4);
  out += HEADER_BYTES;

  size_t done = 0, at = 0; /* bytes before `done` are written, those up to `at` are literals */
  while (src.len - at >= MATCH_MIN) {
    uint32_t word;
    memcpy(&word, src.ptr + at, sizeof word);
    uint32_t hash = (word * UINT32_C(2654435761)) >> (32 - HASH_BITS);
    size_t candidate = heads[hash];
    heads[hash] = (uint32_t)at + 1;
    if (candidate == 0 || at - (candidate - 1) > DISTANCE_MAX ||
        memcmp(src.ptr + candidate - 1, src.ptr + at, MATCH_MIN) != 0) {
      at++;
      continue;
    }
    size_t distance = at - (candidate - 1), len = MATCH_MIN;
    while (len < MATCH_MAX && at + len < src.len && src.ptr[at + len] == src.ptr[at + len - distance])
      len++;
    out = put_literals(out, src.ptr + done, at - done);
    *out++ = (uint8_t)(128 + len - MATCH_MIN);
    put_le(out, distance, 2);
    out += 2;
    at += len;
    done = at;
  }
  if (src.len > done) out = put_literals(out, src.ptr + done, src.len - done);
  dst->len = (size_t)(out - dst->ptr);
  return STATEKEEP_STATUS_OK;
}

static statekeep_status decompress(const statekeep_instance *instance, statekeep_bytes src,
                                   statekeep_out_buf *dst, statekeep_error_out *err) {
  if (instance == NULL || dst == NULL || (src.ptr == NULL && src.len > 0) ||
      (dst->ptr == NULL && dst->cap > 0))
    return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, "decompress: an argument is NULL");
  if (src.len < HEADER_BYTES || memcmp(src.ptr, MAGIC, 4) != 0)
    return fail(err, STATEKEEP_STATUS_CORRUPT, "decompress: not a frame of this codec");
  uint64_t raw_len = get_le(src.ptr + 4, 8);
  if (raw_len > INPUT_BYTES_MAX)
    return fail(err, STATEKEEP_STATUS_CORRUPT, "decompress: the frame claims more than 1 GiB");
  if (raw_len > dst->cap) {
    dst->len = (size_t)raw_len;
    return fail(err, STATEKEEP_STATUS_BUFFER_TOO_SMALL, "decompress: the content does not fit");
  }
  const uint8_t *in = src.ptr + HEADER_BYTES, *end = src.ptr + src.len;
  size_t at = 0, left = (size_t)raw_len; /* written, and still to come */
  while (in < end) {
    size_t token = *in++;
    if (token < LITERALS_MAX) {
      size_t run = token + 1;
      if (run > (size_t)(end - in) || run > left) goto corrupt;
      memcpy(dst->ptr + at, in, run);
      in += run;
      at += run;
      left -= run;
    } else {
      size_t len = token - 128 + MATCH_MIN;
      if (end - in < 2 || len > left) goto corrupt;
      size_t distance = (size_t)get_le(in, 2);
      in += 2;
      if (distance == 0 || distance > at) goto corrupt;
      /* Byte by byte: source and target overlap when the distance is shorter than the match. */
      for (size_t i = 0; i < len; i++, at++) dst->ptr[at] = dst->ptr[at - distance];
      left -= len;
    }
  }
  if (left > 0 || checksum(dst->ptr, at) != (uint32_t)get_le(src.ptr + 12, 4)) goto corrupt;
  dst->len = at;
  return STATEKEEP_STATUS_OK;
corrupt:
  return fail(err, STATEKEEP_STATUS_CORRUPT, "decompress: the frame is damaged or cut short");
}

static statekeep_status create(const statekeep_host *host, statekeep_bytes config_json,
                               statekeep_instance **out, statekeep_error_out *err) {
  (void)config_json; /* this codec has no options */
  if (host == NULL || out == NULL)
    return fail(err, STATEKEEP_STATUS_INVALID_ARGUMENT, "create: an argument is NULL");
  statekeep_instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL)
    return fail(err, STATEKEEP_STATUS_OUT_OF_MEMORY, "create: no memory for an instance");
  /* A service may be missing: ask, and live without it. */
  statekeep_bytes log_id = STATEKEEP_BYTES(STATEKEEP_LOG_V1_ID);
  instance->log = host->get_service(host->ctx, log_id);
  instance->host = host->ctx;
  if (instance->log != NULL) {
    statekeep_bytes text = STATEKEEP_BYTES("the template codec is ready");
    instance->log->log(instance->host, 4, text);
  }
  *out = instance;
  return STATEKEEP_STATUS_OK;
}

static void destroy(statekeep_instance *instance) { free(instance); }

static const statekeep_compression_v1 compression = {
    .struct_size = sizeof(statekeep_compression_v1),
    .abi_hash = STATEKEEP_COMPRESSION_V1_ABI_HASH,
    .bound = bound,
    .compress = compress,
    .decompress = decompress,
};

static const void *get_interface(statekeep_bytes id) {
  static const char name[] = STATEKEEP_COMPRESSION_V1_ID;
  if (id.len == sizeof name - 1 && memcmp(id.ptr, name, id.len) == 0) return &compression;
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
    .description = STATEKEEP_BYTES("A small LZ77 codec; the example to copy"),
    .create = create,
    .destroy = destroy,
    .get_interface = get_interface,
};

const statekeep_descriptor *statekeep_plugin_entry_1(void) { return &descriptor; }
