#!/usr/bin/env bash
# Builds the binding for this machine, and puts beside it the libraries it needs, so that users need neither a compiler nor RocksDB.
#
#   build.sh                    for the machine it runs on
#   build.sh linux-arm64 ROOT   with a cross compiler, against the headers and libraries in a Debian tree of the other architecture
#
# Needs g++ and Debian's librocksdb-dev; its static library is not position-independent, so the shared one is shipped. The C library and
# libstdc++ are those of the user's system, as for Node.js itself.
set -euo pipefail
cd "$(dirname "$0")"

machine=$(uname -m)
platform=${1:-linux-$([ "$machine" = aarch64 ] && echo arm64 || echo x64)}
root=${2:-}
case $platform in
  linux-x64) triplet=x86_64-linux-gnu ;;
  linux-arm64) triplet=aarch64-linux-gnu ;;
  *) echo "there is no build for $platform" >&2; exit 1 ;;
esac
libraries=$root/usr/lib/$triplet
[ -e "$libraries/librocksdb.so" ] || { echo "librocksdb-dev is not installed in $libraries" >&2; exit 1; }
compiler=${CXX:-$([ -n "$root" ] && echo $triplet-g++ || echo g++)}
out=prebuilds/$platform
rm -rf "$out"
mkdir -p "$out"

# An RPATH, unlike a RUNPATH, also holds for what the libraries themselves need.
"$compiler" -std=c++17 -O2 -Wall -Wextra -Wno-unused-parameter -fPIC -shared -s \
  -I"$(node -p "require('node-api-headers').include_dir")" ${root:+-I"$root/usr/include"} \
  -o "$out/binding.node" src/binding.cc \
  -L"$libraries" -lrocksdb -Wl,-rpath-link,"$libraries" -Wl,--disable-new-dtags -Wl,-rpath,'$ORIGIN'

# What librocksdb needs beyond the C and C++ libraries.
for library in librocksdb.so.7.8 libgflags.so.2.2 libsnappy.so.1 libz.so.1 libbz2.so.1.0 liblz4.so.1 libzstd.so.1; do
  found=$(find "$root/usr/lib/$triplet" "$root/lib/$triplet" -name "$library" 2>/dev/null | head -1)
  cp -L "$found" "$out/$library"
  chmod 644 "$out/$library"
done
echo "built $out: $(du -sh "$out" | cut -f1)"
