/* statekeep_manager: one state, one manager; tenants; what closing means. */
#include "check.h"

static void open_wrongly(char **argv) {
  statekeep_manager *manager = (statekeep_manager *)1;
  statekeep_config *config = NULL;
  CHECK_OK(statekeep_config_new(&config, &err));
  /* No path is set. */
  CHECK_STATUS(statekeep_manager_open(config, &manager, &err), INVALID_ARGUMENT);
  CHECK(manager == NULL);
  CHECK_STATUS(statekeep_manager_open(NULL, &manager, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_manager_open(config, NULL, &err), INVALID_ARGUMENT);
  const char *path = in_folder(argv, "absent");
  CHECK_OK(statekeep_config_set(config, S("path"), path, strlen(path), &err));
  CHECK_OK(statekeep_config_set(config, S("backend"), S("memory"), &err));
  CHECK_OK(statekeep_config_set(config, S("create"), S("false"), &err));
  CHECK_STATUS(statekeep_manager_open(config, &manager, &err), NOT_FOUND);
  CHECK_OK(statekeep_config_free(config));
  CHECK_STATUS(statekeep_manager_open(config, &manager, &err), CLOSED);
  /* A handle of another kind is no configuration. */
  statekeep_batch *batch = NULL;
  CHECK_OK(statekeep_batch_new(&batch, &err));
  CHECK_STATUS(statekeep_manager_open((const statekeep_config *)batch, &manager, &err),
               INVALID_ARGUMENT);
  CHECK_OK(statekeep_batch_free(batch));
  CHECK_STATUS(statekeep_manager_flush((const statekeep_manager *)(uintptr_t)0x7ffd12345678, &err),
               INVALID_ARGUMENT);
}

/* Two opens of one state share it, and the second path may be spelled otherwise. */
static void share(char **argv) {
  statekeep_manager *first = open_state(argv, "shared");
  statekeep_manager *second = open_state(argv, "./shared");
  CHECK(first != second);
  set_json(first, "global", "k", "1");
  CHECK(has_value(second, "global", "k", "1"));
  statekeep_buf info;
  CHECK_OK(statekeep_manager_info_json(second, &info, &err));
  CHECK(buf_has(&info, "\"references\":2"));
  CHECK(buf_has(&info, "\"head\":1") && buf_has(&info, "\"floor\":0"));
  CHECK(buf_has(&info, "\"cache\":{") && buf_has(&info, "\"hits\":"));
  CHECK(buf_has(&info, "\"ephemeral_bytes\":0"));
  CHECK(buf_has(&info, "\"upkeep\":{") && buf_has(&info, "\"paused\":false"));
  CHECK_OK(statekeep_buf_free(&info));

  statekeep_config *other = config_for(in_folder(argv, "shared"), "memory");
  CHECK_OK(statekeep_config_set(other, S("flush_interval_ms"), S("77"), &err));
  statekeep_manager *third = NULL;
  CHECK(statekeep_manager_open(other, &third, &err) == STATEKEEP_STATUS_CONFLICT);
  const char *text = NULL;
  size_t len = 0;
  CHECK(statekeep_error_message(err, &text, &len) == STATEKEEP_STATUS_OK);
  statekeep_buf message = {(uint8_t *)(uintptr_t)text, len, 0};
  CHECK(buf_has(&message, "flush_interval_ms"));
  CHECK(statekeep_error_free(err) == STATEKEEP_STATUS_OK);
  err = NULL;
  CHECK_OK(statekeep_config_free(other));

  CHECK_OK(statekeep_manager_close(first, &err));
  CHECK(has_value(second, "global", "k", "1"));
  CHECK_STATUS(statekeep_manager_close(first, &err), CLOSED);
  CHECK_STATUS(statekeep_manager_flush(first, &err), CLOSED);
  CHECK_OK(statekeep_manager_close(second, &err));
}

/* What was set is there when the state is opened again, now with another configuration. */
static void reopen(char **argv) {
  statekeep_config *config = config_for(in_folder(argv, "kept"), "fjall");
  statekeep_manager *manager = NULL;
  CHECK_OK(statekeep_manager_open(config, &manager, &err));
  set_json(manager, "user:42", "name", "\"Ada\"");
  CHECK_OK(statekeep_manager_flush(manager, &err));
  CHECK_OK(statekeep_manager_close(manager, &err));
  CHECK_OK(statekeep_config_set(config, S("flush_interval_ms"), S("77"), &err));
  CHECK_OK(statekeep_manager_open(config, &manager, &err));
  CHECK(has_value(manager, "user:42", "name", "\"Ada\""));
  CHECK_OK(statekeep_manager_close(manager, &err));
  CHECK_OK(statekeep_config_free(config));
}

static void tenants(char **argv) {
  statekeep_manager *manager = open_state(argv, "tenants");
  statekeep_manager *red = NULL, *other = NULL;
  CHECK_OK(statekeep_manager_tenant(manager, S("red"), &red, &err));
  set_json(red, "global", "k", "1");
  CHECK(!has_value(manager, "global", "k", "1"));
  set_json(manager, "global", "k", "2");
  CHECK(has_value(red, "global", "k", "1"));
  /* A tenant's handle reaches neither other tenants nor the whole state. */
  CHECK_STATUS(statekeep_manager_tenant(red, S("blue"), &other, &err), PERMISSION_DENIED);
  CHECK(other == NULL);
  statekeep_buf buf;
  CHECK_STATUS(statekeep_backup_list_json(red, &buf, &err), PERMISSION_DENIED);
  CHECK_STATUS(statekeep_manager_tenant(manager, NULL, 3, &other, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_manager_tenant(manager, BAD_UTF8, &other, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_manager_tenant(manager, ABSURD("x"), &other, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_manager_tenant(manager, S("x"), NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_manager_tenant(NULL, S("x"), &other, &err), INVALID_ARGUMENT);
  /* It keeps the state open by itself. */
  CHECK_OK(statekeep_manager_close(manager, &err));
  CHECK(has_value(red, "global", "k", "1"));
  CHECK_OK(statekeep_manager_close(red, &err));
}

/* Who made a commit, and what it belongs to, stands in the history. */
static void origin(char **argv) {
  statekeep_manager *manager = open_state(argv, "origin");
  statekeep_manager *ada = NULL, *red = NULL, *bound = NULL;
  statekeep_buf buf;
  CHECK_OK(statekeep_manager_with_origin(manager, S("ada"), S("job-7"), &ada, &err));
  set_json(ada, "global", "k", "1");
  CHECK_JSON(statekeep_history_json(manager, S("global"), S("k"), NULL, 0, &buf, &err), &buf,
             "\"principal\":\"ada\",\"correlation_id\":\"job-7\"");
  /* A handle that is bound to a tenant stays so. */
  CHECK_OK(statekeep_manager_tenant(manager, S("red"), &red, &err));
  CHECK_OK(statekeep_manager_with_origin(red, S(""), S(""), &bound, &err));
  CHECK(!has_value(bound, "global", "k", "1"));
  CHECK_STATUS(statekeep_backup_list_json(bound, &buf, &err), PERMISSION_DENIED);
  CHECK_OK(statekeep_manager_close(bound, &err));
  CHECK_OK(statekeep_manager_close(red, &err));
  char name[257];
  memset(name, 'x', sizeof(name));
  CHECK_STATUS(statekeep_manager_with_origin(manager, name, 257, S(""), &bound, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_manager_with_origin(manager, S("a"), BAD_UTF8, &bound, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_manager_with_origin(manager, NULL, 1, S(""), &bound, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_manager_with_origin(NULL, S("a"), S("b"), &bound, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_manager_with_origin(manager, S("a"), S("b"), NULL, &err),
               INVALID_ARGUMENT);
  CHECK_OK(statekeep_manager_close(ada, &err));
  CHECK_OK(statekeep_manager_close(manager, &err));
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  open_wrongly(argv);
  share(argv);
  reopen(argv);
  tenants(argv);
  origin(argv);
  statekeep_buf info;
  CHECK_STATUS(statekeep_manager_info_json(NULL, &info, &err), INVALID_ARGUMENT);
  CHECK(buf_is_empty(&info));
  statekeep_manager *manager = open_state(argv, "last");
  CHECK_STATUS(statekeep_manager_info_json(manager, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_manager_flush(NULL, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_manager_close(manager, NULL));
  CHECK_OK(statekeep_manager_close(NULL, &err));
  return 0;
}
