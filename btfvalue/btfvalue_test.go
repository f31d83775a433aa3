package btfvalue

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
	"pgregory.net/rapid"
)

var (
	u8   = &btf.Int{Name: "unsigned char", Size: 1}
	char = &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}
	u16  = &btf.Int{Name: "unsigned short", Size: 2}
	s32  = &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	u32  = &btf.Int{Name: "unsigned int", Size: 4}
	u64  = &btf.Int{Name: "unsigned long", Size: 8}
	flag = &btf.Int{Name: "_Bool", Size: 1, Encoding: btf.Bool}
	dir  = &btf.Enum{Name: "dir", Size: 4, Values: []btf.EnumValue{{Name: "ORIG", Value: 0}, {Name: "REPLY", Value: 1}}}

	flow = &btf.Struct{Name: "flow", Size: 32, Members: []btf.Member{
		{Name: "id", Type: s32, Offset: 0},
		{Name: "dir", Type: dir, Offset: 32},
		{Name: "name", Type: &btf.Array{Type: char, Nelems: 8}, Offset: 64},
		{Name: "", Type: &btf.Union{Size: 4, Members: []btf.Member{
			{Name: "word", Type: u32}, {Name: "half", Type: &btf.Array{Type: u16, Nelems: 2}}}}, Offset: 128},
		{Name: "low", Type: u32, Offset: 160, BitfieldSize: 3},
		{Name: "high", Type: u32, Offset: 163, BitfieldSize: 5},
		{Name: "on", Type: flag, Offset: 168},
		{Name: "total", Type: u64, Offset: 192},
	}}
)

func parse(t testing.TB, s string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestStruct(t *testing.T) {
	in := `{"id":-2,"dir":"REPLY","name":"eth0","word":131073,"low":5,"high":17,"on":true,"total":18446744073709551615}`
	b, err := Encode(flow, 32, parse(t, in))
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(Decode(flow, b))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":-2,"dir":"REPLY","name":"eth0","word":131073,"half":[1,2],"low":5,"high":17,"on":true,"total":18446744073709551615}`
	if string(out) != want {
		t.Errorf("got  %s\nwant %s", out, want)
	}
}

func TestEncodeForms(t *testing.T) {
	for _, tt := range []struct {
		typ  btf.Type
		size int
		in   string
		want []byte
	}{
		{u32, 4, `"10.0.0.1"`, []byte{10, 0, 0, 1}},
		{u32, 4, `"0x01020304"`, []byte{4, 3, 2, 1}},
		{u16, 2, `-1`, []byte{0xff, 0xff}},
		{nil, 3, `[1,2,255]`, []byte{1, 2, 255}},
		{nil, 3, `"hex:0a 0b 0c"`, []byte{10, 11, 12}},
		{nil, 4, `7`, []byte{7, 0, 0, 0}},
		{&btf.Array{Type: u16, Nelems: 3}, 6, `[1,2]`, []byte{1, 0, 2, 0, 0, 0}},
	} {
		b, err := Encode(tt.typ, tt.size, parse(t, tt.in))
		if err != nil || !bytes.Equal(b, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.in, b, err, tt.want)
		}
	}
}

func TestEncodeErrorsNameTheMember(t *testing.T) {
	for in, want := range map[string]string{
		`{"nothing":1}`:        `no member "nothing"`,
		`{"id":4294967296}`:    "id: 4294967296 does not fit into 4 bytes",
		`{"name":"too long!"}`: "name: \"too long!\" has 9 bytes",
		`{"half":[1,2,3]}`:     "half: 3 elements",
		`[1]`:                  "a list for type",
		`{"id":"ten"}`:         `id: "ten" is not an integer`,
	} {
		if b, err := Encode(flow, 32, parse(t, in)); err == nil || b != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", in, b, err, want)
		}
	}
}

func TestDecodeThenEncodeIsTheSame(t *testing.T) {
	typ := &btf.Struct{Name: "s", Size: 16, Members: []btf.Member{
		{Name: "a", Type: s32}, {Name: "b", Type: &btf.Array{Type: u8, Nelems: 4}, Offset: 32}, {Name: "c", Type: u64, Offset: 64}}}
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")
		text, err := json.Marshal(Decode(typ, in))
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		out, err := Encode(typ, 16, v)
		if err != nil || !bytes.Equal(in, out) {
			t.Fatalf("%s: %x became %x, %v", text, in, out, err)
		}
	})
}

func TestDecodeOfTooFewBytesIsHex(t *testing.T) {
	if got := Decode(u64, []byte{1, 2}); got != "0102" {
		t.Errorf("got %v", got)
	}
}
