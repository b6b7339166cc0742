-- The statements that read. Each begins with its name. :at is a snapshot's number.

-- name: records
SELECT body FROM record WHERE kind IN (SELECT value FROM json_each(?)) ORDER BY n

-- name: record
SELECT body FROM record WHERE n = ?

-- name: tallies
SELECT body FROM tally ORDER BY n DESC LIMIT ?

-- name: snapshot
SELECT body FROM snapshot WHERE n = ?

-- name: latest
SELECT body FROM snapshot ORDER BY n DESC LIMIT 1

-- name: at
SELECT body FROM snapshot WHERE ended <= ? ORDER BY ended DESC, n DESC LIMIT 1

-- name: numbers
SELECT n FROM tally ORDER BY n

-- name: before
SELECT n FROM snapshot WHERE n < ? ORDER BY n DESC LIMIT 1

-- name: aliases
SELECT old, new FROM alias ORDER BY old

-- name: entries
SELECT o.id, v.hash FROM object o CROSS JOIN version v ON v.object = o.n AND v.a <= ?3 AND v.z > ?3
WHERE o.type = (SELECT n FROM type WHERE name = ?1) AND o.id > ?2 ORDER BY o.id LIMIT ?4

-- name: whole
SELECT o.id, v.hash, v.position FROM object o CROSS JOIN version v ON v.object = o.n AND v.a <= ?2 AND v.z > ?2
WHERE o.type = (SELECT n FROM type WHERE name = ?1) ORDER BY o.id

-- name: version
SELECT v.hash FROM object o JOIN version v ON v.object = o.n AND v.a <= ?3 AND v.z > ?3
WHERE o.type = (SELECT n FROM type WHERE name = ?1) AND o.id = ?2

-- name: has
SELECT count(*) FROM link WHERE src = (SELECT n FROM object WHERE type = (SELECT n FROM type WHERE name = ?1) AND id = ?2)
AND rel = (SELECT n FROM rel WHERE name = ?3) AND rank = (SELECT n FROM type WHERE name = ?4) << 22 | ?7
AND dst = (SELECT n FROM object WHERE type = (SELECT n FROM type WHERE name = ?4) AND id = ?5) AND a <= ?6 AND z > ?6

-- name: added up
SELECT value FROM sum WHERE type = ? AND rel = ?

-- name: part
SELECT o.n, o.id, t.name, d.id FROM object o
CROSS JOIN link l ON l.src = o.n AND l.rel = (SELECT n FROM rel WHERE name = ?2) AND l.a <= ?4 AND l.z > ?4
CROSS JOIN object d ON d.n = l.dst CROSS JOIN type t ON t.n = d.type
WHERE o.type = (SELECT n FROM type WHERE name = ?1) AND o.id > ?3 ORDER BY o.id, t.name, d.id LIMIT ?5

-- name: around
WITH self (n) AS (SELECT n FROM object WHERE type = (SELECT n FROM type WHERE name = ?1) AND id = ?2)
SELECT 1, r.name, t.name, o.id, l.a, l.z FROM link l
CROSS JOIN rel r ON r.n = l.rel CROSS JOIN object o ON o.n = l.dst CROSS JOIN type t ON t.n = o.type
WHERE l.src = (SELECT n FROM self) AND (?3 = 0 OR (l.a <= ?3 AND l.z > ?3))
UNION ALL
SELECT 0, r.name, t.name, o.id, l.a, l.z FROM link l
CROSS JOIN rel r ON r.n = l.rel CROSS JOIN object o ON o.n = l.src CROSS JOIN type t ON t.n = o.type
WHERE l.dst = (SELECT n FROM self) AND l.src <> l.dst AND (?3 = 0 OR (l.a <= ?3 AND l.z > ?3))
LIMIT ?4

-- name: into
SELECT st.name, s.id, r.name, dt.name, d.id, l.a, l.z FROM link l JOIN rel r ON r.n = l.rel
JOIN object s ON s.n = l.src JOIN type st ON st.n = s.type
JOIN object d ON d.n = l.dst JOIN type dt ON dt.n = d.type
WHERE l.dst = ?1 AND l.src <> ?1 AND (?2 = 0 OR (l.a <= ?2 AND l.z > ?2)) ORDER BY st.name, s.id, r.name, l.a

-- name: fans
WITH RECURSIVE fan (at) AS (
  SELECT (SELECT (rel << 40) | (rank >> 22) FROM link WHERE src = ?1 ORDER BY rel, rank LIMIT 1)
  UNION ALL
  SELECT (SELECT (rel << 40) | (rank >> 22) FROM link WHERE src = ?1
    AND (rel, rank) >= (fan.at >> 40, ((fan.at & 1099511627775) + 1) << 22) ORDER BY rel, rank LIMIT 1)
  FROM fan WHERE fan.at IS NOT NULL
)
SELECT r.n, r.name, t.n, t.name FROM fan f JOIN rel r ON r.n = f.at >> 40 JOIN type t ON t.n = f.at & 1099511627775
ORDER BY r.name, t.name

-- name: fan
SELECT l.rank, o.id, l.a, l.z FROM link l CROSS JOIN object o ON o.n = l.dst
WHERE l.src = ?1 AND l.rel = ?2 AND l.rank > ?3 AND l.rank < ?4 AND (?5 = 0 OR (l.a <= ?5 AND l.z > ?5)) ORDER BY l.rank LIMIT ?6

-- name: alike
SELECT st.name, s.id, r.name, dt.name, d.id, l.a, l.z FROM link l JOIN rel r ON r.n = l.rel
JOIN object s ON s.n = l.src JOIN type st ON st.n = s.type
JOIN object d ON d.n = l.dst JOIN type dt ON dt.n = d.type
WHERE l.src = ?1 AND l.rel = ?2 AND l.rank = ?3 AND (?4 = 0 OR (l.a <= ?4 AND l.z > ?4)) ORDER BY d.id, l.a

-- name: number
SELECT n FROM object WHERE type = (SELECT n FROM type WHERE name = ?) AND id = ?

-- name: versions
SELECT r.key, v.hash, v.position, l.name FROM json_each(?1) r
JOIN type t ON t.name = r.value ->> 0
JOIN object o ON o.type = t.n AND o.id = r.value ->> 1
JOIN version v ON v.object = o.n AND v.a <= ?2 AND v.z > ?2
JOIN label l ON l.n = v.label ORDER BY r.key

-- name: holders
SELECT t.name, o.id FROM reference r JOIN object o ON o.n = r.object JOIN type t ON t.n = o.type
WHERE r.target = (SELECT n FROM target WHERE id = ?1) AND r.a <= ?2 AND r.z > ?2 ORDER BY t.name, o.id

-- name: touched
SELECT t.name, o.id FROM (
  SELECT c.object AS n FROM (
    SELECT object FROM version WHERE a > 0 AND a > ?1 AND a <= ?2
    UNION SELECT object FROM version WHERE z < 2147483647 AND z > ?1 AND z <= ?2) c
  WHERE (SELECT hash FROM version v WHERE v.object = c.object AND v.a <= ?1 AND v.z > ?1)
    IS NOT (SELECT hash FROM version v WHERE v.object = c.object AND v.a <= ?2 AND v.z > ?2)
  UNION
  SELECT src FROM ( -- a link that ended and began again comes twice
    SELECT src, rel, rank, dst FROM link WHERE a > 0 AND a > ?1 AND a <= ?2 AND z > ?2
    UNION ALL SELECT src, rel, rank, dst FROM link WHERE z < 2147483647 AND z > ?1 AND z <= ?2 AND a <= ?1
  ) GROUP BY src, rel, rank, dst HAVING count(*) = 1
) c JOIN object o ON o.n = c.n JOIN type t ON t.n = o.type ORDER BY t.name, o.id

-- name: revised
SELECT t.name, o.id FROM (
  SELECT object FROM version WHERE a > 0 AND a > ?1 AND a <= ?2
  UNION SELECT object FROM version WHERE z < 2147483647 AND z > ?1 AND z <= ?2) c
JOIN object o ON o.n = c.object JOIN type t ON t.n = o.type
WHERE (SELECT hash FROM version v WHERE v.object = c.object AND v.a <= ?1 AND v.z > ?1)
  IS NOT (SELECT hash FROM version v WHERE v.object = c.object AND v.a <= ?2 AND v.z > ?2)
ORDER BY t.name, o.id

-- name: apart
SELECT st.name, s.id, r.name, dt.name, d.id, c.way, 0 FROM (
  SELECT src, rel, rank, dst, sum(way) AS way FROM ( -- a link that ended and began again comes twice
    SELECT src, rel, rank, dst, 1 AS way FROM link WHERE a > 0 AND a > ?1 AND a <= ?2 AND z > ?2
    UNION ALL SELECT src, rel, rank, dst, -1 FROM link WHERE z < 2147483647 AND z > ?1 AND z <= ?2 AND a <= ?1
  ) GROUP BY src, rel, rank, dst HAVING count(*) = 1
) c JOIN rel r ON r.n = c.rel
JOIN object s ON s.n = c.src JOIN type st ON st.n = s.type
JOIN object d ON d.n = c.dst JOIN type dt ON dt.n = d.type
ORDER BY st.name, s.id, r.name, dt.name, d.id

-- name: spans
SELECT v.a, v.z, v.hash, l.name FROM version v JOIN label l ON l.n = v.label
WHERE v.object = (SELECT n FROM object WHERE type = (SELECT n FROM type WHERE name = ?1) AND id = ?2) ORDER BY v.a

-- name: acts
SELECT c.position FROM acton o JOIN act c ON c.n = o.act
WHERE o.target = (SELECT n FROM target WHERE id = ?1) AND o.at >= ?2 AND o.at < ?3 ORDER BY o.at, c.id

-- name: acts within
SELECT position FROM act WHERE at >= ? AND at < ? ORDER BY at, id

-- name: acts since
SELECT id FROM act WHERE at >= ? ORDER BY at, id

-- name: repository
SELECT value FROM meta WHERE name = 'repository'

-- name: snapshot of
SELECT (SELECT value FROM meta WHERE name = 'repository'), (SELECT body FROM snapshot WHERE n = ?)

-- name: moments
WITH self (n) AS (SELECT n FROM object WHERE type = (SELECT n FROM type WHERE name = ?1) AND id = ?2)
SELECT a FROM version WHERE object = (SELECT n FROM self) UNION SELECT z FROM version WHERE object = (SELECT n FROM self)
UNION SELECT a FROM link WHERE src = (SELECT n FROM self) UNION SELECT z FROM link WHERE src = (SELECT n FROM self)
UNION SELECT a FROM link WHERE dst = (SELECT n FROM self) UNION SELECT z FROM link WHERE dst = (SELECT n FROM self)

-- name: find
WITH hit (object, label) AS (
  SELECT l.object, l.n FROM fts f CROSS JOIN label l ON l.n = f.rowid WHERE ?1 <> '' AND fts MATCH ?1
  UNION ALL
  SELECT o.n, NULL FROM object o WHERE ?2 <> '' AND o.type IN (SELECT n FROM type) AND o.id >= ?2 AND o.id < ?2 || char(1114111)
), seen (object, a) AS (
  SELECT h.object, max(v.a) FROM hit h CROSS JOIN version v ON v.object = h.object
  WHERE (h.label IS NULL OR h.label = v.label) AND (?3 = 0 OR (v.a <= ?3 AND v.z > ?3)) GROUP BY h.object
)
SELECT t.name, o.id, l.name,
  (SELECT min(w.a) FROM version w WHERE w.object = s.object),
  (SELECT max(w.z) FROM version w WHERE w.object = s.object), s.a
FROM seen s CROSS JOIN object o ON o.n = s.object CROSS JOIN type t ON t.n = o.type
CROSS JOIN version v ON v.object = s.object AND v.a = s.a CROSS JOIN label l ON l.n = v.label
WHERE ?4 = '' OR t.name = ?4
ORDER BY lower(l.name) <> lower(?5) AND o.id <> ?5, 5 DESC, l.name, t.name, o.id LIMIT ?6
