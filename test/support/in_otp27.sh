#!/bin/sh
# in_otp27.sh ROOT COMMAND...: runs COMMAND inside the root that otp27.sh made. It becomes that command
# (exec), so the pid of the caller's child is the pid of the beam, to be signalled and waited for as usual.
# Root is needed for chroot only; others get it inside a user namespace of their own.
set -eu
root=$1
shift
[ -x "$root/usr/bin/erl" ] || {
  echo "in_otp27: no OTP 27 in $root: run 'make otp27'" >&2
  exit 1
}
export HOME=/root LANG=C.UTF-8
if [ "$(id -u)" = 0 ]; then
  exec chroot "$root" "$@"
else
  exec unshare --map-root-user chroot "$root" "$@"
fi
