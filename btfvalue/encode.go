package btfvalue

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// Encode makes the bytes of a value of type t and size bytes from what
// encoding/json decodes with UseNumber. Accepted beside what Decode gives: numbers
// as strings ("0x1f"), raw bytes as "hex:0a0b", an IP address where t has 4 or 16
// bytes ("10.0.0.1", network order), and for a nil t a number, raw bytes or a list
// of bytes. Members that an object leaves out are zero. The error names the
// member.
func Encode(t btf.Type, size int, v any) ([]byte, error) {
	b := make([]byte, size)
	if err := encode(t, b, v, 0); err != nil {
		return nil, err
	}
	return b, nil
}

func encode(t btf.Type, b []byte, v any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("type nests deeper than %d", maxDepth)
	}
	if s, ok := v.(string); ok {
		if done, err := encodeText(b, s); done || err != nil {
			return err
		}
	}
	if t != nil {
		size, err := btf.Sizeof(t)
		if err != nil {
			return err
		}
		if size != len(b) {
			return fmt.Errorf("type %v has %d bytes, want %d", t, size, len(b))
		}
		t = btf.UnderlyingType(t)
	}
	switch x := v.(type) {
	case map[string]any:
		return encodeStruct(t, b, x, depth)
	case []any:
		return encodeArray(t, b, x, depth)
	case bool:
		n := "0"
		if x {
			n = "1"
		}
		return encodeNumber(b, n)
	case json.Number:
		return encodeNumber(b, x.String())
	case string:
		return encodeString(t, b, x)
	case nil:
		return nil
	}
	return fmt.Errorf("a %T is no value", v)
}

// encodeText handles the forms of a string that mean bytes whatever the type is.
func encodeText(b []byte, s string) (done bool, err error) {
	if h, ok := strings.CutPrefix(s, "hex:"); ok {
		raw, err := hex.DecodeString(strings.ReplaceAll(h, " ", ""))
		if err != nil {
			return false, fmt.Errorf("%q: %w", s, err)
		}
		if len(raw) != len(b) {
			return false, fmt.Errorf("%q has %d bytes, want %d", s, len(raw), len(b))
		}
		copy(b, raw)
		return true, nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		if a.BitLen()/8 > len(b) {
			return false, fmt.Errorf("address %v has %d bytes, want %d", a, a.BitLen()/8, len(b))
		}
		copy(b, a.AsSlice())
		return true, nil
	}
	return false, nil
}

func encodeNumber(b []byte, s string) error {
	n, ok := new(big.Int).SetString(s, 0)
	if !ok {
		return fmt.Errorf("%q is not an integer", s)
	}
	bits := uint(8 * len(b))
	low := new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), max(bits, 1)-1))
	if n.Cmp(low) < 0 || n.BitLen() > int(bits) {
		return fmt.Errorf("%s does not fit into %d bytes", s, len(b))
	}
	if n.Sign() < 0 {
		n.Add(n, new(big.Int).Lsh(big.NewInt(1), bits))
	}
	for i, c := range n.FillBytes(make([]byte, len(b))) {
		b[len(b)-1-i] = c
	}
	return nil
}

func encodeString(t btf.Type, b []byte, s string) error {
	switch v := t.(type) {
	case *btf.Enum:
		for _, e := range v.Values {
			if e.Name == s {
				return encodeNumber(b, fmt.Sprint(signed(e.Value&mask(8*len(b)), 8*len(b))))
			}
		}
	case *btf.Array:
		if isChar(v.Type) {
			if len(s) > len(b) {
				return fmt.Errorf("%q has %d bytes, at most %d fit", s, len(s), len(b))
			}
			copy(b, s)
			return nil
		}
	}
	return encodeNumber(b, s)
}

func encodeArray(t btf.Type, b []byte, v []any, depth int) error {
	elem := 1
	var et btf.Type
	if t != nil {
		a, ok := t.(*btf.Array)
		if !ok {
			return fmt.Errorf("a list for type %v", t)
		}
		et = a.Type
		n, err := btf.Sizeof(et)
		if err != nil {
			return err
		}
		elem = n
	}
	if elem == 0 || len(v)*elem > len(b) {
		return fmt.Errorf("%d elements of %d bytes do not fit into %d bytes", len(v), elem, len(b))
	}
	for i, x := range v {
		if err := encode(et, b[i*elem:(i+1)*elem], x, depth+1); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}

func encodeStruct(t btf.Type, b []byte, v map[string]any, depth int) error {
	var members []btf.Member
	switch s := t.(type) {
	case *btf.Struct:
		members = s.Members
	case *btf.Union:
		members = s.Members
	default:
		return fmt.Errorf("an object for type %v", t)
	}
	left := make(map[string]any, len(v))
	for name, x := range v {
		left[name] = x
	}
	if err := encodeMembers(members, b, left, depth); err != nil {
		return err
	}
	for name := range left {
		return fmt.Errorf("%v has no member %q", t, name)
	}
	return nil
}

// encodeMembers stores the values that members have and takes them out of left.
func encodeMembers(members []btf.Member, b []byte, left map[string]any, depth int) error {
	for _, m := range members {
		off := int(m.Offset.Bytes())
		if m.Name == "" {
			var inner []btf.Member
			switch s := btf.UnderlyingType(m.Type).(type) {
			case *btf.Struct:
				inner = s.Members
			case *btf.Union:
				inner = s.Members
			}
			if depth > maxDepth || off > len(b) {
				return fmt.Errorf("type nests deeper than %d", maxDepth)
			}
			if err := encodeMembers(inner, b[off:], left, depth+1); err != nil {
				return err
			}
			continue
		}
		x, ok := left[m.Name]
		if !ok {
			continue
		}
		delete(left, m.Name)
		if m.BitfieldSize != 0 {
			if err := encodeBitfield(m, b, x); err != nil {
				return fmt.Errorf("%s: %w", m.Name, err)
			}
			continue
		}
		size, err := btf.Sizeof(m.Type)
		if err != nil || off+size > len(b) {
			return fmt.Errorf("%s: lies outside its struct", m.Name)
		}
		if err := encode(m.Type, b[off:off+size], x, depth+1); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	return nil
}

func encodeBitfield(m btf.Member, b []byte, v any) error {
	var w [8]byte
	n, ok := v.(json.Number)
	if !ok {
		return fmt.Errorf("a bit field takes a number")
	}
	if err := encodeNumber(w[:], n.String()); err != nil {
		return err
	}
	off, shift, width := int(m.Offset/8), uint(m.Offset%8), int(m.BitfieldSize)
	if off >= len(b) {
		return fmt.Errorf("lies outside its struct")
	}
	field := mask(width) << shift
	value := binary.LittleEndian.Uint64(w[:]) & mask(width) << shift
	end := min(len(b), off+8)
	binary.LittleEndian.PutUint64(w[:], number(b[off:end])&^field|value)
	copy(b[off:end], w[:])
	return nil
}
