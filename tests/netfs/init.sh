#!/bin/bash
# The first process of a user-mode Linux: a kernel NFS server and two kernel NFS clients of it, on one machine.
#   /mnt/export   the server's own directory      /mnt/v4  the same over NFS 4.2      /mnt/v3  the same over NFS 3
# The root is the host's, read-only. What GUEST (on the kernel's command line) prints is the result.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/home TMPDIR=/run/tmp LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
for place in /run /mnt /var/lib/nfs; do mount -t tmpfs tmpfs $place; done
mkdir -p /run/home /run/tmp /run/rpcbind /run/modules/lib /mnt/export /mnt/v4 /mnt/v3
mkdir -p /var/lib/nfs/{sm,sm.bak,v4recovery,rpc_pipefs}
touch /var/lib/nfs/{etab,rmtab,state}
ln -s /usr/lib/uml/modules /run/modules/lib/modules
hostname guest
for module in nfsd nfsv3 nfsv4; do modprobe -d /run/modules $module; done
ip link set lo up
mount -t tmpfs tmpfs /mnt/export
mount -t nfsd nfsd /proc/fs/nfsd
mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
echo 1 >/proc/sys/fs/nfs/nlm_grace_period # else nothing can be locked for the first 90 s
echo 10 >/proc/fs/nfsd/nfsv4leasetime
echo 10 >/proc/fs/nfsd/nfsv4gracetime
rpcbind -w
exportfs -o rw,no_root_squash,insecure,fsid=0,no_subtree_check 127.0.0.1:/mnt/export
rpc.statd --no-notify
rpc.mountd 2>/dev/null
rpc.nfsd -H 127.0.0.1 4
mount -t nfs -o vers=4.2,tcp,retry=1 127.0.0.1:/ /mnt/v4
mount -t nfs -o vers=3,tcp,retry=1,nosharecache 127.0.0.1:/mnt/export /mnt/v3
eval "$GUEST"
echo "GUEST ENDED"
echo o >/proc/sysrq-trigger
sleep 10
