//! The promise that each target tries to break, by its name. Each has a corpus, `fuzz/corpus/NAME.txt`.

/// Names and promises, sorted.
pub const PROMISES: [(&str, &str); 24] = [
    ("answer", "the answer of a provider is read alike in any slices, and passes as it is"),
    ("aws", "event streams of AWS are framed alike in any slices"),
    ("bundle", "a policy without a valid signature is never in force"),
    ("claims", "a JWT counts only for its issuer, audience and time"),
    ("credential", "an upstream gets the credential that its agent gave, or nothing"),
    ("discovery", "the keys of an issuer are fetched from its own host only"),
    ("events", "server-sent events are framed alike in any slices"),
    ("feed", "the change feed makes no token known"),
    ("form", "a form in parts is read alike in any slices"),
    ("frames", "WebSocket messages are framed alike in any slices"),
    ("head", "a rewritten head has the credential of its upstream once, and no other and no token"),
    ("introspection", "a token passes only where the introspection server calls it active"),
    ("json", "what is taken for JSON is JSON to another strict reader"),
    ("jwk_set", "only keys of known types, and 64 of them at most, are used"),
    ("jws", "a JWT has three parts, a known algorithm and no extension"),
    ("lease", "a request under a budget passes only where the registry leased enough"),
    ("limit", "a request passes only where the registry counted it"),
    ("list", "a filtered list is JSON, and alike in any slices"),
    ("log", "a logged request that is replayed under its own policy changes nothing"),
    ("objects", "an object is for the caller that the registry names as its holder"),
    ("policy", "a policy means the same however it is written, and has no unknown field"),
    ("record", "a token passes only by a record that names it, is active and opens the provider"),
    ("request", "a request to which Keyswap adds members stays JSON, in any slices"),
    ("shared", "values in shared memory let no token in"),
];
