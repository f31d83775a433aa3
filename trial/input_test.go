package trial_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/trial"
)

func word() btf.Type { return &btf.Int{Name: "unsigned int", Size: 4} }

// A slip of the pen in a map's file is an error that names the place, never an
// element that is silently another one.
func TestReadMap(t *testing.T) {
	spec := &ebpf.MapSpec{Name: "m", Type: ebpf.Hash, Key: word(), KeySize: 4, Value: word(), ValueSize: 4}
	queue := &ebpf.MapSpec{Name: "q", Type: ebpf.Queue, Value: word(), ValueSize: 4}
	for _, tt := range []struct {
		spec *ebpf.MapSpec
		json string
		want string // part of the error; "" for none
	}{
		{spec, `[]`, ""},
		{spec, `[{"key": 1, "value": 2}, {"value": "0x10", "key": -1}]`, ""},
		{queue, `[{"value": 2}]`, ""},
		{spec, ``, "the file is empty"},
		{spec, `null`, "not a list"},
		{spec, `{"key": 1, "value": 2}`, "not a list"},
		{spec, `[{"key": 1, "value": 2}`, "byte 0: unexpected EOF"},
		{spec, `[{"key": 1, "value": 2}] [`, "byte 24: more after the end"},
		{spec, `[null]`, "element 1 of map m: not an object"},
		{spec, `[7]`, "element 1 of map m: not an object"},
		{spec, `[{"key": 1, "value": 2}, {}]`, `element 2 of map m: it has no "key"`},
		{spec, `[{"key": 1}]`, `it has no "value"`},
		{spec, `[{"key": 1, "vlaue": 2}]`, `it has a "vlaue"`},
		{spec, `[{"key": 1, "value": 2, "cpu": 3}]`, `it has a "cpu"`},
		{spec, `[{"key": 4294967296, "value": 2}]`, "key: 4294967296 does not fit"},
		{spec, `[{"key": {}, "value": 2}]`, "key: an object for type"},
		{queue, `[{"key": true, "value": 2}]`, "key: 1 does not fit into 0 bytes"},
	} {
		file := filepath.Join(t.TempDir(), "m.json")
		if err := os.WriteFile(file, []byte(tt.json), 0o600); err != nil {
			t.Fatal(err)
		}
		items, err := trial.ReadMap(file, tt.spec)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.json, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), file)):
			t.Errorf("%s: got %v and error %v, want one with the file's name and %q", tt.json, items, err, tt.want)
		}
	}
}
