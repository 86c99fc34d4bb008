"""The shell text of an agent's steps, for POSIX sh and for busybox.

Each step is the body of a function. It gets its arguments as variables and reports what it found with ``say key value``,
or ``say fail reason`` before it returns. ``$H`` is the path of what is unfinished.
"""

# The exit trap holds in the shell that lives as long as the transfer.
HELD = """H=
trap 'trap "" HUP INT TERM; [ -z "$H" ] || rm -rf -- "$H"' EXIT
trap 'exit 1' HUP INT TERM
"""
PLAIN = "H=\n"
# $K begins each report. Values may contain anything else: the paths of a host are bytes, newlines included.
WORDS = r"""
LC_ALL=C; export LC_ALL
ORIGIN=$PWD
say() { printf '\n%s:%s:%s' "$K" "$1" "$2"; [ "$1" != . ] || echo; }
absolute() { case $T in /*) ;; *) T=$PWD/$T ;; esac; }
facts() { stat -L -c '%s %Y %a' -- "$1" 2>/dev/null || stat -L -f '%z %m %Lp' -- "$1"; }
tool() {
  [ -n "$TOOLS" ] || return 0
  for X in $TOOLS; do ! command -v "$X" >/dev/null 2>&1 || { say tool "$X"; return 0; }; done
  say fail "it has none of $TOOLS to verify the bytes with; use verify=no"
  return 1
}
sum() {
  case $TOOL in
    openssl) S=$(openssl dgst -sha256 -r) ;;
    shasum) S=$(shasum -a 256) ;;
    *) S=$("$TOOL") ;;
  esac
  S=${S%% *}
}
# What may help when a file cannot be replaced, such as one that a container has from outside: it is written into.
hint() { [ -n "$INTO" ] || [ ! -f "$T" ] || [ ! -w "$T" ] || printf %s "; in_place=yes writes into the file that exists"; }
# Content goes into the file that exists; a file of the kernel shows it in its own words, and is not compared.
into() {
  E=$( (true >>"$T") 2>&1) || { say fail "cannot write into '$T' (${E##*: }); it is as it was"; return 1; }
  E=$( (cat <"$Z" >"$T") 2>&1) || { say fail "writing into '$T' failed (${E##*: }); its content may not be whole"; return 1; }
  case $T in /proc/* | /sys/*) return 0 ;; esac
  S=$SUM; [ -z "$TOOL" ] || sum <"$T"
  [ "$(($(wc -c <"$T")))" = "$SIZE" ] && [ "$S" = "$SUM" ] && return
  say fail "'$T' has other content than was written into it"
  return 1
}
"""
# A step may leave the shell elsewhere, and the same shell serves the next transfer.
BACK = 'cd -- "$ORIGIN"\n'
# `true` where `:` would do: in busybox, a redirection that fails for a special built-in ends more than its own command.
PLACE = r"""
absolute
F=; case $T in */) F=$T ;; *) [ ! -d "$T" ] || F=$T/ ;; esac
if [ -n "$F" ]; then T=$F$N; else F=${T%/*}/; fi
if [ ! -d "$F" ]; then
  case $(ls -d -- "$F" 2>&1) in *denied*) say fail "the folder '${F%/}' cannot be entered (permission denied)"; return ;; esac
  [ -n "$P" ] || { say fail "the folder '${F%/}' does not exist; create it, or use parents=yes"; return; }
  E=$(mkdir -p -- "$F" 2>&1) || { say fail "$E"; return; }
fi
[ ! -d "$T" ] || { say fail "'$T' is a directory"; return; }
[ ! -L "$T" ] || { L=$(readlink -f -- "$T" && echo x) && T=${L%?x} F=${T%/*}/; }
if [ -L "$T" ] && [ ! -e "$T" ]; then
  E=$( (true <"$T") 2>&1)
  case ${E##*: } in *levels* | *loop*) say fail "'$T' is a symbolic link that leads back to itself"; return ;; esac
fi
[ ! -e "$T" ] || [ -f "$T" ] || { say fail "'$T' is not a regular file"; return; }
tool || return
say path "$T"
[ ! -f "$T" ] || say old "$(facts "$T")"
Z=$F$W
[ -z "$INTO" ] || [ ! -f "$T" ] || Z=${TMPDIR:-/tmp}/$W
[ -n "$R" ] || { H=$Z; say holds "$Z"; }
A=0; [ -z "$R" ] || [ ! -f "$Z" ] || A=$(($(wc -c <"$Z")))
if [ "$A" = 0 ] || [ "$A" -gt "$SIZE" ]; then
  A=0
  E=$( (umask 077; true >"$Z") 2>&1) || {
    H=; say holds ""
    say fail "cannot create a file in '${Z%/*}/' (${E##*: })$(hint)"
    return
  }
fi
say temporary "$Z"
say present "$A"
"""
KEEP = r"""
A=$(($(wc -c <"$Z")))
[ "$A" = "$SIZE" ] || { say fail "$A of $SIZE bytes arrived"; return; }
if [ -n "$TOOL" ]; then
  sum <"$Z"
  [ "$S" = "$SUM" ] || { rm -f -- "$Z"; say fail "the $TOOL checksum is $S there and $SUM here"; return; }
fi
if [ -n "$INTO" ]; then
  into || return
  [ -z "$STRICT" ] || E=$(chmod "$MODE" "$T" 2>&1) || { say fail "$E"; return; }
  rm -f -- "$Z"
  H=
  return
fi
E=$(chmod "$MODE" "$Z" 2>&1) || {
  [ -z "$STRICT" ] || { say fail "$E"; return; }
  say mode "The file mode could not be kept: $E"
}
E=$(TZ=UTC0 touch -t "$STAMP" "$Z" 2>&1) || say time "The modification time could not be kept: $E"
E=$(mv -f -- "$Z" "$T" 2>&1) || { say fail "$E$(hint)"; return; }
H=
"""
LINK = r"""
rm -f -- "$Z"
E=$( { ln -s -- "$L" "$Z" && mv -f -- "$Z" "$T"; } 2>&1) || { say fail "$E"; return; }
H=
"""
PLACE_FOLDER = r"""
absolute
case $T in */) T=$T$N ;; *) [ ! -d "$T" ] || T=$T/$N ;; esac
F=${T%/*}/
if [ ! -d "$F" ]; then
  case $(ls -d -- "$F" 2>&1) in *denied*) say fail "the folder '${F%/}' cannot be entered (permission denied)"; return ;; esac
  [ -n "$P" ] || { say fail "the folder '${F%/}' does not exist; create it, or use parents=yes"; return; }
  E=$(mkdir -p -- "$F" 2>&1) || { say fail "$E"; return; }
fi
[ ! -e "$T" ] || [ -d "$T" ] || { say fail "'$T' exists and is not a folder"; return; }
tool || return
[ ! -d "$T" ] || { say exists yes; F=$T/; }
H=$F$W; say holds "$H"
E=$( (umask 077; mkdir -- "$H") 2>&1) || { H=; say holds ""; say fail "cannot create a folder in '${F%/}/' (${E##*: })"; return; }
! command -v tar >/dev/null 2>&1 || say tar yes
say path "$T"
say temporary "$H"
"""
MAKE_FOLDERS = r"""
cd -- "$T" || return
E=$(mkdir -p -- NAMES 2>&1) || say fail "$E"
"""
TOUCH = r"""
E=$( (umask 077; true >"$T") 2>&1) || say fail "$E"
"""
UNPACK = r"""
E=$( { cd -- "$Z" && tar xpf "$A" && rm -f -- "$A"; } 2>&1) || say fail "$E"
"""
PACK = r"""
H=${TMPDIR:-/tmp}/$W; say holds "$H"
E=$( (umask 077; cd -- "$T" && tar "$FLAGS" "$H" .) 2>&1) || { say fail "$E"; return; }
say path "$H"
say facts "$(facts "$H")"
"""
SUMS = r"""
case $TOOL in
  openssl) C='openssl dgst -sha256 -r' ;;
  shasum) C='shasum -a 256' ;;
  *) C=$TOOL ;;
esac
E=$( { cd -- "$T" && find $FOLLOW . -name '.otto-*.part' -prune -o -type f -exec $C {} +; } 2>&1) || { say fail "$E"; return; }
say sums "$E"
"""
KEEP_FOLDER = r"""
merge() {
  for X in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    Y=$2/${X##*/}
    if [ -d "$X" ] && [ ! -L "$X" ] && [ -d "$Y" ]; then (merge "$X" "$Y") && rmdir -- "$X" || return 1; fi
  done
  find "$1" -mindepth 1 -maxdepth 1 -exec sh -c 'T=$1; shift; mv -f -- "$@" "$T/"' sh "$2" {} +
}
if [ -d "$T" ]; then
  E=$( { merge "$Z" "$T" && rmdir -- "$Z"; } 2>&1) || { say fail "$E"; return; }
else
  E=$(mv -f -- "$Z" "$T" 2>&1) || { say fail "$E"; return; }
fi
H=
"""
LOOK_FOLDER = r"""
absolute
[ "$T" = / ] || T=${T%/}
[ -e "$T" ] || { say fail "'$T' does not exist"; return; }
[ -d "$T" ] || { say fail "'$T' is not a folder; use 'Get File From Host'"; return; }
[ -r "$T" ] && [ -x "$T" ] || { say fail "'$T' cannot be read (permission denied)"; return; }
tool || return
! command -v tar >/dev/null 2>&1 || say tar yes
say path "$T"
"""
# One line for each, links too; what cannot be looked at will be missing in the archive as well.
SIZES = r"""
cd -- "$T" || { say fail "'$T' cannot be entered"; return; }
if stat -c %s . >/dev/null 2>&1; then C='stat -c %s'; else C='stat -f %z'; fi
S=$(find $FOLLOW . -exec $C $FOLLOW {} + 2>/dev/null)
[ -n "$S" ] || { say fail "it has no find or no stat to measure the folder with"; return; }
say sizes "$S"
say odd "$(find $FOLLOW . ! -type f ! -type d ! -type l 2>/dev/null)"
"""
TREE = r"""
say tree ""
cd -- "$T" && K=$K find $FOLLOW . -exec sh -c '
for X in "$@"; do
  Y=o
  if [ -L "$X" ] && [ -z "$0" ]; then Y=l; elif [ -d "$X" ]; then Y=d; elif [ -f "$X" ]; then Y=f; elif [ -L "$X" ]; then
    [ -e "$X" ] || Y=b
  fi
  printf "
%s-%s:%s" "$K" "$Y" "${X#./}"
done' "$FOLLOW" {} +
"""
DROP = r"""
rm -rf -- ${Z:+"$Z"} ${W:+"${TMPDIR:-/tmp}/$W"}
H=
"""
ROOM = r"""
set -- $(df -Pk "${Z%/*}/" | tail -n 1)
say free "$4"
"""
LOOK = r"""
absolute
[ -e "$T" ] || { say fail "'$T' does not exist"; return; }
[ ! -d "$T" ] || { say fail "'$T' is a directory; use 'Get Directory From Host'"; return; }
[ -f "$T" ] || { say fail "'$T' is not a regular file"; return; }
[ -r "$T" ] || { say fail "'$T' cannot be read (permission denied)"; return; }
tool || return
X=$(facts "$T")
# The kernel's files have no size, or that of a page, whatever is in them.
A=${X%% *}
B=$A; [ "${A:-0}" -gt 65536 ] || B=$(($(head -c 65537 <"$T" 2>/dev/null | wc -c)))
[ "$B" != 0 ] || E=$( (cat <"$T" >/dev/null) 2>&1) || { say fail "${E##*cat: }"; return; }
if [ "$B" -lt "${A:-0}" ] || { [ "$A" = 0 ] && [ "$B" -gt 0 ]; }; then
  H=${TMPDIR:-/tmp}/$W; say holds "$H"
  E=$( (umask 077; cat <"$T" >"$H") 2>&1) || { say fail "${E##*cat: }"; return; }
  T=$H X="$(($(wc -c <"$H"))) ${X#* }"
fi
say path "$T"
say facts "$X"
"""
POINTS_TO = r"""
absolute
L=; [ ! -L "$T" ] || { L=$(readlink -- "$T" && echo x) && L=${L%?x}; }
say link "$L"
"""
SUM = r"""
sum <"$T"
A=$(($(wc -c <"$T")))
[ "$SIZE" -ge 0 ] || SIZE=$A
[ "$A" -ge "$SIZE" ] || S=
# It has grown: its first bytes are what was asked for.
[ "$A" -le "$SIZE" ] || S=$(head -c "$SIZE" <"$T" | { sum; printf %s "$S"; })
say sum "$S"
"""
NAMES = r"""
absolute
[ -d "$T" ] || { [ -e "$T" ] && say fail "'$T' is not a folder" || say fail "'$T' does not exist"; return; }
[ -r "$T" ] && [ -x "$T" ] || { say fail "'$T' cannot be read (permission denied)"; return; }
I=0
for X in "${T%/}"/* "${T%/}"/.[!.]* "${T%/}"/..?*; do
  [ -e "$X" ] || [ -L "$X" ] || continue
  I=$((I + 1)); Y=${X##*/}
  [ ! -d "$X" ] || Y=$Y/
  say "$I" "$Y"
done
"""
REMOVE = r"""
absolute
[ ! -d "$T" ] || [ -L "$T" ] || { say fail "'$T' is a folder"; return; }
E=$(rm -f -- "$T" 2>&1) || say fail "$E"
"""
MAKE_FOLDER = r"""
absolute
E=$(mkdir -p -- "$T" 2>&1) || say fail "$E"
"""
EXPAND = r"""
I=0
for X in "$@"; do
  [ -e "$X" ] || [ -L "$X" ] || continue
  [ -n "$D" ] || [ ! -d "$X" ] || continue
  I=$((I + 1)); say "$I" "$X"
done
"""
