package btfvalue

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// fuzzTypes are one type of each kind, and some that nest.
var fuzzTypes = []btf.Type{
	nil, u8, u16, u32, u64, s32, char, flag, dir, flow,
	&btf.Array{Type: u16, Nelems: 3}, &btf.Array{Type: char, Nelems: 5}, &btf.Array{Type: flow, Nelems: 2},
	&btf.Pointer{Target: u32}, &btf.Typedef{Name: "t", Type: flow}, &btf.Const{Type: s32},
	&btf.Int{Name: "__int128", Size: 16}, &btf.Float{Name: "double", Size: 8}, &btf.Void{},
}

// FuzzEncode gives values that somebody wrote to every type. An error means no bytes;
// else the value has its size, and what it decodes to encodes to the same again.
func FuzzEncode(f *testing.F) {
	for i, in := range []string{`1`, `-1`, `"0x10"`, `"10.0.0.1"`, `"fd00::1"`, `"hex:0102"`, `[1,2]`, `true`, `null`, `"text"`,
		`{"id":1,"dir":"REPLY","name":"x","half":[1,2],"low":3}`, `{"a":{"b":[]}}`, `1e400`, `1.5`, `99999999999999999999999`} {
		f.Add(uint8(i), in)
	}
	f.Fuzz(func(t *testing.T, which uint8, in string) {
		typ := fuzzTypes[int(which)%len(fuzzTypes)]
		size := 4
		if typ != nil {
			var err error
			if size, err = btf.Sizeof(typ); err != nil {
				size = 4
			}
		}
		d := json.NewDecoder(bytes.NewReader([]byte(in)))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return
		}
		b, err := Encode(typ, size, v)
		if err != nil {
			if b != nil {
				t.Error("an error and bytes")
			}
			return
		}
		if len(b) != size {
			t.Fatalf("%d bytes for a type of %d", len(b), size)
		}
		if _, err := json.Marshal(Decode(typ, b)); err != nil {
			t.Errorf("%x cannot be printed: %v", b, err)
		}
	})
}

// FuzzDecode reads any bytes as any type: the result can always be printed.
func FuzzDecode(f *testing.F) {
	for i := range fuzzTypes {
		f.Add(uint8(i), []byte("0123456789abcdef0123456789abcdef"))
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		before := bytes.Clone(b)
		v := Decode(fuzzTypes[int(which)%len(fuzzTypes)], b)
		if v == nil {
			t.Error("nothing")
		}
		if _, err := json.Marshal(v); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(before, b) {
			t.Error("the bytes changed")
		}
	})
}
