#!/bin/sh
# otp27.sh [DEST]: unpacks the OTP 27 of Debian trixie into DEST (default build/otp27), a root in which
# `in_otp27.sh DEST erl ...` runs a real OTP 27 beside the machine's own OTP 25.
#
# Why a root of its own: trixie's beam wants a newer libc than bookworm has, so its packages come with all
# that they depend on. They are unpacked, never installed: apt works on a state, a cache and a dpkg status
# (empty) of its own, so the machine's packages and lists stay as they are, while signatures are checked as
# usual. The mirror is the one that the machine's own apt sources name; only the suite is changed.
# A chroot shares the network, so these nodes meet the others over loopback and the same epmd. Nothing is
# mounted, so nothing has to be unmounted: deleting DEST is all there is to cleaning up.
#
# Safe to repeat (a stamp ends it early) and to interrupt (DEST appears by one rename when it works).
set -eu

suite=trixie
packages="base-files dash coreutils erlang-base erlang-crypto erlang-runtime-tools erlang-tools"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
here=$(cd "$(dirname "$0")" && pwd)
dest=${1:-$here/../../build/otp27}
case $dest in /*) ;; *) dest=$PWD/$dest ;; esac

fail() {
  echo "otp27: $*" >&2
  exit 1
}

# The first URI of a `deb` source for this machine's release, from both formats that apt reads.
mirror() {
  find /etc/apt/sources.list /etc/apt/sources.list.d -type f \
    \( -name '*.list' -o -name '*.sources' \) 2>/dev/null | sort | while read -r file; do
    case $file in
      *.sources) deb822 "$file" ;;
      *) one_line "$file" ;;
    esac
  done | head -n 1
}

one_line() {  # deb [option=value ...] URI SUITE COMPONENT...
  awk -v codename="$codename" '
    $1 == "deb" { sub(/^[ \t]*deb[ \t]+/, ""); sub(/^\[[^]]*\][ \t]*/, ""); if ($2 == codename) print $1 }
  ' "$1"
}

deb822() {  # stanzas of "Field: value", ended by an empty line; a continued line starts with a blank
  awk -v codename="$codename" '
    function stanza(   i, n, suites, uris) {
      n = split(value["suites"], suites, " ")
      for (i = 1; i <= n; i++)
        if (suites[i] == codename && (" " value["types"] " ") ~ / deb / && value["enabled"] != "no") {
          split(value["uris"], uris, " "); print uris[1]
        }
      split("", value)
    }
    /^#/ { next }
    /^[ \t]*$/ { stanza(); next }
    /^[ \t]/ { value[field] = value[field] " " $0; next }
    { field = tolower(substr($0, 1, index($0, ":") - 1)); v = substr($0, index($0, ":") + 1)
      gsub(/^[ \t]+|[ \t]+$/, "", v); value[field] = v }
    END { stanza() }
  ' "$1"
}

# Everything apt would write to or take decisions from, moved into $work. Read after the machine's own
# configuration (-c), so that a proxy set there still counts, and the hooks set there do not run.
apt_config() {
  cat <<EOF
Dir::State "$work/state";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "$work/none";
Dir::Etc::preferences "$work/none/preferences";
Dir::Etc::preferencesparts "$work/none";
Dir::Log "$work/log";
APT::Install-Recommends "false";
APT::Default-Release "";
APT::Sandbox::User "";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
EOF
}

fetch() {
  mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/none" "$work/log"
  : > "$work/status"
  echo "deb [signed-by=$keyring] $uri $suite main" > "$work/sources.list"
  apt_config > "$work/apt.conf"
  apt-get -c "$work/apt.conf" -qq -o APT::Update::Error-Mode=any update ||
    fail "apt could not read $suite from the mirror in the machine's apt sources (see above)." \
      "If it named a missing key, debian-archive-keyring is too old: apt-get install debian-archive-keyring"
  # shellcheck disable=SC2086 # a list of words
  apt-get -c "$work/apt.conf" -qq -y --download-only install $packages >"$work/log/download" 2>&1 || {
    cat "$work/log/download" >&2
    fail "apt could not download the packages of $suite (see above)"
  }
}

unpack() {
  # base-files first: it brings the links /bin -> usr/bin, /lib -> usr/lib that the others build upon.
  for deb in "$work"/cache/archives/base-files_*.deb "$work"/cache/archives/*.deb; do
    dpkg-deb --extract "$deb" "$root"
  done
  rm -rf "$root"/usr/share/doc "$root"/usr/share/man "$root"/usr/share/locale "$root"/usr/share/info
  mkdir -p "$root/dev" "$root/tmp" "$root/root"
  chmod 1777 "$root/tmp"
  # Without the right to make a device an empty file does: reads end at once, and little is written.
  mknod -m 666 "$root/dev/null" c 1 3 2>/dev/null || : > "$root/dev/null"
  mknod -m 666 "$root/dev/urandom" c 1 9 2>/dev/null || true
  cp /etc/hosts "$root/etc/hosts" 2>/dev/null || true
  cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
}

check() {
  release=$("$here/in_otp27.sh" "$root" erl -noshell -boot start_clean \
    -eval 'io:put_chars(erlang:system_info(otp_release)), halt().') ||
    fail "the unpacked erl does not start (see above)"
  [ "$release" = 27 ] || fail "$suite has OTP $release, not 27"
}

[ -e "$dest/.otp27" ] && {
  echo "otp27: $dest is ready ($(cat "$dest/.otp27"))"
  exit 0
}
[ -r "$keyring" ] || fail "no $keyring: apt-get install debian-archive-keyring"
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
uri=$(mirror)
[ -n "$uri" ] ||
  fail "no 'deb' source for '$codename' in /etc/apt/sources.list or /etc/apt/sources.list.d to take the mirror from"

mkdir -p "$(dirname "$dest")"
exec 9> "$dest.lock"
flock 9 # a second run waits for the first and then finds its stamp
[ -e "$dest/.otp27" ] && exit 0
work=$dest.apt
root=$dest.tmp
rm -rf "$work" "$root" "$dest"
mkdir -p "$root"
fetch
unpack
check
(cd "$work/cache/archives" && ls erlang-base_*.deb) | sed 's/.*_1%3a//; s/_.*//' > "$root/.otp27"
mv "$root" "$dest"
rm -rf "$work" "$dest.lock"
echo "otp27: $dest is ready ($(cat "$dest/.otp27"))"
