package record_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/record"
)

var (
	u32 = &btf.Int{Name: "unsigned int", Size: 4}
	u64 = &btf.Int{Name: "unsigned long long", Size: 8}
)

// special are the structs with a meaning, with their sizes.
var special = map[string]uint32{
	"bpf_spin_lock": 4, "bpf_res_spin_lock": 4, "bpf_timer": 16, "bpf_wq": 16, "bpf_task_work": 8,
	"bpf_list_head": 16, "bpf_list_node": 24, "bpf_rb_root": 16, "bpf_rb_node": 32, "bpf_refcount": 4,
}

func specialType(name string, size uint32) *btf.Struct {
	return &btf.Struct{Name: name, Size: size, Members: []btf.Member{{Name: "opaque", Type: array(u32, size/4)}}}
}

func array(t btf.Type, n uint32) btf.Type { return &btf.Array{Index: u32, Type: t, Nelems: n} }

func sizeof(t btf.Type) uint32 {
	n, err := btf.Sizeof(t)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

// layout puts members behind each other. Most are aligned as they must be.
func layout(t *rapid.T, name string, members []btf.Member) *btf.Struct {
	off := uint32(0)
	for i := range members {
		size := sizeof(members[i].Type)
		align := uint32(8)
		if size == 4 || rapid.IntRange(0, 30).Draw(t, "misplaced") == 0 {
			align = 4
		}
		off = (off + align - 1) &^ (align - 1)
		members[i].Name = fmt.Sprintf("m%d", i)
		members[i].Offset = btf.Bits(off * 8)
		off += size
	}
	return &btf.Struct{Name: name, Size: max((off+7)&^7, 8), Members: members}
}

// types makes a struct "outer" and the structs that it may contain.
type types struct {
	t     *rapid.T
	made  map[string]*btf.Struct
	items []*btf.Struct
}

func (g *types) special(name string) *btf.Struct {
	if s := g.made[name]; s != nil {
		return s
	}
	size := special[name]
	if rapid.IntRange(0, 60).Draw(g.t, "wrong size") == 0 {
		size += 4
	}
	s := specialType(name, size)
	g.made[name] = s
	return s
}

func (g *types) pick(choices ...string) string { return rapid.SampledFrom(choices).Draw(g.t, "choice") }

// member is one of a special type or a plain one.
func (g *types) member(depth int, kinds ...string) btf.Member {
	var m btf.Member
	switch kind := g.pick(kinds...); kind {
	case "u32":
		m.Type = u32
	case "u64":
		m.Type = u64
	case "struct":
		if depth > 2 {
			m.Type = u64
			break
		}
		var inner []btf.Member
		for range rapid.IntRange(1, 3).Draw(g.t, "members") {
			inner = append(inner, g.member(depth+1, kinds...))
		}
		m.Type = layout(g.t, g.pick("", fmt.Sprintf("inner%d", len(g.made))), inner)
	case "kptr":
		target := btf.Type(&btf.Struct{Name: "target", Size: 8, Members: []btf.Member{{Name: "x", Type: u64}}})
		switch g.pick("target", "target", "item", "const", "typedef", "int") {
		case "item":
			target = g.items[rapid.IntRange(0, len(g.items)-1).Draw(g.t, "item")]
		case "const":
			target = &btf.Const{Type: target}
		case "typedef":
			target = &btf.Typedef{Name: "target_t", Type: target}
		case "int":
			target = u32
		}
		tag := g.pick("kptr", "kptr", "kptr_untrusted", "percpu_kptr", "kptr", "other")
		tt := &btf.TypeTag{Value: tag, Type: target}
		if rapid.IntRange(0, 20).Draw(g.t, "two tags") == 0 {
			tt = &btf.TypeTag{Value: "kptr", Type: tt}
		}
		m.Type = &btf.Pointer{Target: tt}
	case "bpf_list_head", "bpf_rb_root":
		m.Type = g.special(kind)
		item := fmt.Sprintf("item%d", rapid.IntRange(0, len(g.items)-1).Draw(g.t, "item"))
		node := map[string]string{"bpf_list_head": "l", "bpf_rb_root": "r"}[kind]
		switch g.pick("right", "right", "right", "right", "right", "right", "other node", "no node", "no struct", "no tag", "two", "empty") {
		case "right":
			m.Tags = []string{"contains:" + item + ":" + node}
		case "other node":
			m.Tags = []string{"contains:" + item + ":" + g.pick("l", "r", "key", "gone")}
		case "no node":
			m.Tags = []string{"contains:" + item}
		case "empty":
			m.Tags = []string{"contains:" + item + ":"}
		case "no struct":
			m.Tags = []string{"contains:nothing:l"}
		case "two":
			m.Tags = []string{"contains:" + item + ":" + node, "contains:" + item + ":" + node}
		}
	default:
		m.Type = g.special(kind)
	}
	switch g.pick("plain", "plain", "plain", "plain", "plain", "plain", "plain", "plain", "array", "const", "volatile", "typedef") {
	case "array":
		m.Type = array(m.Type, rapid.Uint32Range(0, 4).Draw(g.t, "elements"))
	case "const":
		m.Type = &btf.Const{Type: m.Type}
	case "volatile":
		m.Type = &btf.Volatile{Type: m.Type}
	case "typedef":
		m.Type = &btf.Typedef{Name: "some_t", Type: m.Type}
	}
	return m
}

func (g *types) outer() *btf.Struct {
	for i := range 2 {
		g.items = append(g.items, &btf.Struct{Name: fmt.Sprintf("item%d", i)})
	}
	for _, item := range g.items {
		members := []btf.Member{{Type: u64}}
		names := []string{"key"}
		add := func(name string, t btf.Member) {
			members, names = append(members, t), append(names, name)
		}
		if rapid.IntRange(0, 5).Draw(g.t, "list node") > 0 {
			add("l", btf.Member{Type: g.special("bpf_list_node")})
		}
		if rapid.Bool().Draw(g.t, "tree node") {
			add("r", btf.Member{Type: g.special("bpf_rb_node")})
		}
		if rapid.IntRange(0, 3).Draw(g.t, "refcount") > 0 {
			add("refs", btf.Member{Type: g.special("bpf_refcount")})
		}
		if rapid.IntRange(0, 4).Draw(g.t, "owner") == 0 {
			add("lock", btf.Member{Type: g.special("bpf_spin_lock")})
			add("owns", g.member(9, "bpf_list_head", "bpf_rb_root", "kptr"))
		}
		s := layout(g.t, item.Name, members)
		for i := range s.Members {
			s.Members[i].Name = names[i]
		}
		item.Size, item.Members = s.Size, s.Members
	}
	var members []btf.Member
	for range rapid.IntRange(1, 7).Draw(g.t, "members") {
		members = append(members, g.member(0, "u32", "u64", "bpf_spin_lock", "bpf_spin_lock", "bpf_list_head", "bpf_list_head", "bpf_rb_root",
			"kptr", "kptr", "struct", "bpf_timer", "bpf_wq", "bpf_refcount", "bpf_list_node", "bpf_res_spin_lock"))
	}
	return layout(g.t, "outer", members)
}

// What the kernel says of generated types when it loads them, and which bytes of
// a map's values it then keeps to itself.
func TestAgainstTheKernel(t *testing.T) {
	testkernel.Require(t)
	counts := make(map[string]int)
	rapid.Check(t, func(t *rapid.T) {
		g := &types{t: t, made: make(map[string]*btf.Struct)}
		outer := g.outer()
		b, err := btf.NewBuilder([]btf.Type{outer, g.items[0], g.items[1], u32}, nil)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := b.Marshal(nil, &btf.MarshalOptions{Order: le})
		if err != nil {
			t.Fatal(err)
		}
		spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		got := record.Check(spec, nil)
		fd, want := loadBTF(raw)
		if !same(got, want) {
			t.Fatalf("loading the types: %v, on the kernel %v%s", got, want, describe(spec))
		}
		counts[fmt.Sprint("load ", want)]++
		if want != nil {
			return
		}
		defer unix.Close(fd)
		var s *btf.Struct
		if err := spec.TypeByName("outer", &s); err != nil {
			t.Fatal(err)
		}
		id, err := spec.TypeID(s)
		if err != nil {
			t.Fatal(err)
		}
		var key *btf.Int
		if err := spec.TypeByName(u32.Name, &key); err != nil {
			t.Fatal(err)
		}
		keyID, err := spec.TypeID(key)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := record.Parse(s, spec)
		var e errno.Errno
		errors.As(err, &e)
		counts["parse "+e.Name()]++
		hidden, err := hiddenBytes(fd, uint32(keyID), uint32(id), s.Size)
		if err != nil {
			t.Fatalf("map: %v", err)
		}
		mine := make([]bool, s.Size)
		if rec != nil {
			counts[fmt.Sprint("fields ", len(rec.Fields))]++
			for _, f := range rec.Fields {
				for i := range f.Size {
					mine[f.Offset+i] = true
				}
			}
		}
		for i := range mine {
			if mine[i] != hidden[i] {
				t.Fatalf("byte %d is special: %v, on the kernel %v; record %+v%s", i, mine[i], hidden[i], rec, describe(spec))
			}
		}
	})
	t.Log(counts)
}

func same(got, want error) bool {
	var g errno.Errno
	var w syscall.Errno
	if got == nil || want == nil {
		return got == nil && want == nil
	}
	return errors.As(got, &g) && errors.As(want, &w) && uint32(g) == uint32(w)
}

var le = binary.LittleEndian

func bpf(cmd int, attr unsafe.Pointer, size uintptr) (int, error) {
	fd, _, e := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(attr), size)
	if e != 0 {
		return -1, e
	}
	return int(fd), nil
}

func loadBTF(raw []byte) (int, error) {
	attr := struct {
		btf, log     uint64
		size         uint32
		logSize      uint32
		level, logTo uint32
	}{btf: uint64(uintptr(unsafe.Pointer(&raw[0]))), size: uint32(len(raw))}
	fd, err := bpf(unix.BPF_BTF_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	runtime.KeepAlive(raw)
	return fd, err
}

// hiddenBytes makes an array map with the type as value, stores ones in it and
// reports which of them are not there.
func hiddenBytes(btfFD int, keyID, id, size uint32) ([]bool, error) {
	attr := struct {
		typ, keySize, valueSize, maxEntries, flags, inner, numa uint32
		name                                                    [16]byte
		ifindex, btfFD, keyType, valueType                      uint32
	}{typ: unix.BPF_MAP_TYPE_ARRAY, keySize: 4, valueSize: size, maxEntries: 1, btfFD: uint32(btfFD), keyType: keyID, valueType: id}
	fd, err := bpf(unix.BPF_MAP_CREATE, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	key, value := uint32(0), bytes.Repeat([]byte{0xff}, int(size))
	elem := struct {
		fd, pad           uint32
		key, value, flags uint64
	}{fd: uint32(fd), key: uint64(uintptr(unsafe.Pointer(&key))), value: uint64(uintptr(unsafe.Pointer(&value[0])))}
	if _, err := bpf(unix.BPF_MAP_UPDATE_ELEM, unsafe.Pointer(&elem), unsafe.Sizeof(elem)); err != nil {
		return nil, err
	}
	if _, err := bpf(unix.BPF_MAP_LOOKUP_ELEM, unsafe.Pointer(&elem), unsafe.Sizeof(elem)); err != nil {
		return nil, err
	}
	runtime.KeepAlive(&key)
	hidden := make([]bool, size)
	for i := range value {
		// The kernel fills some of them in.
		hidden[i] = le.Uint32(value[i&^3:]) != ^uint32(0)
	}
	return hidden, nil
}

// describe is the structs of the BTF, for failures.
func describe(spec *btf.Spec) string {
	var out bytes.Buffer
	id := 0
	for t, err := range spec.All() {
		if s, ok := t.(*btf.Struct); ok && err == nil {
			fmt.Fprintf(&out, "\n[%d] struct %s, %d bytes:", id, s.Name, s.Size)
			for _, m := range s.Members {
				fmt.Fprintf(&out, " %s@%d %v %v;", m.Name, m.Offset.Bytes(), m.Type, m.Tags)
			}
		}
		id++
	}
	return out.String()
}
