"""Runs `keyswap policy check|lint|test|diff` in a workflow: annotations, a summary, and a status.

Text of a policy may come from a pull request of a stranger. It reaches the log in escaped annotations only, so it is no
command for the runner, and the summary as code.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

STEPS = ("check", "lint", "test", "diff")
# The runner shows ten annotations of each kind; the summary has all.
MOST_ANNOTATIONS = 10


class Unusable(Exception):
    """An input that cannot be used, or a command that failed."""


def given(name):
    return os.environ.get(f"INPUT_{name}", "").strip()


def escaped(text, also=()):
    for char, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), *also):
        text = text.replace(char, code)
    return text


def annotation(level, file, title, message):
    of_property = ((":", "%3A"), (",", "%2C"))
    place = f"file={escaped(file, of_property)}," if file else ""
    return f"::{level} {place}title={escaped(title, of_property)}::{escaped(message)}"


def path_of(name, text):
    # A path, and never an option of the command.
    if not text or text.startswith("-"):
        raise Unusable(f"input `{name.lower()}`: expected a path")
    return text


def keyswap(*arguments):
    """Returns the JSON of a subcommand of `keyswap policy`, with its exit code under `code`."""
    run = [os.environ["KEYSWAP"], "policy", *arguments, "--format", "json"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    try:
        return {**json.loads(done.stdout), "code": done.returncode}
    except ValueError:
        raise Unusable(done.stderr.strip() or "the command printed no JSON") from None


def errors(answer, file):
    for error in answer.get("errors", []):
        place = error.get("path", "")
        yield "error", error.get("file") or file, f"{place}: {error['message']}" if place else error["message"]


def check(policy):
    answer = keyswap("check", policy)
    return answer["code"], list(errors(answer, policy))


def lint(policy):
    allowed = [option for code in given("ALLOW").split() for option in ("--allow", path_of("allow", code))]
    answer = keyswap("lint", policy, *allowed)
    found = list(errors(answer, policy))
    for finding in answer.get("findings", []):
        text = f"{finding['path']}: {finding['message']} ({finding['code']}): {finding['remedy']}"
        found.append(("warning", finding["file"], text))
    return answer["code"], found


def test(policy):
    cases = [path_of("cases", line.strip()) for line in given("CASES").splitlines() if line.strip()]
    answer = keyswap("test", policy, *cases)
    found = list(errors(answer, policy))
    for case in answer.get("cases", []):
        if not case["holds"]:
            differs = "; ".join(
                f"{one['what']}: expected {json.dumps(one['expected'])}, found {json.dumps(one['found'])}"
                for one in case["differences"]
            )
            found.append(("error", case["file"], f"{case['name']}: {differs}"))
    return answer["code"], found


def git(base, *arguments):
    """Returns the output of git, which reads the base of the pull request."""
    done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()
        raise Unusable(f"`diff`: the base `{base}` cannot be read: is `fetch-depth: 0` of the checkout set? {reason}")
    return done.stdout


def base_of(policy, folder):
    """Returns the policy of the pull request's base as a file, `None` if the base has none."""
    base = os.environ.get("GITHUB_BASE_REF", "")
    if not base:
        raise Unusable("input `old`: without a pull request, the policy to compare with must be given")
    tree = f"refs/remotes/origin/{base}"
    path = os.path.relpath(policy)
    listed = git(base, "ls-tree", "--name-only", tree, "--", path)
    if not listed:
        return None
    file = Path(folder, "base" + Path(policy).suffix)
    file.write_bytes(git(base, "show", "--end-of-options", f"{tree}:./{path}"))
    return str(file)


def diff(policy):
    """Returns the exit code, the annotations and the changes."""
    with tempfile.TemporaryDirectory() as folder:
        old = path_of("old", given("OLD")) if given("OLD") else base_of(policy, folder)
        if old is None:
            return 0, [("notice", policy, "the base has no such policy: nothing to compare with")], []
        answer = keyswap("diff", old, policy)
    changes = answer.get("changes", [])
    failed = given("FAIL_ON_DIFF") == "true"
    found = list(errors(answer, policy))
    for change in changes:
        place = " ".join(str(change[key]) for key in ("section", "name", "field") if change.get(key))
        effect = change.get("effect")
        was, becomes = (json.dumps(change.get(key)) for key in ("before", "after"))
        text = f"{place} {change['kind']}{f' ({effect})' if effect else ''}: {was} → {becomes}"
        # More that is permitted is for a reviewer to see.
        level = "error" if failed else "warning" if effect == "wider" else "notice"
        found.append((level, policy, text))
    return answer["code"], found, changes


def summary(step, found):
    lines = "\n".join(f"{level}: {file}: {message}" for level, file, message in found) or "nothing found"
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", lines)), default=0))
    return f"### keyswap policy {step}\n\n{fence}text\n{lines}\n{fence}\n"


def main():
    steps = given("RUN").split()
    unknown = [step for step in steps if step not in STEPS]
    if unknown:
        raise Unusable(f"input `run`: expected `{'`, `'.join(STEPS)}`, found `{unknown[0]}`")
    if given("FAIL_ON_DIFF") not in ("true", "false", ""):
        raise Unusable("input `fail-on-diff`: expected `true` or `false`")
    findings, changed, failed = 0, [], False
    for step in steps:
        policy = path_of("policy", given("POLICY"))
        if step == "diff":
            code, found, changed = diff(policy)
            failed |= any(level == "error" for level, *_ in found)
        else:
            code, found = {"check": check, "lint": lint, "test": test}[step](policy)
            findings += len(found)
            failed |= bool(found)
        if code != 0 and not found:
            raise Unusable(f"`keyswap policy {step}` failed, with exit code {code}, and does not say why")
        shown = {}
        for level, file, message in found:
            shown[level] = shown.get(level, 0) + 1
            if shown[level] <= MOST_ANNOTATIONS:
                print(annotation(level, file, f"keyswap policy {step}", message))
        with open(os.environ["GITHUB_STEP_SUMMARY"], "a", encoding="utf-8") as file:
            file.write(summary(step, found))
    with open(os.environ["GITHUB_OUTPUT"], "a", encoding="utf-8") as file:
        file.write(f"findings={findings}\nchanges={len(changed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unusable as error:
        print(annotation("error", "", "keyswap", str(error)))
        sys.exit(1)
