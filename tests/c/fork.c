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
static void on_progress(void *user_data, const statekeep_progress *progress) {
  (void)user_data, (void)progress;
}
static void line(void *user_data, uint32_t level, const char *message, size_t len) {
  (void)user_data, (void)level, (void)message, (void)len;
}

static statekeep_status transact(void *user_data, statekeep_txn *txn) {
  (void)user_data, (void)txn;
  return STATEKEEP_STATUS_OK;
}

#define FORKED(call) CHECK_STATUS(call, FORKED)
#define KEY S("global"), S("k")
#define VALUE STATEKEEP_VALUE_JSON, U("1")

/* The state engine beyond single keys. */
static void child_engine(statekeep_manager *m, statekeep_snapshot *snapshot, statekeep_txn *txn,
                         statekeep_watch *watch) {
  statekeep_buf buf;
  statekeep_snapshot *new_snapshot;
  statekeep_txn *new_txn;
  statekeep_watch *new_watch;
  statekeep_scan *new_scan;
  statekeep_op *new_op;
  uint64_t sequence;
  int64_t time;
  FORKED(statekeep_snapshot_open(m, &new_snapshot, &err));
  FORKED(statekeep_snapshot_open_at(m, 1, &new_snapshot, &err));
  FORKED(statekeep_snapshot_open_at_time(m, 1, &new_snapshot, &err));
  FORKED(statekeep_sequence_at(m, 1, &sequence, &err));
  FORKED(statekeep_snapshot_sequence(snapshot, &sequence, &err));
  FORKED(statekeep_snapshot_time(snapshot, &time, &err));
  FORKED(statekeep_snapshot_get(snapshot, KEY, NULL, &buf, &err));
  FORKED(statekeep_snapshot_exists(snapshot, KEY, &err));
  FORKED(statekeep_snapshot_record_json(snapshot, KEY, &buf, &err));
  FORKED(statekeep_snapshot_list_json(snapshot, S("global"), NULL, &buf, &err));
  FORKED(statekeep_snapshot_scope_list_json(snapshot, &buf, &err));
  FORKED(statekeep_snapshot_scan_open(snapshot, S("global"), NULL, &new_scan, &err));
  FORKED(statekeep_snapshot_query_json(snapshot, S("{}"), &buf, &err));
  FORKED(statekeep_snapshot_close(snapshot));
  FORKED(statekeep_history_json(m, KEY, NULL, 0, &buf, &err));
  FORKED(statekeep_diff_json(m, 0, 1, NULL, 0, &buf, &err));
  FORKED(statekeep_increment(m, KEY, 1, NULL, NULL, &err));
  FORKED(statekeep_increment_f64(m, KEY, 1, NULL, NULL, &err));
  FORKED(statekeep_compare_and_swap(m, KEY, 1, VALUE, NULL, NULL, &err));
  FORKED(statekeep_compare_and_swap_value(m, KEY, VALUE, VALUE, NULL, NULL, &err));
  FORKED(statekeep_set_if_absent(m, KEY, VALUE, NULL, NULL, NULL, &err));
  FORKED(statekeep_merge_patch(m, KEY, U("{}"), NULL, NULL, &err));
  FORKED(statekeep_json_patch(m, KEY, U("[]"), NULL, NULL, &err));
  FORKED(statekeep_txn_begin(m, NULL, 0, &new_txn, &err));
  FORKED(statekeep_txn_get(txn, KEY, NULL, &buf, &err));
  FORKED(statekeep_txn_exists(txn, KEY, &err));
  FORKED(statekeep_txn_record_json(txn, KEY, &buf, &err));
  FORKED(statekeep_txn_list_json(txn, S("global"), NULL, &buf, &err));
  FORKED(statekeep_txn_scan_open(txn, S("global"), NULL, &new_scan, &err));
  FORKED(statekeep_txn_set(txn, KEY, VALUE, &err));
  FORKED(statekeep_txn_set_with(txn, KEY, VALUE, NULL, &err));
  FORKED(statekeep_txn_delete(txn, KEY, &err));
  FORKED(statekeep_txn_savepoint(txn, &sequence, &err));
  FORKED(statekeep_txn_rollback_to(txn, 1, &err));
  FORKED(statekeep_txn_commit(txn, NULL, &err));
  FORKED(statekeep_txn_close(txn));
  FORKED(statekeep_transact(m, NULL, 0, transact, NULL, NULL, &err));
  FORKED(statekeep_watch_open(m, NULL, 0, &new_watch, &err));
  FORKED(statekeep_watch_next(watch, -1, &buf, NULL, NULL, &err));
  FORKED(statekeep_watch_acknowledge(watch, &err));
  FORKED(statekeep_watch_close(watch));
  FORKED(statekeep_cursor_list_json(m, &buf, &err));
  FORKED(statekeep_cursor_delete(m, S("c"), &err));
  FORKED(statekeep_query_json(m, S("{}"), &buf, &err));
  FORKED(statekeep_explain_json(m, S("{}"), &buf, &err));
  FORKED(statekeep_index_create_start(m, S("{}"), &new_op, &err));
  FORKED(statekeep_index_list_json(m, &buf, &err));
  FORKED(statekeep_index_drop(m, S("x"), &err));
  FORKED(statekeep_upkeep_sweep_json(m, &buf, &err));
  FORKED(statekeep_upkeep_trim_json(m, NULL, 0, &buf, &err));
  FORKED(statekeep_upkeep_status_json(m, &buf, &err));
  FORKED(statekeep_upkeep_pause(m, &err));
  FORKED(statekeep_upkeep_resume(m, &err));
  FORKED(statekeep_swap_start(m, S("fjall"), NULL, 0, &new_op, &err));
  FORKED(statekeep_namespace_list_json(m, &buf, &err));
  FORKED(statekeep_namespace_undo(m, S("x"), NULL, 0, NULL, &err));
  FORKED(statekeep_namespace_release(m, S("x"), &err));
}

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
  statekeep_events *new_events = NULL;
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
  FORKED(statekeep_manager_with_origin(m, S("x"), S("y"), &other, &err));
  FORKED(statekeep_manager_flush(m, &err));
  FORKED(statekeep_manager_info_json(m, &buf, &err));
  FORKED(statekeep_metrics_text(m, &buf, &err));
  FORKED(statekeep_get(m, S("global"), S("k"), NULL, &buf, &err));
  FORKED(statekeep_get_into(m, S("global"), S("k"), memory, 8, NULL, &len, &err));
  FORKED(statekeep_set(m, S("global"), S("k"), STATEKEEP_VALUE_JSON, U("1"), 0, NULL, &err));
  FORKED(statekeep_set_with(m, KEY, VALUE, NULL, NULL, &err));
  FORKED(statekeep_delete(m, S("global"), S("k"), 0, NULL, &err));
  FORKED(statekeep_exists(m, S("global"), S("k"), &err));
  FORKED(statekeep_record_json(m, S("global"), S("k"), &buf, &err));
  FORKED(statekeep_batch_new(&new_batch, &err));
  FORKED(statekeep_batch_set(batch, S("global"), S("k"), STATEKEEP_VALUE_JSON, U("1"), &err));
  FORKED(statekeep_batch_set_with(batch, KEY, VALUE, NULL, &err));
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
  FORKED(statekeep_backup_schedule_json(m, &buf, &err));
  FORKED(statekeep_backup_show_json(m, S("x"), &buf, &err));
  FORKED(statekeep_backup_verify_start(m, S("x"), STATEKEEP_VERIFY_FULL, &new_op, &err));
  FORKED(statekeep_backup_restore_start(m, S("x"), NULL, 0, &new_op, &err));
  FORKED(statekeep_backup_diff_start(m, S("x"), NULL, 0, &new_op, &err));
  FORKED(statekeep_backup_cleanup_start(m, NULL, 0, &op, &err));
  FORKED(statekeep_backup_delete_json(m, NULL, 0, &buf, &err));
  FORKED(statekeep_backup_trash_json(m, &buf, &err));
  FORKED(statekeep_backup_undelete(m, S("x"), &err));
  FORKED(statekeep_retention_show_json(m, &buf, &err));
  FORKED(statekeep_retention_set_json(m, S("{}"), &buf, &err));
  FORKED(statekeep_retention_test_json(m, NULL, 0, &buf, &err));
  FORKED(statekeep_retention_simulate_start(m, NULL, 0, &op, &err));
  statekeep_policy policy = STATEKEEP_POLICY_INIT;
  statekeep_policy_backup backup = STATEKEEP_POLICY_BACKUP_INIT;
  statekeep_policy_context context = STATEKEEP_POLICY_CONTEXT_INIT;
  FORKED(statekeep_policy_register(m, &policy, &err));
  FORKED(statekeep_policy_remove(m, S("x"), &err));
  FORKED(statekeep_policy_call_count(NULL, &len, &err));
  FORKED(statekeep_policy_call_backup(NULL, 0, &backup, &err));
  FORKED(statekeep_policy_call_tag(NULL, 0, 0, &key, &len, &err));
  FORKED(statekeep_policy_call_context(NULL, &context, &err));
  FORKED(statekeep_policy_call_vote(NULL, 0, STATEKEEP_VERDICT_KEEP, 0, NULL, 0, &err));
  FORKED(statekeep_policy_call_set_error(NULL, S("x"), &err));
  FORKED(statekeep_backup_pin(m, S("x"), &err));
  FORKED(statekeep_backup_unpin(m, S("x"), &err));
  FORKED(statekeep_backup_ranges_json(m, &buf, &err));
  FORKED(statekeep_backup_storage_json(m, &buf, &err));
  FORKED(statekeep_alerts_json(m, &buf, &err));
  FORKED(statekeep_doctor_json(m, &buf, &err));
  FORKED(statekeep_events_open(m, NULL, 0, &new_events, &err));
  FORKED(statekeep_events_next(new_events, 0, &buf, &err));
  FORKED(statekeep_events_close(new_events));
  FORKED(statekeep_repository_check_start(m, &new_op, &err));
  FORKED(statekeep_repository_prune_strays_start(m, NULL, 0, &new_op, &err));
  FORKED(statekeep_repository_repair_start(m, &new_op, &err));
  FORKED(statekeep_repository_key_list_json(m, &buf, &err));
  FORKED(statekeep_repository_key_add_json(m, S("{\"passphrase\":\"x\"}"), &buf, &err));
  FORKED(statekeep_repository_key_remove(m, S("x"), &err));
  FORKED(statekeep_export_start(m, S("x"), NULL, 0, &new_op, &err));
  FORKED(statekeep_import_start(m, S("x"), S("{\"mode\":\"merge\"}"), &new_op, &err));
  FORKED(statekeep_op_wait(op, -1, &err));
  FORKED(statekeep_op_progress(op, &progress, &err));
  FORKED(statekeep_op_cancel(op, &err));
  FORKED(statekeep_op_result_json(op, &buf, &err));
  FORKED(statekeep_op_on_done(op, on_done, NULL, destroy, &err));
  FORKED(statekeep_op_on_progress(op, on_progress, NULL, destroy, &err));
  FORKED(statekeep_op_limit_rate(op, 1, &err));
  CHECK(destroyed == 2);
  FORKED(statekeep_op_free(op));
  FORKED(statekeep_plugin_load(m, S("/x"), &buf, &err));
  FORKED(statekeep_plugin_list_json(m, &buf, &err));
  FORKED(statekeep_plugin_inspect_json(S("/x"), &buf, &err));
  FORKED(statekeep_log_set(1, line, NULL, destroy, &err));
  CHECK(destroyed == 3);
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
  statekeep_snapshot *snapshot = NULL;
  statekeep_txn *txn = NULL;
  statekeep_watch *watch = NULL;
  CHECK_OK(statekeep_snapshot_open(m, &snapshot, &err));
  CHECK_OK(statekeep_txn_begin(m, NULL, 0, &txn, &err));
  CHECK_OK(statekeep_watch_open(m, NULL, 0, &watch, &err));
  CHECK_OK(statekeep_config_new(&config, &err));
  CHECK_OK(statekeep_batch_new(&batch, &err));
  CHECK_OK(statekeep_scan_open(m, S("global"), NULL, &scan, &err));
  CHECK_OK(statekeep_backup_create_start(m, NULL, 0, &op, &err));
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    child_engine(m, snapshot, txn, watch);
    child(m, batch, scan, op, config);
    _exit(0);
  }
  CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);

  CHECK(has_value(m, "global", "k", "1"));
  CHECK_OK(statekeep_watch_close(watch));
  CHECK_OK(statekeep_txn_close(txn));
  CHECK_OK(statekeep_snapshot_close(snapshot));
  CHECK_OK(statekeep_op_free(op));
  CHECK_OK(statekeep_scan_close(scan));
  CHECK_OK(statekeep_batch_free(batch));
  CHECK_OK(statekeep_config_free(config));
  CHECK_OK(statekeep_manager_close(m, &err));
  return 0;
}
