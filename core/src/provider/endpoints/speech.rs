//! The APIs of those that speak and listen.

use crate::identity::Class::{Admin, Batches, Files, FineTuning, Inference, Mint, Models, Stateful};
use crate::provider::class::Rows;
use crate::provider::pattern::{ANY, GET, POST, WEBSOCKET};

/// The telephones, tools and servers of agents act with credentials of the workspace: no scope opens them.
pub(in crate::provider) static ELEVENLABS: [Rows; 10] = [
    Rows(
        Inference,
        POST,
        &[
            "/text-to-speech/{}",
            "/text-to-speech/{}/stream",
            "/text-to-speech/{}/with-timestamps",
            "/text-to-speech/{}/stream/with-timestamps",
            "/speech-to-text",
            "/speech-to-text/stream",
            "/speech-to-speech/{}",
            "/speech-to-speech/{}/stream",
            "/text-to-dialogue",
            "/text-to-dialogue/stream",
            "/text-to-dialogue/with-timestamps",
            "/text-to-dialogue/stream/with-timestamps",
            "/sound-generation",
            "/audio-isolation",
            "/audio-isolation/stream",
            "/forced-alignment",
            "/music",
            "/music/detailed",
            "/music/detailed/stream",
            "/music/plan",
            "/music/stream",
            "/music/stem-separation",
            "/music/video-to-music",
            "/similar-voices",
            "/text-to-voice/create-previews",
            "/text-to-voice/design",
            "/text-to-voice/{}/remix",
            "/voice-generation/generate-voice",
        ],
    ),
    Rows(Inference, GET, &["/text-to-voice/{}/stream"]),
    Rows(
        Inference,
        WEBSOCKET,
        &[
            "/convai/conversation",
            "/text-to-speech/{}/stream-input",
            "/text-to-speech/{}/multi-stream-input",
            "/text-to-dialogue/stream-input",
            "/speech-to-text/realtime",
        ],
    ),
    Rows(
        Models,
        GET,
        &[
            "/models",
            "/shared-voices",
            "/voices/settings/default",
            "/voice-generation/generate-voice/parameters",
            "/convai/llm/list",
            "/docs",
            "/openapi.json",
        ],
    ),
    Rows(
        Mint,
        ANY,
        &[
            "/single-use-token/{...}",
            "/convai/conversation/{...}",
            "/convai/agents/{}/link",
            "/convai/knowledge-base/{}/source-file-url",
        ],
    ),
    Rows(
        Admin,
        ANY,
        &[
            "/user/{...}",
            "/usage/{...}",
            "/workspace/{...}",
            "/workspaces/{...}",
            "/service-accounts/{...}",
            "/productions/{...}",
            "/convai/secrets/{...}",
            "/convai/settings/{...}",
            "/convai/environment-variables/{...}",
            "/convai/phone-numbers/{...}",
            "/convai/whatsapp-accounts/{...}",
        ],
    ),
    Rows(Files, POST, &["/music/upload"]),
    Rows(Batches, ANY, &["/convai/batch-calling/{...}"]),
    Rows(FineTuning, ANY, &["/music/finetunes/{...}", "/voices/pvc/{}/train"]),
    Rows(
        Stateful,
        ANY,
        &[
            "/voices/{...}",
            "/history/{...}",
            "/audio-isolation/history/{...}",
            "/audio-native/{...}",
            "/dubbing/{...}",
            "/studio/{...}",
            "/pronunciation-dictionaries/{...}",
            "/speech-engine/{...}",
            "/speech-to-text/transcripts/{}",
            "/text-to-voice",
            "/voice-generation/create-voice",
            "/convai/agents/{...}",
            "/convai/conversations/{...}",
            "/convai/knowledge-base/{...}",
        ],
    ),
];

pub(in crate::provider) static CARTESIA: [Rows; 7] = [
    Rows(
        Inference,
        POST,
        &[
            "/tts/bytes",
            "/tts/sse",
            "/stt",
            "/audio/transcriptions",
            "/infill/bytes",
            "/voice-changer/bytes",
            "/voice-changer/sse",
        ],
    ),
    Rows(
        Inference,
        WEBSOCKET,
        &[
            "",
            "/tts/websocket",
            "/stt/websocket",
            "/stt/turns/websocket",
            "/agents/stream/{}",
            "/agents/websocket/{}",
        ],
    ),
    Rows(Models, GET, &["", "/accents", "/agents/templates"]),
    Rows(Mint, ANY, &["/access-token"]),
    Rows(
        Admin,
        ANY,
        &["/usage/{...}", "/webhooks/{...}", "/agents/phone-numbers/{...}", "/agents/{}/phone-numbers"],
    ),
    Rows(FineTuning, ANY, &["/datasets/{...}", "/fine-tunes/{...}"]),
    Rows(Stateful, ANY, &["/voices/{...}", "/agents/{...}", "/pronunciation-dicts/{...}"]),
];

pub(in crate::provider) static DEEPGRAM: [Rows; 6] = [
    Rows(Inference, POST, &["/listen", "/speak", "/read"]),
    Rows(Inference, WEBSOCKET, &["", "/listen", "/speak", "/agent/converse"]),
    Rows(Models, GET, &["/models", "/models/{model}"]),
    Rows(
        Mint,
        POST,
        &[
            "/auth/grant",
            "/projects/{}/keys",
            "/projects/{}/onprem/distribution/credentials",
            "/projects/{}/self-hosted/distribution/credentials",
        ],
    ),
    Rows(Stateful, ANY, &["/projects/{}/agents/{...}", "/projects/{}/agent-variables/{...}"]),
    Rows(Admin, ANY, &["/projects/{...}", "/auth/{...}"]),
];
