#!/bin/sh
# Installs the parts that some tests need: Debian packages, as root, and one package of npm, in a cache directory.
# Installing a package starts no service.
set -eu
if [ "$(id -u)" != 0 ]; then
    echo "make real-parts installs Debian packages: run it as root." >&2
    exit 1
fi
if ! command -v apt-get >/dev/null; then
    echo "make real-parts knows Debian only. It would install: iproute2 git-lfs mawk mount openssh-server" >&2
    echo "openssh-client nginx-light radosgw ceph-mon ceph-osd nodejs npm xfsprogs btrfs-progs sshfs openssh-sftp-server" >&2
    echo "user-mode-linux kmod nfs-kernel-server nfs-common rpcbind docker.io iptables docker-registry mmdebstrap r-base-core," >&2
    echo "gcc libc6-dev g++ make strace openmpi-bin dash zsh fish chromium," >&2
    echo "and npm's azurite." >&2
    exit 1
fi
missing=""
needs() { # PROGRAM PACKAGE...: the packages, if the program is not there
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null || { shift; missing="$missing $*"; }
}
needs ip iproute2
needs git-lfs git-lfs
needs awk mawk
needs mount mount
needs sshd openssh-server
needs ssh-agent openssh-client
needs nginx nginx-light
needs radosgw radosgw
needs ceph-mon ceph-mon
needs ceph-osd ceph-osd
needs node nodejs
needs npm npm
needs mkfs.xfs xfsprogs
needs mkfs.btrfs btrfs-progs
needs sshfs sshfs openssh-sftp-server
needs linux.uml user-mode-linux
needs modprobe kmod
needs rpc.nfsd nfs-kernel-server
needs mount.nfs nfs-common
needs rpcbind rpcbind
needs dockerd docker.io iptables
needs docker docker.io
needs docker-registry docker-registry
needs mmdebstrap mmdebstrap
needs Rscript r-base-core
needs strace strace
needs cc gcc libc6-dev
needs c++ g++
needs make make
needs mpirun openmpi-bin
needs chromium chromium
needs dash dash
needs zsh zsh
needs fish fish
if [ -n "$missing" ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of packages
    apt-get install -y -qq --no-install-recommends $missing
fi
cache="${XDG_CACHE_HOME:-$HOME/.cache}/mltrack-tests"
azurite="$cache/azurite"
if ! [ -x "$azurite/node_modules/.bin/azurite-blob" ]; then
    mkdir -p "$azurite"
    npm install --silent --no-audit --no-fund --prefix "$azurite" azurite@3
fi
if ! [ -s "$cache/base.tar" ]; then # a small Debian with Python: what the containers of the tests begin with
    mkdir -p "$cache"
    mmdebstrap -q --variant=extract --include=python3,python3-venv,libstdc++6,dash,bash,coreutils,base-files,libc-bin \
        bookworm "$cache/base.partial.tar"
    mv "$cache/base.partial.tar" "$cache/base.tar"
fi
