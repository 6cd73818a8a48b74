/* The log callback: set, replaced, removed; destroy runs once each time; what may be called in it. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <sys/stat.h>
#include <unistd.h>

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

/* A callback that uses the library once opened its own state while a lock of that state was held,
 * and waited for ever. It is told so instead; what needs no state still answers. */
static statekeep_config *own_config;
static statekeep_manager *other;
static int lines_inside;

#define CHECK_REENTRANT(call) CHECK((call) == STATEKEEP_STATUS_REENTRANT)

static void calls_back(void *user_data, uint32_t level, const char *message, size_t len) {
  (void)user_data, (void)level, (void)message, (void)len;
  lines_inside++;
  statekeep_error *error = NULL;
  statekeep_manager *again = other;
  statekeep_buf buf;
  CHECK_REENTRANT(statekeep_manager_open(own_config, &again, &error));
  CHECK(again == NULL);
  const char *text = NULL;
  size_t text_len = 0;
  CHECK(statekeep_error_code(error) == STATEKEEP_STATUS_REENTRANT);
  CHECK(statekeep_error_message(error, &text, &text_len) == STATEKEEP_STATUS_OK && text_len > 0);
  CHECK(statekeep_error_free(error) == STATEKEEP_STATUS_OK);
  CHECK_REENTRANT(statekeep_set(other, S("global"), S("k"), STATEKEEP_VALUE_JSON, U("2"), 0, NULL,
                                NULL));
  CHECK_REENTRANT(statekeep_get(other, S("global"), S("k"), NULL, &buf, NULL));
  CHECK(buf_is_empty(&buf) && statekeep_buf_free(&buf) == STATEKEEP_STATUS_OK);
  CHECK_REENTRANT(statekeep_manager_flush(other, NULL));
  CHECK_REENTRANT(statekeep_manager_close(other, NULL));
  CHECK_REENTRANT(statekeep_log_set(0, NULL, &destroyed, destroy, NULL));
  CHECK(statekeep_version() != NULL && statekeep_abi_version() != 0);
}

static void inside(char **argv) {
  other = open_state(argv, "other");
  set_json(other, "global", "k", "1");
  CHECK_OK(statekeep_manager_close(open_state(argv, "odd"), &err));
  /* Who holds the state cannot be noted in a pipe, which is worth a warning. */
  const char *lock = in_folder(argv, "odd/LOCK");
  CHECK(unlink(lock) == 0 || access(lock, F_OK) != 0);
  CHECK(mkfifo(lock, 0600) == 0);
  own_config = config_for(in_folder(argv, "odd"), "memory");
  int before = destroyed;
  /* What hangs fails. */
  alarm(300);
  CHECK_OK(statekeep_log_set(STATEKEEP_LOG_WARN, calls_back, NULL, NULL, &err));
  statekeep_manager *m = NULL;
  CHECK_OK(statekeep_manager_open(own_config, &m, &err));
  CHECK(lines_inside > 0);
  /* `destroy` of the registration that was refused. */
  CHECK(destroyed == before + lines_inside);
  CHECK_OK(statekeep_log_set(0, NULL, NULL, NULL, &err));
  CHECK_OK(statekeep_manager_close(m, &err));
  /* Nothing of what was refused has happened. */
  CHECK(has_value(other, "global", "k", "1"));
  CHECK_OK(statekeep_manager_close(other, &err));
  CHECK_OK(statekeep_config_free(own_config));
  alarm(0);
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
  inside(argv);
  return 0;
}
