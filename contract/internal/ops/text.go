package ops

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// FormatRuns writes runs for a file: for each op its bytes, and what they mean.
func FormatRuns(runs []Run) []byte {
	var b bytes.Buffer
	for i, r := range runs {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "run %s\n", r.Hook)
		for j := range r.Ops {
			raw, err := opBytes(&r.Ops[j])
			if err != nil {
				panic(err) // an Op has a fixed size
			}
			fmt.Fprintf(&b, "%x # %v\n", raw, &r.Ops[j])
		}
	}
	return b.Bytes()
}

// ParseRuns reads what FormatRuns wrote.
func ParseRuns(data []byte) ([]Run, error) {
	var runs []Run
	sc := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; sc.Scan(); n++ {
		text, _, _ := strings.Cut(sc.Text(), "#")
		text = strings.TrimSpace(text)
		switch {
		case text == "":
		case strings.HasPrefix(text, "run "):
			h := Hook(strings.TrimPrefix(text, "run "))
			if h != TC && h != XDP {
				return nil, fmt.Errorf("line %d: %q is no hook", n, h)
			}
			runs = append(runs, Run{Hook: h})
		case len(runs) == 0:
			return nil, fmt.Errorf("line %d: an op before the first run", n)
		default:
			raw, err := hex.DecodeString(text)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			var op Op
			if size := binary.Size(op); len(raw) != size {
				return nil, fmt.Errorf("line %d: %d bytes, an op has %d", n, len(raw), size)
			}
			if _, err := binary.Decode(raw, binary.LittleEndian, &op); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			r := &runs[len(runs)-1]
			r.Ops = append(r.Ops, op)
		}
	}
	return runs, sc.Err()
}
