-- Made after the first snapshot is in: filling them once is several times quicker than row by row.
CREATE INDEX IF NOT EXISTS version_a ON version (a) WHERE a > 0;
CREATE INDEX IF NOT EXISTS version_z ON version (z) WHERE z < 2147483647;
CREATE INDEX IF NOT EXISTS link_dst ON link (dst, src, rel, a, z);
CREATE INDEX IF NOT EXISTS link_a ON link (a, z) WHERE a > 0;
CREATE INDEX IF NOT EXISTS link_z ON link (z) WHERE z < 2147483647;
CREATE INDEX IF NOT EXISTS reference_target ON reference (target, object, a, z);
CREATE INDEX IF NOT EXISTS reference_a ON reference (a, z) WHERE a > 0;
