export GEMINI_API_BASE="https://llm.example.com/v1beta"
export GEMINI_API_KEY="ptk_…"
aider --model gemini/gemini-2.5-flash
