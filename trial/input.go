package trial

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/btfvalue"
	"github.com/bpfct/bpfct/packet"
)

// ReadPackets reads the packets of a capture or text file, with an Ethernet header
// made for those that have none. With an error it returns the packets before the
// place where the file is broken.
func ReadPackets(file string) ([]Packet, error) {
	r, err := packet.Open(file, packet.ReaderOptions{})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	packets := []Packet{}
	var first time.Time
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return packets, nil
		}
		if err != nil {
			return packets, fmt.Errorf("%s: %w", file, err)
		}
		data, err := packet.ToEthernet(p.Data, p.LinkType)
		if err != nil {
			return packets, fmt.Errorf("%s: packet %d: %w", file, len(packets)+1, err)
		}
		if len(packets) == 0 {
			first = p.Time
		}
		packets = append(packets, Packet{Data: data, Stamp: max(p.Time.Sub(first), 0), Time: p.Time})
	}
}

// WritePackets writes the packets that the programs of a report let pass, in the
// order of the runs. The format is told by the file's name, see packet.Writer.
func WritePackets(file string, r *Report) error {
	w, err := packet.Create(file, packet.OptionsFor(file))
	if err != nil {
		return err
	}
	for _, p := range r.Programs {
		for _, run := range p.Runs {
			if run.Err != nil || Dropped(p.Type, run.Retval) {
				continue
			}
			if err := w.Write(packet.Packet{Data: run.Packet, Time: run.Time, LinkType: packet.LinkEthernet}); err != nil {
				w.Close()
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return w.Close()
}

// Dropped reports whether a verdict ends a packet.
func Dropped(t ebpf.ProgramType, ret uint32) bool {
	if t == ebpf.XDP {
		return ret != 2 && ret != 3 && ret != 4 // not PASS, TX, REDIRECT
	}
	return ret == 2 || ret == 4 || ret == 5 // SHOT, STOLEN, QUEUED
}

// ReadMap reads what a map is to hold from a JSON file: a list of objects with key
// and value, each in a form that btfvalue.Encode takes for the map's types.
func ReadMap(file string, spec *ebpf.MapSpec) ([]Item, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := decodeMap(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	items := []Item{}
	for i, e := range list {
		it, err := readItem(spec, e)
		if err != nil {
			return nil, fmt.Errorf("%s: element %d of map %s: %w", file, i+1, spec.Name, err)
		}
		items = append(items, it)
	}
	return items, nil
}

// decodeMap reads one JSON value, which must be a list, and nothing behind it.
func decodeMap(r io.Reader) ([]any, error) {
	d := json.NewDecoder(r)
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		return nil, jsonPlace(err, d)
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("not a list of elements")
	}
	end := d.InputOffset()
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("byte %d: more after the end of the list", end)
	}
	return list, nil
}

// readItem is the element that {"key": …, "value": …} describes.
func readItem(spec *ebpf.MapSpec, element any) (Item, error) {
	object, ok := element.(map[string]any)
	if !ok {
		return Item{}, errors.New(`not an object with "key" and "value"`)
	}
	for name := range object {
		if name != "key" && name != "value" {
			return Item{}, fmt.Errorf(`it has a %q, but should have "key" and "value" only`, name)
		}
	}
	key, hasKey := object["key"]
	value, hasValue := object["value"]
	switch {
	case !hasKey && spec.KeySize > 0:
		return Item{}, errors.New(`it has no "key"`)
	case !hasValue && spec.ValueSize > 0:
		return Item{}, errors.New(`it has no "value"`)
	}
	return newMapItem(spec, key, value)
}

func newMapItem(spec *ebpf.MapSpec, key, value any) (it Item, err error) {
	if it.Key, err = btfvalue.Encode(sized(spec.Key, spec.KeySize), int(spec.KeySize), key); err != nil {
		return it, fmt.Errorf("key: %w", err)
	}
	vt := sized(spec.Value, spec.ValueSize)
	list, isList := value.([]any)
	_, isArray := vt.(*btf.Array)
	if !perCPU(spec.Type) || !isList || isArray {
		b, err := btfvalue.Encode(vt, int(spec.ValueSize), value)
		if err != nil {
			return it, fmt.Errorf("value: %w", err)
		}
		if perCPU(spec.Type) {
			it.PerCPU = [][]byte{b}
		} else {
			it.Value = b
		}
		return it, nil
	}
	for cpu, v := range list {
		b, err := btfvalue.Encode(vt, int(spec.ValueSize), v)
		if err != nil {
			return it, fmt.Errorf("value of CPU %d: %w", cpu, err)
		}
		it.PerCPU = append(it.PerCPU, b)
	}
	return it, nil
}

// sized drops a type that does not have the size of what it describes.
func sized(t btf.Type, size uint32) btf.Type {
	if t == nil {
		return nil
	}
	if n, err := btf.Sizeof(t); err != nil || n != int(size) {
		return nil
	}
	return t
}

// jsonPlace adds where in the file an error of encoding/json is.
func jsonPlace(err error, d *json.Decoder) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("byte %d: %w", syntax.Offset, err)
	}
	return fmt.Errorf("byte %d: %w", d.InputOffset(), err)
}

// SetVariable sets a global variable of spec before it is loaded: assignment is
// "name=value", the value JSON as for ReadMap, or plain text where it is none.
func SetVariable(spec *ebpf.CollectionSpec, assignment string) error {
	name, text, ok := strings.Cut(assignment, "=")
	if !ok {
		return fmt.Errorf("%q: want name=value", assignment)
	}
	v := spec.Variables[name]
	if v == nil {
		return fmt.Errorf("the object has no variable %q", name)
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil || d.More() {
		value = text
	}
	var t btf.Type
	if v.Type != nil {
		t = v.Type.Type
	}
	b, err := btfvalue.Encode(sized(t, v.Size()), int(v.Size()), value)
	if err != nil {
		return fmt.Errorf("variable %s: %w", name, err)
	}
	return v.Set(b)
}
