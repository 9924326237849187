-- What each caller used in each hour (`hour` is its first second). An empty owner or team means none. Costs are in nano-dollars.
CREATE TABLE usage (
    hour        INTEGER NOT NULL,
    principal   TEXT NOT NULL CHECK (length(principal) = 64),
    kind        TEXT NOT NULL CHECK (kind IN ('token', 'person', 'introspected', 'other')),
    label       TEXT NOT NULL,
    owner       TEXT NOT NULL,
    team        TEXT NOT NULL,
    provider    TEXT NOT NULL,
    model       TEXT NOT NULL,
    requests    INTEGER NOT NULL,
    unmetered   INTEGER NOT NULL,
    unpriced    INTEGER NOT NULL,
    input       INTEGER NOT NULL,
    cached      INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    output      INTEGER NOT NULL,
    reasoning   INTEGER NOT NULL,
    audio       INTEGER NOT NULL,
    cost        INTEGER NOT NULL,
    PRIMARY KEY (hour, principal, owner, team, provider, model)
) STRICT;
CREATE INDEX usage_by_principal ON usage (principal, hour);
CREATE INDEX usage_by_owner ON usage (owner, hour);
CREATE INDEX usage_by_team ON usage (team, hour);

-- The sums of all time, for metrics, which must never go down. The number of rows is bounded.
CREATE TABLE usage_totals (
    team        TEXT NOT NULL,
    provider    TEXT NOT NULL,
    model       TEXT NOT NULL,
    requests    INTEGER NOT NULL,
    unmetered   INTEGER NOT NULL,
    unpriced    INTEGER NOT NULL,
    input       INTEGER NOT NULL,
    cached      INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    output      INTEGER NOT NULL,
    reasoning   INTEGER NOT NULL,
    audio       INTEGER NOT NULL,
    cost        INTEGER NOT NULL,
    PRIMARY KEY (team, provider, model)
) STRICT;

-- The ids of reports that were counted, for a day: a report that is sent again counts nothing again.
CREATE TABLE usage_reports (
    id    TEXT PRIMARY KEY NOT NULL,
    at    INTEGER NOT NULL
) STRICT;
CREATE INDEX usage_reports_by_time ON usage_reports (at);

-- The budgets that administrators set. A data plane brings the policy's own budgets with its requests.
CREATE TABLE budgets (
    subject    TEXT PRIMARY KEY NOT NULL,
    unit       TEXT NOT NULL CHECK (unit IN ('usd', 'tokens')),
    amount     INTEGER NOT NULL CHECK (amount > 0),
    per        TEXT NOT NULL CHECK (per IN ('hour', 'day', 'week', 'month')),
    timezone   TEXT NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

-- The windows in which budgets count. `settled` is the spending of leases that are not kept any more.
CREATE TABLE budget_windows (
    subject    TEXT NOT NULL,
    unit       TEXT NOT NULL CHECK (unit IN ('usd', 'tokens')),
    starts_at  INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    amount     INTEGER NOT NULL,
    per        TEXT NOT NULL CHECK (per IN ('hour', 'day', 'week', 'month')),
    timezone   TEXT NOT NULL,
    settled    INTEGER NOT NULL,
    PRIMARY KEY (subject, unit, starts_at, ends_at)
) STRICT;
CREATE INDEX budget_windows_by_end ON budget_windows (ends_at);

-- The parts of a window that data planes hold. `granted` and `spent` are sums since the lease began, and never
-- shrink. A lease that has ended has one successor, whoever asks for it. Equal first requests have the same `nonce`.
CREATE TABLE leases (
    id         TEXT PRIMARY KEY NOT NULL,
    subject    TEXT NOT NULL,
    unit       TEXT NOT NULL,
    starts_at  INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    node       TEXT NOT NULL,
    granted    INTEGER NOT NULL,
    spent      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    nonce      TEXT NOT NULL,
    successor  TEXT
) STRICT;
CREATE INDEX leases_by_window ON leases (subject, unit, starts_at, ends_at);
CREATE INDEX leases_by_expiry ON leases (expires_at);

-- A third role: reading the registry's metrics.
ALTER TABLE credentials RENAME TO credentials_before;
CREATE TABLE credentials (
    digest     TEXT PRIMARY KEY NOT NULL CHECK (length(digest) = 64),
    name       TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('data_plane', 'introspection', 'metrics')),
    created_at INTEGER NOT NULL,
    last_seen  INTEGER
) STRICT;
INSERT INTO credentials SELECT digest, name, role, created_at, last_seen FROM credentials_before;
DROP TABLE credentials_before;
