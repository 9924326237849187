export OPENAI_API_BASE="https://llm.example.com/v1"
export OPENAI_API_KEY="ptk_…"
aider --model openai/gpt-5-mini
