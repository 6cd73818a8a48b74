/* statekeep_batch: all changes or none; the batch survives a failed commit. */
#include "check.h"

#define JSON STATEKEEP_VALUE_JSON

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_manager *m = open_state(argv, "state");
  statekeep_batch *batch = NULL;
  CHECK_STATUS(statekeep_batch_new(NULL, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_batch_new(&batch, &err));
  set_json(m, "global", "old", "0");
  CHECK_OK(statekeep_batch_set(batch, S("global"), S("a"), JSON, U("1"), &err));
  CHECK_OK(statekeep_batch_set(batch, S("user:1"), S("a"), JSON, U("2"), &err));
  CHECK_OK(statekeep_batch_set(batch, S("global"), S("a"), JSON, U("3"), &err));
  CHECK_OK(statekeep_batch_delete(batch, S("global"), S("old"), &err));
  CHECK_OK(statekeep_batch_delete(batch, S("global"), S("never"), &err));
  CHECK(!has_value(m, "global", "a", "3"));
  uint64_t sequence = 0;
  CHECK_STATUS(statekeep_batch_commit(batch, m, 9, &sequence, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_batch_commit(batch, NULL, 0, &sequence, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_batch_commit(NULL, m, 0, &sequence, &err), INVALID_ARGUMENT);
  CHECK(sequence == 0);
  CHECK_OK(statekeep_batch_commit(batch, m, STATEKEEP_DURABILITY_SYNC, &sequence, &err));
  CHECK(sequence > 0);
  CHECK(has_value(m, "global", "a", "3") && has_value(m, "user:1", "a", "2"));
  CHECK(statekeep_exists(m, S("global"), S("old"), &err) == STATEKEEP_STATUS_NOT_FOUND);

  CHECK_STATUS(statekeep_batch_set(NULL, S("global"), S("a"), JSON, U("1"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_batch_set(batch, NULL, 1, S("a"), JSON, U("1"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_batch_set(batch, S("global"), NULL, 1, JSON, U("1"), &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_batch_set(batch, S("global"), S("a"), JSON, NULL, 1, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_batch_set(batch, S("global"), S("a"), 9, U("1"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_batch_set(batch, BAD_UTF8, S("a"), JSON, U("1"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_batch_set(batch, S("global"), ABSURD("a"), JSON, U("1"), &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_batch_delete(NULL, S("global"), S("a"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_batch_delete(batch, NULL, 1, S("a"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_batch_delete(batch, S("global"), NULL, 1, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_batch_delete(batch, S("global"), BAD_UTF8, &err), INVALID_ARGUMENT);

  /* Each change may be kept in its own way. */
  statekeep_set_options o = STATEKEEP_SET_OPTIONS_INIT;
  statekeep_buf buf;
  o.record_class = STATEKEEP_CLASS_CRITICAL;
  o.ttl_ms = 3600000;
  CHECK_OK(statekeep_batch_set_with(batch, S("global"), S("short"), JSON, U("1"), &o, &err));
  CHECK_OK(statekeep_batch_set_with(batch, S("global"), S("long"), JSON, U("1"), NULL, &err));
  CHECK_OK(statekeep_batch_commit(batch, m, 0, NULL, &err));
  CHECK_JSON(statekeep_record_json(m, S("global"), S("short"), &buf, &err), &buf,
             "\"class\":\"critical\"");
  CHECK_JSON(statekeep_record_json(m, S("global"), S("long"), &buf, &err), &buf,
             "\"expires_unix_ms\":null");
  o.ttl_ms = -2;
  CHECK_STATUS(statekeep_batch_set_with(batch, S("global"), S("a"), JSON, U("1"), &o, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_batch_set_with(NULL, S("global"), S("a"), JSON, U("1"), NULL, &err),
               INVALID_ARGUMENT);

  /* After a commit that failed, the changes are still in the batch. */
  CHECK_OK(statekeep_batch_set(batch, S("global"), S("late"), JSON, U("1"), &err));
  CHECK_OK(statekeep_manager_close(m, &err));
  CHECK_STATUS(statekeep_batch_commit(batch, m, 0, NULL, &err), CLOSED);
  m = open_state(argv, "again");
  CHECK_OK(statekeep_batch_commit(batch, m, 0, NULL, &err));
  CHECK(has_value(m, "global", "late", "1"));
  CHECK_OK(statekeep_batch_free(NULL));
  CHECK_OK(statekeep_batch_free(batch));
  CHECK_STATUS(statekeep_batch_free(batch), CLOSED);
  CHECK_STATUS(statekeep_batch_delete(batch, S("global"), S("a"), &err), CLOSED);
  CHECK_OK(statekeep_manager_close(m, &err));
  return 0;
}
