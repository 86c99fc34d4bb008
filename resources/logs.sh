# Logs of a host. Given: step, file, most (bytes), and for "new" what "mark" said: inode, size and sum.
#
# The first line begins with "otto" and tells how it went; what comes after it is of the log.

say() { printf 'otto\t%s\n' "$*"; }

of_home() { case $1 in "~/"*) printf '%s/%s' "$HOME" "${1#"~/"}" ;; *) printf %s "$1" ;; esac; }

bytes() { wc -c <"$1" | tr -d ' '; }

inode_of() {
  set -- $(ls -di "$1" 2>/dev/null)
  printf %s "${1:--}"
}

# POSITION FILE: what is in it from there on, unpacked.
from() {
  case $2 in
    *.gz) gzip -dc "$2" | tail -c "+$1" ;;
    *.bz2) bzip2 -dc "$2" | tail -c "+$1" ;;
    *.xz) xz -dc "$2" | tail -c "+$1" ;;
    *.zst) zstd -dcq "$2" | tail -c "+$1" ;;
    *) tail -c "+$1" "$2" ;;
  esac 2>/dev/null
}

digest() {
  for tool in cksum md5sum sha256sum; do
    if command -v "$tool" >/dev/null 2>&1; then
      "$tool"
      return
    fi
  done
  echo otto
}

# A log is known by what stands right before the mark.
sum_before() {
  known=$(($1 < 1024 ? $1 : 1024))
  from $(($1 - known + 1)) "$2" | head -c "$known" | digest
}

is_the_marked() {
  [ -f "$1" ] || return 1
  if [ "$size" -eq 0 ]; then
    [ "$(inode_of "$1")" = "$inode" ]
  else
    [ "$(sum_before "$size" "$1")" = "$sum" ]
  fi
}

# The log and what it was turned into, the newest first.
rotated() { ls -1td "$file" "$file".[0-9]* "$file"-[0-9]* "$file.old" 2>/dev/null; }

# Each file that matches, with its length.
list() {
  IFS=
  set -- $file
  unset IFS
  say "ok"
  for path; do [ ! -f "$path" ] || printf '%s\t%s\n' "$(bytes "$path")" "$path"; done
}

mark() {
  if [ ! -e "$file" ]; then
    say "ok - 0 -"
  elif [ ! -f "$file" ] || [ ! -r "$file" ]; then
    say "unreadable"
  else
    size=$(bytes "$file")
    sum=$(sum_before "$size" "$file")
    case $sum in otto*) say untold ;; *) say "ok $(inode_of "$file") $size $sum" ;; esac
  fi
}

# What is written since the mark: the end of the file that was marked, and all newer ones.
new() {
  if [ ! -f "$file" ]; then
    say gone
  elif [ ! -r "$file" ]; then
    say unreadable
  elif [ "$inode" = - ] || is_the_marked "$file"; then
    say ok
    from $((size + 1)) "$file" | head -c $((most + 1))
  else
    of_rotated
  fi
}

of_rotated() {
  newer=$file
  found=
  while IFS= read -r path; do
    [ "$path" != "$file" ] || continue
    if is_the_marked "$path"; then
      found=$path
      break
    fi
    newer="$path
$newer"
  done <<EOF
$(rotated)
EOF
  if [ -z "$found" ]; then
    say lost
    return
  fi
  say ok
  {
    from $((size + 1)) "$found"
    printf '%s\n' "$newer" | while IFS= read -r path; do from 1 "$path"; done
  } | head -c $((most + 1))
}

last() {
  say "ok $(bytes "$file")"
  tail -c "$most" "$file"
}

file=$(of_home "$file")
"$step"
