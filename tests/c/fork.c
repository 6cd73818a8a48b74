/* After a fork the child is refused by every call, at once, and the parent goes on. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <sys/wait.h>
#include <unistd.h>

static int destroyed;
static void destroy(void *user_data) {
  (void)user_data;
  destroyed++;
}
static void on_done(void *user_data, statekeep_status status) {
  (void)user_data;
  (void)status;
}
static void line(void *user_data, uint32_t level, const char *message, size_t len) {
  (void)user_data, (void)level, (void)message, (void)len;
}

#define FORKED(call) CHECK_STATUS(call, FORKED)

static void child(statekeep_manager *m, statekeep_batch *batch, statekeep_scan *scan,
                  statekeep_op *op, statekeep_config *config) {
  statekeep_buf buf;
  statekeep_manager *other;
  statekeep_config *new_config;
  statekeep_batch *new_batch;
  statekeep_scan *new_scan;
  statekeep_op *new_op;
  statekeep_progress progress = STATEKEEP_PROGRESS_INIT;
  const char *key;
  size_t len;
  uint8_t memory[8];
  FORKED(statekeep_config_new(&new_config, &err));
  FORKED(statekeep_config_set(config, S("path"), S("x"), &err));
  FORKED(statekeep_config_load(config, STATEKEEP_CONFIG_TOML, S(""), &err));
  FORKED(statekeep_config_load_file(config, S("x"), &err));
  FORKED(statekeep_config_apply_env(config, &err));
  FORKED(statekeep_config_to_toml(config, &buf, &err));
  FORKED(statekeep_config_free(config));
  FORKED(statekeep_manager_open(config, &other, &err));
  FORKED(statekeep_manager_tenant(m, S("x"), &other, &err));
  FORKED(statekeep_manager_flush(m, &err));
  FORKED(statekeep_manager_info_json(m, &buf, &err));
  FORKED(statekeep_get(m, S("global"), S("k"), NULL, &buf, &err));
  FORKED(statekeep_get_into(m, S("global"), S("k"), memory, 8, NULL, &len, &err));
  FORKED(statekeep_set(m, S("global"), S("k"), STATEKEEP_VALUE_JSON, U("1"), 0, NULL, &err));
  FORKED(statekeep_delete(m, S("global"), S("k"), 0, NULL, &err));
  FORKED(statekeep_exists(m, S("global"), S("k"), &err));
  FORKED(statekeep_record_json(m, S("global"), S("k"), &buf, &err));
  FORKED(statekeep_batch_new(&new_batch, &err));
  FORKED(statekeep_batch_set(batch, S("global"), S("k"), STATEKEEP_VALUE_JSON, U("1"), &err));
  FORKED(statekeep_batch_delete(batch, S("global"), S("k"), &err));
  FORKED(statekeep_batch_commit(batch, m, 0, NULL, &err));
  FORKED(statekeep_batch_free(batch));
  FORKED(statekeep_scan_open(m, S("global"), NULL, &new_scan, &err));
  FORKED(statekeep_scan_next(scan, &key, &len, NULL, NULL, NULL, &err));
  FORKED(statekeep_scan_close(scan));
  FORKED(statekeep_list_json(m, S("global"), NULL, &buf, &err));
  FORKED(statekeep_scope_list_json(m, &buf, &err));
  FORKED(statekeep_scope_clear(m, S("global"), NULL, &err));
  FORKED(statekeep_scope_copy(m, S("global"), S("user:1"), NULL, &err));
  FORKED(statekeep_scope_move(m, S("global"), S("user:1"), NULL, &err));
  FORKED(statekeep_backup_create_start(m, NULL, 0, &new_op, &err));
  FORKED(statekeep_backup_list_json(m, &buf, &err));
  FORKED(statekeep_backup_show_json(m, S("x"), &buf, &err));
  FORKED(statekeep_backup_verify_start(m, S("x"), STATEKEEP_VERIFY_FULL, &new_op, &err));
  FORKED(statekeep_backup_restore_start(m, S("x"), NULL, 0, &new_op, &err));
  FORKED(statekeep_op_wait(op, -1, &err));
  FORKED(statekeep_op_progress(op, &progress, &err));
  FORKED(statekeep_op_cancel(op, &err));
  FORKED(statekeep_op_result_json(op, &buf, &err));
  FORKED(statekeep_op_on_done(op, on_done, NULL, destroy, &err));
  CHECK(destroyed == 1);
  FORKED(statekeep_op_free(op));
  FORKED(statekeep_plugin_load(m, S("/x"), &buf, &err));
  FORKED(statekeep_plugin_list_json(m, &buf, &err));
  FORKED(statekeep_plugin_inspect_json(S("/x"), &buf, &err));
  FORKED(statekeep_log_set(1, line, NULL, destroy, &err));
  CHECK(destroyed == 2);
  FORKED(statekeep_manager_close(m, &err));

  /* The error can be read and says what to do. */
  const char *text = NULL;
  CHECK(statekeep_manager_flush(m, &err) == STATEKEEP_STATUS_FORKED);
  CHECK(statekeep_error_code(err) == STATEKEEP_STATUS_FORKED);
  CHECK(statekeep_error_message(err, &text, &len) == STATEKEEP_STATUS_OK && len > 20);
  CHECK(statekeep_error_detail_json(err, &text, &len) == STATEKEEP_STATUS_OK && text[0] == '{');
  CHECK(statekeep_error_free(err) == STATEKEEP_STATUS_OK);
  err = NULL;
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  /* Before anything is open, a child may use the library. */
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    statekeep_manager *own = open_state(argv, "child");
    CHECK_OK(statekeep_manager_close(own, &err));
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);

  statekeep_manager *m = open_state(argv, "state");
  set_json(m, "global", "k", "1");
  statekeep_config *config = NULL;
  statekeep_batch *batch = NULL;
  statekeep_scan *scan = NULL;
  statekeep_op *op = NULL;
  CHECK_OK(statekeep_config_new(&config, &err));
  CHECK_OK(statekeep_batch_new(&batch, &err));
  CHECK_OK(statekeep_scan_open(m, S("global"), NULL, &scan, &err));
  CHECK_OK(statekeep_backup_create_start(m, NULL, 0, &op, &err));
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    child(m, batch, scan, op, config);
    _exit(0);
  }
  CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);

  CHECK(has_value(m, "global", "k", "1"));
  CHECK_OK(statekeep_op_free(op));
  CHECK_OK(statekeep_scan_close(scan));
  CHECK_OK(statekeep_batch_free(batch));
  CHECK_OK(statekeep_config_free(config));
  CHECK_OK(statekeep_manager_close(m, &err));
  return 0;
}
