export KEYSWAP_TOKEN="ptk_…"
cline auth --provider openai-native --apikey "$KEYSWAP_TOKEN" --modelid gpt-5.4 --baseurl "https://llm.example.com/v1"
cline
