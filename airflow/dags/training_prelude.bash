# Common functions of the tasks, sourced by `bash -euo pipefail` in the project folder.
# Values are passed as environment variables. A task returns the last line of stdout, so everything else goes to stderr.

# Keep this shell alive on SIGTERM until its command ends, so that the guard can kill both if the command does not stop.
trap 'exit 143' TERM

fail() { echo "$2" >&2; exit "$1"; }
needs() { [ -n "$1" ] && [ -f "$1" ] || fail 4 "$2: there is no such file: '$1'."; }

# The connection `cryptoml_dagshub`, if it exists, takes precedence over the worker's environment and .env.
for name in DAGSHUB_CLIENT_HOST DAGSHUB_USERNAME DAGSHUB_TOKEN DAGSHUB_REPO; do
  given="CONNECTION_$name"
  [ -z "${!given}" ] || export "$name=${!given}"
  unset "$given"
done

config=()
[ -z "$CONFIG" ] || config=(--config "$CONFIG")
message=()
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then message=(-m "Data of $RUN_ID"); fi

# If tasks run on different machines (handover: version), git transfers the pins and DVC the files.
apart() { [ "$HANDOVER" = version ]; }

# turn, over: lock and unlock the clone, which all tasks on a machine share.
turn() {
  mkdir -p .cryptoml/locks
  exec 8> .cryptoml/locks/clone.lock
  flock --wait 600 8 || fail 5 "another task has held the clone for ten minutes."
}
over() { exec 8>&-; }

# Rebase unpushed commits onto the remote branch; if both changed a pin, the remote version wins.
catch_up() {
  git rebase --abort 2>/dev/null || true # from an interrupted task
  git pull --quiet --rebase --autostash --strategy-option=ours >&2
}

# receive FILE.dvc...: get the files that the latest commit pins, overwriting changes of interrupted tasks.
receive() {
  apart || return 0
  local pin files=()
  turn
  catch_up || fail 5 "git pull failed, so the latest pins are not here."
  for pin in "$@"; do
    [ ! -f "$pin" ] || files+=("${pin%.dvc}")
  done
  [ ${#files[@]} = 0 ] || cryptoml pull-data --force "${files[@]}" >&2
  over
}

# publish FILE...: version the files and push their pins; retried if another machine has pushed in the meantime.
publish() {
  apart || return 0
  local wait_s
  turn
  cryptoml push-data "$@" -m "Data of $RUN_ID" >&2
  for wait_s in 0 1 2 3 4; do
    sleep "$wait_s"
    [ "$wait_s" = 0 ] || catch_up || break
    ! git push --quiet >&2 || { over; return 0; }
  done
  fail 5 "git push failed, so the pins are not published."
}

# alone NAME: wait until a previous training on the same data, cleared or without its worker, has ended.
# This shell and all its children hold the lock, so it is free only when all of them have ended.
alone() {
  mkdir -p .cryptoml/locks
  exec 9> ".cryptoml/locks/airflow-$1.lock"
  flock --wait 120 9 || fail 5 "another training of $1 is still running."
}
