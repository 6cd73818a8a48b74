/* Single keys: get, get_into, set, delete, exists, record; each argument wrong in turn. */
#include "check.h"

#include <stddef.h>

#define JSON STATEKEEP_VALUE_JSON
#define BYTES STATEKEEP_VALUE_BYTES
#define DEFAULT STATEKEEP_DURABILITY_DEFAULT

static void round_trip(const statekeep_manager *m) {
  statekeep_buf buf;
  uint32_t kind = 9;
  uint64_t sequence = 0, later = 0;
  CHECK_OK(statekeep_set(m, S("agent:a:b"), S("plan"), JSON, U("{\"step\":1}"), DEFAULT, &sequence,
                         &err));
  CHECK(sequence > 0);
  CHECK_OK(statekeep_get(m, S("agent:a:b"), S("plan"), &kind, &buf, &err));
  CHECK(kind == JSON && buf_is(&buf, "{\"step\":1}"));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_OK(statekeep_set(m, S("agent:a:b"), S("raw"), BYTES, U("a\0b"), STATEKEEP_DURABILITY_SYNC,
                         &later, &err));
  CHECK(later > sequence);
  CHECK_OK(statekeep_set(m, S("agent:a:b"), S("empty"), BYTES, NULL, 0,
                         STATEKEEP_DURABILITY_RELAXED, NULL, &err));
  CHECK_OK(statekeep_get(m, S("agent:a:b"), S("raw"), NULL, &buf, &err));
  CHECK(buf.len == 3 && memcmp(buf.ptr, "a\0b", 3) == 0);
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_OK(statekeep_get(m, S("agent:a:b"), S("empty"), &kind, &buf, &err));
  CHECK(kind == BYTES && buf.len == 0);
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_OK(statekeep_exists(m, S("agent:a:b"), S("raw"), &err));
  CHECK_OK(statekeep_record_json(m, S("agent:a:b"), S("raw"), &buf, &err));
  CHECK(buf_has(&buf, "\"bytes\":3") && buf_has(&buf, "\"kind\":\"bytes\""));
  CHECK_OK(statekeep_buf_free(&buf));
}

/* A missing key is an outcome: no object, outputs zeroed. */
static void missing(const statekeep_manager *m) {
  statekeep_buf buf = {(uint8_t *)1, 2, 3};
  uint32_t kind = 9;
  uint64_t sequence = 9;
  size_t len = 9;
  uint8_t memory[4];
  CHECK(statekeep_get(m, S("global"), S("none"), &kind, &buf, &err) == STATEKEEP_STATUS_NOT_FOUND);
  CHECK(err == NULL && kind == 0 && buf_is_empty(&buf));
  CHECK(statekeep_get_into(m, S("global"), S("none"), memory, 4, &kind, &len, &err) ==
        STATEKEEP_STATUS_NOT_FOUND);
  CHECK(err == NULL && len == 0);
  CHECK(statekeep_delete(m, S("global"), S("none"), DEFAULT, &sequence, &err) ==
        STATEKEEP_STATUS_NOT_FOUND);
  CHECK(err == NULL && sequence == 0);
  CHECK(statekeep_exists(m, S("global"), S("none"), &err) == STATEKEEP_STATUS_NOT_FOUND);
  CHECK(statekeep_record_json(m, S("global"), S("none"), &buf, &err) ==
        STATEKEEP_STATUS_NOT_FOUND);
  CHECK(err == NULL);
}

static void into(const statekeep_manager *m) {
  uint8_t memory[8] = "xxxxxxx";
  size_t len = 0;
  uint32_t kind = 0;
  set_json(m, "global", "n", "12345");
  CHECK_OK(statekeep_get_into(m, S("global"), S("n"), memory, 5, &kind, &len, &err));
  CHECK(len == 5 && kind == JSON && memcmp(memory, "12345x", 6) == 0);
  memcpy(memory, "yyyyyyy", 7);
  CHECK(statekeep_get_into(m, S("global"), S("n"), memory, 4, &kind, &len, &err) ==
        STATEKEEP_STATUS_BUFFER_TOO_SMALL);
  CHECK(err == NULL && len == 5 && kind == 0 && memory[0] == 'y');
  CHECK(statekeep_get_into(m, S("global"), S("n"), NULL, 0, NULL, &len, &err) ==
        STATEKEEP_STATUS_BUFFER_TOO_SMALL);
  CHECK(len == 5);
  CHECK_STATUS(statekeep_get_into(m, S("global"), S("n"), NULL, 4, NULL, &len, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get_into(m, S("global"), S("n"), memory, 8, NULL, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get_into(NULL, S("global"), S("n"), memory, 8, NULL, &len, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get_into(m, NULL, 6, S("n"), memory, 8, NULL, &len, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get_into(m, S("global"), NULL, 1, memory, 8, NULL, &len, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get_into(m, S("global"), BAD_UTF8, memory, 8, NULL, &len, &err),
               INVALID_ARGUMENT);
}

static void delete_and_exists(const statekeep_manager *m) {
  uint64_t sequence = 0;
  set_json(m, "global", "d", "1");
  CHECK_OK(statekeep_delete(m, S("global"), S("d"), DEFAULT, &sequence, &err));
  CHECK(sequence > 0);
  CHECK(statekeep_exists(m, S("global"), S("d"), &err) == STATEKEEP_STATUS_NOT_FOUND);
  CHECK_STATUS(statekeep_delete(m, S("global"), S("d"), 9, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_delete(m, NULL, 6, S("d"), DEFAULT, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_delete(m, S("global"), NULL, 1, DEFAULT, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_delete(NULL, S("global"), S("d"), DEFAULT, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_delete(m, ABSURD("global"), S("d"), DEFAULT, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_exists(NULL, S("global"), S("d"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_exists(m, NULL, 1, S("d"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_exists(m, S("global"), NULL, 1, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_exists(m, S("global"), ABSURD("d"), &err), INVALID_ARGUMENT);
}

static void wrong_arguments(const statekeep_manager *m) {
  statekeep_buf buf;
  CHECK_STATUS(statekeep_get(NULL, S("global"), S("k"), NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get(m, NULL, 1, S("k"), NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get(m, S("global"), NULL, 1, NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get(m, S("global"), S("k"), NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get(m, S(""), S("k"), NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get(m, S("planet:9"), S("k"), NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get(m, S("global"), S(""), NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get(m, S("global"), S("a\0b"), NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get(m, BAD_UTF8, S("k"), NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get(m, S("global"), BAD_UTF8, NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get(m, ABSURD("global"), S("k"), NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get(m, S("global"), ABSURD("k"), NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_get(m, "global", (size_t)1 << 40, S("k"), NULL, &buf, &err), TOO_LARGE);
  CHECK(statekeep_get(m, S("global"), S(""), NULL, &buf, NULL) == STATEKEEP_STATUS_INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_record_json(NULL, S("global"), S("k"), &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_record_json(m, NULL, 1, S("k"), &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_record_json(m, S("global"), NULL, 1, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_record_json(m, S("global"), S("k"), NULL, &err), INVALID_ARGUMENT);

  CHECK_STATUS(statekeep_set(NULL, S("global"), S("k"), JSON, U("1"), DEFAULT, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_set(m, NULL, 1, S("k"), JSON, U("1"), DEFAULT, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_set(m, S("global"), NULL, 1, JSON, U("1"), DEFAULT, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_set(m, S("global"), S("k"), JSON, NULL, 1, DEFAULT, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_set(m, S("global"), S("k"), JSON, NULL, 0, DEFAULT, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_set(m, S("global"), S("k"), JSON, U("{"), DEFAULT, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_set(m, S("global"), S("k"), JSON, U("\xff"), DEFAULT, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_set(m, S("global"), S("k"), 0, U("1"), DEFAULT, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_set(m, S("global"), S("k"), 77, U("1"), DEFAULT, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_set(m, S("global"), S("k"), JSON, U("1"), 77, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_set(m, S("global"), S("k"), BYTES, (const uint8_t *)"1", (size_t)-1,
                             DEFAULT, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_set(m, S("global"), S("k"), BYTES, (const uint8_t *)"1", (size_t)1 << 40,
                             DEFAULT, NULL, &err),
               TOO_LARGE);
  /* Nothing of that was stored. */
  CHECK(statekeep_exists(m, S("global"), S("k"), &err) == STATEKEEP_STATUS_NOT_FOUND);
}

_Static_assert(offsetof(statekeep_set_options, struct_size) == 0, "the size stands first");
_Static_assert(sizeof(statekeep_set_options) == 32, "grows only, with a new test");

static statekeep_status set_with(const statekeep_manager *m, const char *key,
                                 const statekeep_set_options *options) {
  return statekeep_set_with(m, S("global"), key, strlen(key), JSON, U("1"), options, NULL, &err);
}

/* Classes and expiry: told by the record, and what is over is not there. */
static void kept(const statekeep_manager *m) {
  statekeep_buf buf;
  uint64_t sequence = 0;
  statekeep_set_options o = STATEKEEP_SET_OPTIONS_INIT;
  CHECK_OK(statekeep_set_with(m, S("global"), S("plain"), JSON, U("1"), NULL, &sequence, &err));
  CHECK(sequence > 0);
  CHECK_JSON(statekeep_record_json(m, S("global"), S("plain"), &buf, &err), &buf,
             "\"class\":\"standard\"");
  const char *classes[] = {"standard", "standard", "critical", "bulk", "archive", "ephemeral"};
  for (uint32_t class = STATEKEEP_CLASS_AS_CONFIGURED; class <= STATEKEEP_CLASS_EPHEMERAL; class++) {
    o.record_class = class;
    CHECK_OK(set_with(m, "classed", &o));
    CHECK_JSON(statekeep_record_json(m, S("global"), S("classed"), &buf, &err), &buf,
               classes[class]);
  }
  o.record_class = STATEKEEP_CLASS_AS_CONFIGURED;
  o.durability = STATEKEEP_DURABILITY_RELAXED;
  o.ttl_ms = 3600000;
  CHECK_OK(set_with(m, "later", &o));
  CHECK_OK(statekeep_record_json(m, S("global"), S("later"), &buf, &err));
  CHECK(buf_has(&buf, "\"expires_unix_ms\":") && !buf_has(&buf, "\"expires_unix_ms\":null"));
  CHECK_OK(statekeep_buf_free(&buf));
  o.ttl_ms = STATEKEEP_TTL_NEVER;
  CHECK_OK(set_with(m, "later", &o));
  CHECK_JSON(statekeep_record_json(m, S("global"), S("later"), &buf, &err), &buf,
             "\"expires_unix_ms\":null");
  o.ttl_ms = STATEKEEP_TTL_AS_CONFIGURED;
  o.expires_unix_ms = 86400000;
  CHECK_OK(set_with(m, "later", &o));
  CHECK(statekeep_exists(m, S("global"), S("later"), &err) == STATEKEEP_STATUS_NOT_FOUND);
  /* Wrong in turn. */
  o.ttl_ms = 1;
  CHECK_STATUS(set_with(m, "never", &o), INVALID_ARGUMENT);
  o.expires_unix_ms = 0;
  o.ttl_ms = -2;
  CHECK_STATUS(set_with(m, "never", &o), INVALID_ARGUMENT);
  o.ttl_ms = 0;
  o.record_class = 6;
  CHECK_STATUS(set_with(m, "never", &o), INVALID_ARGUMENT);
  o.record_class = 0;
  o.durability = 3;
  CHECK_STATUS(set_with(m, "never", &o), INVALID_ARGUMENT);
  o.durability = 0;
  o.struct_size = 0;
  CHECK_STATUS(set_with(m, "never", &o), INVALID_ARGUMENT);
  CHECK_STATUS(set_with(NULL, "never", NULL), INVALID_ARGUMENT);
  CHECK(statekeep_exists(m, S("global"), S("never"), &err) == STATEKEEP_STATUS_NOT_FOUND);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_manager *manager = open_state(argv, "state");
  round_trip(manager);
  missing(manager);
  into(manager);
  delete_and_exists(manager);
  wrong_arguments(manager);
  kept(manager);
  CHECK_OK(statekeep_manager_close(manager, &err));
  statekeep_buf buf;
  CHECK_STATUS(statekeep_get(manager, S("global"), S("n"), NULL, &buf, &err), CLOSED);
  CHECK_STATUS(statekeep_set(manager, S("global"), S("n"), JSON, U("1"), DEFAULT, NULL, &err),
               CLOSED);
  return 0;
}
