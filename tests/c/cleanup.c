/* Retention: backups that policies forget are deleted, come back, and go for good. */
#include "check.h"

/* The result of an operation that ends well. */
static statekeep_buf result_of(statekeep_op *op) {
  statekeep_buf buf;
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  CHECK_OK(statekeep_op_result_json(op, &buf, &err));
  CHECK_OK(statekeep_op_free(op));
  return buf;
}

static void back_up(const statekeep_manager *m) {
  statekeep_op *op = NULL;
  CHECK_OK(statekeep_backup_create_start(m, NULL, 0, &op, &err));
  statekeep_buf buf = result_of(op);
  CHECK_OK(statekeep_buf_free(&buf));
}

static statekeep_buf clean(const statekeep_manager *m, const char *options) {
  statekeep_op *op = NULL;
  CHECK_OK(statekeep_backup_cleanup_start(m, options, strlen(options), &op, &err));
  return result_of(op);
}

/* Copies the id of the first deleted backup. */
static void first_deleted(const statekeep_manager *m, char *id) {
  statekeep_buf buf;
  const char *member = "\"id\":\"";
  size_t at = 0, len = strlen(member);
  CHECK_OK(statekeep_backup_trash_json(m, &buf, &err));
  while (at + len + 26 <= buf.len && memcmp(buf.ptr + at, member, len) != 0) {
    at++;
  }
  CHECK(at + len + 26 <= buf.len);
  memcpy(id, buf.ptr + at + len, 26);
  id[26] = '\0';
  CHECK_OK(statekeep_buf_free(&buf));
}

/* The state itself is cleaned up where that is asked for, also without any policy. */
static void state_too(const statekeep_manager *m) {
  statekeep_buf buf = clean(m, "{\"state\":true,\"dry_run\":true}");
  CHECK(buf_has(&buf, "\"would_remove\":{") && buf_has(&buf, "\"removed\":null"));
  CHECK_OK(statekeep_buf_free(&buf));
  buf = clean(m, "{\"state\":true}");
  CHECK(buf_has(&buf, "\"removed\":{") && buf_has(&buf, "\"ttl_patterns\":0"));
  CHECK_OK(statekeep_buf_free(&buf));
}

static void wrong_arguments(const statekeep_manager *m) {
  statekeep_op *op = NULL;
  statekeep_buf buf;
  CHECK_STATUS(statekeep_backup_cleanup_start(NULL, NULL, 0, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_cleanup_start(m, NULL, 0, NULL, &err), INVALID_ARGUMENT);
  const char *wrong[] = {"{\"mode\":\"all\"}", "{\"policies\":3}", "{\"keep\":3}",
                         "{\"policies\":[{\"policy\":\"count\"}],\"mode\":\"some\"}"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    CHECK_STATUS(statekeep_backup_cleanup_start(m, wrong[i], strlen(wrong[i]), &op, &err),
                 INVALID_ARGUMENT);
    CHECK(op == NULL);
  }
  CHECK_STATUS(statekeep_backup_delete_json(NULL, NULL, 0, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_delete_json(m, NULL, 0, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_delete_json(m, S("{\"backups\":[\"x\"]}"), &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(
      statekeep_backup_delete_json(m, S("{\"backups\":[\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"]}"), &buf, &err),
      NOT_FOUND);
  CHECK_STATUS(statekeep_backup_delete_json(m, S("{\"backups\":[]}"), NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_trash_json(NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_trash_json(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_undelete(NULL, S("x"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_undelete(m, S("x"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_undelete(m, S("01ARZ3NDEKTSV4RRFFQ69G5FAV"), &err), NOT_FOUND);
  CHECK(buf_is_empty(&buf));
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_config *config = config_for(in_folder(argv, "state"), "fjall");
  statekeep_manager *m = NULL;
  statekeep_op *op = NULL;
  CHECK_OK(statekeep_manager_open(config, &m, &err));
  CHECK_OK(statekeep_config_free(config));
  for (int i = 0; i < 4; i++) {
    char value[] = {(char)('0' + i), '\0'};
    set_json(m, "global", "k", value);
    back_up(m);
  }
  wrong_arguments(m);

  /* Without a policy every backup stays. */
  CHECK_OK(statekeep_backup_cleanup_start(m, NULL, 0, &op, &err));
  CHECK_STATUS(statekeep_op_wait(op, -1, &err), UNSUPPORTED);
  CHECK_OK(statekeep_op_free(op));
  state_too(m);

  statekeep_buf buf =
      clean(m, "{\"dry_run\":true,\"policies\":[{\"policy\":\"count\",\"keep\":2}]}");
  CHECK(buf_has(&buf, "\"would_delete\":2") && buf_has(&buf, "\"deleted\":0"));
  CHECK(buf_has(&buf, "number 3, and 2 stay"));
  CHECK_OK(statekeep_buf_free(&buf));
  buf = clean(m, "{\"policies\":[{\"policy\":\"unheard\"}]}");
  CHECK(buf_has(&buf, "unheard") && buf_has(&buf, "\"deleted\":0"));
  CHECK_OK(statekeep_buf_free(&buf));
  buf = clean(m, "{\"policies\":[{\"policy\":\"count\",\"keep\":2}],\"mode\":\"all\",\"principal\":\"Ada\"}");
  CHECK(buf_has(&buf, "\"deleted\":2") && buf_has(&buf, "\"space_freed\":0"));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_OK(statekeep_backup_trash_json(m, &buf, &err));
  CHECK(buf_has(&buf, "\"principal\":\"Ada\"") && buf_has(&buf, "\"purged\":false"));
  CHECK_OK(statekeep_buf_free(&buf));

  char id[27], options[64];
  first_deleted(m, id);
  CHECK_OK(statekeep_backup_undelete(m, id, 26, &err));
  CHECK_STATUS(statekeep_backup_undelete(m, id, 26, &err), NOT_FOUND);
  CHECK_OK(statekeep_backup_pin(m, id, 26, &err));
  (void)snprintf(options, sizeof options, "{\"backups\":[\"%s\"]}", id);
  CHECK_STATUS(statekeep_backup_delete_json(m, options, strlen(options), &buf, &err), CONFLICT);
  CHECK_OK(statekeep_backup_unpin(m, id, 26, &err));
  CHECK_OK(statekeep_backup_delete_json(m, options, strlen(options), &buf, &err));
  CHECK(buf_has(&buf, id) && buf_has(&buf, "grace_until_unix_ms"));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_OK(statekeep_backup_undelete(m, id, 26, &err));

  buf = clean(m, "{\"policies\":[{\"policy\":\"count\",\"keep\":2}],\"grace_ms\":0}");
  CHECK(buf_has(&buf, "\"deleted\":1") && buf_has(&buf, id));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_STATUS(statekeep_backup_show_json(m, id, 26, &buf, &err), NOT_FOUND);
  CHECK_OK(statekeep_manager_close(m, &err));
  return 0;
}
