package live

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/bpfct/bpfct/internal/errno"
)

// cilium/ebpf (v0.22) gives every map and every program type information of
// its own. The kernel compares local types (what a list or tree holds, what a
// kptr to a local type points to) by the BTF object that they are in, so an
// object whose map values have such fields does not load like that. And it
// makes every data section mmapable, which the kernel refuses for those that
// hold such fields. For these objects, and only these, sharedBTF does what
// libbpf does: all types of the object are loaded once, and every map and
// program refers to them.
type sharedBTF struct {
	handle   *btf.Handle
	keys     map[string]btf.TypeID
	values   map[string]btf.TypeID
	programs map[*ebpf.ProgramSpec]*preparedProgram
	modules  map[string]*btf.Handle
}

// preparedProgram is what refers to the shared types.
type preparedProgram struct {
	funcInfo, lineInfo []byte
	fdArray            []int32
	err                error
}

// needsSharedBTF reports whether a value of one of the maps holds a list, a
// tree or a kptr.
func needsSharedBTF(spec *ebpf.CollectionSpec) bool {
	for _, m := range spec.Maps {
		if holdsGraphOrKptr(m.Value, 0) || m.InnerMap != nil && holdsGraphOrKptr(m.InnerMap.Value, 0) {
			return true
		}
	}
	return false
}

func holdsGraphOrKptr(t btf.Type, depth int) bool {
	if t == nil || depth > 16 {
		return false
	}
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Datasec:
		for _, v := range t.Vars {
			if holdsGraphOrKptr(v.Type, depth+1) {
				return true
			}
		}
	case *btf.Var:
		return holdsGraphOrKptr(t.Type, depth+1)
	case *btf.Array:
		return holdsGraphOrKptr(t.Type, depth+1)
	case *btf.Struct:
		if t.Name == "bpf_list_head" || t.Name == "bpf_rb_root" {
			return true
		}
		for _, m := range t.Members {
			if holdsGraphOrKptr(m.Type, depth+1) {
				return true
			}
		}
	case *btf.Pointer:
		for target := t.Target; ; {
			switch x := target.(type) {
			case *btf.TypeTag:
				if x.Value == "kptr" || x.Value == "percpu_kptr" || x.Value == "kptr_untrusted" {
					return true
				}
				target = x.Type
				continue
			case *btf.Const:
				target = x.Type
				continue
			case *btf.Volatile:
				target = x.Type
				continue
			}
			return false
		}
	}
	return false
}

// newSharedBTF loads the types of the maps of spec and of programs, and
// changes the programs' instructions to refer to them and to the kernel's.
func newSharedBTF(spec *ebpf.CollectionSpec, programs map[string]*ebpf.ProgramSpec, targets []target) (_ *sharedBTF, err error) {
	s := &sharedBTF{
		keys: make(map[string]btf.TypeID), values: make(map[string]btf.TypeID),
		programs: make(map[*ebpf.ProgramSpec]*preparedProgram), modules: make(map[string]*btf.Handle),
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	b, err := btf.NewBuilder(nil, &btf.BuilderOptions{Deduplicate: true})
	if err != nil {
		return nil, err
	}
	add := func(name string, m *ebpf.MapSpec) error {
		if m.Key != nil {
			if s.keys[name], err = b.Add(m.Key); err != nil {
				return fmt.Errorf("map %s: key type: %w", name, err)
			}
		}
		if m.Value != nil {
			if s.values[name], err = b.Add(m.Value); err != nil {
				return fmt.Errorf("map %s: value type: %w", name, err)
			}
		}
		return nil
	}
	for name, m := range spec.Maps {
		if err := add(name, m); err != nil {
			return nil, err
		}
		if m.InnerMap != nil {
			if err := add(innerName(name), m.InnerMap); err != nil {
				return nil, err
			}
		}
	}
	for _, p := range programs {
		prepared := new(preparedProgram)
		s.programs[p] = prepared
		if prepared.err = relocate(p, b, targets); prepared.err != nil {
			continue
		}
		if prepared.fdArray, prepared.err = s.linkKfuncs(p, targets); prepared.err != nil {
			continue
		}
		prepared.funcInfo, prepared.lineInfo, prepared.err = btf.MarshalExtInfos(p.Instructions, b)
	}
	if s.handle, err = btf.NewHandle(b); err != nil {
		return nil, fmt.Errorf("load the collection's types: %w", err)
	}
	return s, nil
}

func innerName(outer string) string { return outer + "\x00inner" }

func (s *sharedBTF) close() {
	if s.handle != nil {
		s.handle.Close()
	}
	for _, h := range s.modules {
		h.Close()
	}
}

// target is the types of the kernel or of a module.
type target struct {
	module string // "" for the kernel proper
	spec   *btf.Spec
}

// kernelTypes reads the types of the kernel and its modules. It must be called
// on the namespace's thread.
func (ns *Netns) kernelTypes() ([]target, error) {
	if ns.targets != nil {
		return ns.targets, nil
	}
	kernel, err := ns.types.Kernel()
	if err != nil {
		return nil, fmt.Errorf("the kernel's types: %w", err)
	}
	targets := []target{{"", kernel}}
	modules, err := ns.types.Modules()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the modules' types: %w", err)
	}
	for _, name := range modules {
		spec, err := ns.types.Module(name)
		if err != nil {
			return nil, fmt.Errorf("types of module %s: %w", name, err)
		}
		targets = append(targets, target{name, spec})
	}
	ns.targets = targets
	return targets, nil
}

// relocate applies the CO-RE relocations of p.
func relocate(p *ebpf.ProgramSpec, b *btf.Builder, targets []target) error {
	var relos []*btf.CORERelocation
	var at []int
	for i := range p.Instructions {
		if r := btf.CORERelocationMetadata(&p.Instructions[i]); r != nil {
			relos, at = append(relos, r), append(at, i)
		}
	}
	if len(relos) == 0 {
		return nil
	}
	specs := make([]*btf.Spec, len(targets))
	for i, t := range targets {
		specs[i] = t.spec
	}
	fixups, err := btf.CORERelocate(relos, specs, p.ByteOrder, b.Add)
	if err != nil {
		return fmt.Errorf("apply CO-RE relocations: %w", err)
	}
	for i := range fixups {
		if err := fixups[i].Apply(&p.Instructions[at[i]]); err != nil {
			return fmt.Errorf("instruction %d: CO-RE relocation %s: %w", at[i], relos[i], err)
		}
	}
	return nil
}

// linkKfuncs puts the type ids of the kernel functions into the calls of p,
// and gives the descriptors of the modules that these are in.
func (s *sharedBTF) linkKfuncs(p *ebpf.ProgramSpec, targets []target) ([]int32, error) {
	var fds []int32
	index := make(map[string]int)
	for i := range p.Instructions {
		ins := &p.Instructions[i]
		if !ins.IsKfuncCall() {
			if what := external(ins); what != "" {
				return nil, fmt.Errorf("instruction %d: %s beside lists, trees or kptrs in map values: %w", i, what, ErrNotSupported)
			}
			continue
		}
		module, id, err := findKfunc(ins.Reference(), targets)
		if err != nil {
			return nil, fmt.Errorf("instruction %d: %w", i, err)
		}
		ins.Constant, ins.Offset = int64(id), 0
		if module == "" {
			continue
		}
		if index[module] == 0 {
			h, err := s.moduleHandle(module)
			if err != nil {
				return nil, fmt.Errorf("instruction %d: %s: %w", i, ins.Reference(), err)
			}
			if len(fds) == 0 {
				fds = append(fds, 0) // index 0 stands for the kernel proper
			}
			index[module] = len(fds)
			fds = append(fds, int32(h.FD()))
		}
		ins.Offset = int16(index[module])
	}
	return fds, nil
}

// external names what only cilium/ebpf can resolve, "" for other instructions.
func external(ins *asm.Instruction) string {
	switch {
	case !ins.OpCode.IsDWordLoad() || ins.IsLoadOfFunctionPointer():
		return ""
	case !ins.IsLoadFromMap() && ins.Reference() != "":
		return "kernel symbol " + ins.Reference()
	case ins.IsLoadFromMap() && ins.Reference() == "" && ins.Map() == nil && int32(ins.Constant) <= 0:
		return "a variable of .kconfig"
	}
	return ""
}

func findKfunc(name string, targets []target) (module string, id btf.TypeID, err error) {
	for _, t := range targets {
		var fn *btf.Func
		err := t.spec.TypeByName(name, &fn)
		if errors.Is(err, btf.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", 0, fmt.Errorf("kfunc %s: %w", name, err)
		}
		id, err := t.spec.TypeID(fn)
		return t.module, id, err
	}
	return "", 0, fmt.Errorf("kfunc %s: the kernel has none: %w", name, ErrNotSupported)
}

func (s *sharedBTF) moduleHandle(name string) (*btf.Handle, error) {
	if h := s.modules[name]; h != nil {
		return h, nil
	}
	h, err := btf.FindHandle(func(info *btf.HandleInfo) bool { return info.IsModule() && info.Name == name })
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", name, err)
	}
	s.modules[name] = h
	return h, nil
}

// attrMapCreate is the layout for BPF_MAP_CREATE.
type attrMapCreate struct {
	mapType, keySize, valueSize, maxEntries, mapFlags uint32
	innerMapFD, numaNode                              uint32
	name                                              [16]byte
	ifindex, btfFD, btfKeyTypeID, btfValueTypeID      uint32
	vmlinuxValueTypeID                                uint32
	_                                                 uint32
	mapExtra                                          uint64
}

// createMaps creates and fills every map of spec. On an error the maps made
// so far are returned as well, to be closed.
func (s *sharedBTF) createMaps(spec *ebpf.CollectionSpec) (map[string]*ebpf.Map, error) {
	maps := make(map[string]*ebpf.Map)
	for name, m := range spec.Maps {
		if err := adjustMap(m); err != nil {
			return maps, fmt.Errorf("map %s: %w", name, err)
		}
		var inner *ebpf.Map
		if m.InnerMap != nil {
			if err := adjustMap(m.InnerMap); err != nil {
				return maps, fmt.Errorf("map %s: inner map: %w", name, err)
			}
			var err error
			if inner, err = s.createMap(innerName(name), m.InnerMap, nil); err != nil {
				return maps, fmt.Errorf("map %s: inner map: %w", name, err)
			}
		}
		created, err := s.createMap(name, m, inner)
		if inner != nil {
			inner.Close()
		}
		if err != nil {
			return maps, fmt.Errorf("map %s: %w", name, err)
		}
		maps[name] = created
	}
	for name, m := range spec.Maps {
		if err := fillMap(maps, spec, name, m); err != nil {
			return maps, fmt.Errorf("map %s: %w", name, err)
		}
		if isDataSection(m.Name) && !mmapable(m) {
			// cilium/ebpf asks for the flag where it sees the name of a section.
			m.Name = strings.ReplaceAll(m.Name, ".", "_")
		}
	}
	return maps, nil
}

// adjustMap gives m the sizes and flags that loaders give and sources leave out.
func adjustMap(m *ebpf.MapSpec) error {
	switch m.Type {
	case ebpf.PerfEventArray, ebpf.CPUMap:
		n, err := ebpf.PossibleCPU()
		if err != nil {
			return err
		}
		if m.MaxEntries == 0 || m.MaxEntries > uint32(n) {
			m.MaxEntries = uint32(n)
		}
		if m.Type == ebpf.PerfEventArray {
			m.KeySize, m.ValueSize = 4, 4
		}
	case ebpf.ArrayOfMaps, ebpf.HashOfMaps:
		m.ValueSize = 4
	}
	if !isDataSection(m.Name) {
		return nil
	}
	if mmapable(m) {
		m.Flags |= unix.BPF_F_MMAPABLE
	}
	return nil
}

func isDataSection(name string) bool {
	return name == ".bss" || strings.HasPrefix(name, ".data") || strings.HasPrefix(name, ".rodata")
}

// mmapable says whether user space has business in a data section: it has
// none in one of static variables only, nor may it where the kernel keeps
// lists, trees or kptrs.
func mmapable(m *ebpf.MapSpec) bool {
	ds, ok := m.Value.(*btf.Datasec)
	if !ok {
		return true
	}
	if holdsGraphOrKptr(ds, 0) {
		return false
	}
	for _, v := range ds.Vars {
		if x, ok := v.Type.(*btf.Var); ok && x.Linkage != btf.StaticVar {
			return true
		}
	}
	return false
}

func (s *sharedBTF) createMap(name string, m *ebpf.MapSpec, inner *ebpf.Map) (*ebpf.Map, error) {
	attr := attrMapCreate{
		mapType: uint32(m.Type), keySize: m.KeySize, valueSize: m.ValueSize, maxEntries: m.MaxEntries,
		mapFlags: m.Flags, numaNode: m.NumaNode, mapExtra: m.MapExtra,
		name: objName(m.Name),
	}
	if inner != nil {
		attr.innerMapFD = uint32(inner.FD())
	}
	if s.values[name] != 0 || s.keys[name] != 0 {
		attr.btfFD = uint32(s.handle.FD())
		attr.btfKeyTypeID, attr.btfValueTypeID = uint32(s.keys[name]), uint32(s.values[name])
	}
	fd, err := bpfCall(cmdMapCreate, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	refused := errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.Errno(errno.ENOTSUPP))
	if refused && attr.btfFD != 0 && !holdsGraphOrKptr(m.Value, 0) {
		// Some types of maps take no type information.
		attr.btfFD, attr.btfKeyTypeID, attr.btfValueTypeID = 0, 0, 0
		fd, err = bpfCall(cmdMapCreate, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	}
	if err != nil {
		return nil, fmt.Errorf("create: %w", err)
	}
	return ebpf.NewMapFromFD(fd)
}

// objName is a name as the kernel takes it.
func objName(name string) (out [16]byte) {
	n := 0
	for i := 0; i < len(name) && n < len(out)-1; i++ {
		c := name[i]
		if c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			out[n] = c
			n++
		}
	}
	return out
}

// fillMap puts the initial contents into a map, and freezes constants.
func fillMap(maps map[string]*ebpf.Map, spec *ebpf.CollectionSpec, name string, m *ebpf.MapSpec) error {
	contents := m.Contents
	if _, ok := m.Value.(*btf.Datasec); ok && len(contents) == 1 {
		data, ok := contents[0].Value.([]byte)
		if !ok {
			return fmt.Errorf("the contents are a %T", contents[0].Value)
		}
		data = append([]byte(nil), data...)
		for _, v := range spec.Variables {
			if v.SectionName == name {
				if int(v.Offset)+len(v.Value) > len(data) {
					return fmt.Errorf("variable %s is outside of the section", v.Name)
				}
				copy(data[v.Offset:], v.Value)
			}
		}
		contents = []ebpf.MapKV{{Key: uint32(0), Value: data}}
	}
	for _, kv := range contents {
		value := kv.Value
		if inner, ok := value.(string); ok {
			if maps[inner] == nil {
				return fmt.Errorf("key %v: map %s is not in the collection", kv.Key, inner)
			}
			value = maps[inner]
		}
		if err := maps[name].Put(kv.Key, value); err != nil {
			return fmt.Errorf("put key %v: %w", kv.Key, err)
		}
	}
	if strings.HasPrefix(name, ".rodata") {
		return maps[name].Freeze()
	}
	return nil
}
