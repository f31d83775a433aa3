package record_test

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
)

func structOf(name string, size uint32) *btf.Struct { return &btf.Struct{Name: name, Size: size} }

func member(name string, off uint32, t btf.Type, tags ...string) btf.Member {
	return btf.Member{Name: name, Offset: btf.Bits(off * 8), Type: t, Tags: tags}
}

var (
	lock  = structOf("bpf_spin_lock", 4)
	timer = structOf("bpf_timer", 16)
	node  = structOf("bpf_list_node", 24)
	head  = structOf("bpf_list_head", 16)
	word  = &btf.Int{Name: "u64", Size: 8}
	item  = &btf.Struct{Name: "item", Size: 32, Members: []btf.Member{member("key", 0, word), member("node", 8, node)}}
)

func kptr(tag string, t btf.Type) btf.Type {
	return &btf.Pointer{Target: &btf.TypeTag{Value: tag, Type: t}}
}

func spec(t *testing.T, types ...btf.Type) *btf.Spec {
	b, err := btf.NewBuilder(types, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Spec()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParse(t *testing.T) {
	types := spec(t, item)
	for _, tt := range []struct {
		name string
		typ  btf.Type
		want []record.Field // offsets and kinds
		err  errno.Errno
	}{
		{name: "nothing special", typ: &btf.Struct{Size: 8, Members: []btf.Member{member("a", 0, word)}}},
		{name: "no struct", typ: word},
		{
			name: "list beside its lock",
			typ:  &btf.Struct{Size: 24, Members: []btf.Member{member("list", 0, head, "contains:item:node"), member("lock", 16, lock)}},
			want: []record.Field{{Kind: record.ListHead, Offset: 0}, {Kind: record.SpinLock, Offset: 16}},
		},
		{
			name: "in arrays of structs",
			typ:  &btf.Struct{Size: 40, Members: []btf.Member{member("x", 8, &btf.Array{Nelems: 2, Type: &btf.Struct{Size: 16, Members: []btf.Member{member("p", 8, kptr("kptr", item))}}})}},
			want: []record.Field{{Kind: record.KptrRef, Offset: 16}, {Kind: record.KptrRef, Offset: 32}},
		},
		{
			name: "variables of a section",
			typ:  &btf.Datasec{Name: ".data", Size: 16, Vars: []btf.VarSecinfo{{Type: &btf.Var{Name: "a", Type: word}, Size: 8}, {Type: &btf.Var{Name: "l", Type: lock}, Offset: 8, Size: 4}}},
			want: []record.Field{{Kind: record.SpinLock, Offset: 8}},
		},
		{name: "list without a lock", typ: &btf.Struct{Size: 16, Members: []btf.Member{member("list", 0, head, "contains:item:node")}}, err: errno.EINVAL},
		{name: "list of nothing", typ: &btf.Struct{Size: 24, Members: []btf.Member{member("list", 0, head), member("lock", 16, lock)}}, err: errno.EINVAL},
		{name: "list of what does not exist", typ: &btf.Struct{Size: 24, Members: []btf.Member{member("list", 0, head, "contains:none:node"), member("lock", 16, lock)}}, err: errno.ENOENT},
		{name: "list by another member", typ: &btf.Struct{Size: 24, Members: []btf.Member{member("list", 0, head, "contains:item:key"), member("lock", 16, lock)}}, err: errno.EINVAL},
		{name: "two timers", typ: &btf.Struct{Size: 32, Members: []btf.Member{member("a", 0, timer), member("b", 16, timer)}}, err: errno.E2BIG},
		{name: "timer out of place", typ: &btf.Struct{Size: 24, Members: []btf.Member{member("a", 4, timer)}}},
		{name: "locks in an array", typ: &btf.Struct{Size: 8, Members: []btf.Member{member("a", 0, &btf.Array{Nelems: 2, Type: lock})}}, err: errno.EINVAL},
		{name: "twelve pointers", typ: &btf.Struct{Size: 96, Members: []btf.Member{member("a", 0, &btf.Array{Nelems: 12, Type: kptr("kptr", item)})}}, err: errno.E2BIG},
		{name: "pointer to a number", typ: &btf.Struct{Size: 8, Members: []btf.Member{member("a", 0, kptr("kptr", word))}}, err: errno.EINVAL},
		{name: "nodes are nothing in a value", typ: item},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec, err := record.Parse(tt.typ, types)
			var e errno.Errno
			if errors.As(err, &e); e != tt.err || (err == nil) != (tt.err == 0) {
				t.Fatalf("%v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			var got []record.Field
			if rec != nil {
				got = rec.Fields
			}
			if len(got) != len(tt.want) {
				t.Fatalf("%+v, want %+v", got, tt.want)
			}
			for i, f := range got {
				if f.Kind != tt.want[i].Kind || f.Offset != tt.want[i].Offset {
					t.Errorf("field %d is %v at %d, want %v at %d", i, f.Kind, f.Offset, tt.want[i].Kind, tt.want[i].Offset)
				}
				if rec.At(f.Offset) == nil || rec.Find(f.Kind) == nil {
					t.Errorf("field %d is not found", i)
				}
			}
		})
	}
}

func TestParseObjectFindsNodes(t *testing.T) {
	rec, err := record.ParseObject(item, spec(t, item))
	if err != nil || len(rec.Fields) != 1 || rec.Fields[0].Kind != record.ListNode || rec.Fields[0].Offset != 8 {
		t.Fatalf("%+v, %v", rec, err)
	}
}

func TestCheckKnowsTheKernelsTypes(t *testing.T) {
	types := spec(t, &btf.Struct{Name: "value", Size: 8, Members: []btf.Member{member("p", 0, kptr("kptr", item))}}, item)
	if err := record.Check(types, nil); err != nil {
		t.Errorf("a struct of the program's own: %v", err)
	}
	for _, destructor := range []bool{true, false} {
		err := record.Check(types, func(string) (bool, bool) { return true, destructor })
		if destructor != (err == nil) || !destructor && !errors.Is(err, errno.ENOENT) {
			t.Errorf("a struct of the kernel's, destructor %v: %v", destructor, err)
		}
	}
}
