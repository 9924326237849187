"""One JSON object a line on standard output, flushed at once: what the tests read."""

import json
import os

HEADERS = ("x-keyswap-reason", "www-authenticate", "retry-after")


def emit(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def emit_stream(texts) -> None:
    """Report the text of every event of a stream as it arrives, empty or not, then the whole text."""
    whole = ""
    for text in texts:
        whole += text
        emit("chunk", text=text)
    emit("done", text=whole)


def emit_error(error: Exception) -> None:
    """Report what a developer would see who catches the SDK's exception."""
    response = getattr(error, "response", None)
    headers = response.headers if response is not None else {}
    status = getattr(error, "status_code", None)
    code = getattr(error, "code", None) or getattr(error, "error_code", None)
    if isinstance(code, int):
        # google-genai calls the status so.
        status, code = code, None
    emit(
        "error",
        **{"class": type(error).__name__},
        status=status,
        message=str(error),
        code=code,
        type=getattr(error, "type", None),
        headers={name: headers[name] for name in HEADERS if name in headers},
    )


def extra_headers(omit: object) -> dict:
    """`KEYSWAP_EXTRA_HEADERS`, where null leaves out a header that the SDK would send."""
    headers = json.loads(os.environ.get("KEYSWAP_EXTRA_HEADERS") or "{}")
    return {name: omit if value is None else value for name, value in headers.items()}
