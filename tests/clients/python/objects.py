"""The frame of the programs that keep objects: `python3 PROGRAM MODE PACKAGE [ID…]`.

`keep` makes objects, uses them and tells their ids; `seek` tries what another caller's ids lead to, and tells what it lists;
`list` tells only that.
"""

import os
import sys

from events import emit, emit_error


def run(sdk, client_of, keep, attempts_of, lists_of) -> None:
    """Run the mode with a client. `lists_of` gives the lists of its objects, `attempts_of` the calls that must fail."""
    # It tries again as it does by default: Envoy cannot hold a body in parts, so its objects may be known at the second try only.
    client = client_of(base_url=os.environ["KEYSWAP_BASE_URL"], api_key=os.environ["KEYSWAP_TOKEN"])

    def listed() -> list[str]:
        return [getattr(item, "id", None) or item.name for items in lists_of(client) for item in items]

    if sys.argv[1] == "keep":
        kept, in_lists = keep(client)
        shown = listed()
        assert set(in_lists) <= set(shown), shown
        emit("done", text=" ".join(kept))
        return
    for attempt in attempts_of(client, *sys.argv[3:]) if sys.argv[1] == "seek" else ():
        try:
            attempt()
            emit("chunk", text="an attempt came through")
        except sdk as error:
            emit_error(error)
    emit("done", text=" ".join(listed()))
