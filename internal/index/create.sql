-- The schema. Its number is the constant schema in open.go: change both together.
--
-- A row with a and z holds from snapshot a up to, but not in, snapshot z. a is 0 for what the first snapshot
-- found, so that the partial indexes leave it out; z is 2147483647 (2^31 - 1) while it lasts.

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE record (n INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX record_kind ON record (kind);

CREATE TABLE snapshot (n INTEGER PRIMARY KEY, ended INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX snapshot_ended ON snapshot (ended);

-- What lists show of each snapshot, whose body is long.
CREATE TABLE tally (n INTEGER PRIMARY KEY, body TEXT NOT NULL);

CREATE TABLE type (n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE rel (n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

CREATE TABLE object (n INTEGER PRIMARY KEY, type INTEGER NOT NULL, id TEXT NOT NULL, UNIQUE (type, id));

-- What an object was called, and the row of fts that finds it by that. digest tells two search texts apart.
CREATE TABLE label (n INTEGER PRIMARY KEY, object INTEGER NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL);
CREATE VIRTUAL TABLE fts USING fts5 (text, content='', detail=none, prefix='2 3', tokenize='unicode61 remove_diacritics 2');

CREATE TABLE version (
  object INTEGER NOT NULL, a INTEGER NOT NULL, z INTEGER NOT NULL,
  hash BLOB NOT NULL, label INTEGER NOT NULL, position BLOB NOT NULL,
  PRIMARY KEY (object, a)
) WITHOUT ROWID;

-- rank is the number of dst's type, shifted by 22 bits, and how its ID begins (rank.go). Links of one object, relation and
-- type that are read in its order are in that of their IDs but for equal ranks, so that a page of many needs only its own.
CREATE TABLE link (
  src INTEGER NOT NULL, rel INTEGER NOT NULL, rank INTEGER NOT NULL, dst INTEGER NOT NULL, a INTEGER NOT NULL, z INTEGER NOT NULL,
  PRIMARY KEY (src, rel, rank, dst, a)
) WITHOUT ROWID;

-- The IDs that properties hold. They name no type, so they are no objects.
CREATE TABLE target (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE reference (
  object INTEGER NOT NULL, target INTEGER NOT NULL, a INTEGER NOT NULL, z INTEGER NOT NULL,
  PRIMARY KEY (object, target, a)
) WITHOUT ROWID;

CREATE TABLE alias (old TEXT PRIMARY KEY, new TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE act (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, position BLOB NOT NULL);
CREATE TABLE acton (target INTEGER NOT NULL, at INTEGER NOT NULL, act INTEGER NOT NULL, PRIMARY KEY (target, at, act)) WITHOUT ROWID;
CREATE INDEX act_at ON act (at);

-- What the newest snapshot has of each part, added up (snapshot.Sum); rel is '' for objects.
CREATE TABLE sum (type TEXT NOT NULL, rel TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (type, rel)) WITHOUT ROWID;
