package packet

import (
	"bytes"
	"fmt"
	"strconv"
)

// FieldDiff is one difference between two frames.
type FieldDiff struct {
	Layer, Field string // "ipv4", "src"; "udp", "payload[3:5]" for bytes without a name
	A, B         string // the values; "" where a frame has no such field
	Offset       int    // of the field in a, or in b if a has none
}

// String is such as "ipv4.src 10.0.0.1 != 5.5.5.5".
func (d FieldDiff) String() string {
	a, b := d.A, d.B
	if a == "" {
		a = "(none)"
	}
	if b == "" {
		b = "(none)"
	}
	return fmt.Sprintf("%s.%s %s != %s", d.Layer, d.Field, a, b)
}

// Diff tells in which fields two Ethernet frames differ, in the order of the
// frame. It is empty only if they are equal.
func Diff(a, b []byte) []FieldDiff { return DiffLink(a, b, LinkEthernet) }

// DiffLink is Diff for frames of any link type.
func DiffLink(a, b []byte, link LinkType) []FieldDiff {
	if bytes.Equal(a, b) {
		return nil
	}
	as, bs := fieldsOf(a, link), fieldsOf(b, link)
	inB := map[string]*field{}
	for i := range bs {
		inB[bs[i].key()] = &bs[i]
	}
	var out []FieldDiff
	inA := map[string]bool{}
	for i := range as {
		f := &as[i]
		inA[f.key()] = true
		out = append(out, diffField(f, inB[f.key()])...)
	}
	for i := range bs {
		if f := &bs[i]; !inA[f.key()] {
			for _, d := range diffField(f, nil) {
				d.A, d.B = d.B, d.A
				out = append(out, d)
			}
		}
	}
	if len(out) == 0 {
		// Bytes that no field shows, as those that a list of options leaves out.
		out = diffBlob("frame", "bytes", 0, a, b)
	}
	return out
}

// diffField compares two fields of one name; b may be missing.
func diffField(a, b *field) []FieldDiff {
	if b == nil {
		v := a.value
		if a.blob != nil {
			v = showBlob(a.blob)
		}
		return []FieldDiff{{Layer: a.layer, Field: a.name, A: v, Offset: a.off}}
	}
	if a.blob != nil {
		return diffBlob(a.layer, a.name, a.off, a.blob, b.blob)
	}
	if a.value == b.value {
		return nil
	}
	return []FieldDiff{{a.layer, a.name, a.value, b.value, a.off}}
}

// diffBlob gives the runs of bytes that differ, and the lengths if those do.
func diffBlob(layer, name string, off int, a, b []byte) (out []FieldDiff) {
	n := min(len(a), len(b))
	for i := 0; i < n; i++ {
		if a[i] == b[i] {
			continue
		}
		j := i + 1
		for j < n && a[j] != b[j] {
			j++
		}
		out = append(out, FieldDiff{layer, fmt.Sprintf("%s[%d:%d]", name, i, j), showBlob(a[i:j]), showBlob(b[i:j]), off + i})
		i = j
	}
	if len(a) != len(b) {
		out = append(out, FieldDiff{layer, name + ".length", strconv.Itoa(len(a)), strconv.Itoa(len(b)), off + n})
	}
	return out
}

// showBlob is bytes as hex digits, the first 16 of them if there are more.
func showBlob(b []byte) string {
	if len(b) > 16 {
		return fmt.Sprintf("%x... (%d bytes)", b[:16], len(b))
	}
	return fmt.Sprintf("%x", b)
}
