# shellcheck shell=bash
# Virtual environments of what Tidemark is tested against. Sourced, behind common.sh, by the scripts that make one.
# shellcheck disable=SC2154  # root is common.sh's

# python_env NAME PROGRAM IMPORTS [NO-DEPS...]: makes .build/NAME of ops/NAME/requirements.txt unless it is there already, and
# leaves where it is in `venv`. PROGRAM is one that it must have, IMPORTS the modules that must load; requirements NO-DEPS are
# installed after the others, without what they ask for. Ends with 77, and the reason on standard error, where the packages can't be
# had. With `only_print` set nothing is made. `venv` may be set before.
python_env() {
    local name=$1 program=$2 imports=$3 requirements start log
    shift 3
    requirements=$root/ops/$name/requirements.txt
    venv=${venv:-$root/.build/$name}
    stamp=$venv/.made-from
    if is_made "$program" "$requirements" "$@"; then return 0; fi
    [ -z "${only_print:-}" ] || unavailable "there is no $program in $venv: run ops/lib/$name-env"
    command -v python3 >/dev/null 2>&1 || unavailable "python3 is not installed"
    is_there python:ensurepip || unavailable "python3 can't make virtual environments: install python3-venv"
    mkdir -p "$(dirname "$venv")"
    exec 9>"$venv.lock"
    flock -w 900 9 || unavailable "another installation holds $venv.lock"
    if is_made "$program" "$requirements" "$@"; then return 0; fi
    [ ! -e "$venv" ] || [ -f "$venv/pyvenv.cfg" ] || unavailable "$venv is there and is no virtual environment"
    start=$SECONDS
    say "Installing $name into $venv, which takes a minute" >&2
    log=$(mktemp)
    rm -rf "$venv"
    if ! { bounded 120 python3 -m venv "$venv" && pip_install -r "$requirements" &&
        { [ $# -eq 0 ] || pip_install --no-deps "$@"; }; } >"$log" 2>&1 9>&-; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        unavailable "pip could not install $requirements: its last lines stand above. Is the package index reachable?"
    fi
    rm -f "$log"
    "$venv/bin/python3" -c "import $imports" 9>&- || unavailable "$name is installed but can't be imported"
    made_from "$requirements" "$@" >"$stamp"
    say "Installed in $((SECONDS - start)) s, $(du -sm "$venv" | cut -f1) MB" >&2
}

# unavailable TEXT...: without it, but not wrong.
unavailable() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 77
}

# made_from REQUIREMENTS [NO-DEPS...]: what an environment is known by.
made_from() {
    cat "$1"
    shift
    [ $# -eq 0 ] || printf '%s\n' "$@"
}

is_made() {
    local program=$1
    shift
    [ -x "$venv/bin/$program" ] && [ -x "$venv/bin/python3" ] && [ -f "$stamp" ] && cmp -s "$stamp" <(made_from "$@")
}

pip_install() {
    bounded "${TIDEMARK_PIP_TIMEOUT:-900}" "$venv/bin/pip" --disable-pip-version-check --no-input --retries 2 --timeout 20 \
        install --quiet "$@"
}
