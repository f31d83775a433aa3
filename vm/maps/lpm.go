package maps

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
)

const (
	lpmDataMax   = 256 // bytes of a key after its prefix length
	lpmPrefixLen = 4   // bytes of the prefix length
)

// lpmTrie is BPF_MAP_TYPE_LPM_TRIE: a lookup finds the longest prefix that
// matches. A node that only branches has two children and counts as no element.
type lpmTrie struct {
	*base
	maxBits uint32

	mu     sync.RWMutex // guards the rest
	slab   *slab
	unused []uint32
	root   *lpmNode
	used   uint32
}

// lpmNode is a prefix. Its key's bits beyond the prefix are as they were given.
type lpmNode struct {
	key    []byte // prefix length and data, as in the map's keys
	bits   uint32
	elem   uint32 // of the slab, for nodes that are elements
	branch bool   // no element
	child  [2]*lpmNode
}

func checkLPM(p *kernel.Profile, s *ebpf.MapSpec) error {
	node, err := p.Sizeof("lpm_trie_node")
	if err != nil {
		return err
	}
	if err := checkFlags(s, NoPrealloc|NumaNode|accessMask); err != nil {
		return err
	}
	switch {
	case s.Flags&NoPrealloc == 0:
		return bad("BPF_F_NO_PREALLOC is required")
	case s.MaxEntries == 0 || s.KeySize <= lpmPrefixLen || s.KeySize > lpmPrefixLen+lpmDataMax:
		return bad("entries must not be 0 and the key has from 5 to 260 bytes")
	case s.ValueSize == 0 || s.ValueSize > kmallocMax-lpmDataMax-node:
		return bad("value size out of range")
	}
	return nil
}

func newLPM(b *base, s *ebpf.MapSpec) (Map, error) {
	l := &lpmTrie{base: b, maxBits: (s.KeySize - lpmPrefixLen) * 8}
	if err := b.init(l); err != nil {
		return nil, err
	}
	var err error
	l.slab, err = newSlab(b, 0, 1, false, false)
	return l, err
}

func lpmBits(key []byte) uint32 { return binary.LittleEndian.Uint32(key) }

// common is how many bits of n's prefix and of key, which has keyBits, agree.
func (n *lpmNode) common(key []byte, keyBits uint32) uint32 {
	limit := min(n.bits, keyBits)
	same := uint32(0)
	for i := lpmPrefixLen; same < limit && i < len(key); i++ {
		diff := n.key[i] ^ key[i]
		if diff == 0 {
			same += 8
			continue
		}
		same += uint32(bits.LeadingZeros8(diff))
		break
	}
	return min(same, limit)
}

// bit is the bit at index i of a key's data, the most significant first.
func lpmBit(key []byte, i uint32) int {
	return int(key[lpmPrefixLen+i/8] >> (7 - i%8) & 1)
}

// find walks towards key and returns where the walk ends: the slot that holds the
// first node which is not a proper prefix of key, and the bits it shares.
func (l *lpmTrie) find(key []byte, keyBits uint32) (slot **lpmNode, shared uint32) {
	slot = &l.root
	for n := *slot; n != nil; n = *slot {
		shared = n.common(key, keyBits)
		if shared != n.bits || n.bits == keyBits {
			return slot, shared
		}
		slot = &n.child[lpmBit(key, n.bits)]
	}
	return slot, 0
}

func (l *lpmTrie) best(key []byte) *lpmNode {
	keyBits := lpmBits(key)
	if keyBits > l.maxBits {
		return nil
	}
	var found *lpmNode
	for n := l.root; n != nil; {
		if n.common(key, keyBits) < n.bits {
			break
		}
		if !n.branch {
			found = n
		}
		if n.bits == keyBits || n.bits == l.maxBits {
			break
		}
		n = n.child[lpmBit(key, n.bits)]
	}
	return found
}

func (l *lpmTrie) lookup(_ from, key []byte) (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if n := l.best(key); n != nil {
		return l.slab.addr(n.elem, 0), nil
	}
	return 0, nil
}

func (l *lpmTrie) userLookup(key []byte, flags uint64) ([]byte, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	n := l.best(key)
	if n == nil {
		return nil, errno.ENOENT
	}
	return l.slab.userValue(n.elem, flags), nil
}

func (l *lpmTrie) newElem() (uint32, error) {
	if len(l.unused) == 0 {
		first, n, ok := l.slab.extend()
		if !ok {
			return 0, errno.ENOMEM
		}
		for i := n; i > 0; i-- {
			l.unused = append(l.unused, first+i-1)
		}
	}
	e := l.unused[len(l.unused)-1]
	l.unused = l.unused[:len(l.unused)-1]
	return e, nil
}

func (l *lpmTrie) update(_ from, key, value []byte, flags uint64) error {
	keyBits := lpmBits(key)
	if flags > Exist || keyBits > l.maxBits {
		return errno.EINVAL
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	slot, shared := l.find(key, keyBits)
	old := *slot
	exists := old != nil && old.bits == keyBits && shared == keyBits && !old.branch
	switch {
	case exists && flags == NoExist:
		return errno.EEXIST
	case !exists && flags == Exist:
		return errno.ENOENT
	case !exists && l.used >= l.info.MaxEntries:
		return errno.ENOSPC
	}
	e, err := l.newElem()
	if err != nil {
		return err
	}
	o, off := l.slab.at(e, 0)
	l.copyIn(o, off, value)
	n := &lpmNode{key: bytes.Clone(key), bits: keyBits, elem: e}
	if !exists {
		l.used++
	}
	switch {
	case old == nil:
		*slot = n
	case old.bits == shared && old.bits == keyBits:
		n.child = old.child
		*slot = n
		if exists {
			l.unused = append(l.unused, old.elem)
		}
	case shared == keyBits:
		n.child[lpmBit(old.key, shared)] = old
		*slot = n
	default:
		fork := &lpmNode{key: bytes.Clone(old.key), bits: shared, branch: true}
		fork.child[lpmBit(key, shared)] = n
		fork.child[1-lpmBit(key, shared)] = old
		*slot = fork
	}
	return nil
}

func (l *lpmTrie) userUpdate(key, value []byte, flags uint64) error {
	return l.update(user, key, value, flags)
}

func (l *lpmTrie) remove(_ from, key []byte) error {
	keyBits := lpmBits(key)
	if keyBits > l.maxBits {
		return errno.EINVAL
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	slot, parent := &l.root, (**lpmNode)(nil)
	for n := *slot; n != nil; n = *slot {
		if n.common(key, keyBits) != n.bits {
			return errno.ENOENT
		}
		if n.bits == keyBits {
			break
		}
		parent, slot = slot, &n.child[lpmBit(key, n.bits)]
	}
	n := *slot
	if n == nil || n.branch {
		return errno.ENOENT
	}
	l.used--
	l.unused = append(l.unused, n.elem)
	switch {
	case n.child[0] != nil && n.child[1] != nil:
		n.branch = true
	case n.child[0] != nil:
		*slot = n.child[0]
	case n.child[1] != nil:
		*slot = n.child[1]
	case parent != nil && (*parent).branch:
		// A node that only branches keeps two children: its other one moves up.
		p := *parent
		if p.child[0] == n {
			*parent = p.child[1]
		} else {
			*parent = p.child[0]
		}
	default:
		*slot = nil
	}
	return nil
}

func (l *lpmTrie) userRemove(key []byte) error { return l.remove(user, key) }

// nextKey walks in postorder: longer prefixes before the shorter that they are in.
func (l *lpmTrie) nextKey(key []byte) ([]byte, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.root == nil {
		return nil, errno.ENOENT
	}
	if key == nil || lpmBits(key) > l.maxBits {
		return l.first(l.root), nil
	}
	keyBits := lpmBits(key)
	var path []*lpmNode
	n := l.root
	for n != nil {
		path = append(path, n)
		if n.common(key, keyBits) != n.bits {
			n = nil
			break
		}
		if n.bits == keyBits {
			break
		}
		n = n.child[lpmBit(key, n.bits)]
	}
	if n == nil || n.branch {
		return l.first(l.root), nil
	}
	for i := len(path) - 1; i > 0; i-- {
		p := path[i-1]
		if p.child[0] == path[i] && p.child[1] != nil {
			return l.first(p.child[1]), nil
		}
		if !p.branch {
			return bytes.Clone(p.key), nil
		}
	}
	return nil, errno.ENOENT
}

// first is the key of the first element in postorder of the trie under n.
func (l *lpmTrie) first(n *lpmNode) []byte {
	for {
		switch {
		case n.child[0] != nil:
			n = n.child[0]
		case n.child[1] != nil:
			n = n.child[1]
		default:
			return bytes.Clone(n.key)
		}
	}
}
