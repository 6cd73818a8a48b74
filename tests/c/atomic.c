/* Changes of one key that depend on what it is: counters, swaps, patches; one winner of many. */
#include "check.h"

#include <pthread.h>

#define JSON STATEKEEP_VALUE_JSON
#define NONE STATEKEEP_VALUE_NONE
#define THREADS 8
#define ROUNDS 25

static void counters(const statekeep_manager *m) {
  int64_t sum = 0;
  double real = 0;
  statekeep_buf buf;
  CHECK_OK(statekeep_increment(m, S("global"), S("n"), 5, NULL, &sum, &err));
  CHECK(sum == 5);
  CHECK_OK(statekeep_increment(m, S("global"), S("n"), -7, NULL, &sum, &err));
  CHECK(sum == -2 && has_value(m, "global", "n", "-2"));
  CHECK_OK(statekeep_increment(m, S("global"), S("n"), 1, NULL, NULL, &err));
  CHECK_OK(statekeep_increment_f64(m, S("global"), S("n"), 2.5, NULL, &real, &err));
  CHECK(real == 1.5 && has_value(m, "global", "n", "1.5"));
  CHECK_OK(statekeep_increment(m, S("global"), S("n"), 1, NULL, &sum, &err));
  CHECK(sum == 2 && has_value(m, "global", "n", "2.5"));
  /* Class and expiry stay. */
  statekeep_set_options o = STATEKEEP_SET_OPTIONS_INIT;
  o.record_class = STATEKEEP_CLASS_CRITICAL;
  CHECK_OK(statekeep_increment(m, S("global"), S("c"), 1, &o, NULL, &err));
  CHECK_OK(statekeep_increment(m, S("global"), S("c"), 1, NULL, NULL, &err));
  CHECK_JSON(statekeep_record_json(m, S("global"), S("c"), &buf, &err), &buf,
             "\"class\":\"critical\"");
  /* What is no number, and what is beyond one. */
  set_json(m, "global", "text", "\"1\"");
  CHECK_STATUS(statekeep_increment(m, S("global"), S("text"), 1, NULL, &sum, &err),
               INVALID_ARGUMENT);
  CHECK(sum == 0 && has_value(m, "global", "text", "\"1\""));
  CHECK_STATUS(statekeep_increment(m, S("global"), S("c"), INT64_MAX, NULL, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_increment_f64(m, S("global"), S("c"), 1e308 * 10, NULL, &real, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_increment(NULL, S("global"), S("c"), 1, NULL, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_increment(m, S("global"), NULL, 1, 1, NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_increment_f64(NULL, S("global"), S("c"), 1, NULL, NULL, &err),
               INVALID_ARGUMENT);
}

static void swaps(const statekeep_manager *m) {
  uint64_t first = 0, second = 0;
  char want[64];
  CHECK_OK(statekeep_compare_and_swap(m, S("global"), S("v"), 0, JSON, U("1"), NULL, &first, &err));
  CHECK(first > 0);
  snprintf(want, sizeof(want), "\"current_sequence\":%llu", (unsigned long long)first);
  CHECK_DETAIL(
      statekeep_compare_and_swap(m, S("global"), S("v"), 0, JSON, U("2"), NULL, &second, &err),
      CONFLICT, want);
  CHECK(second == 0 && statekeep_status_is_retryable(STATEKEEP_STATUS_CONFLICT));
  CHECK_OK(
      statekeep_compare_and_swap(m, S("global"), S("v"), first, JSON, U("2"), NULL, &second, &err));
  CHECK(second > first && has_value(m, "global", "v", "2"));
  CHECK_OK(
      statekeep_compare_and_swap(m, S("global"), S("v"), second, NONE, NULL, 0, NULL, NULL, &err));
  CHECK(statekeep_exists(m, S("global"), S("v"), &err) == STATEKEEP_STATUS_NOT_FOUND);
  CHECK_DETAIL(
      statekeep_compare_and_swap(m, S("global"), S("v"), second, JSON, U("2"), NULL, NULL, &err),
      CONFLICT, "\"current_sequence\":null");

  CHECK_OK(statekeep_compare_and_swap_value(m, S("global"), S("w"), NONE, NULL, 0, JSON,
                                            U("{\"a\":1,\"b\":2}"), NULL, NULL, &err));
  CHECK_STATUS(statekeep_compare_and_swap_value(m, S("global"), S("w"), JSON, U("{\"a\":1}"), JSON,
                                                U("3"), NULL, NULL, &err),
               CONFLICT);
  CHECK_OK(statekeep_compare_and_swap_value(
      m, S("global"), S("w"), JSON, U("{ \"b\" : 2, \"a\" : 1 }"), JSON, U("3"), NULL, NULL, &err));
  CHECK(has_value(m, "global", "w", "3"));
  CHECK_OK(statekeep_compare_and_swap_value(m, S("global"), S("w"), JSON, U("3"), NONE, NULL, 0,
                                            NULL, NULL, &err));
  CHECK(statekeep_exists(m, S("global"), S("w"), &err) == STATEKEEP_STATUS_NOT_FOUND);
  CHECK_STATUS(
      statekeep_compare_and_swap(m, S("global"), S("v"), 0, NONE, U("x"), NULL, NULL, &err),
      INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_compare_and_swap(m, S("global"), S("v"), 0, 9, U("1"), NULL, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(
      statekeep_compare_and_swap(NULL, S("global"), S("v"), 0, JSON, U("1"), NULL, NULL, &err),
      INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_compare_and_swap_value(NULL, S("global"), S("v"), NONE, NULL, 0, JSON,
                                                U("1"), NULL, NULL, &err),
               INVALID_ARGUMENT);

  uint32_t is_set = 9;
  CHECK_OK(
      statekeep_set_if_absent(m, S("global"), S("s"), JSON, U("1"), NULL, &is_set, &first, &err));
  CHECK(is_set == 1 && first > second);
  CHECK_OK(
      statekeep_set_if_absent(m, S("global"), S("s"), JSON, U("2"), NULL, &is_set, &first, &err));
  CHECK(is_set == 0 && first == 0 && has_value(m, "global", "s", "1"));
  CHECK_STATUS(
      statekeep_set_if_absent(m, S("global"), S("s"), NONE, NULL, 0, NULL, NULL, NULL, &err),
      INVALID_ARGUMENT);
  CHECK_STATUS(
      statekeep_set_if_absent(NULL, S("global"), S("s"), JSON, U("1"), NULL, NULL, NULL, &err),
      INVALID_ARGUMENT);
}

static void patches(const statekeep_manager *m) {
  statekeep_buf buf;
  CHECK_OK(statekeep_merge_patch(m, S("global"), S("d"), U("{\"a\":1,\"b\":2}"), NULL, NULL, &err));
  CHECK_OK(
      statekeep_merge_patch(m, S("global"), S("d"), U("{\"a\":null,\"c\":3}"), NULL, &buf, &err));
  CHECK(buf_is(&buf, "{\"b\":2,\"c\":3}"));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_OK(statekeep_json_patch(m, S("global"), S("d"),
                                U("[{\"op\":\"test\",\"path\":\"/b\",\"value\":2},"
                                  "{\"op\":\"replace\",\"path\":\"/b\",\"value\":9}]"),
                                NULL, &buf, &err));
  CHECK(buf_is(&buf, "{\"b\":9,\"c\":3}"));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_STATUS(statekeep_json_patch(m, S("global"), S("d"),
                                    U("[{\"op\":\"remove\",\"path\":\"/c\"},"
                                      "{\"op\":\"test\",\"path\":\"/b\",\"value\":2}]"),
                                    NULL, &buf, &err),
               CONFLICT);
  CHECK(has_value(m, "global", "d", "{\"b\":9,\"c\":3}"));
  CHECK_STATUS(statekeep_json_patch(m, S("global"), S("absent"), U("[]"), NULL, &buf, &err),
               NOT_FOUND);
  CHECK_STATUS(statekeep_json_patch(m, S("global"), S("d"), U("{}"), NULL, &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_json_patch(NULL, S("global"), S("d"), U("[]"), NULL, &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_merge_patch(m, S("global"), S("d"), U("{"), NULL, &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_merge_patch(m, S("global"), S("d"), NULL, 2, NULL, &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_merge_patch(NULL, S("global"), S("d"), U("{}"), NULL, &buf, &err),
               INVALID_ARGUMENT);
}

static statekeep_manager *shared;
static int winners;

static void *contend(void *argument) {
  (void)argument;
  uint32_t is_set = 0;
  for (int round = 0; round < ROUNDS; round++) {
    CHECK(statekeep_increment(shared, S("global"), S("all"), 1, NULL, NULL, NULL) ==
          STATEKEEP_STATUS_OK);
  }
  CHECK(statekeep_set_if_absent(shared, S("global"), S("crown"), JSON, U("1"), NULL, &is_set, NULL,
                                NULL) == STATEKEEP_STATUS_OK);
  __atomic_add_fetch(&winners, (int)is_set, __ATOMIC_SEQ_CST);
  return NULL;
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  shared = open_state(argv, "state");
  counters(shared);
  swaps(shared);
  patches(shared);
  pthread_t ids[THREADS];
  for (int n = 0; n < THREADS; n++) {
    CHECK(pthread_create(&ids[n], NULL, contend, NULL) == 0);
  }
  for (int n = 0; n < THREADS; n++) {
    CHECK(pthread_join(ids[n], NULL) == 0);
  }
  CHECK(has_value(shared, "global", "all", "200") && winners == 1);
  CHECK_OK(statekeep_manager_close(shared, &err));
  return 0;
}
