#!/bin/sh
# Installs the C library: headers, libstatekeep.so.VERSION with its links, libstatekeep.a and
# statekeep.pc.
#
#   scripts/install.sh PREFIX [LIBDIR]     LIBDIR is below PREFIX, `lib` unless given
#
# DESTDIR is put before PREFIX, for packagers. STATEKEEP_BUILT names a folder with libstatekeep.so
# and libstatekeep.a that are to be installed; without it they are built in release mode.
set -eu

prefix=${1:?usage: scripts/install.sh PREFIX [LIBDIR]}
libdir=${2:-lib}
cd "$(dirname "$0")/.."
root=${DESTDIR:-}$prefix
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
major=${version%%.*}

built=${STATEKEEP_BUILT:-}
if [ -z "$built" ]; then
  cargo build --release -p statekeep-ffi
  built=${CARGO_TARGET_DIR:-target}/release
fi

# How far the prefix is above the folder of statekeep.pc.
up=$(printf '%s/pkgconfig' "$libdir" | sed 's,[^/][^/]*,..,g')

install -d "$root/include" "$root/$libdir/pkgconfig"
install -m 644 include/statekeep.h include/statekeep_plugin.h "$root/include/"
install -m 755 "$built/libstatekeep.so" "$root/$libdir/libstatekeep.so.$version"
ln -sf "libstatekeep.so.$version" "$root/$libdir/libstatekeep.so.$major"
ln -sf "libstatekeep.so.$major" "$root/$libdir/libstatekeep.so"
install -m 644 "$built/libstatekeep.a" "$root/$libdir/"
sed -e "s,@UP@,$up," -e "s,@LIBDIR@,$libdir," -e "s,@VERSION@,$version," \
  -e "s,@LIBS_PRIVATE@,-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc," \
  ffi/statekeep.pc.in >"$root/$libdir/pkgconfig/statekeep.pc"
chmod 644 "$root/$libdir/pkgconfig/statekeep.pc"
echo "installed statekeep $version below $root"
