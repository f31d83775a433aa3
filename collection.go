package bpfct

import (
	"errors"
	"fmt"
	gomaps "maps"
	"reflect"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier"
	"github.com/bpfct/bpfct/vm"
	"github.com/bpfct/bpfct/vm/maps"
	"github.com/bpfct/bpfct/vm/objects"
)

// CollectionOptions control LoadCollection. The zero value loads everything.
type CollectionOptions struct {
	// Programs names the programs to load, and with them the maps that they use;
	// nil loads all programs and all maps.
	Programs []string
	// MapReplacements are used in place of maps of the object, by name.
	MapReplacements map[string]*Map
	// Kconfig overrides the kernel's configuration for extern __kconfig variables:
	// "CONFIG_HZ" to "1000"; "" takes an option away.
	Kconfig map[string]string
	// SkipVerifier loads programs that the kernel might refuse. What they do wrong is
	// then found by the sanitizer, when they do it.
	SkipVerifier bool
	// LogLevel is how much the log of a program that is refused has.
	LogLevel verifier.LogLevel
}

// Collection is a loaded object.
type Collection struct {
	Programs  map[string]*Program
	Maps      map[string]*Map
	Variables map[string]*Variable

	host *Host
	own  []*Map // maps that Close closes
}

// LoadCollection links spec against the host's kernel and loads it: programs are
// verified, maps created and filled, programs prepared to run. The spec is not
// changed. The error names the program or map, the instruction and the line of C; it
// is a *verifier.Error for a program that the kernel would refuse, whose %+v is the
// kernel's log.
func (h *Host) LoadCollection(spec *ebpf.CollectionSpec, opts CollectionOptions) (*Collection, error) {
	obj, err := link.Link(spec, h.profile, link.Options{
		Programs: opts.Programs, Kconfig: opts.Kconfig, KeepFaulty: !opts.SkipVerifier,
	})
	if err != nil {
		return nil, err
	}
	l := collectionLoader{
		host: h, spec: spec, obj: obj, opts: opts,
		coll: &Collection{
			Programs: make(map[string]*Program), Maps: make(map[string]*Map),
			Variables: make(map[string]*Variable), host: h,
		},
	}
	if err := l.load(); err != nil {
		l.coll.Close()
		return nil, err
	}
	return l.coll, nil
}

type collectionLoader struct {
	host *Host
	spec *ebpf.CollectionSpec
	obj  *link.Object
	opts CollectionOptions
	coll *Collection
}

func (l *collectionLoader) load() error {
	for name := range l.opts.MapReplacements {
		if l.obj.Maps[name] == nil {
			return fmt.Errorf("map %s is to be replaced, but the object has none of that name", name)
		}
	}
	if l.opts.Programs == nil {
		for _, name := range slices.Sorted(gomaps.Keys(l.obj.Maps)) {
			if _, err := l.mapByName(name); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(gomaps.Keys(l.obj.Programs)) {
		facts, err := l.verify(name)
		if err != nil {
			return err
		}
		prog, err := l.host.machine.Load(l.obj.Programs[name], l.mapAddr, facts)
		if err != nil {
			return err
		}
		p := &Program{host: l.host, prog: prog, spec: l.spec.Programs[name]}
		prog.Owner = p
		l.coll.Programs[name] = p
	}
	// Program arrays refer to programs, so contents come last.
	for _, name := range slices.Sorted(gomaps.Keys(l.coll.Maps)) {
		if l.opts.MapReplacements[name] == nil {
			if err := l.fill(name); err != nil {
				return err
			}
		}
	}
	for name, v := range l.obj.Variables {
		if m := l.coll.Maps[v.SectionName]; m != nil {
			l.coll.Variables[name] = &Variable{name: name, m: m, spec: v}
		}
	}
	return nil
}

// verify asks whether the kernel would load a program, and what it found out.
func (l *collectionLoader) verify(name string) (vm.Facts, error) {
	if l.opts.SkipVerifier || !vm.Runnable(l.obj.Programs[name].Type) {
		return vm.Facts{}, nil
	}
	res, err := verifier.Verify(l.obj, name, verifier.Options{Log: l.opts.LogLevel, CPUs: l.host.CPUs()})
	if err != nil {
		return vm.Facts{}, err
	}
	if res.Err != nil {
		return vm.Facts{}, res.Err
	}
	return vm.Facts{Dead: func(slot int) bool { return !res.Reached(slot) }, Probe: res.Probes}, nil
}

// mapByName returns the map of the collection, created when first needed.
func (l *collectionLoader) mapByName(name string) (*Map, error) {
	if m := l.coll.Maps[name]; m != nil {
		return m, nil
	}
	spec := l.obj.Maps[name]
	if spec == nil {
		return nil, fmt.Errorf("map %s: the object has none of that name", name)
	}
	if m := l.opts.MapReplacements[name]; m != nil {
		if err := l.host.compatible(spec, m); err != nil {
			return nil, fmt.Errorf("map %s: its replacement does not fit: %w", name, err)
		}
		l.coll.Maps[name] = m
		return m, nil
	}
	m, err := l.host.newMap(spec, l.obj.Types)
	if err != nil {
		return nil, err
	}
	l.coll.Maps[name] = m
	l.coll.own = append(l.coll.own, m)
	return m, nil
}

func (l *collectionLoader) mapAddr(ref *link.MapRef) (uint64, error) {
	m, err := l.mapByName(ref.Name)
	if err != nil {
		return 0, err
	}
	if ref.Value {
		addr, err := m.m.ValueAddr(ref.Offset)
		if err != nil {
			return 0, fmt.Errorf("%v: offset %d of its value: %w", m, ref.Offset, err)
		}
		return addr, nil
	}
	return m.m.Handle().Addr(), nil
}

// compatible compares what must agree between a map and the spec it stands for.
func (h *Host) compatible(spec *ebpf.MapSpec, m *Map) error {
	info := m.m.Info()
	if m.host != h {
		return fmt.Errorf("%v is of another host", m)
	}
	for _, d := range []struct {
		what      string
		want, got any
	}{
		{"type", spec.Type, info.Type},
		{"key size", spec.KeySize, info.KeySize},
		{"value size", spec.ValueSize, info.ValueSize},
		{"max entries", spec.MaxEntries, info.MaxEntries},
		{"flags", spec.Flags, info.Flags},
	} {
		if d.want != d.got {
			return fmt.Errorf("%s is %v, the object has %v: %w", d.what, d.got, d.want, ebpf.ErrMapIncompatible)
		}
	}
	return nil
}

// contents are what the object stores in a map. Those of a data section are the
// section as it was compiled with the variables as the spec has them now.
func (l *collectionLoader) contents(name string) ([]ebpf.MapKV, error) {
	spec := l.obj.Maps[name]
	if len(spec.Contents) != 1 {
		return spec.Contents, nil
	}
	section, ok := spec.Contents[0].Value.([]byte)
	if !ok {
		return spec.Contents, nil
	}
	section = slices.Clone(section)
	for _, v := range l.obj.Variables {
		if v.SectionName != name {
			continue
		}
		if uint64(v.Offset)+uint64(len(v.Value)) > uint64(len(section)) {
			return nil, fmt.Errorf("variable %s lies outside section %s", v.Name, name)
		}
		copy(section[v.Offset:], v.Value)
	}
	return []ebpf.MapKV{{Key: spec.Contents[0].Key, Value: section}}, nil
}

// fill stores the contents that the object gives a map, and freezes constants.
func (l *collectionLoader) fill(name string) error {
	m, spec := l.coll.Maps[name], l.obj.Maps[name]
	contents, err := l.contents(name)
	if err != nil {
		return err
	}
	for _, kv := range contents {
		value := kv.Value
		if ref, ok := value.(string); ok {
			switch m.Type() {
			case ebpf.ProgramArray:
				p := l.coll.Programs[ref]
				if p == nil {
					if l.opts.Programs != nil {
						continue // a program that was not asked for
					}
					return fmt.Errorf("%v: slot %v names program %s, which is not in the object", m, kv.Key, ref)
				}
				value = p
			case ebpf.ArrayOfMaps, ebpf.HashOfMaps:
				inner, err := l.mapByName(ref)
				if err != nil {
					return fmt.Errorf("%v: %w", m, err)
				}
				value = inner
			}
		}
		if err := m.Put(kv.Key, value); err != nil {
			return fmt.Errorf("%v: its contents: %w", m, err)
		}
	}
	if frozen(spec) {
		return m.Freeze()
	}
	return nil
}

// frozen reports whether the loader freezes a map after it filled it: the
// sections that the C program declares constant.
func frozen(spec *ebpf.MapSpec) bool {
	const rdonlyProg = 1 << 7 // BPF_F_RDONLY_PROG
	_, section := spec.Value.(*btf.Datasec)
	return section && spec.Flags&rdonlyProg != 0
}

// NewMap makes a map outside of any collection, filled with the spec's contents.
func (h *Host) NewMap(spec *ebpf.MapSpec) (*Map, error) {
	m, err := h.newMap(spec, nil)
	if err != nil {
		return nil, err
	}
	for _, kv := range spec.Contents {
		if err := m.Put(kv.Key, kv.Value); err != nil {
			m.Close()
			return nil, fmt.Errorf("%v: its contents: %w", m, err)
		}
	}
	return m, nil
}

func (h *Host) newMap(spec *ebpf.MapSpec, types *btf.Spec) (*Map, error) {
	if err := h.checkKptrs(spec, types); err != nil {
		return nil, err
	}
	m, err := maps.New(h.machine, spec, maps.Options{
		ID: h.mapIDs.Add(1), Types: types, FreeRecord: objects.FreeRecord, TimerError: h.timerError,
		HasDevice: func(ifindex int) bool { return h.init.Device(ifindex) != nil },
	})
	if err != nil {
		return nil, err
	}
	return &Map{host: h, m: m, spec: spec.Copy()}, nil
}

// timerError keeps what ended a timer's callback; see TimerErrors.
func (h *Host) timerError(info maps.Info, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timerErrors = append(h.timerErrors, fmt.Errorf("timer of %v: %w", info, err))
}

// TimerErrors returns, and forgets, the faults of timer callbacks: nobody waits
// for their results.
func (h *Host) TimerErrors() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := errors.Join(h.timerErrors...)
	h.timerErrors = nil
	return err
}

// Assign copies programs, maps and variables of the collection into the fields of
// the struct that to points to, by their tags: `ebpf:"name"` on a *Program, *Map or
// *Variable. Nested structs are filled, too.
func (c *Collection) Assign(to any) error {
	v := reflect.ValueOf(to)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("assign to %T: want a pointer to a struct", to)
	}
	return c.assign(v.Elem())
}

func (c *Collection) assign(v reflect.Value) error {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		name := field.Tag.Get("ebpf")
		if name == "" {
			if field.Type.Kind() == reflect.Struct {
				if err := c.assign(value); err != nil {
					return err
				}
			}
			continue
		}
		if !value.CanSet() {
			return fmt.Errorf("field %s: it has a tag but is not exported", field.Name)
		}
		var found any
		switch field.Type {
		case reflect.TypeFor[*Program]():
			if p := c.Programs[name]; p != nil {
				found = p
			}
		case reflect.TypeFor[*Map]():
			if m := c.Maps[name]; m != nil {
				found = m
			}
		case reflect.TypeFor[*Variable]():
			if x := c.Variables[name]; x != nil {
				found = x
			}
		default:
			return fmt.Errorf("field %s: a %v cannot be assigned", field.Name, field.Type)
		}
		if found == nil {
			return fmt.Errorf("field %s: the object has no %v %q", field.Name, field.Type.Elem().Name(), name)
		}
		value.Set(reflect.ValueOf(found))
	}
	return nil
}

// LoadAndAssign loads spec and assigns the result to the struct that to points to,
// as cilium/ebpf's CollectionSpec.LoadAndAssign.
func (h *Host) LoadAndAssign(spec *ebpf.CollectionSpec, to any, opts CollectionOptions) error {
	coll, err := h.LoadCollection(spec, opts)
	if err != nil {
		return err
	}
	if err := coll.Assign(to); err != nil {
		coll.Close()
		return err
	}
	return nil
}

// Close gives the memory of the collection's maps back. Its programs must not run
// any more.
func (c *Collection) Close() {
	for _, m := range c.own {
		m.Close()
	}
	c.own = nil
}

// Close gives the map's memory back. No program may use it any more.
func (m *Map) Close() { m.m.Close() }
