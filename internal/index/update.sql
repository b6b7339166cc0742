-- The statements that write. Each begins with its name.

-- name: meta
SELECT value FROM meta WHERE name = ?

-- name: set meta
INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: add record
INSERT INTO record (n, kind, body) VALUES (?, ?, ?)

-- name: add snapshot
INSERT INTO snapshot (n, ended, body) VALUES (?, ?, ?)

-- name: add tally
INSERT INTO tally (n, body) VALUES (?, ?)

-- name: type number
SELECT n FROM type WHERE name = ?

-- name: add type
INSERT OR IGNORE INTO type (name) VALUES (?)

-- name: rel number
SELECT n FROM rel WHERE name = ?

-- name: add rel
INSERT OR IGNORE INTO rel (name) VALUES (?)

-- name: object number
SELECT n FROM object WHERE type = ? AND id = ?

-- name: add object
INSERT OR IGNORE INTO object (type, id) VALUES (?, ?)

-- name: newest version
SELECT v.a, v.z, v.hash, v.label, l.name, l.digest FROM version v JOIN label l ON l.n = v.label
WHERE v.object = ? ORDER BY v.a DESC LIMIT 1

-- name: add version
INSERT INTO version (object, a, z, hash, label, position) VALUES (?, ?, 2147483647, ?, ?, ?)
ON CONFLICT (object, a) DO UPDATE SET z = excluded.z, hash = excluded.hash, label = excluded.label, position = excluded.position

-- name: close version
UPDATE version SET z = ?3 WHERE object = ?1 AND a = ?2

-- name: revive version
UPDATE version SET z = 2147483647 WHERE object = ?1 AND a = ?2

-- name: drop empty versions
DELETE FROM version WHERE a > 0 AND a = ?1 AND z = ?1

-- name: add label
INSERT INTO label (object, name, digest) VALUES (?, ?, ?)

-- name: add text
INSERT INTO fts (rowid, text) VALUES (?, ?)

-- name: revive links
UPDATE link SET z = 2147483647 WHERE src = ?1 AND rel = ?2 AND z = ?4
AND (rank, dst) IN (SELECT value >> 28, value & 268435455 FROM json_each(?3))

-- name: add first links
INSERT INTO link (src, rel, rank, dst, a, z) SELECT ?1, ?2, value >> 28, value & 268435455, 0, 2147483647 FROM json_each(?3) WHERE 1
ON CONFLICT (src, rel, rank, dst, a) DO NOTHING

-- name: add links
INSERT INTO link (src, rel, rank, dst, a, z) SELECT ?1, ?2, value >> 28, value & 268435455, ?4, 2147483647 FROM json_each(?3) e
WHERE NOT EXISTS (SELECT 1 FROM link l
  WHERE l.src = ?1 AND l.rel = ?2 AND l.rank = e.value >> 28 AND l.dst = e.value & 268435455 AND l.z = 2147483647)
ON CONFLICT (src, rel, rank, dst, a) DO NOTHING

-- name: close links
UPDATE link SET z = ?4 WHERE src = ?1 AND rel = ?2 AND z = 2147483647
AND (rank, dst) IN (SELECT value >> 28, value & 268435455 FROM json_each(?3))

-- name: close links from
UPDATE link SET z = ?2 WHERE src = ?1 AND z = 2147483647

-- name: close links to
UPDATE link SET z = ?2 WHERE dst = ?1 AND z = 2147483647

-- name: drop empty links
DELETE FROM link WHERE a > 0 AND a = ?1 AND z = ?1

-- name: target number
SELECT n FROM target WHERE id = ?

-- name: add target
INSERT OR IGNORE INTO target (id) VALUES (?)

-- name: references held
SELECT target FROM reference WHERE object = ? AND z = 2147483647

-- name: revive reference
UPDATE reference SET z = 2147483647 WHERE object = ?1 AND target = ?2 AND z = ?3

-- name: add reference
INSERT INTO reference (object, target, a, z) VALUES (?, ?, ?, 2147483647)

-- name: close reference
UPDATE reference SET z = ?3 WHERE object = ?1 AND target = ?2 AND z = 2147483647

-- name: close all versions
UPDATE version SET z = ?1 WHERE z = 2147483647

-- name: close all links
UPDATE link SET z = ?1 WHERE z = 2147483647

-- name: close all references
UPDATE reference SET z = ?1 WHERE z = 2147483647

-- name: sums
SELECT type, rel FROM sum

-- name: close references
UPDATE reference SET z = ?2 WHERE object = ?1 AND z = 2147483647

-- name: drop empty references
DELETE FROM reference WHERE a > 0 AND a = ?1 AND z = ?1

-- name: drop alias
DELETE FROM alias WHERE old = ?

-- name: add alias
INSERT INTO alias (old, new) VALUES (?, ?) ON CONFLICT (old) DO UPDATE SET new = excluded.new

-- name: add act
INSERT OR IGNORE INTO act (id, at, position) VALUES (?, ?, ?)

-- name: add act on
INSERT OR IGNORE INTO acton (target, at, act) VALUES (?, ?, ?)

-- name: first
SELECT n FROM snapshot ORDER BY n LIMIT 1

-- name: sum
SELECT value FROM sum WHERE type = ? AND rel = ?

-- name: set sum
INSERT INTO sum (type, rel, value) VALUES (?, ?, ?) ON CONFLICT (type, rel) DO UPDATE SET value = excluded.value
