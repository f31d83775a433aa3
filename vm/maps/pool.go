package maps

import (
	"sync"

	"github.com/bpfct/bpfct/vm"
)

// pool makes single values for types whose elements come and go. A value that
// was given back stays accessible, as under the kernel's RCU, and is used again
// only after many others.
type pool struct {
	b        *base
	readOnly bool

	mu     sync.Mutex
	unused []*vm.Object // oldest first; guarded by mu, as is b.objs
}

// poolDelay is how many values wait before the oldest is used again.
const poolDelay = 64

// get makes a value of zero bytes.
func (p *pool) get() (*vm.Object, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.unused) > poolDelay {
		o := p.unused[0]
		p.unused = p.unused[1:]
		zero(p.b.value(o, 0))
		return o, nil
	}
	size := round8(p.b.info.ValueSize)
	return p.b.alloc(vm.ObjectSpec{Kind: vm.KindMapValue, Size: size, Stride: size, Elem: p.b.info.ValueSize, ReadOnly: p.readOnly})
}

func (p *pool) put(o *vm.Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unused = append(p.unused, o)
}
