package btfvalue

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/cilium/ebpf/btf"
)

// Member is a member of a decoded struct.
type Member struct {
	Name  string
	Value any
}

// Struct is a decoded struct or union, members in the order of their declaration.
// As JSON it is an object.
type Struct []Member

// Decode reads the little-endian bytes b as type t. The result is, by type:
//
//	integer      int64 or uint64, bool for _Bool; 128 bits as a hex string
//	enum         the name of its value, the number for a value without one
//	char array   string when it is text up to its first NUL, else as any array
//	array        []any
//	struct       Struct; bit fields as integers
//	union        Struct with every member decoded from the same bytes
//	pointer      a hex string
//
// What t does not describe, or b is too short for, is a hex string of the bytes.
func Decode(t btf.Type, b []byte) any { return decode(t, b, 0) }

// maxDepth bounds nesting, which hostile BTF could make endless.
const maxDepth = 32

func decode(t btf.Type, b []byte, depth int) any {
	if t == nil || depth > maxDepth {
		return hex.EncodeToString(b)
	}
	size, err := btf.Sizeof(t)
	if err != nil || size > len(b) {
		return hex.EncodeToString(b)
	}
	b = b[:size]
	switch v := btf.UnderlyingType(t).(type) {
	case *btf.Int:
		return decodeInt(v, b)
	case *btf.Enum:
		return decodeEnum(v, b)
	case *btf.Float:
		return hex.EncodeToString(b)
	case *btf.Pointer:
		return fmt.Sprintf("%#x", number(b))
	case *btf.Array:
		return decodeArray(v, b, depth)
	case *btf.Struct:
		return decodeMembers(v.Members, b, depth)
	case *btf.Union:
		return decodeMembers(v.Members, b, depth)
	case *btf.Var:
		return decode(v.Type, b, depth+1)
	case *btf.Datasec:
		out := Struct{}
		for _, vs := range v.Vars {
			if int(vs.Offset)+int(vs.Size) <= len(b) {
				out = append(out, Member{vs.Type.TypeName(), decode(vs.Type, b[vs.Offset:vs.Offset+vs.Size], depth+1)})
			}
		}
		return out
	}
	return hex.EncodeToString(b)
}

// number reads up to 8 bytes.
func number(b []byte) uint64 {
	var w [8]byte
	copy(w[:], b)
	return binary.LittleEndian.Uint64(w[:])
}

func signed(n uint64, bits int) int64 {
	shift := 64 - bits
	return int64(n<<shift) >> shift
}

func decodeInt(t *btf.Int, b []byte) any {
	switch {
	case len(b) > 8 || len(b) == 0:
		return hex.EncodeToString(b)
	case t.Encoding == btf.Bool:
		return number(b) != 0
	case t.Encoding == btf.Signed:
		return signed(number(b), 8*len(b))
	}
	return number(b)
}

func decodeEnum(t *btf.Enum, b []byte) any {
	n := number(b)
	for _, v := range t.Values {
		if v.Value&mask(8*len(b)) == n {
			return v.Name
		}
	}
	if t.Signed {
		return signed(n, 8*len(b))
	}
	return n
}

func mask(bits int) uint64 {
	if bits >= 64 {
		return ^uint64(0)
	}
	return 1<<bits - 1
}

// isChar reports whether t is what C strings are made of.
func isChar(t btf.Type) bool {
	i, ok := btf.UnderlyingType(t).(*btf.Int)
	return ok && i.Size == 1 && (i.Encoding == btf.Char || i.Name == "char")
}

func decodeArray(t *btf.Array, b []byte, depth int) any {
	if isChar(t.Type) {
		text, rest, _ := bytes.Cut(b, []byte{0})
		if printable(text) && len(bytes.Trim(rest, "\x00")) == 0 {
			return string(text)
		}
	}
	elem, err := btf.Sizeof(t.Type)
	if err != nil || elem == 0 {
		return hex.EncodeToString(b)
	}
	out := make([]any, 0, len(b)/elem)
	for i := range len(b) / elem {
		out = append(out, decode(t.Type, b[i*elem:(i+1)*elem], depth+1))
	}
	return out
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

func decodeMembers(members []btf.Member, b []byte, depth int) any {
	out := Struct{}
	for _, m := range members {
		off := int(m.Offset.Bytes())
		if m.BitfieldSize != 0 {
			out = append(out, Member{m.Name, bitfield(m, b)})
			continue
		}
		size, err := btf.Sizeof(m.Type)
		if err != nil || off+size > len(b) {
			continue
		}
		value := decode(m.Type, b[off:off+size], depth+1)
		if inner, ok := value.(Struct); ok && m.Name == "" {
			out = append(out, inner...) // members of an anonymous struct are the outer one's
			continue
		}
		if m.Name != "" {
			out = append(out, Member{m.Name, value})
		}
	}
	return out
}

func bitfield(m btf.Member, b []byte) any {
	off := int(m.Offset / 8)
	if off >= len(b) {
		return uint64(0)
	}
	n := number(b[off:min(len(b), off+8)]) >> (m.Offset % 8) & mask(int(m.BitfieldSize))
	if i, ok := btf.UnderlyingType(m.Type).(*btf.Int); ok && i.Encoding == btf.Signed {
		return signed(n, int(m.BitfieldSize))
	}
	return n
}
