{"setupComplete": {}}
{"serverContent": {"modelTurn": {"parts": [{"inlineData": {"data": "AAAA"}}]}}}
{"serverContent": {"turnComplete": true}, "usageMetadata": {"promptTokenCount": 143, "responseTokenCount": 19, "totalTokenCount": 162, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 100}], "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 19}]}}
{"serverContent": {"turnComplete": true}, "usageMetadata": {"promptTokenCount": 181, "responseTokenCount": 24, "totalTokenCount": 205}}
