-- schema.sql - everything Tailor must not forget; version 3.
--
-- seq (id of a candidate) is the rowid: it gives lists their order and stands, unsaid, at the end of every index, so that
-- an index on (search) serves "search = ? AND seq > ? ORDER BY seq". Times are wall-clock nanoseconds, 0: not yet.
-- '' is none. BLOBs are opaque bytes made by codecs, mostly JSON; the large ones stand last, where lists skip them.

PRAGMA application_id = 1413565522; -- "TALR"
PRAGMA user_version = 3;

CREATE TABLE device (
    seq INTEGER PRIMARY KEY,                 -- store_device_list
    name TEXT NOT NULL UNIQUE,               -- every other store_device function
    agent_key TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    seen_ns INTEGER NOT NULL,
    anchor_reference_ms REAL NOT NULL,       -- 0 until fixed, then for life
    info BLOB NOT NULL
) STRICT;

CREATE TABLE model (
    seq INTEGER PRIMARY KEY,                 -- store_model_list
    kind TEXT NOT NULL,
    space TEXT NOT NULL,
    device TEXT NOT NULL,
    hash TEXT NOT NULL,                      -- of the blob that holds it
    created_ns INTEGER NOT NULL,
    info BLOB NOT NULL
) STRICT;
CREATE INDEX model_by_use ON model (kind, space, device); -- store_model_current: the last one

CREATE TABLE space (                         -- written once, never changed; families are not among them
    seq INTEGER PRIMARY KEY,                 -- store_space_list
    name TEXT NOT NULL UNIQUE,               -- store_space_put
    created_ns INTEGER NOT NULL,
    document BLOB NOT NULL
) STRICT;

CREATE TABLE snapshot (                      -- written once, never changed
    hash TEXT PRIMARY KEY,
    json BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE search (
    seq INTEGER PRIMARY KEY,                 -- store_search_list
    id TEXT NOT NULL UNIQUE,                 -- store_search_get, _update; parent of candidate and event
    space TEXT NOT NULL,
    device TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'profiling', 'running', 'verifying', 'waiting_for_device',
                                         'evaluating', 'finished', 'failed', 'cancelled')),
    outcome TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    updated_ns INTEGER NOT NULL,
    finished_ns INTEGER NOT NULL,
    evaluations INTEGER NOT NULL,
    revision INTEGER NOT NULL,               -- + 1 with every change
    spec BLOB NOT NULL,
    progress BLOB NOT NULL,
    checkpoint BLOB NOT NULL,
    result BLOB NOT NULL
) STRICT;
CREATE INDEX search_by_state ON search (state);   -- store_search_next; store_search_list of one state
CREATE INDEX search_by_device ON search (device); -- store_search_list of one device

CREATE TABLE candidate (
    id INTEGER PRIMARY KEY AUTOINCREMENT,    -- store_candidate_get; never used again
    search TEXT NOT NULL REFERENCES search (id),
    arch TEXT NOT NULL,
    role TEXT NOT NULL,
    number INTEGER NOT NULL,
    genes BLOB NOT NULL,
    "values" BLOB NOT NULL,
    UNIQUE (search, arch)                    -- store_candidate_put
) STRICT;
CREATE INDEX candidate_by_search ON candidate (search);     -- store_candidate_list of every role
CREATE INDEX candidate_by_role ON candidate (search, role); -- store_candidate_list of one role, _clear

CREATE TABLE event (
    search TEXT NOT NULL REFERENCES search (id),
    number INTEGER NOT NULL,                 -- 1, 2, 3 ... within a search
    time_ns INTEGER NOT NULL,
    kind TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (search, number)             -- store_event_add, _list
) STRICT, WITHOUT ROWID;

CREATE TABLE job (
    seq INTEGER PRIMARY KEY,                 -- store_job_list
    id TEXT NOT NULL UNIQUE,                 -- store_job_get, _renew, _end
    device TEXT NOT NULL REFERENCES device (name),
    kind TEXT NOT NULL,
    search TEXT NOT NULL,
    space TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'done', 'failed')),
    not_before_ns INTEGER NOT NULL,
    lease_until_ns INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    failure TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    work BLOB NOT NULL
) STRICT;
CREATE INDEX job_by_state ON job (device, state); -- store_job_lease; store_job_list of one device and state
CREATE INDEX job_by_device ON job (device);       -- store_job_list of one device
CREATE INDEX job_by_search ON job (search);       -- store_job_list of one search, _newest, store_job_cancel_search

CREATE TABLE evaluation (                    -- what a worker said, once for all; never changed
    source TEXT NOT NULL,                    -- a pool of workers; or a search: what stays without a value in it alone
    space TEXT NOT NULL,
    arch TEXT NOT NULL,
    metric TEXT NOT NULL,
    value REAL,                              -- NULL: cannot be valued
    PRIMARY KEY (source, space, arch, metric) -- store_evaluation_put, _get
) STRICT, WITHOUT ROWID;

CREATE TABLE measurement (                   -- written once, never changed
    seq INTEGER PRIMARY KEY,                 -- store_measurement_list
    id TEXT NOT NULL UNIQUE,                 -- store_measurement_put, _get
    device TEXT NOT NULL REFERENCES device (name),
    job TEXT NOT NULL,
    search TEXT NOT NULL,
    space TEXT NOT NULL,
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    late INTEGER NOT NULL CHECK (late IN (0, 1)),
    created_ns INTEGER NOT NULL,
    ratio REAL NOT NULL,
    anchor_ms REAL NOT NULL,
    median_ms REAL NOT NULL,
    body_hash TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX measurement_by_search ON measurement (search);   -- store_measurement_list of one search
CREATE INDEX measurement_by_subject ON measurement (subject); -- store_measurement_list of one subject
CREATE INDEX measurement_by_device ON measurement (device);   -- store_measurement_list of one device
