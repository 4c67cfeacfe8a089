#!/bin/bash
# Stand-in for the appliance's upgrade script. Its behaviours are chosen by the node's knobs.
. /opt/keysecure/lib/standin/audit.sh
. /var/lib/lab/knobs.sh
PATH=/opt/keysecure/private:$PATH # where a bare node keeps its gpg
keyring=/opt/keysecure/keyring
marker=$_lab/upgrade.json

say() { # the real script's stamps have the month where the minute should be
  printf '%s: %s\n' "$(date '+%Y-%m-%d %H:%m:%S%z')" "$1"
}

mark() { # PHASE SERVICES
  local effective=true
  [[ $KNOB_fail == old_version_after_reboot ]] && effective=false
  printf '{"phase": "%s", "services": "%s", "target": "%s", "boot": "%s", "effective": %s}\n' \
    "$1" "$2" "$target" "$(</proc/sys/kernel/random/boot_id)" "$effective" >"$marker.new"
  chmod 600 "$marker.new"
  mv "$marker.new" "$marker"
}

finish() { # CODE
  [[ $! ]] && sleep 0.5 # tee must write its last lines before the end of the screen session ends it too
  audit upgrade-end "exit $1"
  exit "${KNOB_exit_code:-$1}"
}

refuse() {
  audit upgrade-refused "$1"
  echo "ERROR: $1" >&2
  exit "${KNOB_exit_code:-1}"
}

work() { # the upgrade itself; its output is the log
  exec 9>/run/ks_upgrade.lock
  flock -n 9 || refuse "another upgrade is already running"
  [[ $(cat "$marker" 2>/dev/null) == *'"succeeded"'* ]] && audit REPEATED-UPGRADE "run again before the reboot"
  audit upgrade-start "$target"
  mark running starting
  local pause polls=17 i
  pause=$(awk -v s="$KNOB_upgrade_seconds" 'BEGIN { print s / 18 }')
  for ((i = 1; i <= polls; i++)); do
    sleep "$pause"
    if [[ $KNOB_fail == at_once || ($KNOB_fail == middle && $i == 9) ]]; then
      mark failed started
      say "Upgrade to $target failed: the database could not be migrated"
      finish 1
    fi
    [[ $KNOB_fail == hang && $i == 9 ]] && sleep infinity
    ((i <= 11)) && say "status: error" || say "status: starting"
    mark running "$( ((i <= 11)) && echo error || echo starting)"
  done
  if [[ $KNOB_fail == no_verdict ]]; then
    mark failed started
    finish 1
  fi
  sleep "$pause"
  say started
  mark succeeded started
  say "Upgrade to $target succeeded"
  say "Reboot the instance to finish the upgrade"
  finish 0
}

check() { # sets target from the archive, or refuses
  local installed lowest
  [[ $EUID == 0 ]] || refuse "must be run as root"
  [[ $archive ]] || refuse "usage: ks_upgrade.sh -f <archive>"
  [[ -r $archive ]] || refuse "$archive: no such file"
  flock -n /run/ks_upgrade.lock true || refuse "another upgrade is already running"
  sleep "$KNOB_check_seconds"
  gpgv --quiet --keyring "$keyring" "$archive" 2>/run/ks_upgrade.gpg || refuse "the signature of $archive is bad"
  target=$(gpg --quiet --homedir /opt/keysecure/gpg --no-default-keyring --keyring "$keyring" \
    --decrypt "$archive" 2>/dev/null | tar -xzOf - --occurrence=1 MANIFEST 2>/dev/null)
  target=${target#version: }
  [[ $target =~ ^[0-9]+\.[0-9]+\.[0-9]+\+[0-9]+$ ]] || refuse "$archive is not an upgrade archive"
  installed=$(<"$_lab/version")
  lowest=$(printf '%s\n' "$installed" "$target" | sort -V | head -n 1)
  [[ $lowest == "$installed" ]] || refuse "cannot downgrade from $installed to $target"
}

detached() { # runs the upgrade so that nothing of this session ends it
  trap '' HUP # the terminal may be gone before the child has its own session
  setsid -f /bin/bash /opt/keysecure/ks_upgrade.sh --work "$target" </dev/null >>"$log" 2>&1
}

on_terminal() {
  printf '\n%s\n%s\n%s\n\n' "IMPORTANT: Do not restart or power cycle the device during the upgrade." \
    "Some services may fail to start correctly if the device is restarted before the upgrade completes." \
    "Contact customer support if your device fails to restart."
  case $KNOB_tty in
    screen)
      echo "Detected a terminal, launching a screen session, session recorded in log file ($1)."
      sleep "$KNOB_launch_seconds"
      mkdir -p -m 775 /run/screen && chgrp utmp /run/screen
      screen -S ks_upgrade /bin/bash /opt/keysecure/ks_upgrade.sh --in-screen "$target" "$log" || return
      echo "Showing the last 20 lines of the log file ($1), for convenience. Open the file for more details."
      echo
      tail -n 20 "$log"
      return "${KNOB_exit_code:-0}"
      ;;
    background)
      detached
      echo "The upgrade runs in the background, see log file ($1)."
      ;;
    foreground) work > >(exec tee -a "$log") 2>&1 ;;
  esac
}

without_terminal() {
  case $KNOB_notty in
    returns) detached ;;
    survives)
      trap '' HUP PIPE
      work > >(trap '' HUP PIPE; exec tee -p -a "$log") 2>&1
      ;;
    foreground) work > >(exec tee -a "$log") 2>&1 ;;
  esac
}

case $1 in
  --work) # internal: the output is the log already
    target=$2
    work
    ;;
  --in-screen)
    target=$2
    work > >(exec tee -a "$3") 2>&1
    ;;
esac
archive=
[[ $1 == -f ]] && archive=$2
audit upgrade-call "ks_upgrade.sh $*"
check
name=ks_upgrade_$(date +%Y-%m-%d-%H%M%S).log
log=${KNOB_log_dir:-$PWD}/$name
umask 022
: >>"$log"
if [[ -t 0 && -t 1 ]]; then on_terminal "$name"; else without_terminal; fi
