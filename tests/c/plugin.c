/* Plugins: list, load, inspect; what is no plugin is refused with words. */
#include "check.h"

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_manager *m = open_state(argv, "state");
  statekeep_buf buf;
  CHECK_OK(statekeep_plugin_list_json(m, &buf, &err));
  CHECK(buf_has(&buf, "\"statekeep.memory\""));
  CHECK_OK(statekeep_buf_free(&buf));

  CHECK(statekeep_plugin_load(m, S("/nowhere/libnone.so"), &buf, &err) != STATEKEEP_STATUS_OK);
  CHECK(err != NULL && buf_is_empty(&buf));
  CHECK(statekeep_error_free(err) == STATEKEEP_STATUS_OK);
  err = NULL;
  CHECK(statekeep_plugin_inspect_json(S("/nowhere/libnone.so"), &buf, NULL) !=
        STATEKEEP_STATUS_OK);
  /* A file that is no library. */
  const char *path = in_folder(argv, "libtext.so");
  FILE *file = fopen(path, "w");
  CHECK(file != NULL && fputs("not a library", file) >= 0 && fclose(file) == 0);
  CHECK(statekeep_plugin_load(m, path, strlen(path), NULL, NULL) != STATEKEEP_STATUS_OK);
  CHECK(statekeep_plugin_inspect_json(path, strlen(path), &buf, NULL) != STATEKEEP_STATUS_OK);
  CHECK(buf_is_empty(&buf));

  CHECK_STATUS(statekeep_plugin_list_json(NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_plugin_list_json(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_plugin_load(NULL, S("/x"), &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_plugin_load(m, NULL, 2, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_plugin_load(m, S(""), &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_plugin_load(m, BAD_UTF8, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_plugin_load(m, ABSURD("/x"), &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_plugin_inspect_json(NULL, 2, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_plugin_inspect_json(S("/x"), NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_plugin_inspect_json(BAD_UTF8, &buf, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_manager_close(m, &err));
  CHECK_STATUS(statekeep_plugin_list_json(m, &buf, &err), CLOSED);
  return 0;
}
