package objects

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/bpfct/bpfct/vm"
)

// maxSteps bounds a walk along links: twice the height of a tree of more nodes
// than guest memory has room for. A longer one goes in circles.
const maxSteps = 256

// words reads and writes links in guest memory. What a program without the
// verifier's blessing overwrote is noticed, not followed: bad is set, reads give
// 0 and writes do nothing.
type words struct {
	mem   *vm.Memory
	bad   bool
	steps int
}

// step counts one step of a walk and reports whether it may go on.
func (w *words) step() bool {
	w.steps++
	w.bad = w.bad || w.steps > maxSteps
	return !w.bad
}

func (w *words) at(addr uint64) []byte {
	o := w.mem.Find(addr)
	if o == nil || !o.Live() || addr%8 != 0 || uint64(uint32(addr)-o.Base)+8 > uint64(o.Size) {
		w.bad = true
		return nil
	}
	off := uint32(addr) - o.Base
	return o.Bytes()[off : off+8]
}

func (w *words) get(addr uint64) uint64 {
	if b := w.at(addr); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (w *words) set(addr, v uint64) {
	if b := w.at(addr); b != nil {
		binary.LittleEndian.PutUint64(b, v)
	}
}

// load, store and swap are for words that CPUs share without a common lock.

func (w *words) load(addr uint64) uint64 {
	if b := w.at(addr); b != nil {
		return atomic.LoadUint64(vm.Word64(b))
	}
	return 0
}

func (w *words) store(addr, v uint64) {
	if b := w.at(addr); b != nil {
		atomic.StoreUint64(vm.Word64(b), v)
	}
}

func (w *words) claim(addr, v uint64) bool {
	b := w.at(addr)
	return b != nil && atomic.CompareAndSwapUint64(vm.Word64(b), 0, v)
}

// claimed is the owner of a node on its way into a list or tree.
const claimed = 1

// corrupt is the fault for links that lead nowhere.
func (p place) corrupt(c *vm.CPU, reg string) error {
	f := c.Fault(vm.BadArgument, reg, "the links of the %v at offset %d were overwritten", p.field.Kind, p.addr-p.base)
	f.Object = p.obj
	return f
}
