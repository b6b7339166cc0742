#!/usr/bin/env python3
"""Verifies a proof that Tidemark made, with nothing but Python 3.9.

    verify_proof.py PROOF.json [SIZE ROOT]

With SIZE and ROOT, the head of the log that somebody else wrote down at the time, the proof must lead to just that head;
else it leads to the head that is in it, whose signature is checked. Tidemark's doc/format.md, section 12, says what is proven.
"""
import base64, hashlib, json, sys


class Wrong(Exception):
    pass


def need(ok, what):
    if not ok:
        raise Wrong(what)


def sha(data):
    return hashlib.sha256(data).digest()


# RFC 6962, section 2.1.1: from a leaf by its path to the root.
def lead(leaf, n, size, path):
    need(0 <= n < size, "there is no such leaf")
    h, last = leaf, size - 1
    for step in path:
        need(last > 0, "the path is too long")
        if n & 1 or n == last:
            h = sha(b"\1" + step + h)
            while n and not n & 1:
                n, last = n >> 1, last >> 1
        else:
            h = sha(b"\1" + h + step)
        n, last = n >> 1, last >> 1
    need(last == 0, "the path is too short")
    return h


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
    need(s < L, "the signature is not in its one form")
    r, a = recover(sig[:32]), recover(key)
    k = int.from_bytes(hashlib.sha512(sig[:32] + key + text).digest(), "little") % L
    p, q = times(s, BASE), plus(r, times(k, a))
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def verify(p, head):
    need(p["proof"] == 1, "this verifies proofs of form 1, not %r" % p["proof"])
    version = sha(p["body"].encode()).hex()
    of = sha("{}/{} {}".format(p["type"], p["id"], version).encode())
    root = lead(sha(b"\0" + bytes.fromhex(p["salt"]) + of), p["leaf"], p["leaves"], [bytes.fromhex(h) for h in p["path"]])
    record = dict(line.split(" ", 1) for line in p["record"].split("\n")[:-1] if not line.startswith("blob "))
    need(record["kind"] in ("snapshot", "checkpoint"), "the record is of another kind")
    need(record.get("key") == root.hex(), "the object is not what the record states")
    log = lead(sha(b"\0" + p["record"].encode()), p["number"], p["size"], [bytes.fromhex(h) for h in p["logPath"]])
    need(base64.b64encode(log).decode() == p["root"], "the record is not in the log of that root")
    if head:
        need(head == [str(p["size"]), p["root"]], "it leads to another head than the one given: make it with --head")
        by = "the head that was given"
    else:
        text, _, tail = p["note"].partition("\n\n— ")
        text += "\n"
        origin, size, stated, _ = text.split("\n", 3)
        need((origin, size, stated) == ("tidemark/" + p["repository"], str(p["size"]), p["root"]), "the note is of another head")
        name, number, key = p["signer"].split("+", 2)
        key = base64.b64decode(key)
        need(key[0] == 1 and sha(name.encode() + b"\n" + key)[:4].hex() == number, "the signer's key is none")
        who, sig = tail.rstrip("\n").split(" ")
        sig = base64.b64decode(sig)
        need(who == name and sig[:4].hex() == number and signed_by(key[1:], text.encode(), sig[4:]), "the note is not signed by that key")
        by = "a head signed by " + p["signer"]
    return record, version, by


def main(args):
    if len(args) not in (1, 3):
        sys.exit(__doc__)
    try:
        with open(args[0], encoding="utf-8") as f:
            p = json.load(f)
        record, version, by = verify(p, args[1:])
    except (Wrong, KeyError, ValueError, TypeError) as e:
        sys.exit("NOT PROVEN: %s" % e)
    print("PROVEN: {}/{} of tenant {}".format(p["type"], p["id"], p["tenant"]))
    print("was captured with the version %s" % version)
    print("in record {} of repository {}, written {}".format(p["number"], p["repository"], record["time"]))
    print("against {}, of {} records: {}".format(by, p["size"], p["root"]))
    print(p["body"])


if __name__ == "__main__":
    main(sys.argv[1:])
