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

# The code must stay when the thread that loaded it ends (nodelete): RocksDB's threads go on.
# An RPATH, unlike a RUNPATH, also holds for what the libraries themselves need.
"$compiler" -std=c++17 -O2 -Wall -Wextra -Wno-unused-parameter -Werror -fPIC -fvisibility=hidden -shared -s \
  -I"$(node -p "require('node-api-headers').include_dir")" ${root:+-I"$root/usr/include"} \
  -o "$out/binding.node" src/binding.cc \
  -L"$libraries" -lrocksdb -Wl,-rpath-link,"$libraries" \
  -Wl,-z,nodelete -Wl,--disable-new-dtags -Wl,-rpath,'$ORIGIN'

# What librocksdb needs beyond the C and C++ libraries, by the packages of Debian that say under which license.
mkdir "$out/licenses"
ship() {
  local library=$1 package=$2
  cp -L "$(find "$root/usr/lib/$triplet" "$root/lib/$triplet" -name "$library" 2>/dev/null | head -1)" "$out/$library"
  chmod 644 "$out/$library"
  cp "$root/usr/share/doc/$package/copyright" "$out/licenses/$library.txt"
}
ship librocksdb.so.7.8 librocksdb7.8
ship libgflags.so.2.2 libgflags2.2
ship libsnappy.so.1 libsnappy1v5
ship libz.so.1 zlib1g
ship libbz2.so.1.0 libbz2-1.0
ship liblz4.so.1 liblz4-1
ship libzstd.so.1 libzstd1
echo "built $out: $(du -sh "$out" | cut -f1)"
