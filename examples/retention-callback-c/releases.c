/*
 * A retention policy of one's own, as a function of a C program: no plugin, nothing to install.
 *
 * Backups with a tag like `release-1.4` stay, the others may go. Build it against an installed
 * libstatekeep and run it on a folder that it may fill:
 *
 *   $ gcc -std=c11 -o releases releases.c $(pkg-config --cflags --libs statekeep)
 *   $ ./releases demo-state
 */
#include <statekeep.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A call that should succeed: says why when it does not. */
static statekeep_error *err;
static void ok(statekeep_status status) {
  const char *text = "";
  size_t len = 0;
  if (status == STATEKEEP_STATUS_OK) return;
  if (err != NULL) statekeep_error_message(err, &text, &len);
  fprintf(stderr, "%s: %.*s\n", statekeep_status_name(status, NULL), (int)len, text);
  exit(1);
}

/* Whether a backup has a tag that starts with the prefix. */
static int has_tag(statekeep_policy_call *call, size_t backup, size_t tags, const char *prefix) {
  for (size_t t = 0; t < tags; t++) {
    const char *tag = NULL;
    size_t len = 0;
    if (statekeep_policy_call_tag(call, backup, t, &tag, &len, NULL) != STATEKEEP_STATUS_OK) return 0;
    if (len >= strlen(prefix) && memcmp(tag, prefix, strlen(prefix)) == 0) return 1;
  }
  return 0;
}

/* The policy. It runs on a thread of the library while the cleanup waits, sees the backups of one series,
 * oldest first, and votes on each; no vote is no opinion. An error fails the cleanup, which then deletes
 * nothing. It may read the state, but not write it. */
static void releases(void *user_data, statekeep_policy_call *call) {
  const char *prefix = user_data;
  size_t count = 0;
  if (statekeep_policy_call_count(call, &count, NULL) != STATEKEEP_STATUS_OK) return;
  for (size_t i = 0; i < count; i++) {
    statekeep_policy_backup backup = STATEKEEP_POLICY_BACKUP_INIT;
    if (statekeep_policy_call_backup(call, i, &backup, NULL) != STATEKEEP_STATUS_OK) {
      const char *why = "a backup could not be read";
      statekeep_policy_call_set_error(call, why, strlen(why), NULL);
      return;
    }
    int stays = has_tag(call, i, backup.tags_len, prefix);
    const char *reason = stays ? "the state of a release" : "no release";
    statekeep_policy_call_vote(call, i, stays ? STATEKEEP_VERDICT_KEEP : STATEKEEP_VERDICT_FORGET, 0,
                               reason, strlen(reason), NULL);
  }
}

/* Starts long work, waits for it and prints what it says. */
static void finish(statekeep_op *op, int shown) {
  statekeep_buf result;
  ok(statekeep_op_wait(op, -1, &err));
  ok(statekeep_op_result_json(op, &result, &err));
  if (shown) printf("%.*s\n", (int)result.len, (const char *)result.ptr);
  statekeep_buf_free(&result);
  statekeep_op_free(op);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  statekeep_config *config = NULL;
  statekeep_manager *manager = NULL;
  statekeep_op *op = NULL;
  ok(statekeep_config_new(&config, &err));
  ok(statekeep_config_set(config, "path", 4, argv[1], strlen(argv[1]), &err));
  ok(statekeep_manager_open(config, &manager, &err));
  statekeep_config_free(config);

  /* From here on every rule may name it, in every language that has this state open. `destroy`, which is
   * not needed here, would free `user_data` when the policy is removed or the state is closed. */
  statekeep_policy policy = STATEKEEP_POLICY_INIT;
  policy.name = "releases";
  policy.name_len = strlen(policy.name);
  policy.evaluate = releases;
  policy.user_data = "release-";
  ok(statekeep_policy_register(manager, &policy, &err));

  const char *backups[] = {"{\"tags\":[\"nightly\"]}", "{\"tags\":[\"release-1.4\"]}", "{}", "{}"};
  for (size_t i = 0; i < sizeof backups / sizeof *backups; i++) {
    ok(statekeep_backup_create_start(manager, backups[i], strlen(backups[i]), &op, &err));
    finish(op, 0);
  }

  /* Asked beside a built-in one: what either keeps stays. The newest stays whatever they say. */
  const char *cleanup = "{\"dry_run\":true,\"policies\":[{\"policy\":\"releases\"},"
                        "{\"policy\":\"count\",\"keep\":1}]}";
  ok(statekeep_backup_cleanup_start(manager, cleanup, strlen(cleanup), &op, &err));
  finish(op, 1);

  ok(statekeep_policy_remove(manager, "releases", strlen("releases"), &err));
  ok(statekeep_manager_close(manager, &err));
  return 0;
}
