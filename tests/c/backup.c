/* Backups: create, list, show, verify, restore, as operations. */
#include "check.h"

/* Waits for an operation and copies one text member of its result. */
static void finish(statekeep_op *op, const char *member, char *out, size_t cap) {
  CHECK(op != NULL);
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  statekeep_buf json;
  CHECK_OK(statekeep_op_result_json(op, &json, &err));
  char *text = malloc(json.len + 1);
  CHECK(text != NULL);
  memcpy(text, json.ptr, json.len);
  text[json.len] = '\0';
  if (member != NULL) {
    char *at = strstr(text, member);
    CHECK(at != NULL);
    at += strlen(member);
    size_t len = strcspn(at, "\"");
    CHECK(len < cap);
    memcpy(out, at, len);
    out[len] = '\0';
  }
  free(text);
  CHECK_OK(statekeep_buf_free(&json));
  CHECK_OK(statekeep_op_free(op));
}

static void wrong_arguments(const statekeep_manager *m, const char *id) {
  statekeep_op *op = (statekeep_op *)1;
  statekeep_buf buf;
  size_t len = strlen(id);
  CHECK_STATUS(statekeep_backup_create_start(NULL, NULL, 0, &op, &err), INVALID_ARGUMENT);
  CHECK(op == NULL);
  CHECK_STATUS(statekeep_backup_create_start(m, NULL, 5, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_create_start(m, S("[]"), &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_create_start(m, S("{\"lable\":\"x\"}"), &op, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_create_start(m, S("{\"level\":\"x\"}"), &op, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_create_start(m, BAD_UTF8, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_create_start(m, NULL, 0, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_list_json(NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_list_json(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_show_json(NULL, id, len, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_show_json(m, NULL, 4, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_show_json(m, S(""), &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_show_json(m, id, len, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_repository_check_start(NULL, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_repository_check_start(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_repository_repair_start(NULL, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_repository_prune_strays_start(m, S("{\"yes\":true}"), &op, &err),
               INVALID_ARGUMENT);
  CHECK(op == NULL);
  CHECK_OK(statekeep_repository_check_start(m, &op, &err));
  char valid[8];
  finish(op, "\"is_valid\":tru", valid, sizeof(valid));
  CHECK_OK(statekeep_repository_prune_strays_start(m, NULL, 0, &op, &err));
  finish(op, "\"dry_run\":tru", valid, sizeof(valid));
  CHECK_OK(statekeep_repository_repair_start(m, &op, &err));
  finish(op, NULL, NULL, 0);
  op = (statekeep_op *)1;
  CHECK_STATUS(statekeep_backup_pin(NULL, id, len, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_pin(m, S("nope"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_pin(m, S("01ARZ3NDEKTSV4RRFFQ69G5FAV"), &err), NOT_FOUND);
  CHECK_STATUS(statekeep_backup_unpin(NULL, id, len, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_unpin(m, NULL, 4, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_backup_pin(m, id, len, &err));
  CHECK_OK(statekeep_backup_unpin(m, id, len, &err));
  CHECK_STATUS(statekeep_backup_verify_start(NULL, id, len, STATEKEEP_VERIFY_FULL, &op, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_verify_start(m, NULL, 2, STATEKEEP_VERIFY_FULL, &op, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_verify_start(m, id, len, 0, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_verify_start(m, id, len, 99, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_verify_start(m, id, len, STATEKEEP_VERIFY_FULL, NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_restore_start(NULL, id, len, NULL, 0, &op, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_restore_start(m, NULL, 2, NULL, 0, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_restore_start(m, ABSURD("x"), NULL, 0, &op, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_restore_start(m, id, len, S("{\"x\":1}"), &op, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_restore_start(m, id, len, NULL, 0, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_restore_start(m, id, len, S("{\"mode\":\"x\"}"), &op, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_diff_start(NULL, id, len, NULL, 0, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_diff_start(m, NULL, 2, NULL, 0, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_diff_start(m, id, len, S("{\"to\":\"x\"}"), &op, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_diff_start(m, id, len, NULL, 0, NULL, &err), INVALID_ARGUMENT);
  CHECK(op == NULL);
}

/* Waits for an operation, whose result has this text, and frees it. */
static void tells(statekeep_op *op, const char *text) {
  statekeep_buf result;
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  CHECK_OK(statekeep_op_result_json(op, &result, &err));
  CHECK(buf_has(&result, text));
  CHECK_OK(statekeep_buf_free(&result));
  CHECK_OK(statekeep_op_free(op));
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_config *config = config_for(in_folder(argv, "state"), "fjall");
  statekeep_manager *m = NULL;
  CHECK_OK(statekeep_manager_open(config, &m, &err));
  CHECK_OK(statekeep_config_free(config));
  set_json(m, "agent:1", "memory", "\"good\"");

  statekeep_op *op = NULL;
  char id[128];
  CHECK_OK(statekeep_backup_create_start(
      m, S("{\"label\":\"first\",\"codec\":\"lz4\"}"), &op, &err));
  finish(op, "\"id\":\"", id, sizeof(id));
  CHECK(strlen(id) > 0);
  statekeep_buf list;
  CHECK_OK(statekeep_backup_list_json(m, &list, &err));
  CHECK(buf_has(&list, id) && buf_has(&list, "first"));
  CHECK_OK(statekeep_buf_free(&list));
  CHECK_OK(statekeep_backup_show_json(m, id, strlen(id), &list, &err));
  CHECK(buf_has(&list, id));
  CHECK_OK(statekeep_buf_free(&list));

  CHECK_OK(statekeep_backup_verify_start(m, id, strlen(id), STATEKEEP_VERIFY_QUICK, &op, &err));
  finish(op, NULL, NULL, 0);
  CHECK_OK(statekeep_backup_verify_start(m, id, strlen(id), STATEKEEP_VERIFY_FULL, &op, &err));
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  CHECK_OK(statekeep_op_result_json(op, &list, &err));
  CHECK(buf_has(&list, "\"is_valid\":true"));
  CHECK_OK(statekeep_buf_free(&list));
  CHECK_OK(statekeep_op_free(op));
  CHECK_OK(statekeep_backup_list_json(m, &list, &err));
  CHECK(!buf_has(&list, "\"last_verified_unix_ms\":null"));
  CHECK(buf_has(&list, "\"last_restore_test_unix_ms\":null"));
  CHECK_OK(statekeep_buf_free(&list));
  uint32_t level = STATEKEEP_VERIFY_RESTORE_TEST;
  CHECK_OK(statekeep_backup_verify_start(m, id, strlen(id), level, &op, &err));
  finish(op, NULL, NULL, 0);
  CHECK_OK(statekeep_backup_list_json(m, &list, &err));
  CHECK(!buf_has(&list, "\"last_restore_test_unix_ms\":null"));
  CHECK_OK(statekeep_buf_free(&list));

  /* An agent ruins its memory; the handle sees the old one again. */
  set_json(m, "agent:1", "memory", "\"ruined\"");
  CHECK_OK(statekeep_backup_restore_start(m, id, strlen(id), NULL, 0, &op, &err));
  finish(op, NULL, NULL, 0);
  CHECK(has_value(m, "agent:1", "memory", "\"good\""));

  /* What a restore would change is told and not done; a part comes back in the mode that is said. */
  set_json(m, "agent:1", "memory", "\"ruined\"");
  CHECK_OK(statekeep_backup_restore_start(m, id, strlen(id), S("{\"dry_run\":true}"), &op, &err));
  tells(op, "\"changed\":1");
  CHECK_OK(statekeep_backup_diff_start(m, id, strlen(id), S("{\"scope\":\"agent:*\"}"), &op, &err));
  tells(op, "\"changed\":1");
  CHECK(has_value(m, "agent:1", "memory", "\"ruined\""));
  CHECK_OK(statekeep_backup_restore_start(
      m, id, strlen(id), S("{\"tenant\":\"\",\"scope\":\"agent:1\"}"), &op, &err));
  CHECK_STATUS(statekeep_op_wait(op, -1, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_op_free(op));
  CHECK_OK(statekeep_backup_restore_start(
      m, id, strlen(id), S("{\"tenant\":\"\",\"scope\":\"agent:1\",\"mode\":\"merge\"}"), &op, &err));
  tells(op, "\"safety_backup\":\"");
  CHECK(has_value(m, "agent:1", "memory", "\"good\""));

  /* A chain becomes a synthetic full, without reading the state. */
  char last[128], from[160];
  CHECK_OK(statekeep_backup_create_start(m, S("{\"incremental\":false}"), &op, &err));
  finish(op, NULL, NULL, 0);
  set_json(m, "agent:1", "memory", "\"later\"");
  CHECK_OK(statekeep_backup_create_start(m, S("{\"incremental\":true}"), &op, &err));
  finish(op, "\"id\":\"", last, sizeof(last));
  CHECK_OK(statekeep_backup_create_start(m, S("{\"synthetic\":true}"), &op, &err));
  char merged[128];
  snprintf(from, sizeof(from), "\"merged_from\":\"%s", last);
  finish(op, from, merged, sizeof(merged));
  CHECK_OK(statekeep_backup_list_json(m, &list, &err));
  CHECK(buf_has(&list, "\"kind\":\"synthetic\""));
  CHECK_OK(statekeep_buf_free(&list));
  /* One that stands on no other has nothing to merge; `from` is of a synthetic one. */
  int len = snprintf(from, sizeof(from), "{\"synthetic\":true,\"from\":\"%s\"}", id);
  CHECK_OK(statekeep_backup_create_start(m, from, (size_t)len, &op, &err));
  CHECK_STATUS(statekeep_op_wait(op, -1, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_op_free(op));
  len = snprintf(from, sizeof(from), "{\"from\":\"%s\"}", id);
  CHECK_STATUS(statekeep_backup_create_start(m, from, (size_t)len, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_backup_create_start(m, S("{\"synthetic\":1}"), &op, &err),
               INVALID_ARGUMENT);

  /* A backup that is not there fails in the operation, with its error. */
  CHECK_OK(statekeep_backup_restore_start(m, S("01ARZ3NDEKTSV4RRFFQ69G5FAV"), NULL, 0, &op, &err));
  CHECK_STATUS(statekeep_op_wait(op, -1, &err), NOT_FOUND);
  CHECK_STATUS(statekeep_op_result_json(op, &list, &err), NOT_FOUND);
  CHECK_OK(statekeep_op_free(op));
  wrong_arguments(m, id);
  CHECK_OK(statekeep_manager_close(m, &err));
  CHECK_STATUS(statekeep_backup_list_json(m, &list, &err), CLOSED);
  return 0;
}
