/* statekeep_snapshot: by commit and by time; the versions of a key; what differs. */
#include "check.h"

static int had(const statekeep_snapshot *snapshot, const char *key, const char *json) {
  statekeep_buf buf;
  uint32_t kind = 9;
  statekeep_status status =
      statekeep_snapshot_get(snapshot, S("user:1"), key, strlen(key), &kind, &buf, &err);
  CHECK(status == STATEKEEP_STATUS_OK || (status == STATEKEEP_STATUS_NOT_FOUND && err == NULL));
  int is_equal =
      status == STATEKEEP_STATUS_OK && kind == STATEKEEP_VALUE_JSON && buf_is(&buf, json);
  CHECK_OK(statekeep_buf_free(&buf));
  return is_equal;
}

static void read_past(const statekeep_manager *m) {
  statekeep_snapshot *s = NULL;
  statekeep_scan *scan = NULL;
  statekeep_buf buf;
  uint64_t sequence = 0;
  const char *key;
  size_t len;
  set_json(m, "user:1", "a", "1");
  set_json(m, "user:1", "b", "1");
  CHECK_OK(statekeep_snapshot_open(m, &s, &err));
  CHECK_OK(statekeep_snapshot_sequence(s, &sequence, &err));
  CHECK(sequence == 2);
  set_json(m, "user:1", "a", "2");
  CHECK_OK(statekeep_delete(m, S("user:1"), S("b"), 0, NULL, &err));
  set_json(m, "user:2", "c", "3");

  CHECK(had(s, "a", "1") && had(s, "b", "1") && !had(s, "c", "3"));
  CHECK_OK(statekeep_snapshot_exists(s, S("user:1"), S("b"), &err));
  CHECK(statekeep_snapshot_exists(s, S("user:2"), S("c"), &err) == STATEKEEP_STATUS_NOT_FOUND);
  CHECK_JSON(statekeep_snapshot_record_json(s, S("user:1"), S("a"), &buf, &err), &buf,
             "\"sequence\":1");
  CHECK(statekeep_snapshot_record_json(s, S("user:2"), S("c"), &buf, &err) ==
        STATEKEEP_STATUS_NOT_FOUND);
  CHECK_JSON(statekeep_snapshot_list_json(s, S("user:1"), NULL, &buf, &err), &buf,
             "{\"keys\":[\"a\",\"b\"],\"next\":null}");
  CHECK_JSON(statekeep_snapshot_scope_list_json(s, &buf, &err), &buf, "[\"user:1\"]");
  CHECK_JSON(statekeep_snapshot_query_json(s, S("{\"order_by\":[]}"), &buf, &err), &buf,
             "\"key\":\"b\"");
  CHECK_OK(statekeep_snapshot_scan_open(s, S("user:1"), NULL, &scan, &err));
  CHECK_OK(statekeep_scan_next(scan, &key, &len, NULL, NULL, NULL, &err));
  /* A scan keeps its snapshot. */
  CHECK_OK(statekeep_snapshot_close(s));
  CHECK_OK(statekeep_scan_next(scan, &key, &len, NULL, NULL, NULL, &err));
  CHECK(len == 1 && key[0] == 'b');
  CHECK(statekeep_scan_next(scan, &key, &len, NULL, NULL, NULL, &err) ==
        STATEKEEP_STATUS_NOT_FOUND);
  CHECK_OK(statekeep_scan_close(scan));
  CHECK_STATUS(statekeep_snapshot_sequence(s, &sequence, &err), CLOSED);
  CHECK_STATUS(statekeep_snapshot_close(s), CLOSED);
  CHECK_OK(statekeep_snapshot_close(NULL));
}

static void by_commit_and_time(const statekeep_manager *m) {
  statekeep_snapshot *s = NULL;
  uint64_t sequence = 0, at = 9;
  int64_t time = 0;
  CHECK_OK(statekeep_snapshot_open_at(m, 1, &s, &err));
  CHECK(had(s, "a", "1") && !had(s, "b", "1"));
  CHECK_OK(statekeep_snapshot_time(s, &time, &err));
  CHECK(time > 0);
  CHECK_OK(statekeep_snapshot_close(s));
  CHECK_OK(statekeep_sequence_at(m, time, &at, &err));
  CHECK_OK(statekeep_snapshot_open_at_time(m, time, &s, &err));
  CHECK_OK(statekeep_snapshot_sequence(s, &sequence, &err));
  CHECK(at >= 1 && sequence == at);
  CHECK_OK(statekeep_snapshot_close(s));
  CHECK_OK(statekeep_sequence_at(m, 0, &at, &err));
  CHECK(at == 0);
  CHECK_STATUS(statekeep_snapshot_open_at(m, 1000, &s, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_open_at_time(m, INT64_MAX, &s, &err), INVALID_ARGUMENT);
  CHECK(s == NULL);
}

static void past_of_keys(const statekeep_manager *m) {
  statekeep_buf buf;
  CHECK_OK(statekeep_set(m, S("user:3"), S("k"), STATEKEEP_VALUE_BYTES, U("\xff\xfe\xfd"), 0, NULL,
                         &err));
  set_json(m, "user:3", "k", "{\"n\": 1}");
  CHECK_OK(statekeep_delete(m, S("user:3"), S("k"), 0, NULL, &err));
  CHECK_OK(statekeep_history_json(m, S("user:3"), S("k"), NULL, 0, &buf, &err));
  CHECK(buf_has(&buf, "{\"versions\":[{\"sequence\":8,") && buf_has(&buf, "\"op\":\"delete\""));
  CHECK(buf_has(&buf, "\"value\":{\"n\": 1}") && buf_has(&buf, "\"base64\":\"//79\""));
  CHECK(buf_has(&buf, "\"commit_kind\":\"commit\"") && buf_has(&buf, "\"compacted\":null"));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_JSON(
      statekeep_history_json(m, S("user:3"), S("k"), S("{\"limit\":1,\"before\":8}"), &buf, &err),
      &buf, "{\"versions\":[{\"sequence\":7,");
  CHECK_JSON(statekeep_history_json(m, S("user:3"), S("none"), S("{}"), &buf, &err), &buf,
             "\"versions\":[]");

  CHECK_OK(statekeep_diff_json(m, 2, 5, NULL, 0, &buf, &err));
  CHECK(buf_has(&buf, "\"key\":\"a\",\"change\":\"changed\""));
  CHECK(buf_has(&buf, "\"key\":\"b\",\"change\":\"removed\""));
  CHECK(buf_has(&buf, "\"key\":\"c\",\"change\":\"added\",\"before\":null"));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_JSON(statekeep_diff_json(m, 2, 5, S("{\"limit\":1}"), &buf, &err), &buf,
             "\"next\":{\"scope\":\"user:1\",\"key\":\"a\"}");
  CHECK_JSON(statekeep_diff_json(m, 2, 5,
                                 S("{\"scope\":\"user:1\",\"prefix\":\"\",\"after\":{\"scope\":"
                                   "\"user:1\",\"key\":\"a\"}}"),
                                 &buf, &err),
             &buf, "{\"entries\":[{\"scope\":\"user:1\",\"key\":\"b\"");
}

static void wrong_arguments(const statekeep_manager *m) {
  statekeep_snapshot *s = NULL, *out = NULL;
  statekeep_scan *scan = NULL;
  statekeep_buf buf;
  uint64_t sequence;
  int64_t time;
  CHECK_STATUS(statekeep_snapshot_open(NULL, &s, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_open(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_open_at(NULL, 1, &s, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_open_at(m, 1, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_open_at_time(NULL, 1, &s, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_open_at_time(m, 1, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_sequence_at(NULL, 1, &sequence, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_sequence_at(m, 1, NULL, &err), INVALID_ARGUMENT);
  /* A handle of another kind is no snapshot. */
  CHECK_STATUS(statekeep_snapshot_time((const statekeep_snapshot *)m, &time, &err),
               INVALID_ARGUMENT);
  CHECK_OK(statekeep_snapshot_open(m, &s, &err));
  CHECK_STATUS(statekeep_snapshot_sequence(s, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_time(s, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_get(s, S("planet:9"), S("a"), NULL, &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_get(s, S("user:1"), S("a"), NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_get(NULL, S("user:1"), S("a"), NULL, &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_exists(s, S("user:1"), NULL, 1, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_record_json(s, S("user:1"), S("a"), NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_list_json(s, BAD_UTF8, NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_scope_list_json(s, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_scan_open(s, S("user:1"), NULL, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_scan_open(NULL, S("user:1"), NULL, &scan, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_snapshot_query_json(s, S("{"), &buf, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_snapshot_close(s));
  CHECK(out == NULL && scan == NULL);

  CHECK_STATUS(statekeep_history_json(m, S("user:3"), S("k"), S("{\"limits\":1}"), &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_history_json(m, S("user:3"), S("k"), S("[1]"), &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_history_json(m, S("user:3"), S("k"), NULL, 0, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_history_json(NULL, S("user:3"), S("k"), NULL, 0, &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_diff_json(m, 5, 2, NULL, 0, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_diff_json(m, 2, 5, S("{\"prefix\":\"a\"}"), &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_diff_json(m, 2, 5, S("{\"scope\":\"planet:9\"}"), &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_diff_json(NULL, 2, 5, NULL, 0, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_diff_json(m, 2, 5, NULL, 0, NULL, &err), INVALID_ARGUMENT);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_manager *m = open_state(argv, "state");
  statekeep_manager *red = NULL;
  statekeep_snapshot *s = NULL;
  read_past(m);
  by_commit_and_time(m);
  past_of_keys(m);
  wrong_arguments(m);
  /* A tenant's snapshot holds its own keys only. */
  CHECK_OK(statekeep_manager_tenant(m, S("red"), &red, &err));
  CHECK_OK(statekeep_snapshot_open(red, &s, &err));
  CHECK(!had(s, "a", "2"));
  CHECK_OK(statekeep_snapshot_close(s));
  CHECK_OK(statekeep_manager_close(red, &err));
  /* A snapshot keeps its state open. */
  CHECK_OK(statekeep_snapshot_open(m, &s, &err));
  CHECK_OK(statekeep_manager_close(m, &err));
  CHECK(had(s, "a", "2"));
  CHECK_OK(statekeep_snapshot_close(s));
  m = open_state(argv, "state");
  CHECK_OK(statekeep_manager_close(m, &err));
  return 0;
}
