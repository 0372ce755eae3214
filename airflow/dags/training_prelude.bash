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

# receive FILE.dvc...: the files as the newest commit pins them.
receive() {
  apart || return 0
  git pull --quiet --ff-only >&2 || fail 5 "git pull did not bring the newest pins."
  for pin in "$@"; do
    [ ! -f "$pin" ] || cryptoml pull-data "${pin%.dvc}" >&2
  done
}

# hand_on FILE...: version the files and publish their pins.
hand_on() {
  apart || return 0
  cryptoml push-data "$@" -m "Data of $RUN_ID" >&2
  git push --quiet >&2 || fail 5 "git push did not hand the pins on."
}

# alone NAME: wait for the end of a training of the same data that was cleared or lost its worker.
# The lock is held by this shell and all that it starts, so it is free exactly when none of them is left.
alone() {
  mkdir -p .cryptoml/locks
  exec 9> ".cryptoml/locks/airflow-$1.lock"
  flock --wait 120 9 || fail 5 "another training of $1 is still running."
}
