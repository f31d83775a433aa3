package maps

import (
	"encoding/binary"
	"testing"
)

// Operations of testdata/fields.c.
const (
	fieldUpdate = iota
	fieldDelete
	fieldLookup
	fieldInit
	fieldCallback
	fieldStart
	fieldCancel
	fieldLocked

	fieldCount = 32
)

const opIdle = 99

type fieldOp struct {
	Op, Key    uint32
	Flags, Arg uint64
}

func encode(t tester, v any) []byte {
	t.Helper()
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fields runs operations of testdata/fields.c and returns their results.
func (h *host) fields(t *testing.T, ops ...fieldOp) []int64 {
	t.Helper()
	for i := range uint32(fieldCount) {
		o := fieldOp{Op: opIdle}
		if int(i) < len(ops) {
			o = ops[i]
		}
		if err := h.maps["ops"].Update(uint32Bytes(i), encode(t, &o), 0); err != nil {
			t.Fatal(err)
		}
	}
	h.run(t, 0)
	var results []int64
	for i := range ops {
		b, err := h.maps["results"].Lookup(uint32Bytes(uint32(i)), 0)
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, int64(binary.LittleEndian.Uint64(b)))
	}
	return results
}
