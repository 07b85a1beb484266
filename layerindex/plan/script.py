"""The plan as a shell script: it lists its steps, and does those it is given, with a look at the engine before each."""

from __future__ import annotations

import os
import re
import shlex
import sys
from typing import TYPE_CHECKING

from layerindex.errors import UsageError
from layerindex.names import printable
from layerindex.plan import commands, steps
from layerindex.plan.text import headline, remarks, what
from layerindex.render import human_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layerindex.plan.steps import Plan, Step
    from layerindex.plan.things import Store, Thing

COMMON = r"""
left=0
say() { printf '%s\n' "$*"; }
leave() { left=$((left + 1)); say "  left: $*"; }
run() { say "  $*"; "$@" || leave "that ended with $?"; }
# same PATH PATH: the same words, or the same folder, which is here.
same() { [ "$1" = "$2" ] || [ "$1" -ef "$2" ]; }
"""
"""What every script has."""

ASKS = r"""
ENGINE=${ENGINE:-@program@}
answers=
# Whether the engine answers, and is the one whose root this is.
asked() {
  [ -z "$answers" ] || return "$answers"
  answers=1
  root=$($ENGINE info --format '@root@') || { leave "the engine does not answer"; return 1; }
  same "$root" "$ROOT" || {
    leave "this engine's root is $root, and the plan is for $ROOT"
    return 1
  }
  driver=$($ENGINE info --format '@driver@') || driver=
  [ "$driver" = "$DRIVER" ] || { leave "this engine's driver is $driver, and the plan is for $DRIVER"; return 1; }
  answers=0
}
@users@
# image ID NAME...: the names must still lead to it, without names none may lead to it; no container may need it.
image() {
  asked || return
  id=$1; shift
  said=$($ENGINE image inspect --format '{{.Id}} {{len .RepoTags}}' "$id" 2>/dev/null) || { say "  gone: $id"; return; }
  if [ $# -eq 0 ]; then
    [ "${said##* }" = 0 ] || { leave "$id has a tag now"; return; }
    set -- "$id"
  fi
  for name in "$@"; do
    now=$($ENGINE image inspect --format '{{.Id}}' "$name" 2>/dev/null) || { leave "$name is gone"; return; }
    [ "${now#sha256:}" = "${id#sha256:}" ] || { leave "$name names another image now"; return; }
  done
  users=$(users_of "$id") || { leave "$id: containers not known"; return; }
  [ -z "$users" ] || { leave "$* is needed by" $users; return; }
  run $ENGINE image rm "$@"
}
# records FILTER: the engine keeps those that a build uses.
records() { asked && run $ENGINE builder prune --all --force --filter "$1"; }
working() { asked && run ${BUILDAH:-buildah} rm "$1"; }
container() {
  asked || return
  state=$($ENGINE container inspect --format '{{.State.Status}}' "$1" 2>/dev/null) || { say "  gone: $1"; return; }
  case $state in
    exited | created | dead | configured | stopped) run $ENGINE container rm "$1" ;;
    *) leave "container $1 is $state" ;;
  esac
}
volume() {
  asked || return
  $ENGINE volume inspect "$1" >/dev/null 2>&1 || { say "  gone: $1"; return; }
  users=$($ENGINE ps --all --quiet --filter "volume=$1") || { leave "$1: containers not known"; return; }
  [ -z "$users" ] || { leave "volume $1 is needed by" $users; return; }
  run $ENGINE volume rm "$1"
}
"""
"""How Docker and Podman are asked."""

CTR = r"""
CTR=${CTR:-ctr}
content=
# Whether containerd answers, and is the one whose root this is.
held() {
  [ -n "$content" ] || content=$($CTR plugins ls -d id==content | sed -n 's/^ *root  *//p' | sed 's/ *$//; q')
  [ -n "$content" ] || { leave "containerd does not answer"; return 1; }
  same "${content%/*}" "$ROOT" || {
    leave "this containerd's root is ${content%/*}, and the plan is for $ROOT"
    return 1
  }
}
# named NAMESPACE DIGEST NAME: the name must still lead to it, and no container may be made of that.
named() {
  held || return
  found=$($CTR --namespace "$1" images ls "name==$3") || { leave "containerd does not answer"; return; }
  case $found in *"$2"*) ;; *) leave "$3 is gone, or names another image now"; return ;; esac
  users=$($CTR --namespace "$1" containers ls) || { leave "$3: containers not known"; return; }
  if printf '%s\n' "$users" | awk '{ print $2 }' | grep -qxF -e "$3"; then
    leave "$3 is needed by a container"
    return
  fi
  run $CTR --namespace "$1" images rm --sync "$3"
}
"""
"""How containerd is asked."""

CRICTL = r"""
CRICTL=${CRICTL:-crictl}
pods_root=
# Whether the plugin answers, and its containerd is the one whose root this is.
pods() {
  [ -n "$pods_root" ] || pods_root=$($CRICTL info | sed -n 's/.*"containerdRootDir": *"\([^"]*\)".*/\1/p' | sed q)
  [ -n "$pods_root" ] || { leave "crictl info does not say containerd's root"; return 1; }
  same "$pods_root" "$ROOT" || { leave "this containerd's root is $pods_root, and the plan is for $ROOT"; return 1; }
}
pods_image() {
  pods || return
  users=$($CRICTL ps --all --quiet --image "$1") || { leave "$1: containers not known"; return; }
  [ -z "$users" ] || { leave "$1 is needed by" $users; return; }
  run $CRICTL rmi "$1"
}
"""
"""How the CRI plugin is asked, as Kubernetes does."""

OURS = r"""
# ours PATH: nobody else can change what a name leads to meanwhile, and below the root no symlink leads elsewhere.
ours() {
  case $1 in "$ROOT"/*) place=$ROOT ;; *) place=${1%/*} ;; esac
  [ "$(stat -c %u -- "$place/.")" = "$(id -u)" ] || { leave "$1: $place is another user's"; return 1; }
  [ "$place" != "$ROOT" ] || [ "$(readlink -f -- "$1")" = "$(readlink -f -- "$ROOT")${1#"$ROOT"}" ] || {
    leave "$1: a symlink leads elsewhere"
    return 1
  }
}
"""
"""What is said to be a file of the store may be a symlink by now, made by the store's owner."""

LOGS = r"""
log() {
  [ -f "$1" ] && [ ! -L "$1" ] || { leave "$1 is no file"; return; }
  ours "$1" || return
  run truncate --no-create --size 0 -- "$1"
}
"""

ORPHANS = r"""
LAYERINDEX=${LAYERINDEX:-@layerindex@}
ASIDE=${ASIDE:-$ROOT/@quarantine@}
fresh=
orphan_still() {
  [ -n "$fresh" ] || {
    fresh=$(mktemp -d) || return 1
    trap 'rm -rf -- "$fresh"' EXIT
    $LAYERINDEX scan "$ROOT" --db "$fresh/db" --no-files --quiet || return 1
  }
  $LAYERINDEX query --db "$fresh/db" --format csv -p "id=$1" -p "store=$STORE" --sql "SELECT 'orphan' AS found
    FROM overlay_dirs AS d JOIN snapshots AS s ON s.snapshot_id = d.snapshot_id
    WHERE d.cache_id = :id || '' AND d.role = 'orphan' AND s.store = :store" | grep -q '^orphan'
}
# orphan ID DIRECTORY LINK: moved aside where a new scan still finds that nothing names it; never deleted.
orphan() {
  [ -d "$2" ] && [ ! -L "$2" ] || { say "  gone: $2"; return; }
  command -v -- "${LAYERINDEX%% *}" >/dev/null || { leave "$2: no ${LAYERINDEX%% *}: LAYERINDEX names it"; return; }
  ours "$2" || return
  for each in "$ASIDE" "$ASIDE/moved.log"; do [ ! -L "$each" ] || { leave "$each is a symlink"; return; }; done
  orphan_still "$1" || { leave "$2: a new scan does not say that nothing names it"; return; }
  for each in "$2" ${3:+"$3"}; do
    if cat /proc/[0-9]*/mountinfo 2>/dev/null | grep -qF -e "/${each##*/}"; then
      leave "$2 is mounted"
      return
    fi
  done
  mkdir -p -- "$ASIDE" || { leave "no folder $ASIDE"; return; }
  chmod 700 -- "$ASIDE"
  [ "$(stat -c %d -- "$2")" = "$(stat -c %d -- "$ASIDE")" ] || {
    leave "$2 lies on another filesystem than $ASIDE: name a folder of its own filesystem in ASIDE"
    return
  }
  for each in "$2" ${3:+"$3"}; do
    [ ! -e "$ASIDE/${each##*/}" ] && [ ! -L "$ASIDE/${each##*/}" ] || { leave "$ASIDE/${each##*/} is there"; return; }
    [ -e "$each" ] || [ -L "$each" ] || continue
    mv -n -- "$each" "$ASIDE/" || { leave "$each could not be moved"; return; }
    say "$(date -u +%Y-%m-%dT%H:%M:%SZ) moved $each; back: mv -n -- '$ASIDE/${each##*/}' '$each'" >>"$ASIDE/moved.log"
    say "  moved to $ASIDE: $each"
  done
  say "  its bytes are free when you delete it there; $ASIDE/moved.log says how to move it back"
}
"""

DOCKERS_USERS = r"""
users_of() { $ENGINE ps --all --quiet --no-trunc --filter "ancestor=$1"; }
"""
PODMANS_USERS = r"""
# Its filter finds nothing for an id with sha256: before it, and in version 4 all containers that others made.
users_of() {
  made=$($ENGINE ps --all --external --no-trunc --format '{{.ImageID}} {{.ID}}') || return
  printf '%s\n' "$made" | awk -v "id=${1#sha256:}" '$1 == id { print $2 }'
}
"""

ROOTS = {
    commands.DOCKER: ("docker", "{{.DockerRootDir}}", "{{.Driver}}", DOCKERS_USERS),
    commands.PODMAN: ("podman", "{{.Store.GraphRoot}}", "{{.Store.GraphDriverName}}", PODMANS_USERS),
}
"""For each engine its program, how it says its root and driver, and how it says the containers of an image."""


def script(plans: Sequence[Plan]) -> str:
    """Return a script for the one store that has steps; raises UsageError."""
    found = [plan for plan in plans if plan.steps]
    if len(found) > 1:
        stores = ", ".join(f"{plan.store.snapshot_id} ({plan.store.host} {plan.store.root})" for plan in found)
        raise UsageError(f"a script is for one store: name one with --snapshot: {stores}")
    if not found:
        return "#!/bin/sh\necho 'nothing was found that need not be there'\n"
    root = found[0].store.root
    if "'" in root or printable(root) != root:
        raise UsageError(f"no script for a root with such a name: {root}")
    return "".join(f"{line}\n" for line in _lines(found[0]))


def _lines(plan: Plan) -> Iterator[str]:
    store, engine = plan.store, commands.engine(plan.store)
    calls = {step.number: _calls(store, step) for step in plan.steps}
    doable = [step for step in plan.steps if calls[step.number]]
    numbers = [str(step.number) for step in doable]
    yield "#!/bin/sh"
    yield f"# Written by layerindex plan for {engine.name}: {printable(store.host)}, {printable(store.root)}, as of"
    yield f"# {printable(store.scanned_at)}. Without arguments it lists its steps; give it their numbers, or safe"
    yield "# for those that lose neither data nor log lines, or all."
    yield "set -u"
    yield f"ROOT={shlex.quote(store.root)}"
    yield f"DRIVER={shlex.quote(store.driver)}"
    yield f"STORE={shlex.quote(store.store)}"
    yield "steps() {"
    yield f"  printf '%s\\n' {shlex.quote(printable(headline(plan)))}"
    for step in plan.steps:
        said = f"{step.number:>3}  {human_bytes(step.frees):>9}  {step.class_}: {what(step.things, step.class_)}"
        said += "" if calls[step.number] else " (by hand)"
        yield f"  printf '%s\\n' {shlex.quote(printable(said))}"
    yield "}"
    safe = [str(step.number) for step in doable if step.class_ not in (steps.DATA, steps.LOG)]
    yield '[ $# -gt 0 ] || { steps; echo "usage: sh $0 safe | all | NUMBER... (safe: no data, no logs)"; exit 0; }'
    yield "case ${1-} in"
    yield f"  safe) set -- {' '.join(safe)} ;;"
    yield f"  all) set -- {' '.join(numbers)} ;;"
    yield "esac"
    choice = " | ".join(str(step.number) for step in plan.steps) or "none"
    yield f'for step; do case $step in {choice}) ;; *) echo "no step $step" >&2; exit 2 ;; esac; done'
    yield from _helpers(plan)
    for step in plan.steps:
        yield ""
        yield f"step_{step.number}() {{"
        known = [printable(f"{remark}") for remark in remarks(store, step)]
        yield from (f"  # {remark}" for remark in known)
        by_hand = shlex.quote(f"by hand: {'; '.join(known)}")
        yield from (f"  {call}" for call in calls[step.number] or [f"leave {by_hand}"])
        yield "}"
    yield ""
    yield 'for step; do say "step $step"; "step_$step"; done'
    yield '[ "$left" -eq 0 ] || { say "$left things were left as they are"; exit 1; }'


def _helpers(plan: Plan) -> Iterator[str]:
    kinds = {thing.kind for step in plan.steps for thing in step.things}
    programs = {commands.program_of(plan.store, thing) for step in plan.steps for thing in step.things}
    program, root, driver, users = ROOTS.get(commands.engine(plan.store).name, ROOTS[commands.DOCKER])
    yield COMMON.strip()
    if "ctr" in programs:
        yield CTR.strip()
    if "crictl" in programs:
        yield CRICTL.strip()
    if kinds & {"image", "record", "container", "volume"} and programs & {"docker", "podman", "buildah"}:
        yield (
            ASKS.strip()
            .replace("@program@", program)
            .replace("@root@", root)
            .replace("@users@", users.strip())
            .replace("@driver@", driver)
        )
    if kinds & {"log", "directory"}:
        yield OURS.strip()
    if "log" in kinds:
        yield LOGS.strip()
    if "directory" in kinds:
        yield ORPHANS.strip().replace("@quarantine@", commands.QUARANTINE).replace("@layerindex@", _program())


def _program() -> str:
    """Return where this program is, since the PATH of root, or of sudo, may not have it."""
    called = os.path.abspath(sys.argv[0])
    plain = re.fullmatch(r"[\w/.+-]+/layerindex", called, re.ASCII)
    return called if plain and os.access(called, os.X_OK) and os.path.isfile(called) else "layerindex"


def _calls(store: Store, step: Step) -> list[str]:
    """Return the calls of a step; none where it is for a person to do."""
    records = [thing.id for thing in step.things if thing.kind == "record"]
    calls = [call for thing in step.things for call in _call(store, thing)]
    calls += (["records", commands.record_filter(some)] for some in commands.chunks(records, commands.MANY_RECORDS))
    return [commands.said(call) for call in calls]


def _call(store: Store, thing: Thing) -> Iterator[list[str]]:
    program = commands.program_of(store, thing)
    if thing.kind == "image" and program == "ctr":
        yield from (["named", f"{thing.namespace}", thing.shown, name] for name in thing.names())
    elif thing.kind == "image":
        yield ["pods_image", thing.id] if program == "crictl" else ["image", thing.shown, *thing.names()]
    elif thing.kind in ("container", "volume"):
        yield ["working" if program == "buildah" else thing.kind, thing.id]
    elif thing.kind == "log":
        yield ["log", commands.path_of(store, thing)]
    elif thing.kind == "directory":
        yield ["orphan", thing.id, commands.path_of(store, thing), commands.link_of(store, thing)]
