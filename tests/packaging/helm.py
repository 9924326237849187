"""Renders and lints a chart with Helm's own library.

Arguments: the chart (a folder, an archive, or `oci://NAME:VERSION` in a registry without TLS), and a file with a JSON list of `{"namespace", "values"}`. Prints a JSON list: of each the
rendered `files` with the findings of `lint`, or the `error`.
"""

import json
import pathlib
import sys
import tempfile

import helm_python

RELEASE = "keyswap"


def result(path, case):
    values, namespace = case["values"], case["namespace"]
    try:
        with helm_python.Chart.load(path) as chart:
            files = chart.render(values, name=RELEASE, namespace=namespace)
    except helm_python.HelmError as error:
        return {"error": str(error)}
    findings = helm_python.lint(path, values, namespace=namespace, strict=True)
    return {"files": files, "lint": findings["messages"]}


def pulled(reference, folder):
    name, version = reference.rsplit(":", 1)
    helm_python.pull(name, version=version, destination=folder, plain_http=True)
    (archive,) = pathlib.Path(folder).iterdir()
    return str(archive)


def main(path, cases):
    with tempfile.TemporaryDirectory() as folder, open(cases, encoding="utf-8") as file:
        path = pulled(path, folder) if path.startswith("oci://") else path
        print(json.dumps([result(path, case) for case in json.load(file)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
