export KEYSWAP_TOKEN="ptk_…"
codex
