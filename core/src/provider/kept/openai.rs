//! The objects of OpenAI's API, and of those in its form.
//!
//! Evaluations are left out: they read the stored completions of the whole account. So are agents and hosted chats.

use crate::provider::objects::{Collection, Form, Made, Makes, Member, Objects};

const FILES: Collection = Collection::new("/files", "file");
const BATCHES: Collection = Collection::new("/batches", "batch");
const RESPONSES: Collection =
    Collection { makes: Makes::UnlessDeclined, ..Collection::new("/responses", "response") };
const MODELS: Collection =
    Collection { makes: Makes::Never, begins: "ft:", ..Collection::new("/models", "model") };

const COLLECTIONS: [Collection; 19] = [
    FILES,
    Collection::new("/uploads", "upload"),
    BATCHES,
    Collection::new("/fine_tuning/jobs", "job"),
    Collection { makes: Makes::Never, begins: "ft:", ..Collection::new("/fine_tuning/checkpoints", "model") },
    Collection::new("/fine-tunes", "job"),
    MODELS,
    RESPONSES,
    Collection::new("/conversations", "conversation"),
    Collection { makes: Makes::IfAsked, ..Collection::new("/chat/completions", "completion") },
    Collection::new("/assistants", "assistant"),
    Collection { makes: Makes::Never, ..Collection::new("/threads/runs", "thread") },
    Collection::new("/threads", "thread"),
    Collection::new("/vector_stores", "vector_store"),
    Collection::new("/containers", "container"),
    Collection::new("/videos/characters", "character"),
    Collection {
        also: &["/videos/edits", "/videos/extensions", "/videos/{}/remix"],
        ..Collection::new("/videos", "video")
    },
    Collection::new("/skills", "skill"),
    Collection::new("/audio/voices", "voice"),
];

const PLAIN: &[&str] = &["/responses/compact", "/responses/input_tokens", "/fine_tuning/alpha/graders/{}"];

/// Words that Realtime has in the place of a conversation.
const NO_CONVERSATION: Form = Form::IdOr(&["auto", "none"]);

const MEMBERS: [Member; 28] = [
    Member::id("previousresponseid"),
    Member::of("conversation", NO_CONVERSATION),
    Member::within("conversation", "id"),
    Member::id("conversationid"),
    Member::id("fileid"),
    Member::id("fileids"),
    Member::id("inputfileid"),
    Member::id("vectorstoreid"),
    Member::id("vectorstoreids"),
    Member::id("container"),
    Member::within("container", "id"),
    Member::id("containerid"),
    Member::id("trainingfile"),
    Member::id("validationfile"),
    Member::id("trainingfiles"),
    Member::id("validationfiles"),
    Member::id("assistantid"),
    Member::id("threadid"),
    Member::id("responseid"),
    Member::id("agentid"),
    Member::id("libraryids"),
    Member::of("skillid", Form::Begins("skill_")),
    Member::of("model", Form::Begins("ft:")),
    Member::of("models", Form::Begins("ft:")),
    Member::within("video", "id"),
    Member::within("characters", "id"),
    Member::within("voice", "id"),
    Member::within("source", "id"),
];

const FREE: &[&str] = &["metadata", "parameters", "schema", "headers"];
const PARAMETERS: &[&str] = &["file_id", "vector_store_id", "assistant_id", "thread_id", "call_id"];
const CURSORS: &[&str] = &["after", "before"];

const MADE: Made = Made {
    paths: &[
        &["id"],
        &["response", "id"],
        &["file", "id"],
        &["output_file_id"],
        &["error_file_id"],
        &["result_files", "*"],
        &["fine_tuned_model"],
        &["data", "*", "fine_tuned_model_checkpoint"],
        &["output", "*", "container_id"],
        &["response", "output", "*", "container_id"],
        &["item", "container_id"],
        &["thread_id"],
        &["conversation_id"],
        &["output_file"],
        &["error_file"],
    ],
    kinds: &[
        "",
        "",
        "file",
        "file",
        "file",
        "file",
        "model",
        "model",
        "container",
        "container",
        "container",
        "thread",
        "conversation",
        "file",
        "file",
    ],
};

/// Words of a gateway whose models are OpenAI's, among others. It keeps nothing itself.
pub(in crate::provider) static OF_GATEWAYS: Objects =
    Objects { account: "openai", collections: &[], plain: &[], parameters: &[], cursors: &[], ..FORM };

const FORM: Objects = Objects {
    account: "",
    prefix: "",
    collections: &COLLECTIONS,
    plain: PLAIN,
    has_names: false,
    members: &MEMBERS,
    free: FREE,
    telling: &["/fine_tuning/jobs/{}/checkpoints"],
    parameters: PARAMETERS,
    cursors: CURSORS,
    made: MADE,
    lists: &[&["data"], &["data", "*", "id"], &["first_id"], &["last_id"]],
    arrays: 1,
    has_edges: true,
};

pub(in crate::provider) static OPENAI: Objects = FORM;

pub(in crate::provider) static AZURE: Objects = Objects { prefix: "/openai/v1", ..FORM };

pub(in crate::provider) static GROQ: Objects = Objects {
    collections: &[FILES, BATCHES, RESPONSES, Collection::new("/fine_tunings", "job"), MODELS],
    ..FORM
};

pub(in crate::provider) static GROK: Objects = Objects { collections: &[FILES, RESPONSES, MODELS], ..FORM };

pub(in crate::provider) static MISTRAL: Objects = Objects {
    collections: &[
        FILES,
        Collection::new("/batch/jobs", "batch"),
        Collection::new("/fine_tuning/jobs", "job"),
        Collection { makes: Makes::Never, begins: "ft:", ..Collection::new("/fine_tuning/models", "model") },
        MODELS,
        Collection::new("/libraries", "library"),
    ],
    ..FORM
};
