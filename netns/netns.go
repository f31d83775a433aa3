package netns

import "sync"

// Netns is one network namespace. Its methods may be called from several
// goroutines.
type Netns struct {
	// Name is what users call the namespace; immutable.
	Name string
	// Cookie is the namespace's bpf_get_netns_cookie, unique on its host and
	// never 0; immutable.
	Cookie uint64
	mu  sync.RWMutex
	ids map[int32]*Netns // by netns id, as seen from here; guarded by mu
}

// SetID gives peer an id as seen from n, as RTM_NEWNSID does. A negative id is
// no id; the caller checks.
func (n *Netns) SetID(id int32, peer *Netns) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ids == nil {
		n.ids = make(map[int32]*Netns)
	}
	n.ids[id] = peer
}

// ByID returns the namespace that n knows by id, nil when there is none
// (get_net_ns_by_id).
func (n *Netns) ByID(id int32) *Netns {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.ids[id]
}
