export KEYSWAP_TOKEN="ptk_…"
opencode
