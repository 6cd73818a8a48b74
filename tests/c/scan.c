/* statekeep_scan and list: order, options, pages, a struct of an older and of a newer caller. */
#include "check.h"

#include <stddef.h>

_Static_assert(offsetof(statekeep_scan_options, struct_size) == 0, "the size stands first");
_Static_assert(sizeof(statekeep_scan_options) == 72, "grows only, with a new test");

static size_t count(const statekeep_manager *m, const statekeep_scan_options *options,
                    const char *first) {
  statekeep_scan *scan = NULL;
  CHECK_OK(statekeep_scan_open(m, S("user:1"), options, &scan, &err));
  const char *key;
  size_t key_len, value_len, found = 0;
  const uint8_t *value;
  uint32_t kind;
  statekeep_status status;
  while ((status = statekeep_scan_next(scan, &key, &key_len, &kind, &value, &value_len, &err)) ==
         STATEKEEP_STATUS_OK) {
    if (found == 0) {
      CHECK(key_len == strlen(first) && memcmp(key, first, key_len) == 0);
    }
    if (options != NULL && options->flags == STATEKEEP_SCAN_OPTION_KEYS_ONLY) {
      CHECK(value == NULL && value_len == 0 && kind == 0);
    } else {
      CHECK(kind == STATEKEEP_VALUE_JSON && value_len > 0);
    }
    found++;
  }
  CHECK(status == STATEKEEP_STATUS_NOT_FOUND && err == NULL && key == NULL && value == NULL);
  /* The end stays the end. */
  CHECK(statekeep_scan_next(scan, &key, &key_len, NULL, NULL, NULL, &err) ==
        STATEKEEP_STATUS_NOT_FOUND);
  CHECK_OK(statekeep_scan_close(scan));
  CHECK_STATUS(statekeep_scan_close(scan), CLOSED);
  CHECK_STATUS(statekeep_scan_next(scan, &key, &key_len, NULL, NULL, NULL, &err), CLOSED);
  return found;
}

static void options(const statekeep_manager *m) {
  CHECK(count(m, NULL, "a000") == 110);
  statekeep_scan_options o = STATEKEEP_SCAN_OPTIONS_INIT;
  o.page_keys = 7;
  CHECK(count(m, &o, "a000") == 110);
  o.prefix = "b";
  o.prefix_len = 1;
  CHECK(count(m, &o, "b000") == 10);
  o.limit = 3;
  o.flags = STATEKEEP_SCAN_OPTION_KEYS_ONLY;
  CHECK(count(m, &o, "b000") == 3);
  o.after = "b007";
  o.after_len = 4;
  CHECK(count(m, &o, "b008") == 2);
  statekeep_scan_options g = STATEKEEP_SCAN_OPTIONS_INIT;
  g.glob = "b*";
  g.glob_len = 2;
  CHECK(count(m, &g, "b000") == 10);
}

static void sizes(const statekeep_manager *m) {
  statekeep_scan *scan = NULL;
  statekeep_scan_options o = STATEKEEP_SCAN_OPTIONS_INIT;
  /* An older caller knows only the prefix. */
  o.prefix = "b";
  o.prefix_len = 1;
  o.flags = 0xffff;
  o.struct_size = offsetof(statekeep_scan_options, glob);
  CHECK(count(m, &o, "b000") == 10);
  /* A newer caller has a field more: zero is fine, anything else is not known here. */
  struct {
    statekeep_scan_options known;
    uint64_t unknown;
  } newer = {STATEKEEP_SCAN_OPTIONS_INIT, 0};
  newer.known.struct_size = sizeof(newer);
  CHECK(count(m, &newer.known, "a000") == 110);
  newer.unknown = 1;
  CHECK_STATUS(statekeep_scan_open(m, S("user:1"), &newer.known, &scan, &err), UNSUPPORTED);
  o.struct_size = 0;
  CHECK_STATUS(statekeep_scan_open(m, S("user:1"), &o, &scan, &err), INVALID_ARGUMENT);
  o.struct_size = (size_t)-1;
  CHECK_STATUS(statekeep_scan_open(m, S("user:1"), &o, &scan, &err), INVALID_ARGUMENT);
}

static void wrong_arguments(const statekeep_manager *m) {
  statekeep_scan *scan = NULL;
  statekeep_scan_options o = STATEKEEP_SCAN_OPTIONS_INIT;
  o.flags = 2;
  CHECK_STATUS(statekeep_scan_open(m, S("user:1"), &o, &scan, &err), INVALID_ARGUMENT);
  o.flags = 0;
  o.page_keys = 10001;
  CHECK_STATUS(statekeep_scan_open(m, S("user:1"), &o, &scan, &err), TOO_LARGE);
  o.page_keys = 0;
  o.prefix_len = 3;
  CHECK_STATUS(statekeep_scan_open(m, S("user:1"), &o, &scan, &err), INVALID_ARGUMENT);
  o.prefix_len = 0;
  o.glob = "\xff";
  o.glob_len = 1;
  CHECK_STATUS(statekeep_scan_open(m, S("user:1"), &o, &scan, &err), INVALID_ARGUMENT);
  o.glob_len = 0;
  o.after = "x";
  o.after_len = (size_t)-1;
  CHECK_STATUS(statekeep_scan_open(m, S("user:1"), &o, &scan, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scan_open(NULL, S("user:1"), NULL, &scan, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scan_open(m, NULL, 4, NULL, &scan, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scan_open(m, BAD_UTF8, NULL, &scan, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scan_open(m, S("user:1"), NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK(scan == NULL);
  CHECK_OK(statekeep_scan_open(m, S("user:1"), NULL, &scan, &err));
  const char *key;
  size_t len;
  CHECK_STATUS(statekeep_scan_next(scan, NULL, &len, NULL, NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scan_next(scan, &key, NULL, NULL, NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scan_next(NULL, &key, &len, NULL, NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_scan_close(scan));
  CHECK_OK(statekeep_scan_close(NULL));
}

static void list(const statekeep_manager *m) {
  statekeep_buf page;
  statekeep_scan_options o = STATEKEEP_SCAN_OPTIONS_INIT;
  o.prefix = "b";
  o.prefix_len = 1;
  o.limit = 2;
  CHECK_OK(statekeep_list_json(m, S("user:1"), &o, &page, &err));
  CHECK(buf_is(&page, "{\"keys\":[\"b000\",\"b001\"],\"next\":\"b001\"}"));
  CHECK_OK(statekeep_buf_free(&page));
  o.after = "b008";
  o.after_len = 4;
  CHECK_OK(statekeep_list_json(m, S("user:1"), &o, &page, &err));
  CHECK(buf_is(&page, "{\"keys\":[\"b009\"],\"next\":null}"));
  CHECK_OK(statekeep_buf_free(&page));
  CHECK_STATUS(statekeep_list_json(NULL, S("user:1"), NULL, &page, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_list_json(m, NULL, 1, NULL, &page, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_list_json(m, S("user:1"), NULL, NULL, &err), INVALID_ARGUMENT);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_manager *m = open_state(argv, "state");
  char key[8];
  for (int n = 0; n < 110; n++) {
    snprintf(key, sizeof(key), "%c%03d", n < 100 ? 'a' : 'b', n % 100);
    set_json(m, "user:1", key, "{}");
  }
  set_json(m, "user:2", "other", "1");
  options(m);
  sizes(m);
  wrong_arguments(m);
  list(m);
  /* A scan keeps its state open. */
  statekeep_scan *scan = NULL;
  const char *text;
  size_t len;
  CHECK_OK(statekeep_scan_open(m, S("user:1"), NULL, &scan, &err));
  CHECK_OK(statekeep_manager_close(m, &err));
  CHECK_OK(statekeep_scan_next(scan, &text, &len, NULL, NULL, NULL, &err));
  CHECK_OK(statekeep_scan_close(scan));
  return 0;
}
