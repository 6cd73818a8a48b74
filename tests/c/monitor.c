/* What operators want to know: the storage of backups, alerts, and what happens, as events. */
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

/* The next event, which has this in it. */
static void next_has(const statekeep_events *events, const char *text) {
  statekeep_buf buf;
  CHECK_OK(statekeep_events_next(events, -1, &buf, &err));
  if (!buf_has(&buf, text)) {
    fprintf(stderr, "%s is not in %.*s\n", text, (int)buf.len, (const char *)buf.ptr);
    exit(1);
  }
  CHECK_OK(statekeep_buf_free(&buf));
}

static void doctor(const statekeep_manager *m, const statekeep_manager *red) {
  statekeep_buf buf;
  CHECK_OK(statekeep_doctor_json(m, &buf, &err));
  CHECK(buf_has(&buf, "\"is_open\":true") && buf_has(&buf, "\"area\":\"repository\""));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_STATUS(statekeep_doctor_json(NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_doctor_json(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_doctor_json(red, &buf, &err), PERMISSION_DENIED);
}

static void alerts(const statekeep_manager *m, const statekeep_manager *red) {
  statekeep_buf buf;
  CHECK_OK(statekeep_alerts_json(m, &buf, &err));
  CHECK(buf_has(&buf, "{\"alerts\":["));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_STATUS(statekeep_alerts_json(NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_alerts_json(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_alerts_json(red, &buf, &err), PERMISSION_DENIED);
}

/* Returns a subscription that is open still. */
static statekeep_events *events(const statekeep_manager *m, const statekeep_manager *red) {
  statekeep_buf buf;
  statekeep_events *all = NULL, *some = NULL, *none = NULL;
  const char *wrong[] = {"{\"kinds\":[\"unheard\"]}", "{\"kind\":[]}", "{\"queue_max\":0}", "[1]"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    CHECK_STATUS(statekeep_events_open(m, wrong[i], strlen(wrong[i]), &none, &err),
                 INVALID_ARGUMENT);
    CHECK(none == NULL);
  }
  CHECK_STATUS(statekeep_events_open(red, NULL, 0, &none, &err), PERMISSION_DENIED);
  CHECK_STATUS(statekeep_events_open(m, NULL, 0, NULL, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_events_open(m, NULL, 0, &all, &err));
  CHECK_OK(statekeep_events_close(all));
  CHECK_OK(statekeep_events_open(m, S("{\"kinds\":[\"backup_created\"]}"), &all, &err));
  CHECK_OK(statekeep_events_open(
      m, S("{\"kinds\":[\"backup_created\"],\"subject\":\"01*\",\"queue_max\":1}"), &some, &err));
  CHECK_STATUS(statekeep_events_next(some, 0, &buf, &err), TIMEOUT);
  CHECK(err == NULL && buf_is_empty(&buf));
  CHECK_STATUS(statekeep_events_next(some, 0, NULL, &err), INVALID_ARGUMENT);
  back_up(m);
  back_up(m);
  next_has(some, "\"lost\":1");
  CHECK_STATUS(statekeep_events_next(some, 0, &buf, &err), TIMEOUT);
  CHECK_OK(statekeep_events_close(some));
  CHECK_STATUS(statekeep_events_next(some, 0, &buf, &err), CLOSED);
  CHECK_STATUS(statekeep_events_close(some), CLOSED);
  CHECK_OK(statekeep_events_close(NULL));
  return all;
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_manager *m = open_state(argv, "state"), *red = NULL;
  CHECK_OK(statekeep_manager_tenant(m, S("red"), &red, &err));
  set_json(m, "agent:1", "plan", "1");
  storage(m, red);
  alerts(m, red);
  doctor(m, red);
  statekeep_events *all = events(m, red);
  CHECK_OK(statekeep_manager_close(red, &err));
  CHECK_OK(statekeep_manager_close(m, &err));
  /* What waits is handed out after the state is closed. */
  next_has(all, "\"kind\":\"backup_created\"");
  next_has(all, "\"number\":");
  statekeep_buf buf;
  CHECK_STATUS(statekeep_events_next(all, -1, &buf, &err), CLOSED);
  CHECK_OK(statekeep_events_close(all));
  return 0;
}
