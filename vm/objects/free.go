package objects

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/vm"
)

// FreeRecord gives up what the special fields of the value at offset off of o
// own: the objects of lists and trees, and what pointers refer to, with all that
// these own in turn. The fields are empty afterwards. Timers are not touched. at
// is where the value goes, for reports of later uses.
func FreeRecord(m *vm.Machine, at vm.Site, rec *record.Record, o *vm.Object, off uint32) {
	r := reaper{m: m, at: at}
	r.fields(rec, o, off)
	r.run()
}

// reaper ends the lives of objects, and of what they own, without recursion: a
// program can chain millions.
type reaper struct {
	m    *vm.Machine
	c    *vm.CPU // whose program gives up the first, nil where not known
	at   vm.Site
	todo []*Local
}

// put drops one reference to l.
func (r *reaper) put(l *Local) {
	if l.refs.Add(-1) == 0 {
		r.todo = append(r.todo, l)
	}
}

func (r *reaper) run() {
	for len(r.todo) > 0 {
		l := r.todo[len(r.todo)-1]
		r.todo = r.todo[:len(r.todo)-1]
		r.fields(l.typ.rec, l.obj, 0)
		r.m.FreeLater(l.obj, r.at, r.c)
	}
}

// lockPatience is how often a lock is looked at that the caller may hold itself,
// by mistake.
const lockPatience = 1 << 20

func (r *reaper) fields(rec *record.Record, o *vm.Object, off uint32) {
	if rec == nil {
		return
	}
	lock := rec.Find(record.SpinLock)
	if lock == nil {
		lock = rec.Find(record.ResSpinLock)
	}
	for i := range rec.Fields {
		f := &rec.Fields[i]
		b := o.Bytes()[off+f.Offset : off+f.Offset+f.Size]
		addr := o.Addr() + uint64(off+f.Offset)
		switch f.Kind {
		case record.KptrRef, record.KptrPercpu:
			r.pointer(atomic.SwapUint64(vm.Word64(b), 0))
		case record.KptrUnref:
			atomic.StoreUint64(vm.Word64(b), 0)
		case record.ListHead, record.RBRoot:
			// The nodes are detached under the lock and dropped outside of it.
			var word []byte
			if lock != nil {
				word = o.Bytes()[off+lock.Offset:]
				n := 0
				if !vm.LockWord(word, func() bool { n++; return n > lockPatience }) {
					word = nil
				}
			}
			top := binary.LittleEndian.Uint64(b)
			clear(b)
			if word != nil {
				vm.UnlockWord(word)
			}
			if f.Kind == record.ListHead {
				r.list(addr, top, f)
			} else {
				r.tree(addr, top, f)
			}
		}
	}
}

// pointer gives up what a pointer referred to.
func (r *reaper) pointer(addr uint64) {
	if addr == 0 {
		return
	}
	o := r.m.Mem.Find(addr)
	if o == nil || !o.Live() {
		return
	}
	switch v := o.Owner.(type) {
	case *Local:
		r.put(v)
	case *Percpu:
		v.free(r.at, r.c)
	case vm.Releaser:
		v.ReleaseReference()
	}
}

// orphan is the owner of a node whose list was freed with its map value. As in
// Linux, one who has another reference to the object cannot push it again. Nodes
// of trees have no such fate.
const orphan = 2

// owned is the object of the node at addr if it is in the list or tree at head.
func (r *reaper) owned(w *words, addr, head, owner uint64, f *record.Field) *Local {
	o := r.m.Mem.Find(addr)
	if o == nil || !o.Live() || addr-o.Addr() != uint64(f.Node) {
		return nil
	}
	l, ok := o.Owner.(*Local)
	if !ok || w.load(addr+owner) != head || w.bad {
		return nil
	}
	if f.Kind == record.ListHead {
		w.store(addr+owner, orphan)
	} else {
		w.store(addr+owner, 0)
	}
	return l
}

func (r *reaper) list(head, node uint64, f *record.Field) {
	w := words{mem: r.m.Mem}
	for node != 0 && node != head {
		next := w.get(node + listNext)
		l := r.owned(&w, node, head, listOwner, f)
		if l == nil {
			return
		}
		r.put(l)
		node = next
	}
}

func (r *reaper) tree(root, top uint64, f *record.Field) {
	w := words{mem: r.m.Mem}
	for todo := []uint64{top}; len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if n == 0 {
			continue
		}
		l, r2 := w.get(n+left), w.get(n+right)
		if obj := r.owned(&w, n, root, nodeOwner, f); obj != nil {
			r.put(obj)
			todo = append(todo, l, r2)
		}
	}
}
