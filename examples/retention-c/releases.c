/*
 * A retention policy of one's own, as a plugin in C: one file on statekeep_plugin.h.
 *
 * Backups with a tag like `release-1.4` stay; on all others it has no opinion, so another policy
 * decides, or they stay as well. To build it, allow it, and see what it would do together with the
 * built-in policy `count`:
 *
 *   $ mkdir -p plugins
 *   $ gcc -std=c11 -O2 -fPIC -shared -fvisibility=hidden -Wl,-z,noexecstack -I include \
 *         -o plugins/libreleases.so examples/retention-c/releases.c
 *   $ statekeep --set plugins.lock=plugins.lock plugin add plugins/libreleases.so
 *   $ statekeep --set plugins.paths=plugins --set plugins.lock=plugins.lock \
 *         backup cleanup --dry-run --explain --policy org.example.c-releases --policy count:keep=1
 */
#include "statekeep_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID "org.example.c-releases"
#define VERSION "0.1.0"
#define LICENSE "MIT OR Apache-2.0"
#define PREFIX "release-"

/* The same facts as the descriptor below, which a host reads before it runs any of this code. */
STATEKEEP_PLUGIN_MANIFEST(ID, VERSION, LICENSE, STATEKEEP_RETENTION_V1_ID);

/* One instance. Several may live at once, and each may be asked by several threads; this one has nothing
 * to remember. */
struct statekeep_instance {
  char nothing;
};

static statekeep_status create(const statekeep_host *host, statekeep_bytes config,
                               statekeep_instance **out, statekeep_error_out *err) {
  (void)host, (void)err;
  /* A policy with options reads them here, from the member `options` of this JSON object. */
  (void)config;
  *out = malloc(sizeof **out);
  return *out != NULL ? STATEKEEP_STATUS_OK : STATEKEEP_STATUS_OUT_OF_MEMORY;
}

static void destroy(statekeep_instance *instance) { free(instance); }

/* The reason goes into memory of the host, `cap` bytes of it, and is not NUL-ended. */
static void because(statekeep_out_buf *reason, const char *text, statekeep_bytes tag) {
  char line[128];
  int len = snprintf(line, sizeof line, "%s%.*s", text, (int)(tag.len < 64 ? tag.len : 64),
                     (const char *)tag.ptr);
  if (len < 0 || reason->cap == 0) return;
  reason->len = (size_t)len < sizeof line ? (size_t)len : sizeof line - 1;
  if (reason->len > reason->cap) reason->len = reason->cap;
  memcpy(reason->ptr, line, reason->len);
}

/* One decision a backup; each is an abstention until it is written. The same list gives the same answer: no
 * clock is read, the time is in `context`. */
static statekeep_status evaluate(const statekeep_instance *instance,
                                 const statekeep_backup_info *backups, size_t backups_len,
                                 const statekeep_retention_context *context,
                                 statekeep_decision *decisions, statekeep_error_out *err) {
  (void)instance, (void)context, (void)err;
  for (size_t i = 0; i < backups_len; i++) {
    for (size_t t = 0; t < backups[i].tags_len; t++) {
      statekeep_bytes tag = backups[i].tags[t];
      if (tag.len >= strlen(PREFIX) && memcmp(tag.ptr, PREFIX, strlen(PREFIX)) == 0) {
        decisions[i].verdict = STATEKEEP_VERDICT_KEEP;
        because(&decisions[i].reason, "tagged ", tag);
        break;
      }
    }
  }
  return STATEKEEP_STATUS_OK;
}

static const statekeep_retention_v1 retention = {sizeof(statekeep_retention_v1),
                                                 STATEKEEP_RETENTION_V1_ABI_HASH, evaluate};

static const void *get_interface(statekeep_bytes id) {
  size_t len = strlen(STATEKEEP_RETENTION_V1_ID);
  if (id.len == len && memcmp(id.ptr, STATEKEEP_RETENTION_V1_ID, len) == 0) return &retention;
  return NULL;
}

static const statekeep_descriptor descriptor = {
    .magic = STATEKEEP_MAGIC,
    .struct_size = sizeof(statekeep_descriptor),
    .epoch = STATEKEEP_EPOCH,
    .revision = STATEKEEP_REVISION,
    .id = STATEKEEP_BYTES(ID),
    .version = STATEKEEP_BYTES(VERSION),
    .license = STATEKEEP_BYTES(LICENSE),
    .description = STATEKEEP_BYTES("Keeps the backups of releases"),
    .create = create,
    .destroy = destroy,
    .get_interface = get_interface,
};

const statekeep_descriptor *statekeep_plugin_entry_1(void) { return &descriptor; }
