export ANTHROPIC_API_BASE="https://llm.example.com"
export ANTHROPIC_API_KEY="ptk_…"
aider --model anthropic/claude-haiku-4-5
