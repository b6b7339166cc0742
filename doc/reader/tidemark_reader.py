#!/usr/bin/env python3
"""Reads a Tidemark repository in a folder without Tidemark, and writes a snapshot of it as plain files.

    tidemark_reader.py REPOSITORY IDENTITY [NUMBER DIR]

Without NUMBER it checks the log and lists the snapshots. It needs Python 3.9 and the commands age and zstd, and
was written from doc/format.md alone: what it writes is, to the byte, what `tidemark export --format json` writes.
"""
import base64, hashlib, json, os, re, subprocess, sys, tempfile


class Damaged(Exception):
    pass


def need(ok, what):
    if not ok:
        raise Damaged(what)


def sha(data):
    return hashlib.sha256(data).digest()


# Ed25519 verification (RFC 8032, section 5.1.7), in extended coordinates.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
I = pow(2, (P - 1) // 4, P)


def recover(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    need(y < P, "a point is not in its one form")
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * I % P
    need(v * x * x % P == u and (x or not sign), "not a point")
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def plus(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = plus(q, p)
        p, n = plus(p, p), n >> 1
    return q


BASE = recover((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed_by(key, text, sig):
    s = int.from_bytes(sig[32:], "little")
    if s >= L:
        return False
    try:
        r, a = recover(sig[:32]), recover(key)
    except Damaged:
        return False
    k = int.from_bytes(hashlib.sha512(sig[:32] + key + text).digest(), "little") % L
    p, q = times(s, BASE), plus(r, times(k, a))
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def verifier(text):
    """A verifier key of a signed note: NAME+HASH+BASE64(1 || public key)."""
    name, number, key = text.split("+", 2)
    key = base64.b64decode(key)
    need(key[0] == 1 and sha(name.encode() + b"\n" + key)[:4].hex() == number, "not a verifier key")
    return name, number, key[1:]


# RFC 6962: the tree over the log, and in format 1 those over parts.
def leaf(data):
    return sha(b"\0" + data)


class Tree:
    def __init__(self):
        self.size, self.stack = 0, []

    def add(self, h):
        n = self.size
        while n & 1:
            h, n = sha(b"\1" + self.stack.pop() + h), n >> 1
        self.stack.append(h)
        self.size += 1

    def root(self):
        if not self.stack:
            return sha(b"")
        h = self.stack[-1]
        for left in reversed(self.stack[:-1]):
            h = sha(b"\1" + left + h)
        return h


class Repository:
    def __init__(self, folder, identity):
        self.folder, self.identity = folder, identity
        raw = self.file("repo.json")
        self.head = json.loads(raw)
        need(self.head["format"] in (1, 2), "this reader knows formats 1 and 2, not %r" % self.head["format"])
        self.signers, self.recovery = [verifier(self.head["signer"])], verifier(self.head["recovery"])
        self.records = []
        self.load()
        first = self.records[0]["blobs"][0]
        need(self.records[0]["kind"] == "init" and first[1] == "repo.json" and first[3] == sha(raw).hex(), "repo.json is not what record 0 binds")
        self.dropped = set()
        for r in self.records:
            if r["kind"] == "forget":
                name, size, digest = r["blobs"][0][1:]
                need(self.whole(name, size, digest), name + " is not what the log binds")
                self.dropped.update(line.split(" ")[2] for line in self.file(name).decode().split("\n")[:-1])
        for r in self.records:
            if self.drops(r):
                continue
            for _, name, size, digest in r["blobs"] + (self.blobs(r) if r["blobs"] else []):
                need(self.whole(name, size, digest), name + " is not what the log binds")
        self.keys = tempfile.NamedTemporaryFile("w", prefix="tidemark-", suffix=".txt")  # mode 0600, gone with us
        for s in self.head["slots"]:
            need(self.whole(s["name"], s["size"], s["sha256"]), s["name"] + " is not what repo.json binds")
        slots = [s["name"] for s in self.head["slots"]] + [b[1] for r in self.records for b in r["blobs"] if b[0] == "slot"]
        opened = 0
        for name in slots:
            done = subprocess.run(["age", "-d", "-i", identity, self.path(name)], capture_output=True)
            if done.returncode == 0:
                self.keys.write(done.stdout.decode())
                opened += 1
        need(opened, "the identity opens no slot")
        self.keys.flush()

    def path(self, name):
        need(re.fullmatch(r"[a-z0-9][a-z0-9./_-]{0,150}", name) and ".." not in name, "%r is no name" % name)
        return os.path.join(self.folder, name)

    def file(self, name):
        try:
            with open(self.path(name), "rb") as f:
                return f.read()
        except FileNotFoundError:
            raise Damaged(name + " is missing")

    def whole(self, name, size, digest):
        raw = self.file(name)
        return len(raw) == int(size) and sha(raw).hex() == digest

    def load(self):
        """Reads the log from its first note to its last."""
        log, last = Tree(), -1
        for part in os.listdir(os.path.join(self.folder, "log")):
            for name in os.listdir(os.path.join(self.folder, "log", part)):
                last = max(last, int(name))
        for n in range(last + 1):
            name = "log/%03d/%09d" % (n // 1000000, n)
            text, _, tail = self.file(name).partition("\n\n— ".encode())
            text += b"\n"
            who, sig = tail.decode().rstrip("\n").split(" ")
            sig = base64.b64decode(sig)
            known = [v for v in self.signers + [self.recovery] if (v[0], v[1]) == (who, sig[:4].hex())]
            need(known and signed_by(known[0][2], text, sig[4:]), name + " is not signed by a known key")
            origin, size, root, body = text.decode().split("\n", 3)
            need(origin == "tidemark/" + self.head["repository"] and size == str(n + 1), name + " is another log's, or another number's")
            log.add(leaf(body.encode()))
            need(base64.b64decode(root) == log.root(), name + ": its root is not that of the records up to it")
            r = {"number": n, "id": leaf(body.encode()).hex(), "parent": 0, "key": "", "blobs": []}
            for line in body.split("\n")[:-1]:
                word, _, rest = line.partition(" ")
                if word == "blob":
                    r["blobs"].append(rest.split(" "))
                else:
                    r[word] = int(rest) if word == "parent" else rest
            need(known[0] is not self.recovery or r["kind"] in ("signer", "forget"), name + " is signed by the key that may only introduce signers and forget")
            need(known[0] is self.recovery or r["kind"] != "forget", name + " forgets without the key that may")
            if r["kind"] == "snapshot":
                need(r["parent"] == max([p["number"] for p in self.records if p["kind"] == "snapshot"], default=0), name + " does not follow the newest snapshot")
            if r["kind"] == "signer":
                self.signers.append(verifier(r["key"]))
            if r["kind"] == "epoch":
                self.recovery = verifier(r["key"].split(" ")[1])
            self.records.append(r)

    def drops(self, record):
        return any(b[1] in self.dropped for b in record["blobs"])

    def source(self, record):
        """Returns the record that says what a snapshot changed, or what it held: itself, or a checkpoint; None if it was forgotten."""
        if not self.drops(record):
            return record
        again = [r for r in self.records if r["kind"] == "checkpoint" and r["parent"] == record["number"] and not self.drops(r)]
        return again[-1] if again else None

    def blobs(self, record):
        all = record["blobs"]
        if [b[0] for b in all] == ["list"]:
            need(self.whole(*all[0][1:]), all[0][1] + " is not what the log binds")
            all = [line.split(" ")[1:] for line in self.file(all[0][1]).decode().split("\n")[:-1]]
        return all

    def open(self, blob):
        """Returns what a sealed blob holds: age over zstd frames. A seek table is skipped by zstd itself."""
        name = blob[1]
        need(self.whole(*blob[1:]), name + " is not what the log binds")
        plain = subprocess.run(["age", "-d", "-i", self.keys.name], input=self.file(name), capture_output=True)
        need(plain.returncode == 0, name + ": " + plain.stderr.decode(errors="replace"))
        text = subprocess.run(["zstd", "-d", "-c", "-q"], input=plain.stdout, capture_output=True)
        need(text.returncode == 0, name + ": " + text.stderr.decode(errors="replace"))
        return text.stdout

    def lines(self, record):
        """Yields the lines of a snapshot's object blobs, header and end line checked and left out."""
        nth, says = 0, Tree()
        for blob in self.blobs(record):
            if blob[0] != "objects":
                continue
            text = self.open(blob)
            lines = text.decode().split("\n")
            need(lines.pop() == "", blob[1] + " ends within a line")
            head, end = json.loads(lines[0]), json.loads(lines[-1])
            kind = "segment" if record["parent"] and record["kind"] == "snapshot" else "checkpoint"
            self.format = head["format"]
            need(self.format in (1, 2), blob[1] + ": this reader knows formats 1 and 2, not %r" % self.format)
            need(head == {"k": "h", "format": self.format, "repository": self.head["repository"], "tenant": self.head["tenant"]["id"], "kind": kind,
                          "parent": record["parent"], "blob": nth}, blob[1] + ": its header is another blob's")
            before = text[:text.rindex(b"\n", 0, -1) + 1]
            need(end == {"k": "e", "lines": len(lines) - 1, "sha256": sha(before).hex()}, blob[1] + ": its end line does not fit")
            bodies = [json.loads(line) for line in lines if line.startswith('{"k":"o"') and ',"v":' in line]
            for i, v in enumerate(v for v in bodies if "v" in v):
                salt = sha(b"tidemark salt\n" + bytes.fromhex(end["sha256"]) + i.to_bytes(8, "big"))
                says.add(leaf(salt + sha("{}/{} {}".format(v["t"], v["i"], v["h"]).encode())))
            yield from lines[1:-1]
            nth += 1
        need(not record["key"] or record["key"] == says.root().hex(), "the key of record %d is not that of its objects" % record["number"])

    def state(self, number):
        """Replays the log up to a snapshot. Returns its line, its objects and its links."""
        objects, links, snap = {}, {}, None
        for record in self.records[:number + 1]:
            if record["kind"] != "snapshot":
                continue
            source = self.source(record)
            if source is None:
                need(record["number"] != number, "snapshot %d was forgotten" % number)
                continue
            if source is not record:
                objects, links = {}, {}
            ordinals = []
            for line in self.lines(source):
                v = json.loads(line)
                if v["k"] == "o":
                    if "n" in v:
                        need(v["n"] == len(ordinals), "an ordinal is out of place")
                        ordinals.append((v["t"], v["i"]))
                    if v.get("d"):
                        objects.get(v["t"], {}).pop(v["i"], None)
                    elif "h" in v:
                        body = line[re.search(r'"h":"[0-9a-f]{64}","v":', line).end():-1]
                        need(sha(body.encode()).hex() == v["h"], "a body is not its version")
                        objects.setdefault(v["t"], {})[v["i"]] = (v["h"], body)
                elif v["k"] == "l":
                    of = links.setdefault((v["t"], v["n"]), {}).setdefault(v["s"], set())
                    of.difference_update((t, i) for t, ids in v.get("-", {}).items() for i in ids)
                    of.update((t, i) for t, ids in v.get("+", {}).items() for i in ids)
                elif v["k"] == "L":
                    at, (t, i) = 0, ordinals[v["s"]]
                    for step in v["+"]:
                        at += step
                        links.setdefault((t, v["n"]), {}).setdefault(i, set()).add(ordinals[at])
                elif v["k"] == "s":
                    snap = v["v"]
            need(snap is not None, "record %d holds no snapshot line" % record["number"])
        record = self.records[number]
        snap.update(number=number, id=record["id"], tenant=self.head["tenant"]["id"])
        for p in snap["parts"]:
            if p.get("complete") == -1:
                p["complete"] = number
            texts = ["{}/{} {}".format(p["type"], i, version) for i, (version, _) in sorted(objects.get(p["type"], {}).items())]
            if "relation" in p:
                texts = ["{}/{} {} {}/{}".format(p["type"], i, p["relation"], *end)
                         for i, ends in sorted(links.get((p["type"], p["relation"]), {}).items()) for end in sorted(ends)]
            if self.format == 1:
                tree = Tree()
                for t in texts:
                    tree.add(leaf(t.encode()))
                root = tree.root()
            else:
                total = sum(int.from_bytes(hashlib.shake_256(t.encode()).digest(512), "little") for t in texts) % 2 ** 4096
                root = sha(total.to_bytes(512, "little"))
            need(root.hex() == p["root"], "the root of %s is not that of what the tree holds" % p["type"])
        return snap, objects, links

    def aliases(self):
        """Returns, for each object that a restore made anew, its newest ref."""
        later = {}
        for r in self.records:
            if r["kind"] in ("outcomes", "result"):
                ids = json.loads(self.open([b for b in r["blobs"] if b[0] == "data"][0])).get("ids") or {}
                for new in ids.values():  # what was made just now is the newest of its ref
                    later.pop(new, None)
                later.update((old, new) for old, new in ids.items() if old != new)
        newest = {}
        for old in later:
            at, seen = old, [old]
            while at in later and later[at] not in seen:
                at = later[at]
                seen.append(at)
                newest[old] = at
        return newest

    def holds(self):
        """Returns, for each snapshot that is held, the reasons by the number of their record."""
        held = {}
        for r in self.records:
            if r["kind"] == "hold":
                data = json.loads(self.open([b for b in r["blobs"] if b[0] == "data"][0]))
                of = held.setdefault(r["parent"], {})
                for number in data.get("released") or []:
                    of.pop(number, None)
                if not data.get("released"):
                    of[r["number"]] = data["reason"]
        return held


# Plain files.
def quote(s):
    return json.dumps(s, ensure_ascii=False)


def indent(text):
    """Indents JSON by two blanks, touching white space between tokens and nothing else."""
    out, depth, tokens = [], 0, re.findall(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', text)
    for i, t in enumerate(tokens):
        if t in "}]":
            depth -= 1
            if tokens[i - 1] not in "{[":
                out.append("\n" + "  " * depth)
        elif i and tokens[i - 1] in "{[,":
            out.append("\n" + "  " * depth)
        out.append(": " if t == ":" else t)
        if t in "{[":
            depth += 1
    return "".join(out) + "\n"


def file_name(type, id):
    device = r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)"
    need(re.fullmatch(r"[a-zA-Z][a-zA-Z0-9]{0,99}", type) and not re.match(device, type.lower()), "%r cannot be a folder's name" % type)
    if re.fullmatch(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9_-])?", id) and not re.match(device, id):
        return type + "/" + id + ".json"
    short = "".join(chr(c).lower() if chr(c).isascii() and chr(c).isalnum() or c == 45 else "_" for c in id.encode()[:60])
    return type + "/_" + short + "~" + sha(id.encode()).hex()[:16] + ".json"


def export(repository, number, folder):
    snap, objects, links = repository.state(number)
    os.makedirs(folder, exist_ok=True)
    need(not os.listdir(folder), folder + " is not empty")

    def write(name, text):
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), "xb") as f:
            f.write(indent(text).encode())

    relations = {}
    for p in snap["parts"]:
        relations.setdefault(p["type"], []).extend([p["relation"]] if "relation" in p else [])
    for t in sorted(relations):
        of = objects.get(t, {})
        froms = {i for rel in relations[t] for i, ends in links.get((t, rel), {}).items() if ends}
        for i in sorted(set(of) | froms):
            text = '{"type":%s,"id":%s' % (quote(t), quote(i))
            if i in of:
                text += ',"version":"%s","body":%s' % of[i]
            each = ["%s:[%s]" % (quote(rel), ",".join(quote("/".join(end)) for end in sorted(links[t, rel][i])))
                    for rel in sorted(relations[t]) if links.get((t, rel), {}).get(i)]
            write(file_name(t, i), text + (',"links":{%s}' % ",".join(each) if each else "") + "}")
    parts = [{"type": p["type"], "relation": p.get("relation", ""), "coverage": p["coverage"], "reason": p.get("reason", ""), "asked": p.get("asked"),
              "holes": p.get("holes", []), "objects": p.get("objects", 0), "links": p.get("links", 0), "root": p["root"], "complete": p.get("complete", 0)}
             for p in snap["parts"]]
    manifest = {"export": 1, "tenant": snap["tenant"], "number": number, "id": snap["id"], "began": snap["began"], "ended": snap["ended"],
                "parent": snap.get("parent", 0), "whole": True, "parts": parts, "aliases": dict(sorted(repository.aliases().items()))}
    write("snapshot.json", json.dumps(manifest, ensure_ascii=False))


def main(args):
    if len(args) not in (2, 4):
        sys.exit(__doc__)
    try:
        repository = Repository(*args[:2])
        if len(args) == 4:
            export(repository, int(args[2]), args[3])
        else:
            held = repository.holds()
            for r in repository.records:
                if r["kind"] == "snapshot" and repository.source(r):
                    print(r["number"], r["time"], r["id"], *("held: " + quote(reason) for reason in held.get(r["number"], {}).values()))
    except Damaged as e:
        sys.exit("tidemark_reader: %s" % e)


if __name__ == "__main__":
    main(sys.argv[1:])
