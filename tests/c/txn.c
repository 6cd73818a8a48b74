/* statekeep_txn: reads and changes at one moment or not at all; statekeep_transact tries again. */
#include "check.h"

#include <pthread.h>

#define JSON STATEKEEP_VALUE_JSON
#define THREADS 6
#define ROUNDS 20

static void txn_set(const statekeep_txn *txn, const char *key, const char *json) {
  CHECK_OK(statekeep_txn_set(txn, S("user:1"), key, strlen(key), JSON, (const uint8_t *)json,
                             strlen(json), &err));
}

static int txn_has(const statekeep_txn *txn, const char *key, const char *json) {
  statekeep_buf buf;
  uint32_t kind = 9;
  statekeep_status status =
      statekeep_txn_get(txn, S("user:1"), key, strlen(key), &kind, &buf, &err);
  CHECK(status == STATEKEEP_STATUS_OK || (status == STATEKEEP_STATUS_NOT_FOUND && err == NULL));
  int is_equal = status == STATEKEEP_STATUS_OK && kind == JSON && buf_is(&buf, json);
  CHECK_OK(statekeep_buf_free(&buf));
  return is_equal;
}

static void own_view(const statekeep_manager *m) {
  statekeep_txn *txn = NULL;
  statekeep_scan *scan = NULL;
  statekeep_buf buf;
  statekeep_set_options o = STATEKEEP_SET_OPTIONS_INIT;
  const char *key;
  size_t len;
  uint64_t sequence = 0, savepoint = 0, later = 0;
  set_json(m, "user:1", "a", "1");
  set_json(m, "user:1", "b", "1");
  CHECK_OK(statekeep_txn_begin(m, NULL, 0, &txn, &err));
  txn_set(txn, "a", "2");
  txn_set(txn, "c", "3");
  CHECK_OK(statekeep_txn_delete(txn, S("user:1"), S("b"), &err));
  CHECK(txn_has(txn, "a", "2") && txn_has(txn, "c", "3") && !txn_has(txn, "b", "1"));
  CHECK(has_value(m, "user:1", "a", "1") && has_value(m, "user:1", "b", "1"));
  CHECK_OK(statekeep_txn_exists(txn, S("user:1"), S("c"), &err));
  CHECK(statekeep_txn_exists(txn, S("user:1"), S("b"), &err) == STATEKEEP_STATUS_NOT_FOUND);
  CHECK_JSON(statekeep_txn_record_json(txn, S("user:1"), S("c"), &buf, &err), &buf,
             "\"sequence\":0");
  CHECK_JSON(statekeep_txn_list_json(txn, S("user:1"), NULL, &buf, &err), &buf,
             "{\"keys\":[\"a\",\"c\"],\"next\":null}");

  CHECK_OK(statekeep_txn_savepoint(txn, &savepoint, &err));
  CHECK(savepoint != 0);
  o.record_class = STATEKEEP_CLASS_CRITICAL;
  CHECK_OK(statekeep_txn_set_with(txn, S("user:1"), S("d"), JSON, U("4"), &o, &err));
  CHECK_OK(statekeep_txn_savepoint(txn, &later, &err));
  txn_set(txn, "a", "9");
  CHECK_OK(statekeep_txn_rollback_to(txn, savepoint, &err));
  CHECK(txn_has(txn, "a", "2") && !txn_has(txn, "d", "4"));
  CHECK_STATUS(statekeep_txn_rollback_to(txn, later, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_rollback_to(txn, 0, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_txn_rollback_to(txn, savepoint, &err));
  CHECK_OK(statekeep_txn_set_with(txn, S("user:1"), S("d"), JSON, U("5"), &o, &err));

  CHECK_OK(statekeep_txn_scan_open(txn, S("user:1"), NULL, &scan, &err));
  CHECK_OK(statekeep_scan_next(scan, &key, &len, NULL, NULL, NULL, &err));
  CHECK(len == 1 && key[0] == 'a');
  CHECK_OK(statekeep_txn_commit(txn, &sequence, &err));
  CHECK(sequence == 3);
  CHECK(has_value(m, "user:1", "a", "2") && has_value(m, "user:1", "d", "5"));
  CHECK(statekeep_exists(m, S("user:1"), S("b"), &err) == STATEKEEP_STATUS_NOT_FOUND);
  CHECK_JSON(statekeep_record_json(m, S("user:1"), S("d"), &buf, &err), &buf,
             "\"class\":\"critical\"");
  /* It has ended, and the handle is there to be closed. */
  CHECK_STATUS(statekeep_txn_commit(txn, NULL, &err), CLOSED);
  CHECK_STATUS(statekeep_txn_get(txn, S("user:1"), S("a"), NULL, &buf, &err), CLOSED);
  CHECK_STATUS(statekeep_txn_scan_open(txn, S("user:1"), NULL, &scan, &err), CLOSED);
  CHECK_OK(statekeep_txn_close(txn));
  CHECK_STATUS(statekeep_txn_close(txn), CLOSED);
  CHECK_OK(statekeep_txn_close(NULL));
}

static void scans_end_with_it(const statekeep_manager *m) {
  statekeep_txn *txn = NULL;
  statekeep_scan *scan = NULL;
  statekeep_scan_options o = STATEKEEP_SCAN_OPTIONS_INIT;
  const char *key;
  size_t len;
  CHECK_OK(statekeep_txn_begin(m, S("{\"durability\":\"relaxed\"}"), &txn, &err));
  o.page_keys = 1;
  CHECK_OK(statekeep_txn_scan_open(txn, S("user:1"), &o, &scan, &err));
  CHECK_OK(statekeep_scan_next(scan, &key, &len, NULL, NULL, NULL, &err));
  txn_set(txn, "a", "77");
  CHECK_OK(statekeep_txn_close(txn));
  CHECK_STATUS(statekeep_scan_next(scan, &key, &len, NULL, NULL, NULL, &err), CLOSED);
  CHECK_OK(statekeep_scan_close(scan));
  CHECK(has_value(m, "user:1", "a", "2"));
}

/* What was read has been changed meanwhile: a key, one that was not there, a list. */
static void conflicts(const statekeep_manager *m) {
  statekeep_txn *txn = NULL;
  statekeep_buf buf;
  for (int kind = 0; kind < 3; kind++) {
    CHECK_OK(statekeep_txn_begin(m, NULL, 0, &txn, &err));
    if (kind == 0) {
      CHECK(txn_has(txn, "a", "2"));
      set_json(m, "user:1", "a", "2");
    } else if (kind == 1) {
      CHECK(!txn_has(txn, "new", "1"));
      set_json(m, "user:1", "new", "1");
    } else {
      CHECK_JSON(statekeep_txn_list_json(txn, S("user:1"), NULL, &buf, &err), &buf, "\"keys\"");
      set_json(m, "user:1", "phantom", "1");
    }
    txn_set(txn, "result", "1");
    CHECK_STATUS(statekeep_txn_commit(txn, NULL, &err), CONFLICT);
    CHECK(statekeep_exists(m, S("user:1"), S("result"), &err) == STATEKEEP_STATUS_NOT_FOUND);
    CHECK_OK(statekeep_txn_close(txn));
  }
}

struct transfer {
  const statekeep_manager *manager;
  int runs;
  int between; /* runs before which somebody else writes */
  statekeep_status answer;
  statekeep_txn *seen;
};

static long number(const statekeep_txn *txn, const char *key) {
  statekeep_buf buf;
  char text[32] = "0";
  statekeep_status status =
      statekeep_txn_get(txn, S("custom:bank"), key, strlen(key), NULL, &buf, NULL);
  if (status == STATEKEEP_STATUS_OK) {
    CHECK(buf.len < sizeof(text));
    memcpy(text, buf.ptr, buf.len);
    text[buf.len] = 0;
  }
  statekeep_buf_free(&buf);
  return strtol(text, NULL, 10);
}

static statekeep_status put(const statekeep_txn *txn, const char *key, long value) {
  char text[32];
  int len = snprintf(text, sizeof(text), "%ld", value);
  return statekeep_txn_set(txn, S("custom:bank"), key, strlen(key), JSON, (const uint8_t *)text,
                           (size_t)len, NULL);
}

static statekeep_status transfer(void *user_data, statekeep_txn *txn) {
  struct transfer *t = user_data;
  t->runs++;
  t->seen = txn;
  long from = number(txn, "from"), to = number(txn, "to");
  if (t->runs <= t->between) {
    /* A write of another is no part of the transaction, and no lock is in its way. */
    char text[16];
    int len = snprintf(text, sizeof(text), "%d", 100 * t->runs);
    CHECK(statekeep_set(t->manager, S("custom:bank"), S("from"), JSON, (const uint8_t *)text,
                        (size_t)len, 0, NULL, NULL) == STATEKEEP_STATUS_OK);
  }
  CHECK(put(txn, "from", from - 1) == STATEKEEP_STATUS_OK);
  CHECK(put(txn, "to", to + 1) == STATEKEEP_STATUS_OK);
  return t->answer;
}

static void retried(statekeep_manager *m) {
  struct transfer t = {m, 0, 2, STATEKEEP_STATUS_OK, NULL};
  uint64_t sequence = 0;
  statekeep_buf buf;
  set_json(m, "custom:bank", "from", "10");
  CHECK_OK(statekeep_transact(m, NULL, 0, transfer, &t, &sequence, &err));
  CHECK(t.runs == 3 && sequence > 0);
  CHECK(has_value(m, "custom:bank", "from", "199") && has_value(m, "custom:bank", "to", "1"));
  /* The handle was good for one run. */
  CHECK_STATUS(statekeep_txn_get(t.seen, S("custom:bank"), S("to"), NULL, &buf, &err), CLOSED);
  /* What it answers other than OK rolls back and comes through. */
  t = (struct transfer){m, 0, 0, STATEKEEP_STATUS_VETOED, NULL};
  CHECK_STATUS(statekeep_transact(m, NULL, 0, transfer, &t, &sequence, &err), VETOED);
  CHECK(t.runs == 1 && sequence == 0);
  t.answer = STATEKEEP_STATUS_NOT_FOUND;
  CHECK_STATUS(statekeep_transact(m, S("{}"), transfer, &t, NULL, &err), NOT_FOUND);
  CHECK(has_value(m, "custom:bank", "from", "199"));
  /* Attempts have an end. */
  t = (struct transfer){m, 0, 1000, STATEKEEP_STATUS_OK, NULL};
  CHECK_STATUS(statekeep_transact(m, S("{\"attempts_max\":3,\"durability\":\"sync\"}"), transfer,
                                  &t, NULL, &err),
               CONFLICT);
  CHECK(t.runs == 3);
  t = (struct transfer){m, 0, 0, STATEKEEP_STATUS_CONFLICT, NULL};
  CHECK_STATUS(statekeep_transact(m, S("{\"attempts_max\":2}"), transfer, &t, NULL, &err),
               CONFLICT);
  CHECK(t.runs == 2);
}

/* It is ended by statekeep_transact and by nobody else. */
static statekeep_status meddle(void *user_data, statekeep_txn *txn) {
  statekeep_manager *m = user_data;
  CHECK(statekeep_txn_commit(txn, NULL, NULL) == STATEKEEP_STATUS_INVALID_ARGUMENT);
  CHECK(statekeep_txn_close(txn) == STATEKEEP_STATUS_INVALID_ARGUMENT);
  CHECK(statekeep_manager_close(m, NULL) == STATEKEEP_STATUS_REENTRANT);
  return put(txn, "meddled", 1);
}

static statekeep_manager *shared;

static statekeep_status step(void *user_data, statekeep_txn *txn) {
  (void)user_data;
  long a = number(txn, "sum-a"), b = number(txn, "sum-b");
  CHECK(a + b == 1000);
  statekeep_status status = put(txn, "sum-a", a - 1);
  return status == STATEKEEP_STATUS_OK ? put(txn, "sum-b", b + 1) : status;
}

static void *move_points(void *argument) {
  (void)argument;
  for (int round = 0; round < ROUNDS; round++) {
    CHECK(statekeep_transact(shared, S("{\"attempts_max\":100000}"), step, NULL, NULL, NULL) ==
          STATEKEEP_STATUS_OK);
  }
  return NULL;
}

static void many_at_once(void) {
  pthread_t ids[THREADS];
  char want[16];
  set_json(shared, "custom:bank", "sum-a", "1000");
  set_json(shared, "custom:bank", "sum-b", "0");
  for (int n = 0; n < THREADS; n++) {
    CHECK(pthread_create(&ids[n], NULL, move_points, NULL) == 0);
  }
  for (int n = 0; n < THREADS; n++) {
    CHECK(pthread_join(ids[n], NULL) == 0);
  }
  snprintf(want, sizeof(want), "%d", THREADS * ROUNDS);
  CHECK(has_value(shared, "custom:bank", "sum-b", want));
}

static void wrong_arguments(const statekeep_manager *m) {
  statekeep_txn *txn = NULL;
  statekeep_scan *scan = NULL;
  statekeep_buf buf;
  CHECK_STATUS(statekeep_txn_begin(NULL, NULL, 0, &txn, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_begin(m, NULL, 0, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_begin(m, S("{\"durable\":true}"), &txn, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_begin(m, S("{\"durability\":\"fast\"}"), &txn, &err),
               INVALID_ARGUMENT);
  CHECK(txn == NULL);
  CHECK_STATUS(statekeep_transact(m, NULL, 0, NULL, NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_transact(NULL, NULL, 0, meddle, NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_transact(m, S("["), meddle, NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_txn_begin(m, NULL, 0, &txn, &err));
  CHECK_STATUS(statekeep_txn_get(txn, S("user:1"), S(""), NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_get(txn, S("user:1"), S("a"), NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_get(NULL, S("user:1"), S("a"), NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_exists(NULL, S("user:1"), S("a"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_record_json(txn, S("user:1"), S("a"), NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_list_json(txn, S("user:1"), NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_scan_open(txn, S("user:1"), NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_scan_open(NULL, S("user:1"), NULL, &scan, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_set(txn, S("user:1"), S("a"), JSON, U("{"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_set(NULL, S("user:1"), S("a"), JSON, U("1"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_set_with(NULL, S("user:1"), S("a"), JSON, U("1"), NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_delete(txn, BAD_UTF8, S("a"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_savepoint(txn, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_rollback_to(NULL, 1, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_txn_commit(NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_txn_close(txn));
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_txn *txn = NULL;
  statekeep_buf buf;
  shared = open_state(argv, "state");
  own_view(shared);
  scans_end_with_it(shared);
  conflicts(shared);
  retried(shared);
  CHECK_OK(statekeep_transact(shared, NULL, 0, meddle, shared, NULL, &err));
  CHECK(has_value(shared, "custom:bank", "meddled", "1"));
  wrong_arguments(shared);
  many_at_once();
  /* A transaction does not keep its state open, nor its folder. */
  CHECK_OK(statekeep_txn_begin(shared, NULL, 0, &txn, &err));
  CHECK(txn_has(txn, "a", "2"));
  CHECK_OK(statekeep_manager_close(shared, &err));
  CHECK_STATUS(statekeep_txn_get(txn, S("user:1"), S("a"), NULL, &buf, &err), CLOSED);
  shared = open_state(argv, "state");
  CHECK_STATUS(statekeep_txn_commit(txn, NULL, &err), CLOSED);
  CHECK_OK(statekeep_txn_close(txn));
  CHECK_OK(statekeep_manager_close(shared, &err));
  return 0;
}
