package bpfct

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"fmt"
	"reflect"
)

// marshal turns a key or value into size bytes of the guest, which is
// little-endian on every host. Accepted is what cilium/ebpf accepts: a []byte, an
// encoding.BinaryMarshaler, or what encoding/binary can write.
func marshal(what string, data any, size int) ([]byte, error) {
	var b []byte
	var err error
	switch v := data.(type) {
	case nil:
		return nil, fmt.Errorf("%s: nil", what)
	case []byte:
		b = v
	case *[]byte:
		b = *v
	case string:
		return nil, fmt.Errorf("%s: a string has no fixed size, pass []byte", what)
	case encoding.BinaryMarshaler:
		b, err = v.MarshalBinary()
	default:
		b, err = binary.Append(nil, binary.LittleEndian, data)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if len(b) != size {
		return nil, fmt.Errorf("%s: %T marshals to %d bytes, want %d", what, data, len(b), size)
	}
	return b, nil
}

// unmarshal is the way back. dst is a *[]byte, a []byte of the right length, an
// encoding.BinaryUnmarshaler, a *any that receives a []byte, or a pointer to what
// encoding/binary can read.
func unmarshal(what string, dst any, b []byte) error {
	switch v := dst.(type) {
	case nil:
		return fmt.Errorf("%s: nil", what)
	case []byte:
		if len(v) != len(b) {
			return fmt.Errorf("%s: %d bytes do not fit a []byte of %d", what, len(b), len(v))
		}
		copy(v, b)
		return nil
	case *[]byte:
		*v = bytes.Clone(b)
		return nil
	case *any:
		*v = bytes.Clone(b)
		return nil
	case encoding.BinaryUnmarshaler:
		if err := v.UnmarshalBinary(b); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	}
	n, err := binary.Decode(b, binary.LittleEndian, dst)
	if err != nil {
		return fmt.Errorf("%s: %d bytes into %T: %w", what, len(b), dst, err)
	}
	if n != len(b) {
		return fmt.Errorf("%s: %T takes %d of %d bytes", what, dst, n, len(b))
	}
	return nil
}

// align8 rounds a per-CPU value's size up to what the kernel copies for each CPU.
func align8(n int) int { return (n + 7) &^ 7 }

// marshalPerCPU turns a slice with one element a CPU into the kernel's form:
// values one after the other, each rounded up to 8 bytes.
func marshalPerCPU(what string, data any, size, cpus int) ([]byte, error) {
	v := reflect.ValueOf(data)
	if b, ok := data.([]byte); ok && len(b) == align8(size)*cpus {
		return b, nil
	}
	if v.Kind() != reflect.Slice {
		return nil, fmt.Errorf("%s: a per-CPU value is a slice with one element a CPU, not %T", what, data)
	}
	if v.Len() > cpus {
		return nil, fmt.Errorf("%s: %d elements for %d CPUs", what, v.Len(), cpus)
	}
	out := make([]byte, align8(size)*cpus)
	for i := range v.Len() {
		b, err := marshal(what, v.Index(i).Interface(), size)
		if err != nil {
			return nil, err
		}
		copy(out[i*align8(size):], b)
	}
	return out, nil
}

// unmarshalPerCPU fills a pointer to a slice with one element a CPU.
func unmarshalPerCPU(what string, dst any, b []byte, size, cpus int) error {
	v := reflect.ValueOf(dst)
	if v.Kind() == reflect.Slice && v.Len() == cpus {
		// A slice of the right length is filled in place, as cilium/ebpf does.
	} else if v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Slice {
		if _, raw := dst.(*[]byte); raw {
			return unmarshal(what, dst, b)
		}
		v.Elem().Set(reflect.MakeSlice(v.Elem().Type(), cpus, cpus))
		v = v.Elem()
	} else {
		return fmt.Errorf("%s: a per-CPU value is read into a pointer to a slice, not %T", what, dst)
	}
	for i := range cpus {
		if err := unmarshal(what, v.Index(i).Addr().Interface(), b[i*align8(size):][:size]); err != nil {
			return err
		}
	}
	return nil
}
