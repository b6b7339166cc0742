package emulator

// A directory holds only so many objects, whatever their kind, and goes on
// counting what lies in its recycle bin (Microsoft Entra documentation, service
// limits and restrictions). usualCapacity is what a tenant with a verified
// domain begins with; Microsoft raises it for who asks, and has done so for a
// tenant that begins with more.
const usualCapacity = 300_000

var counted = []kindID{kUser, kGroup, kApp, kSP, kUnit}

// used is how many objects count.
func (s *store) used() (n int) {
	for _, k := range counted {
		n += s.size(k) - s.gone[k]
	}
	return n
}

// Room leaves the tenant room for n more people, groups, applications, service
// principals and administrative units than it holds now.
func (t *Tenant) Room(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.capacity = t.used() + n
}

// full refuses what the directory has no room for.
func (t *Tenant) full() error {
	if t.used() < t.capacity {
		return nil
	}
	return refuse(403, "Directory_QuotaExceeded", "The directory object quota limit for the Tenant has been exceeded. Please ask your administrator to increase the quota limit or delete objects to reduce the used quota.")
}
