"""Objects by google-genai, unmodified, through Keyswap: `python3 google_genai_objects_client.py MODE PACKAGE [ID…]`.

`KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.
"""

import io

from google import genai
from google.genai import errors, types

from objects import run

MODEL = "gemini-3-flash"
VERSION = "v1beta"


def client_of(base_url: str, api_key: str) -> genai.Client:
    return genai.Client(api_key=api_key, http_options=types.HttpOptions(base_url=base_url, api_version=VERSION))


def keep(client: genai.Client) -> tuple[list[str], list[str]]:
    file = client.files.upload(file=io.BytesIO(b"bytes of a file"), config={"mime_type": "text/plain"})
    cache = client.caches.create(model=MODEL, config={"contents": "hi"})
    client.files.get(name=file.name)
    client.caches.get(name=cache.name)
    kept = [file.name, cache.name]
    return kept, kept


def attempts(client: genai.Client, file: str, cache: str) -> tuple:
    return (
        lambda: client.files.get(name=file),
        lambda: client.files.delete(name=file),
        lambda: client.caches.get(name=cache),
        lambda: client.caches.delete(name=cache),
        lambda: client.models.generate_content(model=MODEL, contents="hi", config={"cached_content": cache}),
    )


run(errors.APIError, client_of, keep, attempts, lambda client: (client.files.list(), client.caches.list()))
