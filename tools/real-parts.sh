#!/bin/sh
# Installs the system parts that some tests need, on Debian. Run as root. Installing a package starts no service.
set -eu
if [ "$(id -u)" != 0 ]; then
    echo "make real-parts installs Debian packages: run it as root." >&2
    exit 1
fi
if ! command -v apt-get >/dev/null; then
    echo "make real-parts knows Debian only. It would install: iproute2 git-lfs mawk mount." >&2
    exit 1
fi
missing=""
command -v ip >/dev/null || missing="$missing iproute2"
command -v git-lfs >/dev/null || missing="$missing git-lfs"
command -v awk >/dev/null || missing="$missing mawk"
command -v mount >/dev/null || missing="$missing mount"
command -v mkfs.xfs >/dev/null || missing="$missing xfsprogs"
command -v mkfs.btrfs >/dev/null || missing="$missing btrfs-progs"
command -v sshfs >/dev/null || missing="$missing sshfs"
command -v linux.uml >/dev/null || missing="$missing user-mode-linux kmod"
command -v rpc.nfsd >/dev/null || missing="$missing nfs-kernel-server nfs-common rpcbind"
[ -z "$missing" ] && exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # a list of packages
apt-get install -y -qq --no-install-recommends $missing
