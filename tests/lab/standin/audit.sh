# Sourced by the shell parts of the stand-in: writes lines of the node's audit log.
_lab=/var/lib/lab

_json() { # REPLY = $1 as the inside of a JSON string
  REPLY=${1//\\/\\\\}
  REPLY=${REPLY//\"/\\\"}
  REPLY=${REPLY//$'\n'/\\n}
  REPLY=${REPLY//$'\t'/\\t}
  REPLY=${REPLY//[[:cntrl:]]/?}
}

audit() { # KIND COMMAND
  local -x TZ=UTC
  local at user tty=false command now=$EPOCHREALTIME
  printf -v at '%(%Y-%m-%dT%H:%M:%S)T.%sZ' "${now%.*}" "${now#*.}"
  _json "$2" && command=$REPLY
  _json "${SUDO_USER:-${USER:-${LOGNAME:-?}}}" && user=$REPLY
  [[ -t 0 ]] && tty=true
  printf '{"at": "%s", "kind": "%s", "user": "%s", "command": "%s", "tty": %s}\n' \
    "$at" "$1" "$user" "$command" "$tty" >>"$_lab/audit.jsonl"
}
