/* The other unit of double_include_a.c. */
#include <statekeep_plugin.h>
#include <statekeep.h>
#include <statekeep_plugin.h>

#ifdef __cplusplus
extern "C"
#endif
    statekeep_status
    other_unit(void);

statekeep_status other_unit(void) {
  return STATEKEEP_STATUS_NOT_FOUND;
}
