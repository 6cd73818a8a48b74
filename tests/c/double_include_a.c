/* Both headers, each twice, in either order, in two units of one program. */
#include <statekeep.h>
#include <statekeep.h>
#include <statekeep_plugin.h>
#include <statekeep_plugin.h>

statekeep_status other_unit(void);

int main(void) {
  return other_unit() == STATEKEEP_STATUS_NOT_FOUND &&
                 statekeep_abi_version() == STATEKEEP_ABI_VERSION
             ? 0
             : 1;
}
