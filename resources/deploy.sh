# One step of a deploy, on a host. Given: step, to, release, keep, and the user's commands install, stop, start and check.
#
# TO/releases/NAME      one folder for each build
# TO/current            the link to the one in use
# TO/releases/.history  those that were in use, one a line, the latest last
# TO/releases/.undo     what is under way: the new build, the old one, how far it is, whether TO is new
#
# A line "otto step NAME" comes before what a command says. The last line that begins with "otto " tells how all ended: ok or
# failed, what, the status of what failed, the build in use (in use before, where it changed), and a remark.
# Every rm and mv has -f: a login shell may have aliases that ask.

say() { printf '\notto %s\n' "$*"; }

fail() {
  say "failed $*"
  exit 0
}

# The build that the link leads to; nothing without one.
current() {
  [ -L "$to/current" ] || return 0
  place=$(cd -P "$to/current" 2>/dev/null && pwd)
  echo "${place##*/}"
}

was_in_use() { grep -qxF -e "$1" "$history" 2>/dev/null; }

# The link moves in one step where mv can do that, as GNU's, busybox's and BSD's can.
point_to() {
  rm -f "$to/.current.otto"
  ln -s "releases/$1" "$to/.current.otto" || return 1
  mv -fT "$to/.current.otto" "$to/current" 2>/dev/null && return 0
  mv -fh "$to/.current.otto" "$to/current" 2>/dev/null && return 0
  rm -f "$to/current" && mv -f "$to/.current.otto" "$to/current"
}

# NAME FOLDER COMMAND
run() {
  [ -n "$3" ] || return 0
  say "step $1"
  (cd "$2" && eval "$3") </dev/null
}

note() { printf '%s\n' "$release" "$old" "$1" "$made" >"$undo"; }

remember() {
  { grep -vxF -e "$release" "$history" 2>/dev/null; echo "$release"; } >"$history.new"
  mv -f "$history.new" "$history"
}

forget() {
  grep -vxF -e "$1" "$history" >"$history.new"
  mv -f "$history.new" "$history"
  rm -rf "${releases:?}/${1:?}"
}

forget_all_but() {
  extra=$(($(wc -l <"$history") - $1))
  while [ "$extra" -gt 0 ]; do
    read -r oldest <"$history"
    forget "$oldest"
    extra=$((extra - 1))
  done
}

# Makes all as it was; nothing to do is fine. Fails when the old build does not start again.
undo() {
  [ -s "$undo" ] || return 0
  { read -r new; read -r old; read -r phase; read -r made; } <"$undo"
  started=0
  if [ "$phase" = switch ]; then
    [ "$(current)" != "$new" ] || run undo "$to/current" "$stop"
    if [ -n "$old" ]; then
      point_to "$old" && run undo "$to/current" "$start" || started=1
    else
      rm -f "$to/current"
    fi
  fi
  was_in_use "$new" || rm -rf "${releases:?}/${new:?}"
  rm -f "$undo" "$to/.current.otto"
  rmdir "$releases" 2>/dev/null
  [ "$made" != yes ] || rmdir "$to" 2>/dev/null
  return "$started"
}

undo_and_fail() {
  undo && fail "$1 $2 $(current)"
  fail "$1 $2 $(current) restart"
}

switch() {
  note switch
  if [ -n "$old" ]; then run stop "$to/current" "$stop" || undo_and_fail stop $?; fi
  say "step link"
  point_to "$release" || undo_and_fail link $?
  run start "$to/current" "$start" || undo_and_fail start $?
  run check "$to/current" "$check" || undo_and_fail check $?
}

# Says same (in use already), kept (it is here, as an earlier one) or new, and what is in use.
prepare() {
  if [ -e "$to/current" ] && [ ! -L "$to/current" ]; then fail taken; fi
  made=yes
  [ ! -d "$to" ] || made=no
  say "step prepare"
  mkdir -p "$releases" || fail prepare $?
  undo
  mkdir -p "$releases" || fail prepare $?
  old=$(current)
  if [ -n "$old" ] && [ ! -d "$releases/$old" ]; then fail taken; fi
  if [ "$old" = "$release" ]; then
    say "ok same 0 $old"
  elif was_in_use "$release" && [ -d "$releases/$release" ]; then
    say "ok kept 0 $old"
  else
    rm -rf "${releases:?}/${release:?}"
    note put || fail prepare $?
    say "ok new 0 $old"
  fi
}

activate() {
  made=no
  [ ! -s "$undo" ] || { read -r _; read -r _; read -r _; read -r made; } <"$undo"
  old=$(current)
  if [ "$old" = "$release" ]; then
    run check "$to/current" "$check" || fail check $? "$old" same
    say "ok same 0 $old"
    return
  fi
  if ! was_in_use "$release"; then run install "$releases/$release" "$install" || undo_and_fail install $?; fi
  switch
  remember
  forget_all_but "$keep"
  rm -f "$undo"
  say "ok done 0 $old"
}

back() {
  undo
  made=no
  old=$(current)
  [ -n "$old" ] || fail none
  release=$(grep -vxF -e "$old" "$history" | tail -n 1)
  if [ -z "$release" ] || [ ! -d "$releases/$release" ]; then fail first 0 "$old"; fi
  switch
  forget "$old"
  rm -f "$undo"
  say "ok back 0 $old $release"
}

remove() {
  undo
  old=$(current)
  if [ -n "$old" ]; then run stop "$to/current" "$stop" || fail stop $? "$old"; fi
  if [ -L "$to/current" ]; then rm -f "$to/current"; fi
  say "step remove"
  rm -rf "${releases:?}" || fail remove $?
  rmdir "$to" 2>/dev/null
  say "ok removed 0 $old"
}

give_up() {
  undo || fail undo 0 "$(current)" restart
  say "ok undone 0 $(current)"
}

tell() { say "ok tell 0 $(current)"; }

case $to in "~/"*) to=$HOME/${to#"~/"} ;; esac
releases=$to/releases history=$to/releases/.history undo=$to/releases/.undo
"$step" 2>&1
