export GOOGLE_GEMINI_BASE_URL="https://llm.example.com"
export GEMINI_API_KEY="ptk_…"
gemini
