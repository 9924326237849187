export ANTHROPIC_BASE_URL="https://llm.example.com"
export ANTHROPIC_AUTH_TOKEN="ptk_…"
unset ANTHROPIC_API_KEY
claude
