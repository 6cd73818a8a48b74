/* What operators want to know: the storage of backups. */
#include "check.h"

static void back_up(const statekeep_manager *m) {
  statekeep_op *op = NULL;
  CHECK_OK(statekeep_backup_create_start(m, NULL, 0, &op, &err));
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  CHECK_OK(statekeep_op_free(op));
}

static void storage(const statekeep_manager *m, const statekeep_manager *red) {
  statekeep_buf buf;
  CHECK_OK(statekeep_backup_storage_json(m, &buf, &err));
  CHECK(buf_has(&buf, "\"backups\":[]") && buf_has(&buf, "\"bytes\":0"));
  CHECK_OK(statekeep_buf_free(&buf));
  back_up(m);
  CHECK_OK(statekeep_backup_storage_json(m, &buf, &err));
  CHECK(buf_has(&buf, "\"kind\":\"full\"") && buf_has(&buf, "\"own_bytes\":"));
  CHECK(buf_has(&buf, "\"scope\":\"agent:1\"") && buf_has(&buf, "\"share\":1.0"));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_STATUS(statekeep_backup_storage_json(NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_storage_json(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_storage_json(red, &buf, &err), PERMISSION_DENIED);
  CHECK(buf_is_empty(&buf));
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_manager *m = open_state(argv, "state"), *red = NULL;
  CHECK_OK(statekeep_manager_tenant(m, S("red"), &red, &err));
  set_json(m, "agent:1", "plan", "1");
  storage(m, red);
  CHECK_OK(statekeep_manager_close(red, &err));
  CHECK_OK(statekeep_manager_close(m, &err));
  return 0;
}
