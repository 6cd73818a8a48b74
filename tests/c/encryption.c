/* An encrypted backup repository: its keys are listed, added, changed and removed. */
#include "check.h"

static statekeep_manager *open_with(const char *path, const char *key, const char *value) {
  statekeep_config *config = config_for(path, "fjall");
  statekeep_manager *m = NULL;
  if (key != NULL) {
    CHECK_OK(statekeep_config_set(config, key, strlen(key), value, strlen(value), &err));
  }
  CHECK_OK(statekeep_manager_open(config, &m, &err));
  CHECK_OK(statekeep_config_free(config));
  return m;
}

static void back_up(const statekeep_manager *m) {
  statekeep_op *op = NULL;
  CHECK_OK(statekeep_backup_create_start(m, NULL, 0, &op, &err));
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  CHECK_OK(statekeep_op_free(op));
}

/* Copies the id of the first key in a document. */
static void first_id(const statekeep_buf *buf, char *id) {
  const char *member = "\"id\":\"";
  size_t at = 0, len = strlen(member);
  while (at + len + 26 <= buf->len && memcmp(buf->ptr + at, member, len) != 0) {
    at++;
  }
  CHECK(at + len + 26 <= buf->len);
  memcpy(id, buf->ptr + at + len, 26);
  id[26] = '\0';
}

static void wrong_arguments(const statekeep_manager *m) {
  statekeep_buf buf;
  CHECK_STATUS(statekeep_repository_key_list_json(NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_repository_key_list_json(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_repository_key_add_json(NULL, S("{\"passphrase\":\"x\"}"), &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_repository_key_add_json(m, NULL, 0, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_repository_key_add_json(m, S("{\"passphrase\":\"\"}"), &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_repository_key_add_json(m, S("{\"passphrase\":17}"), &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(
      statekeep_repository_key_add_json(m, S("{\"passphrase\":\"x\",\"key_file\":\"y\"}"), &buf, &err),
      INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_repository_key_add_json(
                   m, S("{\"passphrase\":\"x\",\"change\":true,\"label\":\"y\"}"), &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_repository_key_add_json(m, S("{\"key_file\":\"/nosuch/file\"}"), &buf, &err),
               NOT_FOUND);
  CHECK_STATUS(statekeep_repository_key_add_json(m, S("{\"passphrase\":\"x\"}"), NULL, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_repository_key_remove(NULL, S("x"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_repository_key_remove(m, S("x"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_repository_key_remove(m, S("01ARZ3NDEKTSV4RRFFQ69G5FAV"), &err), NOT_FOUND);
  CHECK(buf_is_empty(&buf));
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  const char *passphrase = "backup.encryption.passphrase";
  statekeep_buf buf;

  /* Made without a secret, a repository has no keys and is refused to who has one. */
  statekeep_manager *m = open_with(in_folder(argv, "plain"), NULL, NULL);
  CHECK_STATUS(statekeep_repository_key_list_json(m, &buf, &err), NOT_FOUND);
  back_up(m);
  CHECK_STATUS(statekeep_repository_key_list_json(m, &buf, &err), UNSUPPORTED);
  CHECK_OK(statekeep_manager_close(m, &err));
  m = open_with(in_folder(argv, "plain"), passphrase, "correct horse");
  CHECK_STATUS(statekeep_backup_list_json(m, &buf, &err), INCOMPATIBLE);
  CHECK_OK(statekeep_manager_close(m, &err));

  m = open_with(in_folder(argv, "state"), passphrase, "correct horse");
  back_up(m);
  char first[27], second[27];
  CHECK_OK(statekeep_repository_key_list_json(m, &buf, &err));
  CHECK(buf_has(&buf, "\"in_use\":true") && buf_has(&buf, "\"kind\":\"passphrase\""));
  first_id(&buf, first);
  CHECK_OK(statekeep_buf_free(&buf));
  wrong_arguments(m);
  CHECK_STATUS(statekeep_repository_key_remove(m, first, 26, &err), CONFLICT);
  CHECK_OK(statekeep_repository_key_add_json(
      m, S("{\"passphrase\":\"battery staple\",\"label\":\"of Ada\"}"), &buf, &err));
  CHECK(buf_has(&buf, "of Ada") && buf_has(&buf, "\"in_use\":false"));
  first_id(&buf, second);
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_OK(statekeep_manager_close(m, &err));

  /* The one takes the other away; the third takes the place of the one. */
  m = open_with(in_folder(argv, "state"), passphrase, "battery staple");
  CHECK_OK(statekeep_repository_key_remove(m, first, 26, &err));
  CHECK_STATUS(statekeep_repository_key_remove(m, second, 26, &err), CONFLICT);
  CHECK_JSON(statekeep_repository_key_add_json(
                 m, S("{\"passphrase\":\"third\",\"change\":true}"), &buf, &err),
             &buf, "\"in_use\":true");
  CHECK_OK(statekeep_manager_close(m, &err));
  m = open_with(in_folder(argv, "state"), passphrase, "battery staple");
  CHECK_STATUS(statekeep_backup_list_json(m, &buf, &err), PERMISSION_DENIED);
  CHECK_OK(statekeep_manager_close(m, &err));
  m = open_with(in_folder(argv, "state"), NULL, NULL);
  CHECK_STATUS(statekeep_backup_list_json(m, &buf, &err), PERMISSION_DENIED);
  CHECK_OK(statekeep_manager_close(m, &err));
  m = open_with(in_folder(argv, "state"), passphrase, "third");
  CHECK_JSON(statekeep_backup_list_json(m, &buf, &err), &buf, "\"problems\":[]");
  CHECK_OK(statekeep_manager_close(m, &err));
  return 0;
}
