# What a host says about its health. Given: what is wanted; empty for what is not asked. Lists are joined by commas.
#   disk_free, inodes_free and folders   percent, percent, and where
#   memory_free                          percent
#   load                                 hundredths, for each core
#   processes, ports, services           lists
#   since and pattern                    seconds, or "boot"; a regular expression for messages of the kernel
#
# Each line is "otto", the check, the reading, the limit and the verdict, parted by tabs. No tool is needed but df, grep and
# tail, and dmesg and systemctl for what they know. The clock comes first, since it gets older.

say() { printf 'otto\t%s\t%s\t%s\t%s\n' "$@"; }

# CHECK READING LIMIT UNIT
at_least() {
  verdict=ok
  [ "$2" -ge "$3" ] || verdict='NOT OK'
  say "$1" "$2 $4" "at least $3 $4" "$verdict"
}

unknown() { say "$1" "$2" "$3" "NOT OK"; }

# The last number before a percent sign.
percent() { sed -n 's/.*[^0-9]\([0-9][0-9]*\)%.*/\1/p' | tail -n 1; }

disk() {
  used=$(df -P "$1" 2>/dev/null | percent)
  if [ -z "$used" ]; then
    unknown "disk $1" "no such file system" "at least $disk_free % free"
  else
    at_least "disk $1" $((100 - used)) "$disk_free" "% free"
  fi
}

inodes() {
  table=$(df -Pi "$1" 2>/dev/null || df -i "$1" 2>/dev/null) || table=
  used=$(echo "$table" | percent)
  case $used:$table in
    ":") unknown "inodes $1" "the host does not tell" "at least $inodes_free % free" ;;
    :*) say "inodes $1" "without limit" "at least $inodes_free % free" ok ;;
    *) at_least "inodes $1" $((100 - used)) "$inodes_free" "% free" ;;
  esac
}

memory() {
  total=0 free=0 rest=0
  while read -r name value _; do
    case $name in
      MemTotal:) total=$value ;;
      MemAvailable:) free=$value ;;
      MemFree: | Buffers: | Cached:) rest=$((rest + value)) ;;
    esac
  done </proc/meminfo 2>/dev/null
  [ "$free" -gt 0 ] || free=$rest
  if [ "$total" -gt 0 ]; then
    at_least memory $((free * 100 / total)) "$memory_free" "% free"
  else
    unknown memory "the host does not tell" "at least $memory_free % free"
  fi
}

hundredths() { printf '%d.%02d' $(($1 / 100)) $(($1 % 100)); }

load_of_cores() {
  now=
  read -r now _ </proc/loadavg 2>/dev/null
  cores=$(grep -c '^cpu[0-9]' /proc/stat 2>/dev/null)
  limit="at most $(hundredths "$load") for each core"
  if [ -z "$now" ] || [ "${cores:-0}" -lt 1 ]; then
    unknown load "the host does not tell" "$limit"
    return
  fi
  cents=${now#*.}
  each=$(((${now%.*} * 100 + ${cents#0}) / cores))
  verdict=ok
  [ "$each" -le "$load" ] || verdict='NOT OK'
  say load "$(hundredths $each) for each of $cores" "$limit" "$verdict"
}

# Here and without a pipe: a grep would find itself.
runs() {
  case $1 in
    *" "* | */*)
      lines=$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ')
      case $lines in *"$1"*) return 0 ;; esac
      ;;
    *)
      # The kernel keeps 15 bytes of a name.
      wanted=$(printf %.15s "$1")
      for file in /proc/[0-9]*/comm; do
        read -r name <"$file" && [ "$name" = "$wanted" ] && return 0
      done 2>/dev/null
      ;;
  esac
  return 1
}

process() {
  if runs "$1"; then
    say "process $1" runs runs ok
  else
    say "process $1" "does not run" runs "NOT OK"
  fi
}

port() {
  hex=$(printf %04X "$1")
  if cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q ": [0-9A-F]*:$hex [0-9A-F]*:0000 0A "; then
    say "port $1" listens listens ok
  else
    say "port $1" "nobody listens" listens 'NOT OK'
  fi
}

service() {
  if [ ! -d /run/systemd/system ]; then
    unknown "service $1" "the host has no systemd" active
    return
  fi
  state=$(systemctl is-active "$1" 2>/dev/null)
  verdict='NOT OK'
  [ "$state" != active ] || verdict=ok
  say "service $1" "${state:-unknown}" active "$verdict"
}

# A line without a time stamp counts always.
kernel_lines() {
  while IFS= read -r line; do
    stamp=${line#"["}
    stamp=${stamp%%.*}
    stamp=${stamp##* }
    case $stamp in
      '' | *[!0-9]*) ;;
      *) [ "$stamp" -ge "$from" ] || continue ;;
    esac
    printf '%s\n' "$line"
  done
}

kernel() {
  if ! messages=$(dmesg 2>&1); then
    unknown kernel "the host does not tell: $(echo "$messages" | tail -n 1)" "no errors"
    return
  fi
  from=0
  if [ "$since" != boot ]; then
    read -r uptime _ </proc/uptime
    from=$((${uptime%.*} - since))
  fi
  bad=$(echo "$messages" | grep -E -e "$pattern" | kernel_lines)
  if [ -z "$bad" ]; then
    say kernel "no errors" "no errors" ok
  else
    say kernel "$(echo "$bad" | wc -l | tr -d ' ') errors, the last: $(echo "$bad" | tail -n 1 | tr '\t' ' ')" "no errors" "NOT OK"
  fi
}

# CHECK LIST
each() {
  check=$1 IFS=,
  set -f
  set -- $2
  set +f
  unset IFS
  for item; do "$check" "$item"; done
}

now=$(date +%s.%N 2>/dev/null)
case $now in *.*[!0-9]* | *.) now=$(date +%s) ;; esac
printf 'otto\tclock\t%s\n' "$now"
[ -z "$disk_free" ] || each disk "$folders"
[ -z "$inodes_free" ] || each inodes "$folders"
[ -z "$memory_free" ] || memory
[ -z "$load" ] || load_of_cores
each process "$processes"
each port "$ports"
each service "$services"
[ -z "$since" ] || kernel
printf 'otto\tend\n'
