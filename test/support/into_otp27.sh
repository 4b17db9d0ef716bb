#!/bin/sh
# into_otp27.sh ROOT PROGRAM: puts a program of this machine into the root that otp27.sh made, so that a VM in there can
# start it, and prints its path there. Its libraries come along, except those of the C library: that root has a newer
# one, and programs of this machine run with it. Safe to repeat, and at once from several places.
set -eu
root=$1
program=$2
name=$(basename "$program")
place=opt/$name
mkdir -p "$root/$place/lib"

put() { # FROM TO: whole or not at all
  cmp -s "$1" "$2" && return
  cp -L "$1" "$2.$$" && mv -f "$2.$$" "$2"
}

put "$program" "$root/$place/program"
ldd "$program" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | while read -r library; do
  case ${library##*/} in
    libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.* | ld-linux*) ;;
    *) put "$library" "$root/$place/lib/${library##*/}" ;;
  esac
done
cat >"$root/$place/$name.$$" <<END
#!/bin/sh
export LD_LIBRARY_PATH=/$place/lib
exec /$place/program "\$@"
END
chmod +x "$root/$place/$name.$$"
mv -f "$root/$place/$name.$$" "$root/$place/$name"
echo "/$place/$name"
