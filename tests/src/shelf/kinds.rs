//! The kinds of objects that a shelf keeps: where each is made, and what can be done with it.

use crate::clients::matrix::Provider::{self, Anthropic, Gemini, OpenAi};

/// A kind of objects.
#[derive(Debug)]
pub struct Kind {
    /// The provider.
    pub provider: Provider,
    /// The name.
    pub name: &'static str,
    /// The host of the API; empty: that of the provider.
    pub at: &'static str,
    /// The path at the proxy in front of the provider's own paths.
    pub base: &'static str,
    /// The beginning of the provider's paths that those at the proxy do not have.
    pub under: &'static str,
    /// The path of the collection at the provider.
    pub collection: &'static str,
    /// The path at which a POST makes one.
    pub made_at: &'static str,
    /// The body of that POST.
    pub body: &'static str,
    /// The beginning of ids.
    pub begins: &'static str,
    /// The form in which answers tell the id.
    pub told: Told,
    /// The member of a list that has the elements.
    pub list: &'static str,
    /// Further members of an object, with `{id}` for its id.
    pub members: &'static str,
    /// The requests on one object: method, and the path behind its own.
    pub verbs: &'static [(&'static str, &'static str)],
    /// The requests that name an object in their body: path, and body with `{}` for the id.
    pub uses: &'static [(&'static str, &'static str)],
}

/// The form in which answers tell an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// `id`.
    Id,
    /// `id`, in each chunk of a stream.
    Chunks,
    /// The last segment of `name`.
    Name,
    /// The same in `file`.
    File,
    /// The name of an operation, which names the object in its metadata.
    Operation,
    /// `fine_tuned_model` of a job.
    Tuned,
}

impl Kind {
    /// Returns the host of the provider.
    pub fn host(&self) -> &'static str {
        if self.at.is_empty() { self.provider.host() } else { self.at }
    }

    /// Returns whether the object can be made with an event stream for an answer.
    pub fn streams(&self) -> bool {
        self.verbs.contains(&STREAMED)
    }
}

/// A mark, and a verb of objects that are made by streams.
const STREAMED: (&str, &str) = ("GET", "?stream=false");

const KIND: Kind = Kind {
    provider: OpenAi,
    name: "",
    at: "",
    base: "",
    under: "",
    collection: "",
    made_at: "",
    body: "{}",
    begins: "",
    told: Told::Id,
    list: "data",
    members: "{}",
    verbs: &[],
    uses: &[],
};

const fn openai(name: &'static str, collection: &'static str, begins: &'static str) -> Kind {
    Kind { name, collection, made_at: collection, begins, ..KIND }
}

const fn anthropic(name: &'static str, collection: &'static str, begins: &'static str) -> Kind {
    Kind { provider: Anthropic, ..openai(name, collection, begins) }
}

const fn gemini(
    name: &'static str,
    collection: &'static str,
    begins: &'static str,
    list: &'static str,
) -> Kind {
    Kind { provider: Gemini, list, told: Told::Name, ..openai(name, collection, begins) }
}

const fn groq(name: &'static str, collection: &'static str, begins: &'static str) -> Kind {
    Kind { at: "api.groq.com", base: "/groq", ..openai(name, collection, begins) }
}

const fn mistral(name: &'static str, collection: &'static str, begins: &'static str) -> Kind {
    Kind { at: "api.mistral.ai", base: "/mistral", ..openai(name, collection, begins) }
}

const fn azure(name: &'static str, collection: &'static str, begins: &'static str) -> Kind {
    let kind = openai(name, collection, begins);
    Kind { at: "acme.openai.azure.com", base: "/azure-openai", under: "/openai/v1", ..kind }
}

const fn vertex(
    name: &'static str,
    collection: &'static str,
    begins: &'static str,
    list: &'static str,
) -> Kind {
    let kind = openai(name, collection, begins);
    Kind { at: "aiplatform.googleapis.com", base: "/google-vertex-ai", told: Told::Name, list, ..kind }
}

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const GENERATE: &str = "/v1beta/models/gemini-3-flash:generateContent";

/// A message whose conversation is kept. It can be named, and neither read nor listed.
pub(super) static MESSAGE: Kind = Kind {
    members: r#"{"role":"assistant","content":[],"model":"m","stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#,
    ..anthropic("message", "/v1/messages", "msg_")
};

/// All kinds.
pub static KINDS: [Kind; 46] = [
    Kind {
        verbs: &[("GET", "/content")],
        uses: &[
            (
                RESPONSES,
                r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"{}"}]}]}"#,
            ),
            (
                RESPONSES,
                r#"{"model":"m","tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["{}"]}}]}"#,
            ),
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"{}"}}]}]}"#,
            ),
            ("/v1/batches", r#"{"input_file_id":"{}","endpoint":"/v1/responses","completion_window":"24h"}"#),
            ("/v1/fine_tuning/jobs", r#"{"model":"m","training_file":"{}"}"#),
            ("/v1/fine_tuning/jobs", r#"{"model":"m","validation_file":"{}"}"#),
            ("/v1/vector_stores", r#"{"name":"v","file_ids":["{}"]}"#),
            ("/v1/assistants", r#"{"model":"m","tool_resources":{"code_interpreter":{"file_ids":["{}"]}}}"#),
            ("/v1/threads", r#"{"messages":[{"role":"user","attachments":[{"file_id":"{}"}]}]}"#),
            ("/v1/images/edits", r#"{"model":"m","images":[{"file_id":"{}"}],"prompt":"p"}"#),
        ],
        members: r#"{"bytes":1,"created_at":1,"filename":"f.jsonl","purpose":"batch","status":"processed"}"#,
        ..openai("file", "/v1/files", "file-")
    },
    Kind {
        verbs: &[("POST", "/complete"), ("POST", "/cancel")],
        ..openai("upload", "/v1/uploads", "upload_")
    },
    Kind {
        verbs: &[("POST", "/cancel")],
        members: r#"{"completion_window":"24h","created_at":1,"endpoint":"/v1/responses","input_file_id":"file-x","status":"completed"}"#,
        ..openai("batch", "/v1/batches", "batch_")
    },
    Kind {
        verbs: &[("POST", "/cancel"), ("GET", "/events"), ("GET", "/checkpoints")],
        body: r#"{"model":"m"}"#,
        ..openai("job", "/v1/fine_tuning/jobs", "ftjob-")
    },
    Kind {
        verbs: &[("POST", "/cancel"), ("GET", "/input_items"), STREAMED],
        uses: &[(RESPONSES, r#"{"model":"m","previous_response_id":"{}","input":"hi"}"#)],
        body: r#"{"model":"m","input":"hi"}"#,
        members: r#"{"created_at":1,"model":"m","output":[],"parallel_tool_calls":true,"tool_choice":"auto","tools":[],"status":"completed"}"#,
        ..openai("response", RESPONSES, "resp_")
    },
    Kind {
        verbs: &[("GET", "/items"), ("POST", "/items")],
        uses: &[
            (RESPONSES, r#"{"model":"m","conversation":"{}","input":"hi"}"#),
            (RESPONSES, r#"{"model":"m","conversation":{"id":"{}"},"input":"hi"}"#),
        ],
        members: r#"{"created_at":1}"#,
        ..openai("conversation", "/v1/conversations", "conv_")
    },
    Kind {
        verbs: &[("GET", "/messages"), STREAMED],
        body: r#"{"model":"m","store":true,"messages":[]}"#,
        told: Told::Chunks,
        ..openai("completion", CHAT, "chatcmpl-")
    },
    Kind {
        uses: &[("/v1/threads/runs", r#"{"assistant_id":"{}"}"#)],
        body: r#"{"model":"m"}"#,
        ..openai("assistant", "/v1/assistants", "asst_")
    },
    Kind {
        verbs: &[
            ("GET", "/messages"),
            ("POST", "/messages"),
            ("GET", "/runs"),
            ("POST", "/runs/run_1/cancel"),
        ],
        ..openai("thread", "/v1/threads", "thread_")
    },
    Kind {
        verbs: &[("GET", "/files"), ("POST", "/search"), ("POST", "/file_batches")],
        uses: &[
            (RESPONSES, r#"{"model":"m","tools":[{"type":"file_search","vector_store_ids":["{}"]}]}"#),
            (
                "/v1/assistants",
                r#"{"model":"m","tool_resources":{"file_search":{"vector_store_ids":["{}"]}}}"#,
            ),
        ],
        ..openai("vector_store", "/v1/vector_stores", "vs_")
    },
    Kind {
        verbs: &[("GET", "/files"), ("POST", "/files"), ("GET", "/files/cfile_1/content")],
        uses: &[(RESPONSES, r#"{"model":"m","tools":[{"type":"code_interpreter","container":"{}"}]}"#)],
        body: r#"{"name":"c"}"#,
        ..openai("container", "/v1/containers", "cntr_")
    },
    Kind { made_at: "/v1/videos/characters", ..openai("character", "/v1/videos/characters", "char_") },
    Kind {
        verbs: &[("GET", "/content"), ("POST", "/remix")],
        uses: &[("/v1/videos/edits", r#"{"video":{"id":"{}"},"prompt":"p"}"#)],
        body: r#"{"model":"sora-2","prompt":"p"}"#,
        ..openai("video", "/v1/videos", "video_")
    },
    Kind {
        verbs: &[("GET", "/versions"), ("GET", "/content")],
        uses: &[(
            RESPONSES,
            r#"{"model":"m","tools":[{"type":"shell","environment":{"skills":[{"type":"skill_reference","skill_id":"{}"}]}}]}"#,
        )],
        ..openai("skill", "/v1/skills", "skill_")
    },
    Kind {
        uses: &[("/v1/audio/speech", r#"{"model":"m","input":"hi","voice":{"id":"{}"}}"#)],
        ..openai("voice", "/v1/audio/voices", "voice_")
    },
    Kind {
        verbs: &[("GET", "/content")],
        uses: &[
            (
                "/v1/messages",
                r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"{}"}}]}]}"#,
            ),
            (
                "/v1/messages/batches",
                r#"{"requests":[{"custom_id":"a","params":{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"container_upload","file_id":"{}"}]}]}}]}"#,
            ),
        ],
        members: r#"{"created_at":"2026-01-01T00:00:00Z","filename":"f","mime_type":"text/plain","size_bytes":1}"#,
        ..anthropic("file", "/v1/files", "file_")
    },
    Kind {
        verbs: &[("POST", "/cancel"), ("GET", "/results")],
        body: r#"{"requests":[{"custom_id":"a","params":{"model":"m","max_tokens":1,"messages":[]}}]}"#,
        members: r#"{"created_at":"2026-01-01T00:00:00Z","expires_at":"2026-01-01T00:00:00Z","processing_status":"in_progress","request_counts":{"canceled":0,"errored":0,"expired":0,"processing":1,"succeeded":0},"results_url":"https://api.anthropic.com/v1/messages/batches/{id}/results"}"#,
        ..anthropic("message_batch", "/v1/messages/batches", "msgbatch_")
    },
    Kind {
        verbs: &[("GET", "/versions")],
        uses: &[(
            "/v1/messages",
            r#"{"model":"m","max_tokens":1,"container":{"skills":[{"type":"custom","skill_id":"{}"}]},"messages":[]}"#,
        )],
        ..anthropic("skill", "/v1/skills", "skill_")
    },
    Kind {
        uses: &[
            ("/v1/sessions", r#"{"agent":"{}"}"#),
            ("/v1/sessions", r#"{"agent":{"type":"agent","id":"{}","version":1}}"#),
        ],
        body: r#"{"model":"m","name":"a"}"#,
        ..anthropic("agent", "/v1/agents", "agent_")
    },
    Kind {
        verbs: &[("GET", "/events"), ("POST", "/archive")],
        ..anthropic("session", "/v1/sessions", "sesn_")
    },
    Kind {
        uses: &[("/v1/sessions", r#"{"environment_id":"{}"}"#)],
        ..anthropic("environment", "/v1/environments", "env_")
    },
    Kind {
        verbs: &[("GET", "/memories")],
        uses: &[("/v1/sessions", r#"{"resources":[{"type":"memory_store","memory_store_id":"{}"}]}"#)],
        ..anthropic("memory_store", "/v1/memory_stores", "memstore_")
    },
    anthropic("deployment", "/v1/deployments", "depl_"),
    anthropic("dream", "/v1/dreams", "drm_"),
    Kind {
        uses: &[("/v1/messages", r#"{"model":"m","max_tokens":1,"user_profile_id":"{}","messages":[]}"#)],
        ..anthropic("user_profile", "/v1/user_profiles", "uprof_")
    },
    Kind {
        made_at: "/upload/v1beta/files",
        told: Told::File,
        verbs: &[("GET", ":download")],
        uses: &[
            (
                GENERATE,
                r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/{}"}}]}]}"#,
            ),
            (GENERATE, r#"{"contents":[{"parts":[{"file_data":{"file_uri":"files/{}"}}]}]}"#),
        ],
        ..gemini("file", "/v1beta/files", "f", "files")
    },
    Kind {
        made_at: "/v1beta/models/gemini-3-flash:batchGenerateContent",
        verbs: &[("POST", ":cancel")],
        ..gemini("batch", "/v1beta/batches", "b", "batches")
    },
    Kind {
        made_at: "/v1beta/models/veo-3:predictLongRunning",
        ..gemini("operation", "/v1beta/models/veo-3/operations", "op", "operations")
    },
    Kind {
        told: Told::Operation,
        verbs: &[("POST", ":generateContent")],
        uses: &[("/v1beta/interactions", r#"{"model":"tunedModels/{}","input":"hi"}"#)],
        ..gemini("tuned_model", "/v1beta/tunedModels", "tuned", "tunedModels")
    },
    Kind {
        uses: &[
            (GENERATE, r#"{"cachedContent":"cachedContents/{}","contents":[]}"#),
            (GENERATE, r#"{"cached_content":"cachedContents/{}","contents":[]}"#),
        ],
        ..gemini("cached_content", "/v1beta/cachedContents", "c", "cachedContents")
    },
    Kind {
        told: Told::Id,
        verbs: &[("POST", "/cancel"), STREAMED],
        body: r#"{"model":"m","input":"hi"}"#,
        uses: &[("/v1beta/interactions", r#"{"model":"m","previous_interaction_id":"{}","input":"hi"}"#)],
        ..gemini("interaction", "/v1beta/interactions", "int-", "interactions")
    },
    Kind {
        verbs: &[("GET", "/documents"), ("POST", ":importFile")],
        uses: &[(
            GENERATE,
            r#"{"tools":[{"fileSearch":{"fileSearchStoreNames":["fileSearchStores/{}"]}}],"contents":[]}"#,
        )],
        ..gemini("file_search_store", "/v1beta/fileSearchStores", "store-", "fileSearchStores")
    },
    Kind { verbs: &[("POST", ":query")], ..gemini("corpus", "/v1beta/corpora", "corpus-", "corpora") },
    gemini("agent", "/v1beta/agents", "ag-", "agents"),
    gemini("environment", "/v1beta/environments", "en-", "environments"),
    Kind { provider: Gemini, ..openai("compatible_file", "/v1beta/openai/files", "of-") },
    Kind {
        made_at: "/v1/fine-tunes",
        told: Told::Tuned,
        uses: &[(CHAT, r#"{"model":"{}","messages":[]}"#)],
        ..openai("tuned", "/v1/models", "ft:m:o::")
    },
    Kind {
        uses: &[("/openai/v1/batches", r#"{"input_file_id":"{}"}"#)],
        ..groq("groq_file", "/openai/v1/files", "groq-")
    },
    groq("groq_batch", "/openai/v1/batches", "groq-batch-"),
    Kind {
        uses: &[
            ("/v1/batch/jobs", r#"{"input_files":["{}"],"model":"m"}"#),
            ("/v1/fine_tuning/jobs", r#"{"model":"m","training_files":[{"file_id":"{}"}]}"#),
        ],
        ..mistral("mistral_file", "/v1/files", "mistral-")
    },
    mistral("mistral_batch", "/v1/batch/jobs", "mistral-batch-"),
    Kind {
        uses: &[("/v1/chat/completions", r#"{"model":"m","tools":[{"library_ids":["{}"]}],"messages":[]}"#)],
        ..mistral("library", "/v1/libraries", "library-")
    },
    Kind {
        uses: &[("/openai/v1/responses", r#"{"model":"m","input":[{"content":[{"file_id":"{}"}]}]}"#)],
        ..azure("azure_file", "/openai/v1/files", "assistant-")
    },
    Kind {
        uses: &[("/openai/v1/responses", r#"{"model":"m","previous_response_id":"{}"}"#)],
        ..azure("azure_response", "/openai/v1/responses", "resp_azure_")
    },
    Kind {
        uses: &[(
            "/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
            r#"{"cachedContent":"projects/p/locations/l/cachedContents/{}","contents":[]}"#,
        )],
        ..vertex("vertex_cache", "/v1/projects/p/locations/l/cachedContents", "vc", "cachedContents")
    },
    vertex("vertex_batch", "/v1/projects/p/locations/l/batchPredictionJobs", "vb", "batchPredictionJobs"),
];
