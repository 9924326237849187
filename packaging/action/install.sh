#!/usr/bin/env bash
# Puts the command `keyswap` on the path of the steps that follow: a given one, or a pinned version from the package index.
set -euo pipefail

fail() {
    printf '::error title=keyswap::%s\n' "$1"
    exit 1
}

if [[ -n $INPUT_COMMAND ]]; then
    [[ -f $INPUT_COMMAND && -x $INPUT_COMMAND ]] || fail "input \`command\`: there is no such program"
    folder=$(cd "$(dirname "$INPUT_COMMAND")" && pwd)
    command=$folder/$(basename "$INPUT_COMMAND")
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    options=(--quiet --disable-pip-version-check --no-deps --only-binary :all:)
    if [[ -n $INPUT_REQUIREMENTS ]]; then
        [[ -f $INPUT_REQUIREMENTS ]] || fail "input \`requirements\`: there is no such file"
        cp "$INPUT_REQUIREMENTS" "$work/requirements.txt"
        options+=(--require-hashes)
        version=$(sha256sum "$work/requirements.txt" | cut -c 1-16)
    else
        # No range, no `latest`: the same workflow runs the same command tomorrow.
        [[ $INPUT_VERSION =~ ^[0-9]+\.[0-9]+\.[0-9]+([a-z0-9.]*)$ ]] || fail "input \`version\`: expected one such as 0.2.0"
        version=$INPUT_VERSION
        printf 'keyswap==%s\n' "$version" > "$work/requirements.txt"
    fi
    folder=${RUNNER_TOOL_CACHE:-$HOME/.cache}/keyswap/$version
    if [[ ! -x $folder/bin/keyswap ]]; then
        python3 -m pip install "${options[@]}" --target "$work/tool" --requirement "$work/requirements.txt" ||
            fail 'the command could not be installed'
        mkdir -p "$(dirname "$folder")"
        rm -rf "$folder"
        mv "$work/tool" "$folder"
    fi
    command=$folder/bin/keyswap
    [[ -x $command ]] || fail 'the package has no command keyswap'
    folder=$folder/bin
fi
printf '%s\n' "$folder" >> "$GITHUB_PATH"
printf 'command=%s\n' "$command" >> "$GITHUB_OUTPUT"
