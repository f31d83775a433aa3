package maps

import (
	"sync"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// Prog is a program as a map holds it: what UpdateRef of a program array takes.
// UpdateRef also takes a plain *vm.Program, whose id is then 0.
type Prog struct {
	Program *vm.Program
	// ID is what Lookup returns.
	ID uint32
}

// ProgArray is a BPF_MAP_TYPE_PROG_ARRAY. All programs in it, and those that
// tail call through it, are of one type.
type ProgArray struct {
	refArray[Prog]

	mu    sync.Mutex
	owner *vm.Program // the first program that was put in or bound; guarded by mu
}

var _ vm.ProgArray = (*ProgArray)(nil)

func newProgArray(b *base, _ *ebpf.MapSpec) (Map, error) {
	slots, err := newRefArray[Prog](b)
	if err != nil {
		return nil, err
	}
	p := &ProgArray{refArray: slots}
	if err := b.init(p); err != nil {
		return nil, err
	}
	b.setArrayHandle()
	return p, nil
}

// Program is the program at index, nil for an empty slot or one out of range.
func (p *ProgArray) Program(index uint32) *vm.Program {
	if e := p.get(index); e != nil {
		return e.Program
	}
	return nil
}

// Bind notes that prog tail calls through the array, and fails with EINVAL when
// the programs in it are of another type. It is called when prog is loaded.
func (p *ProgArray) Bind(prog *vm.Program) error { return p.err("bind", p.bind(prog)) }

func (p *ProgArray) bind(prog *vm.Program) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.owner == nil {
		p.owner = prog
	}
	if p.owner.Type != prog.Type {
		return errno.EINVAL
	}
	return nil
}

func (p *ProgArray) userUpdateRef(key []byte, ref any, flags uint64) error {
	var e Prog
	switch v := ref.(type) {
	case *vm.Program:
		e = Prog{Program: v}
	case Prog:
		e = v
	}
	if flags != Any {
		return errno.EINVAL
	}
	if _, ok := p.index(key); !ok {
		return errno.E2BIG
	}
	if e.Program == nil {
		return errno.EBADF
	}
	if err := p.bind(e.Program); err != nil {
		return err
	}
	return p.put(key, &e, flags)
}

func (p *ProgArray) userLookup(key []byte, _ uint64) ([]byte, error) {
	i, _ := p.index(key)
	e := p.get(i)
	if e == nil {
		return nil, errno.ENOENT
	}
	return uint32Bytes(e.ID), nil
}

// releaseUser empties the array, as the kernel does when no user holds it: a
// program in it may hold the array.
func (p *ProgArray) releaseUser() { p.clear() }
