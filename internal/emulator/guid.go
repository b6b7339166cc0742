package emulator

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// guids turns (kind, ordinal) into GUIDs and back under a key made of the
// seed, so that a population of any size needs no table: 64 of the 122 free
// bits of a version 4 GUID are a permutation of the pair, the other 58 a check
// that tells the tenant's own GUIDs from foreign ones.
type guids struct{ k0, k1, k2, k3, check uint64 }

func newGUIDs(seed uint64) guids {
	g := guids{}
	x := seed ^ 0x7469646d61726b21
	for _, p := range []*uint64{&g.k0, &g.k1, &g.k2, &g.k3, &g.check} {
		x += 0x9e3779b97f4a7c15
		*p = mix(x)
	}
	return g
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func (g guids) permute(v uint64) uint64 {
	l, r := uint32(v>>32), uint32(v)
	for _, k := range [...]uint64{g.k0, g.k1, g.k2, g.k3} {
		l, r = r, l^uint32(mix(uint64(r)^k))
	}
	return uint64(l)<<32 | uint64(r)
}

func (g guids) unpermute(v uint64) uint64 {
	l, r := uint32(v>>32), uint32(v)
	for _, k := range [...]uint64{g.k3, g.k2, g.k1, g.k0} {
		l, r = r^uint32(mix(uint64(l)^k)), l
	}
	return uint64(l)<<32 | uint64(r)
}

// at returns the GUID of ordinal n (below 2^56) of a kind.
func (g guids) at(k kindID, n uint64) string {
	v := g.permute(uint64(k)<<56 | n&(1<<56-1))
	c := mix(v ^ g.check)
	var b [16]byte
	binary.BigEndian.PutUint64(b[0:], v>>16<<16)
	b[6] = 0x40 | byte(c>>56)&0x0f
	b[7] = byte(v >> 8)
	b[8] = 0x80 | byte(c>>48)&0x3f
	b[9] = byte(v)
	for i := range 6 {
		b[10+i] = byte(c >> (40 - 8*i))
	}
	return guidText(b)
}

// find reverses at. It reports false for text that is not one of this
// tenant's GUIDs.
func (g guids) find(s string) (kindID, uint64, bool) {
	b, ok := parseGUID(s)
	if !ok {
		return 0, 0, false
	}
	v := binary.BigEndian.Uint64(b[:])>>16<<16 | uint64(b[7])<<8 | uint64(b[9])
	p := g.unpermute(v)
	k, n := kindID(p>>56), p&(1<<56-1)
	if g.at(k, n) != strings.ToLower(s) {
		return 0, 0, false
	}
	return k, n, true
}

func guidText(b [16]byte) string {
	var t [36]byte
	hex.Encode(t[0:8], b[0:4])
	t[8] = '-'
	hex.Encode(t[9:13], b[4:6])
	t[13] = '-'
	hex.Encode(t[14:18], b[6:8])
	t[18] = '-'
	hex.Encode(t[19:23], b[8:10])
	t[23] = '-'
	hex.Encode(t[24:36], b[10:16])
	return string(t[:])
}

func parseGUID(s string) (b [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return b, false
	}
	j := 0
	for i := 0; i < 36; {
		if s[i] == '-' {
			i++
			continue
		}
		hi, lo := unhex(s[i]), unhex(s[i+1])
		if hi > 15 || lo > 15 {
			return b, false
		}
		b[j] = hi<<4 | lo
		j++
		i += 2
	}
	return b, true
}

func isGUID(s string) bool { _, ok := parseGUID(s); return ok }

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
