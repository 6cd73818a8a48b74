/* statekeep_config: keys, texts, files, the environment, and everything that is wrong with them. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

static void keys(statekeep_config *config) {
  CHECK_OK(statekeep_config_set(config, S("backup.codec"), S("lz4"), &err));
  CHECK_STATUS(statekeep_config_set(config, S("backup.codek"), S("lz4"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_set(config, S("flush_interval_ms"), S("soon"), &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_set(config, NULL, 4, S("x"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_set(config, S("path"), NULL, 4, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_set(config, BAD_UTF8, S("x"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_set(config, S("path"), BAD_UTF8, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_set(config, ABSURD("path"), S("x"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_set(config, S("path"), "x", (size_t)1 << 40, &err), TOO_LARGE);
  CHECK_STATUS(statekeep_config_set(NULL, S("path"), S("x"), &err), INVALID_ARGUMENT);
  CHECK(statekeep_config_set(config, S("nope"), S("x"), NULL) == STATEKEEP_STATUS_INVALID_ARGUMENT);
}

static void texts(statekeep_config *config) {
  CHECK_OK(statekeep_config_load(config, STATEKEEP_CONFIG_TOML, S("[backup]\ncodec = \"gzip\"\n"),
                                 &err));
  CHECK_OK(statekeep_config_load(config, STATEKEEP_CONFIG_JSON, S("{\"durability\": \"relaxed\"}"),
                                 &err));
  CHECK_STATUS(statekeep_config_load(config, STATEKEEP_CONFIG_TOML, S("a = = 1"), &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_load(config, STATEKEEP_CONFIG_JSON, S("[1"), &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_load(config, 0, S(""), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_load(config, 77, S(""), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_load(config, STATEKEEP_CONFIG_TOML, NULL, 9, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_load(config, STATEKEEP_CONFIG_TOML, BAD_UTF8, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_load(config, STATEKEEP_CONFIG_TOML, ABSURD(""), &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_load(NULL, STATEKEEP_CONFIG_TOML, S(""), &err), INVALID_ARGUMENT);

  statekeep_buf toml;
  CHECK_OK(statekeep_config_to_toml(config, &toml, &err));
  CHECK(buf_has(&toml, "gzip") && buf_has(&toml, "relaxed"));
  CHECK_OK(statekeep_config_load(config, STATEKEEP_CONFIG_TOML, (const char *)toml.ptr, toml.len,
                                 &err));
  CHECK_OK(statekeep_buf_free(&toml));
  CHECK_STATUS(statekeep_config_to_toml(config, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_to_toml(NULL, &toml, &err), INVALID_ARGUMENT);
  CHECK(buf_is_empty(&toml));
}

static void files(statekeep_config *config, char **argv) {
  const char *path = in_folder(argv, "statekeep.toml");
  FILE *file = fopen(path, "w");
  CHECK(file != NULL);
  CHECK(fputs("flush_interval_ms = 250\n", file) >= 0);
  CHECK(fclose(file) == 0);
  CHECK_OK(statekeep_config_load_file(config, path, strlen(path), &err));
  statekeep_buf toml;
  CHECK_OK(statekeep_config_to_toml(config, &toml, &err));
  CHECK(buf_has(&toml, "250"));
  CHECK_OK(statekeep_buf_free(&toml));
  CHECK_STATUS(statekeep_config_load_file(config, S("/nowhere/at/all.toml"), &err), NOT_FOUND);
  CHECK_STATUS(statekeep_config_load_file(config, S(""), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_load_file(config, NULL, 3, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_load_file(config, BAD_UTF8, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_load_file(config, ABSURD("x"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_config_load_file(NULL, path, strlen(path), &err), INVALID_ARGUMENT);
}

static void environment(statekeep_config *config) {
  CHECK(setenv("STATEKEEP_BACKUP__CODEC", "brotli", 1) == 0);
  CHECK_OK(statekeep_config_apply_env(config, &err));
  CHECK(setenv("STATEKEEP_FLUSH_INTERVAL_MS", "soon", 1) == 0);
  CHECK_STATUS(statekeep_config_apply_env(config, &err), INVALID_ARGUMENT);
  CHECK(unsetenv("STATEKEEP_FLUSH_INTERVAL_MS") == 0);
  CHECK(unsetenv("STATEKEEP_BACKUP__CODEC") == 0);
  CHECK_STATUS(statekeep_config_apply_env(NULL, &err), INVALID_ARGUMENT);
  statekeep_buf toml;
  CHECK_OK(statekeep_config_to_toml(config, &toml, &err));
  CHECK(buf_has(&toml, "brotli"));
  CHECK_OK(statekeep_buf_free(&toml));
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_config *config = NULL;
  CHECK_STATUS(statekeep_config_new(NULL, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_config_new(&config, &err));
  CHECK(config != NULL);
  keys(config);
  texts(config);
  files(config, argv);
  environment(config);

  CHECK_OK(statekeep_config_free(NULL));
  CHECK_OK(statekeep_config_free(config));
  CHECK_STATUS(statekeep_config_free(config), CLOSED);
  CHECK_STATUS(statekeep_config_set(config, S("path"), S("x"), &err), CLOSED);
  return 0;
}
