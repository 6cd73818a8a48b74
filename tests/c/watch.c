/* statekeep_watch: changes in the order of commits; cursors; closing wakes who waits. */
#include "check.h"

#include <pthread.h>

#define FOREVER ((int64_t)-1)

static statekeep_watch *opened(const statekeep_manager *m, const char *options) {
  statekeep_watch *watch = NULL;
  CHECK_OK(statekeep_watch_open(m, options, strlen(options), &watch, &err));
  return watch;
}

/* The next change has this in it, and this value, if any. */
static void expect(const statekeep_watch *watch, const char *in_change, const char *value) {
  statekeep_buf change, bytes;
  uint32_t kind = 9;
  CHECK_OK(statekeep_watch_next(watch, FOREVER, &change, &kind, &bytes, &err));
  if (!buf_has(&change, in_change)) {
    fprintf(stderr, "%s is not in %.*s\n", in_change, (int)change.len, (const char *)change.ptr);
    exit(1);
  }
  CHECK(value == NULL ? kind == 0 && buf_is_empty(&bytes) : kind != 0 && buf_is(&bytes, value));
  CHECK_OK(statekeep_buf_free(&change));
  CHECK_OK(statekeep_buf_free(&bytes));
}

static void expect_nothing(const statekeep_watch *watch) {
  statekeep_buf change;
  CHECK(statekeep_watch_next(watch, 0, &change, NULL, NULL, &err) == STATEKEEP_STATUS_TIMEOUT);
  CHECK(err == NULL && buf_is_empty(&change));
}

static void changes(const statekeep_manager *m) {
  statekeep_watch *watch = opened(m, "");
  statekeep_buf change;
  expect_nothing(watch);
  set_json(m, "user:1", "a", "{\"n\": 1}");
  CHECK_OK(
      statekeep_set(m, S("user:1"), S("b"), STATEKEEP_VALUE_BYTES, U("\xff\0z"), 0, NULL, &err));
  CHECK_OK(statekeep_delete(m, S("user:1"), S("a"), 0, NULL, &err));
  expect(watch, "\"scope\":\"user:1\",\"key\":\"a\",\"op\":\"put\",\"kind\":\"json\"",
         "{\"n\": 1}");
  /* Outputs for the value may be left out. */
  CHECK_JSON(statekeep_watch_next(watch, FOREVER, &change, NULL, NULL, &err), &change,
             "\"kind\":\"bytes\",\"value_gone\":false,\"last_of_commit\":true");
  expect(watch, "\"op\":\"delete\",\"kind\":null", NULL);
  CHECK(statekeep_watch_next(watch, 1, &change, NULL, NULL, &err) == STATEKEEP_STATUS_TIMEOUT);
  CHECK(statekeep_watch_next(watch, 0, NULL, NULL, NULL, &err) == STATEKEEP_STATUS_TIMEOUT);
  set_json(m, "user:1", "c", "1");
  /* Who only waits takes nothing. */
  CHECK_OK(statekeep_watch_next(watch, 60000, NULL, NULL, NULL, &err));
  CHECK_OK(statekeep_watch_next(watch, 60000, NULL, NULL, NULL, &err));
  CHECK_STATUS(statekeep_watch_next(watch, FOREVER, NULL, NULL, NULL, &err), INVALID_ARGUMENT);
  expect(watch, "\"key\":\"c\"", "1");
  CHECK_STATUS(statekeep_watch_acknowledge(watch, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_watch_close(watch));
  CHECK_STATUS(statekeep_watch_close(watch), CLOSED);
  CHECK_STATUS(statekeep_watch_next(watch, 0, &change, NULL, NULL, &err), CLOSED);
  CHECK_OK(statekeep_watch_close(NULL));

  watch = opened(m, "{\"from\":0,\"scope\":\"user:*\",\"key\":\"b\",\"values\":false}");
  expect(watch, "\"sequence\":2,", NULL);
  expect_nothing(watch);
  CHECK_OK(statekeep_watch_close(watch));
}

static void tenants(const statekeep_manager *m) {
  statekeep_manager *red = NULL;
  statekeep_watch *none = NULL;
  CHECK_OK(statekeep_manager_tenant(m, S("red"), &red, &err));
  statekeep_watch *all = opened(m, "{\"all_tenants\":true}"),
                  *own = opened(m, "{\"from\":\"now\"}");
  statekeep_watch *reds = opened(red, "{}");
  set_json(red, "global", "k", "1");
  set_json(m, "global", "k", "2");
  expect(all, "\"tenant\":\"red\"", "1");
  expect(all, "\"tenant\":\"\"", "2");
  expect(own, "\"tenant\":\"\"", "2");
  expect(reds, "\"tenant\":\"red\"", "1");
  expect_nothing(reds);
  CHECK_STATUS(statekeep_watch_open(red, S("{\"all_tenants\":true}"), &none, &err),
               PERMISSION_DENIED);
  statekeep_buf buf;
  CHECK_STATUS(statekeep_cursor_list_json(red, &buf, &err), PERMISSION_DENIED);
  CHECK_STATUS(statekeep_cursor_delete(red, S("x"), &err), PERMISSION_DENIED);
  CHECK_OK(statekeep_watch_close(all));
  CHECK_OK(statekeep_watch_close(own));
  CHECK_OK(statekeep_watch_close(reds));
  CHECK_OK(statekeep_manager_close(red, &err));
}

/* What was not acknowledged comes again. */
static void cursors(const statekeep_manager *m) {
  const char *options = "{\"from\":{\"cursor\":\"indexer\"},\"scope\":\"agent:*\"}";
  statekeep_watch *watch = opened(m, options), *second = NULL;
  statekeep_buf buf;
  set_json(m, "agent:1", "a", "1");
  set_json(m, "agent:1", "b", "2");
  CHECK_STATUS(statekeep_watch_open(m, options, strlen(options), &second, &err), BUSY);
  expect(watch, "\"key\":\"a\"", "1");
  CHECK_OK(statekeep_watch_acknowledge(watch, &err));
  expect(watch, "\"key\":\"b\"", "2");
  CHECK_JSON(statekeep_cursor_list_json(m, &buf, &err), &buf,
             "\"watched\":true,\"system\":false");
  CHECK_STATUS(statekeep_cursor_delete(m, S("indexer"), &err), BUSY);
  CHECK_OK(statekeep_watch_close(watch));
  watch = opened(m, options);
  expect(watch, "\"key\":\"b\"", "2");
  CHECK_OK(statekeep_watch_acknowledge(watch, &err));
  CHECK_OK(statekeep_watch_close(watch));
  CHECK_JSON(statekeep_cursor_list_json(m, &buf, &err), &buf,
             "[{\"name\":\"indexer\",\"sequence\":");
  CHECK_OK(statekeep_cursor_delete(m, S("indexer"), &err));
  CHECK(statekeep_cursor_delete(m, S("indexer"), &err) == STATEKEEP_STATUS_NOT_FOUND);
  CHECK(err == NULL);
  CHECK_JSON(statekeep_cursor_list_json(m, &buf, &err), &buf, "[]");
}

static void wrong_arguments(const statekeep_manager *m) {
  statekeep_watch *watch = NULL;
  statekeep_buf buf;
  const char *wrong[] = {"{\"from\":\"then\"}",          "{\"from\":-1}",
                         "{\"from\":1000000}",           "{\"from\":{\"curser\":\"x\"}}",
                         "{\"scope\":\"\\\\x\"}",        "{\"tenants\":true}",
                         "{\"from\":{\"cursor\":\"\"}}", "[]"};
  for (size_t at = 0; at < sizeof(wrong) / sizeof(*wrong); at++) {
    CHECK_STATUS(statekeep_watch_open(m, wrong[at], strlen(wrong[at]), &watch, &err),
                 INVALID_ARGUMENT);
  }
  CHECK_STATUS(statekeep_watch_open(NULL, NULL, 0, &watch, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_watch_open(m, NULL, 0, NULL, &err), INVALID_ARGUMENT);
  CHECK(watch == NULL);
  watch = opened(m, "");
  CHECK_STATUS(statekeep_watch_next(NULL, 0, &buf, NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_watch_acknowledge(NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_cursor_list_json(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_cursor_delete(m, S("with space"), &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_watch_close(watch));
}

static void *wait_for_the_end(void *argument) {
  statekeep_buf change;
  statekeep_status status;
  do {
    status = statekeep_watch_next(argument, FOREVER, &change, NULL, NULL, NULL);
    statekeep_buf_free(&change);
  } while (status == STATEKEEP_STATUS_OK);
  CHECK(status == STATEKEEP_STATUS_CLOSED);
  return NULL;
}

/* Each of both ends wakes those who wait; a watch does not keep its state open. */
static void closing_wakes(char **argv) {
  pthread_t ids[4];
  statekeep_manager *m = open_state(argv, "closing");
  statekeep_watch *closed = opened(m, ""), *left = opened(m, "{\"from\":{\"cursor\":\"c\"}}");
  for (int n = 0; n < 4; n++) {
    CHECK(pthread_create(&ids[n], NULL, wait_for_the_end, n < 2 ? closed : left) == 0);
  }
  set_json(m, "global", "k", "1");
  CHECK_OK(statekeep_watch_close(closed));
  CHECK(pthread_join(ids[0], NULL) == 0 && pthread_join(ids[1], NULL) == 0);
  CHECK_OK(statekeep_manager_close(m, &err));
  CHECK(pthread_join(ids[2], NULL) == 0 && pthread_join(ids[3], NULL) == 0);
  CHECK_STATUS(statekeep_watch_acknowledge(left, &err), CLOSED);
  m = open_state(argv, "closing");
  set_json(m, "global", "k", "2");
  CHECK_OK(statekeep_watch_close(left));
  CHECK_OK(statekeep_manager_close(m, &err));
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_manager *m = open_state(argv, "state");
  changes(m);
  tenants(m);
  cursors(m);
  wrong_arguments(m);
  CHECK_OK(statekeep_manager_close(m, &err));
  closing_wakes(argv);
  return 0;
}
