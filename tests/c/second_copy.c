/* A second copy of the library in one process is another library: it meets the lock and says whose. */
#include "check.h"

#include <dlfcn.h>

typedef statekeep_status (*new_fn)(statekeep_config **, statekeep_error **);
typedef statekeep_status (*set_fn)(const statekeep_config *, const char *, size_t, const char *,
                                   size_t, statekeep_error **);
typedef statekeep_status (*open_fn)(const statekeep_config *, statekeep_manager **,
                                    statekeep_error **);
typedef statekeep_status (*free_fn)(statekeep_config *);
typedef statekeep_status (*text_fn)(const statekeep_error *, const char **, size_t *);
typedef statekeep_status (*error_free_fn)(statekeep_error *);

static void *library;

static void (*find(const char *name))(void) {
  void (*function)(void) = NULL;
  void *address = dlsym(library, name);
  CHECK(address != NULL);
  memcpy(&function, &address, sizeof(function));
  return function;
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  statekeep_manager *m = open_state(argv, "state");
  library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
  CHECK(library != NULL);
  CHECK(find("statekeep_config_new") != (void (*)(void))statekeep_config_new);

  statekeep_config *config = NULL;
  statekeep_manager *other = NULL;
  statekeep_error *error = NULL;
  set_fn set = (set_fn)find("statekeep_config_set");
  const char *path = in_folder(argv, "state");
  CHECK(((new_fn)find("statekeep_config_new"))(&config, NULL) == STATEKEEP_STATUS_OK);
  CHECK(set(config, S("path"), path, strlen(path), NULL) == STATEKEEP_STATUS_OK);
  CHECK(set(config, S("backend"), S("memory"), NULL) == STATEKEEP_STATUS_OK);
  CHECK(((open_fn)find("statekeep_manager_open"))(config, &other, &error) ==
        STATEKEEP_STATUS_BUSY);
  const char *text = NULL;
  size_t len = 0;
  CHECK(((text_fn)find("statekeep_error_message"))(error, &text, &len) == STATEKEEP_STATUS_OK);
  statekeep_buf message = {(uint8_t *)(uintptr_t)text, len, 0};
  CHECK(buf_has(&message, "this process"));
  CHECK(((error_free_fn)find("statekeep_error_free"))(error) == STATEKEEP_STATUS_OK);
  CHECK(((free_fn)find("statekeep_config_free"))(config) == STATEKEEP_STATUS_OK);
  CHECK_OK(statekeep_manager_close(m, &err));
  return 0;
}
