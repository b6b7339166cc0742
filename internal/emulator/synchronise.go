package emulator

import (
	"maps"
	"slices"
)

// Synchronise does to a user or a group what the directory on premises does through Entra Connect: it sets properties, those
// among them that nobody may write here. With nil the object is gone there, and is deleted. It reports whether there is
// such an object.
func (t *Tenant) Synchronise(id string, values map[string]any) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.liveOf(id, kUser, kGroup)
	if o == nil {
		return false
	}
	host := "Sync_AD01@" + t.pop.initial
	c := &call{t: t, direct: true, actor: Actor{t: t, kind: "user", id: t.pop.ids.at(kNone, 1), who: host}}
	if values == nil {
		t.discard(o)
		c.audit("Delete "+noun(o.kind), o, nil)
		return true
	}
	d := o.clone()
	merge(d.p, values)
	names := slices.Sorted(maps.Keys(values))
	t.put(d, names)
	c.audit("Update "+noun(o.kind), d, changes(o.p, d.p, names))
	return true
}
