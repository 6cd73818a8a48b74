/* A small C library that keeps an agent's memory in a Statekeep state. It knows nothing of the
 * program that loads it: it opens the state by its path, and gets the manager that is open there. */
#ifndef AGENT_MEMORY_H
#define AGENT_MEMORY_H

#include <stddef.h>

/* Opens the state that the configuration file names. Returns 0, or -1 with a message on stderr. */
int agent_memory_open(const char *config_path);

/* Stores a JSON document under `scope` and `key`. Returns 0 or -1. */
int agent_memory_remember(const char *scope, const char *key, const char *json);

/* Copies the document into `json` (at most `capacity` bytes, NUL-ended). Returns its length, or -1
 * when there is none or it does not fit. */
long agent_memory_recall(const char *scope, const char *key, char *json, size_t capacity);

/* Closes this library's handle; the program's own handles go on. */
void agent_memory_close(void);

#endif
