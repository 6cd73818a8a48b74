/* The log callback: set, replaced, removed; destroy runs once each time. */
#include "check.h"

static int destroyed;

static void line(void *user_data, uint32_t level, const char *message, size_t len) {
  CHECK(user_data == &destroyed);
  CHECK(level >= STATEKEEP_LOG_ERROR && level <= STATEKEEP_LOG_TRACE);
  CHECK(message != NULL && len > 0);
  /* A call from inside the callback neither hangs nor logs again. */
  CHECK_OK(statekeep_error_code(NULL));
}

static void destroy(void *user_data) {
  CHECK(user_data == &destroyed);
  destroyed++;
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  CHECK_STATUS(statekeep_log_set(0, line, &destroyed, destroy, &err), INVALID_ARGUMENT);
  CHECK(destroyed == 1);
  CHECK_STATUS(statekeep_log_set(6, line, &destroyed, destroy, &err), INVALID_ARGUMENT);
  CHECK(destroyed == 2);
  CHECK_OK(statekeep_log_set(STATEKEEP_LOG_TRACE, line, &destroyed, destroy, &err));
  CHECK(destroyed == 2);
  statekeep_manager *m = open_state(argv, "state");
  set_json(m, "global", "k", "1");
  CHECK_OK(statekeep_manager_close(m, &err));
  CHECK_OK(statekeep_log_set(STATEKEEP_LOG_ERROR, line, &destroyed, destroy, &err));
  CHECK(destroyed == 3);
  CHECK_OK(statekeep_log_set(0, NULL, NULL, NULL, &err));
  CHECK(destroyed == 4);
  CHECK_OK(statekeep_log_set(0, NULL, NULL, NULL, NULL));
  return 0;
}
