/* The other unit of double_include_a.c. */
#include <statekeep_plugin.h>
#include <statekeep.h>
#include <statekeep_plugin.h>

statekeep_status other_unit(void);

statekeep_status other_unit(void) {
  return STATEKEEP_STATUS_NOT_FOUND;
}
