package live

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/link"
)

// LoadCollection loads spec into the kernel from within the namespace (which
// matters for maps that hold devices). spec is not changed; nothing is pinned,
// whatever it says. opts may be nil. The collection is closed with the Host.
func (ns *Netns) LoadCollection(spec *ebpf.CollectionSpec, opts *CollectionOptions) (*Collection, error) {
	if spec == nil {
		return nil, errors.New("no collection to load")
	}
	if opts == nil {
		opts = new(CollectionOptions)
	}
	for _, name := range opts.Programs {
		if spec.Programs[name] == nil {
			return nil, fmt.Errorf("program %s is not in the collection", name)
		}
	}
	var coll *Collection
	err := ns.thread.do(func() (err error) {
		coll, err = ns.loadCollection(spec.Copy(), opts)
		return err
	})
	if err != nil {
		return nil, err
	}
	ns.own(coll)
	return coll, nil
}

// programSlot is an entry of a map that holds programs, filled when these are loaded.
type programSlot struct {
	mapName string
	key     any
	program string
}

// loadCollection must be called on the namespace's thread. It may change spec.
func (ns *Netns) loadCollection(spec *ebpf.CollectionSpec, opts *CollectionOptions) (_ *Collection, err error) {
	names := opts.Programs
	if names == nil {
		for name := range spec.Programs {
			names = append(names, name)
		}
	} else {
		names = slices.Clone(names)
	}
	sort.Strings(names)

	programs := spec.Programs
	for _, p := range programs {
		p.Instructions = link.OrderFunctions(p.Instructions)
	}
	slots := prepareMaps(spec)
	c := &Collection{
		Programs: make(map[string]*ebpf.Program),
		Verdicts: make(map[string]*Verdict),
		spec:     spec.Variables,
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()

	var types *sharedBTF
	if !opts.PrivateBTF && needsSharedBTF(spec) {
		targets, err := ns.kernelTypes()
		if err != nil {
			return nil, err
		}
		if types, err = newSharedBTF(spec, programs, targets); err != nil {
			return nil, err
		}
		defer types.close()
		c.SharedBTF = true
	}
	if err := c.createMaps(spec, opts, types); err != nil {
		return nil, err
	}
	for _, name := range names {
		p := programs[name]
		if p.Type == ebpf.UnspecifiedProgram {
			continue
		}
		prog, log, err := c.loadWith(types, ns.types, spec, p, opts)
		verdict := verdictOf(prog, log, err)
		c.Verdicts[name] = verdict
		if prog != nil {
			c.Programs[name] = prog
		} else if !opts.KeepGoing {
			return nil, verdict.Err
		}
	}
	for _, s := range slots {
		prog := c.Programs[s.program]
		if prog == nil {
			continue // refused or not asked for: the slot stays empty
		}
		if err := c.Maps[s.mapName].Put(s.key, prog); err != nil {
			return nil, fmt.Errorf("map %s: put program %s: %w", s.mapName, s.program, err)
		}
	}
	return c, nil
}

// prepareMaps makes spec one of maps only, and gives the slots that programs go into.
func prepareMaps(spec *ebpf.CollectionSpec) []programSlot {
	spec.Programs = nil
	var slots []programSlot
	for name, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
		if m.InnerMap != nil {
			m.InnerMap.Pinning = ebpf.PinNone
			roundRing(m.InnerMap)
		}
		roundRing(m)
		if m.Type != ebpf.ProgramArray {
			continue
		}
		for _, kv := range m.Contents {
			if program, ok := kv.Value.(string); ok {
				slots = append(slots, programSlot{name, kv.Key, program})
			}
		}
		m.Contents = nil
	}
	return slots
}

// roundRing makes a ring buffer as large as the kernel wants it, as libbpf does: a
// power of two of pages.
func roundRing(m *ebpf.MapSpec) {
	if m.Type != ebpf.RingBuf && m.Type != ebpf.UserRingbuf || m.MaxEntries == 0 {
		return
	}
	page := uint32(os.Getpagesize())
	for n := page; n != 0; n *= 2 {
		if n >= m.MaxEntries {
			m.MaxEntries = n
			return
		}
	}
}

// createMaps makes the maps and variables of spec.
func (c *Collection) createMaps(spec *ebpf.CollectionSpec, opts *CollectionOptions, types *sharedBTF) error {
	replacements := make(map[string]*ebpf.Map)
	for name, m := range opts.MapReplacements {
		replacements[name] = m
	}
	if types != nil {
		shared, err := types.createMaps(spec)
		defer func() {
			for _, m := range shared {
				m.Close() // the collection holds duplicates
			}
		}()
		if err != nil {
			return err
		}
		for name, m := range shared {
			if replacements[name] == nil {
				replacements[name] = m
			}
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: replacements})
	if err != nil {
		return err
	}
	c.Maps, c.Variables = coll.Maps, coll.Variables
	return nil
}

// loadWith loads one program whose maps are there, with the shared types if
// there are any.
func (c *Collection) loadWith(shared *sharedBTF, kernel *btf.Cache, spec *ebpf.CollectionSpec, p *ebpf.ProgramSpec, opts *CollectionOptions) (*ebpf.Program, string, error) {
	maps := make(map[string]*ebpf.Map)
	specs := make(map[string]*ebpf.MapSpec)
	for i := range p.Instructions {
		ins := &p.Instructions[i]
		name := ins.Reference()
		if !ins.IsLoadFromMap() || name == "" || int32(ins.Constant) > 0 {
			continue
		}
		m := c.Maps[name]
		if m == nil {
			return nil, "", fmt.Errorf("program %s: instruction %d refers to map %q, which is not in the collection", p.Name, i, name)
		}
		// The map is there, with what it holds.
		one := spec.Maps[name].Copy()
		one.Contents = nil
		maps[name], specs[name] = m, one
		if shared == nil {
			continue
		}
		if err := ins.AssociateMap(m); err != nil {
			return nil, "", fmt.Errorf("program %s: instruction %d: map %q: %w", p.Name, i, name, err)
		}
	}
	if shared != nil {
		prog, log, err := shared.loadProgram(p, opts)
		if err != nil {
			err = fmt.Errorf("program %s: %w", p.Name, err)
		}
		return prog, log, err
	}
	one := &ebpf.CollectionSpec{
		Programs: map[string]*ebpf.ProgramSpec{p.Name: p},
		Maps:     specs, Types: spec.Types, ByteOrder: spec.ByteOrder,
	}
	coll, err := ebpf.NewCollectionWithOptions(one, ebpf.CollectionOptions{
		Programs:        ebpf.ProgramOptions{LogLevel: opts.LogLevel, LogSizeStart: opts.LogSize},
		MapReplacements: maps,
		Cache:           kernel,
	})
	if err != nil {
		return nil, "", err
	}
	for _, m := range coll.Maps {
		m.Close() // duplicates of ours
	}
	prog := coll.Programs[p.Name]
	return prog, prog.VerifierLog, nil
}

// verdictOf says what a load came to.
func verdictOf(prog *ebpf.Program, log string, err error) *Verdict {
	v := &Verdict{Accepted: prog != nil, Err: err}
	if ve := v.VerifierError(); ve != nil {
		v.Log = logLines(strings.Join(ve.Log, "\n"))
	} else if v.Accepted {
		v.Log, v.Time = logLines(log), verificationTime(log)
	}
	var e unix.Errno
	if errors.As(err, &e) {
		v.Errno = errno.Errno(e)
	}
	v.Processed = processed(v.Log)
	return v
}
