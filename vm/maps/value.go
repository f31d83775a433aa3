package maps

import (
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/vm"
)

// setRecord notes the special fields of the map's values.
func (b *base) setRecord(rec *record.Record) {
	b.rec, b.plain = rec, nil
	at := uint32(0)
	if rec != nil {
		b.lock = rec.Find(record.SpinLock)
		if b.lock == nil {
			b.lock = rec.Find(record.ResSpinLock)
		}
		for _, f := range rec.Fields {
			if f.Kind != record.SpinLock && f.Kind != record.ResSpinLock {
				b.owns = true
			}
			if f.Offset > at {
				b.plain = append(b.plain, span{at, f.Offset})
			}
			at = f.Offset + f.Size
		}
	}
	if at < b.info.ValueSize {
		b.plain = append(b.plain, span{at, b.info.ValueSize})
	}
}

// value is the bytes of a value: guest memory with room to a multiple of 8.
func (b *base) value(o *vm.Object, off uint32) []byte {
	return o.Bytes()[off : off+b.info.ValueSize : off+round8(b.info.ValueSize)]
}

// copyIn changes the value at off of o to src but for its special fields.
func (b *base) copyIn(o *vm.Object, off uint32, src []byte) {
	dst := b.value(o, off)
	if b.rec == nil {
		store(dst, src[:len(dst)])
		return
	}
	for _, s := range b.plain {
		store(dst[s.from:s.to], src[s.from:s.to])
	}
}

// copyInLong is copyIn with the bytes up to the next multiple of 8 of a per-CPU
// value, which the user can write and read but a program cannot see.
func (b *base) copyInLong(o *vm.Object, off uint32, src []byte) {
	if b.rec == nil {
		v := b.value(o, off)
		store(v[:cap(v)], src[:cap(v)])
		return
	}
	b.copyIn(o, off, src)
}

// copyInLocked is copyIn under the value's spin lock.
func (b *base) copyInLocked(o *vm.Object, off uint32, src []byte) {
	word := o.Bytes()[off+b.lock.Offset:]
	vm.LockWord(word, nil)
	b.copyIn(o, off, src)
	vm.UnlockWord(word)
}

// clearIn zeroes the value at off of o but for its special fields.
func (b *base) clearIn(o *vm.Object, off uint32) {
	dst := b.value(o, off)
	if b.rec == nil {
		zero(dst[:cap(dst)])
		return
	}
	for _, s := range b.plain {
		zero(dst[s.from:s.to])
	}
}

// copyOut copies the value at off of o to dst, whose special fields stay 0.
func (b *base) copyOut(dst []byte, o *vm.Object, off uint32) {
	src := b.value(o, off)
	if b.rec == nil {
		load(dst[:min(len(dst), cap(src))], src[:cap(src)])
		return
	}
	for _, s := range b.plain {
		load(dst[s.from:s.to], src[s.from:s.to])
	}
}

// copyOutFlags is copyOut of a single value, under its spin lock where flags say so.
func (b *base) copyOutFlags(dst []byte, o *vm.Object, off uint32, flags uint64) {
	if flags&Lock == 0 {
		b.copyOut(dst, o, off)
		return
	}
	word := o.Bytes()[off+b.lock.Offset:]
	vm.LockWord(word, nil)
	b.copyOut(dst, o, off)
	vm.UnlockWord(word)
}

// freeFields gives up what the special fields of the value at off of o own.
func (b *base) freeFields(at vm.Site, o *vm.Object, off uint32) {
	if !b.owns {
		return
	}
	for i := range b.rec.Fields {
		switch f := &b.rec.Fields[i]; f.Kind {
		case record.Timer, record.Workqueue, record.TaskWork:
			b.timers.free(o.Base + off + f.Offset)
		}
	}
	if b.opts.FreeRecord != nil {
		b.opts.FreeRecord(b.m, at, b.rec, o, off)
	}
}
