package bpfct

import (
	"errors"
	"fmt"
	"iter"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm/maps"
)

// The errors of map operations, which are also cilium/ebpf's: errors.Is works
// with either.
var (
	ErrKeyNotExist = ebpf.ErrKeyNotExist
	ErrKeyExist    = ebpf.ErrKeyExist
)

// Map is a BPF map, seen as a user of the bpf system call. Keys and values are
// little-endian and marshalled as cilium/ebpf does: []byte,
// encoding.BinaryMarshaler, or anything of fixed size. A value of a per-CPU map is
// a slice with one element a CPU.
type Map struct {
	host *Host
	m    maps.Map
	spec *ebpf.MapSpec
}

// Name is the map's name in the object.
func (m *Map) Name() string { return m.spec.Name }

// Type is the map's type.
func (m *Map) Type() ebpf.MapType { return m.m.Info().Type }

// KeySize is the size of a key in bytes.
func (m *Map) KeySize() uint32 { return m.m.Info().KeySize }

// ValueSize is the size of a value in bytes, of a per-CPU map that of one CPU.
func (m *Map) ValueSize() uint32 { return m.m.Info().ValueSize }

// MaxEntries is how many elements fit.
func (m *Map) MaxEntries() uint32 { return m.m.Info().MaxEntries }

// Flags are the flags of creation (BPF_F_*).
func (m *Map) Flags() uint32 { return m.m.Info().Flags }

// Spec is a copy of what the map was made from.
func (m *Map) Spec() *ebpf.MapSpec { return m.spec.Copy() }

// String names the map and its type.
func (m *Map) String() string { return m.m.Info().String() }

// perCPU reports whether a value is one for each CPU.
func (m *Map) perCPU() bool {
	switch m.Type() {
	case ebpf.PerCPUArray, ebpf.PerCPUHash, ebpf.LRUCPUHash:
		return true
	}
	return false
}

func (m *Map) marshalKey(key any) ([]byte, error) {
	if key == nil && m.KeySize() == 0 {
		return nil, nil
	}
	return marshal(m.String()+": key", key, int(m.KeySize()))
}

func (m *Map) marshalValue(value any) ([]byte, error) {
	what := m.String() + ": value"
	if m.perCPU() {
		return marshalPerCPU(what, value, int(m.ValueSize()), m.m.Info().CPUs)
	}
	return marshal(what, value, int(m.ValueSize()))
}

func (m *Map) unmarshalValue(out any, b []byte) error {
	what := m.String() + ": value"
	if m.perCPU() {
		return unmarshalPerCPU(what, out, b, int(m.ValueSize()), m.m.Info().CPUs)
	}
	return unmarshal(what, out, b)
}

// userError adds cilium/ebpf's error to an errno that has one.
func userError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errno.ENOENT):
		return errors.Join(err, ErrKeyNotExist)
	case errors.Is(err, errno.EEXIST):
		return errors.Join(err, ErrKeyExist)
	}
	return err
}

// Lookup copies the value of key into valueOut. The error is ErrKeyNotExist when
// there is none.
func (m *Map) Lookup(key, valueOut any) error {
	return m.LookupWithFlags(key, valueOut, 0)
}

// LookupWithFlags is Lookup with flags, of which ebpf.LookupLock is one.
func (m *Map) LookupWithFlags(key, valueOut any, flags ebpf.MapLookupFlags) error {
	k, err := m.marshalKey(key)
	if err != nil {
		return err
	}
	b, err := m.m.Lookup(k, uint64(flags))
	if err != nil {
		return userError(err)
	}
	return m.unmarshalValue(valueOut, b)
}

// LookupBytes is the raw value of key, nil when there is none.
func (m *Map) LookupBytes(key any) ([]byte, error) {
	k, err := m.marshalKey(key)
	if err != nil {
		return nil, err
	}
	b, err := m.m.Lookup(k, 0)
	if errors.Is(err, errno.ENOENT) {
		return nil, nil
	}
	return b, userError(err)
}

// LookupAndDelete removes the element of key and copies its value into valueOut; of
// a queue or stack the next one, with a nil key.
func (m *Map) LookupAndDelete(key, valueOut any) error {
	k, err := m.marshalKey(key)
	if err != nil {
		return err
	}
	b, err := m.m.LookupAndDelete(k, 0)
	if err != nil {
		return userError(err)
	}
	return m.unmarshalValue(valueOut, b)
}

// Update stores value under key. A program array takes a *Program, a map of maps
// a *Map.
func (m *Map) Update(key, value any, flags ebpf.MapUpdateFlags) error {
	k, err := m.marshalKey(key)
	if err != nil {
		return err
	}
	switch v := value.(type) {
	case *Program:
		if v.host != m.host {
			return fmt.Errorf("%v: %v is of another host", m, v)
		}
		return userError(m.m.UpdateRef(k, v.prog, uint64(flags)))
	case *Map:
		if v.host != m.host {
			return fmt.Errorf("%v: %v is of another host", m, v)
		}
		return userError(m.m.UpdateRef(k, v.m, uint64(flags)))
	}
	b, err := m.marshalValue(value)
	if err != nil {
		return err
	}
	return userError(m.m.Update(k, b, uint64(flags)))
}

// Put is Update with ebpf.UpdateAny.
func (m *Map) Put(key, value any) error { return m.Update(key, value, ebpf.UpdateAny) }

// Delete removes the element of key; the error is ErrKeyNotExist when there is none.
func (m *Map) Delete(key any) error {
	k, err := m.marshalKey(key)
	if err != nil {
		return err
	}
	return userError(m.m.Delete(k))
}

// NextKey copies the key that follows key into nextKeyOut, the first one for nil.
// The error after the last is ErrKeyNotExist.
func (m *Map) NextKey(key, nextKeyOut any) error {
	var k []byte
	if key != nil {
		var err error
		if k, err = m.marshalKey(key); err != nil {
			return err
		}
	}
	next, err := m.m.NextKey(k)
	if err != nil {
		return userError(err)
	}
	return unmarshal(m.String()+": key", nextKeyOut, next)
}

// Freeze forbids changes by the user from now on.
func (m *Map) Freeze() error { return userError(m.m.Freeze()) }

// All iterates over the raw keys and values; of a per-CPU map a value is that of
// all CPUs, each padded to 8 bytes. An element that is deleted meanwhile may be
// left out.
func (m *Map) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		it := m.Iterate()
		var k, v []byte
		for it.next(&k, &v) {
			if !yield(k, v) {
				return
			}
		}
	}
}

// Iterate walks over all elements.
func (m *Map) Iterate() *MapIterator { return &MapIterator{m: m} }

// MapIterator walks over the elements of a map; use it as cilium/ebpf's.
type MapIterator struct {
	m     *Map
	prev  []byte
	count uint64
	done  bool
	err   error
}

// Next copies the next element into keyOut and valueOut and reports whether there
// was one. See Err when it is false.
func (it *MapIterator) Next(keyOut, valueOut any) bool {
	var k, v []byte
	if !it.next(&k, &v) {
		return false
	}
	if it.err = unmarshal(it.m.String()+": key", keyOut, k); it.err != nil {
		return false
	}
	it.err = it.m.unmarshalValue(valueOut, v)
	return it.err == nil
}

func (it *MapIterator) next(k, v *[]byte) bool {
	for it.err == nil && !it.done {
		key, err := it.m.m.NextKey(it.prev)
		if errors.Is(err, errno.ENOENT) {
			it.done = true
			return false
		}
		if err != nil {
			it.err = userError(err)
			return false
		}
		// A concurrent deletion makes NextKey start again at the first key.
		if it.count++; it.count > uint64(it.m.MaxEntries())+1 {
			it.err = fmt.Errorf("%v: %w", it.m, ebpf.ErrIterationAborted)
			return false
		}
		it.prev = key
		value, err := it.m.m.Lookup(key, 0)
		if errors.Is(err, errno.ENOENT) {
			continue
		}
		if err != nil {
			it.err = userError(err)
			return false
		}
		*k, *v = key, value
		return true
	}
	return false
}

// Err is what ended the iteration early, nil for nothing.
func (it *MapIterator) Err() error { return it.err }
