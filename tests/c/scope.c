/* Whole scopes: list, clear, copy, move. */
#include "check.h"

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_manager *m = open_state(argv, "state");
  set_json(m, "session:1", "a", "1");
  set_json(m, "session:1", "b", "2");
  uint64_t n = 9;
  CHECK_OK(statekeep_scope_copy(m, S("session:1"), S("session:2"), &n, &err));
  CHECK(n == 2 && has_value(m, "session:2", "b", "2") && has_value(m, "session:1", "b", "2"));
  CHECK_OK(statekeep_scope_move(m, S("session:2"), S("custom:x:y"), &n, &err));
  CHECK(n == 2 && has_value(m, "custom:x:y", "a", "1") && !has_value(m, "session:2", "a", "1"));
  statekeep_buf list;
  CHECK_OK(statekeep_scope_list_json(m, &list, &err));
  CHECK(buf_has(&list, "\"session:1\"") && buf_has(&list, "\"custom:x:y\""));
  CHECK(!buf_has(&list, "session:2"));
  CHECK_OK(statekeep_buf_free(&list));
  CHECK_OK(statekeep_scope_clear(m, S("session:1"), &n, &err));
  CHECK(n == 2 && !has_value(m, "session:1", "a", "1"));
  CHECK_OK(statekeep_scope_clear(m, S("session:1"), &n, &err));
  CHECK(n == 0);

  CHECK_STATUS(statekeep_scope_list_json(NULL, &list, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scope_list_json(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scope_clear(NULL, S("global"), &n, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scope_clear(m, NULL, 6, &n, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scope_clear(m, S("planet:9"), NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scope_copy(NULL, S("global"), S("user:1"), &n, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scope_copy(m, NULL, 6, S("user:1"), NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scope_copy(m, S("global"), NULL, 6, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scope_copy(m, BAD_UTF8, S("user:1"), NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scope_move(NULL, S("global"), S("user:1"), &n, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scope_move(m, NULL, 6, S("user:1"), NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scope_move(m, S("global"), NULL, 6, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_scope_move(m, S("global"), ABSURD("user:1"), NULL, &err),
               INVALID_ARGUMENT);
  CHECK_OK(statekeep_manager_close(m, &err));
  CHECK_STATUS(statekeep_scope_clear(m, S("global"), &n, &err), CLOSED);
  return 0;
}
