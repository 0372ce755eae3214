# What every step has before its own lines; sourced by `bash -euo pipefail` in the project folder.
# Values come as environment variables. What a step hands on is the last line it prints, so the rest goes to stderr.

# Outlive the command that runs, so that the guard around this shell can still kill it when it does not stop.
trap 'exit 143' TERM

fail() { echo "$2" >&2; exit "$1"; }
needs() { [ -n "$1" ] && [ -f "$1" ] || fail 4 "$2: there is no such file: '$1'."; }

# The connection `cryptoml_dagshub`, where there is one, stands above the worker's environment and .env.
for name in DAGSHUB_CLIENT_HOST DAGSHUB_USERNAME DAGSHUB_TOKEN DAGSHUB_REPO; do
  given="CONNECTION_$name"
  [ -z "${!given}" ] || export "$name=${!given}"
  unset "$given"
done

config=()
[ -z "$CONFIG" ] || config=(--config "$CONFIG")
message=()
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then message=(-m "Data of $RUN_ID"); fi

# Where each task lands on a machine of its own (handover: version), git carries the pins and DVC the files.
apart() { [ "$HANDOVER" = version ]; }

# turn, over: one step at a time works on the clone; those of one machine share it, as the DAGs share a project.
turn() {
  mkdir -p .cryptoml/locks
  exec 8> .cryptoml/locks/clone.lock
  flock --wait 600 8 || fail 5 "another step has been working on the clone for ten minutes."
}
over() { exec 8>&-; }

# What was committed here and never pushed goes on top of what others pushed; where both pinned a file, theirs counts.
catch_up() {
  git rebase --abort 2>/dev/null || true # of a step that was cut off
  git pull --quiet --rebase --autostash --strategy-option=ours >&2
}

# receive FILE.dvc...: the files as the newest commit pins them, whatever a step that was cut off has left of them here.
receive() {
  apart || return 0
  local pin files=()
  turn
  catch_up || fail 5 "git pull did not bring the newest pins."
  for pin in "$@"; do
    [ ! -f "$pin" ] || files+=("${pin%.dvc}")
  done
  [ ${#files[@]} = 0 ] || cryptoml pull-data --force "${files[@]}" >&2
  over
}

# hand_on FILE...: version the files and publish their pins, again when another machine was quicker.
hand_on() {
  apart || return 0
  local wait_s
  turn
  cryptoml push-data "$@" -m "Data of $RUN_ID" >&2
  for wait_s in 0 1 2 3 4; do
    sleep "$wait_s"
    [ "$wait_s" = 0 ] || catch_up || break
    ! git push --quiet >&2 || { over; return 0; }
  done
  fail 5 "git push did not hand the pins on."
}

# alone NAME: wait for the end of a training of the same data that was cleared or lost its worker.
# The lock is held by this shell and all that it starts, so it is free exactly when none of them is left.
alone() {
  mkdir -p .cryptoml/locks
  exec 9> ".cryptoml/locks/airflow-$1.lock"
  flock --wait 120 9 || fail 5 "another training of $1 is still running."
}
