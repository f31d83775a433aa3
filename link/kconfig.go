package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// kconfigMap is the name of the virtual map with the kernel's configuration.
const kconfigMap = ".kconfig"

// rdonlyProg is BPF_F_RDONLY_PROG.
const rdonlyProg = 1 << 7

// kconfig makes the map of the object's .kconfig variables, once.
func (l *linker) kconfig() error {
	if l.obj.Maps[kconfigMap] != nil {
		return nil
	}
	if l.obj.Types == nil {
		return errors.New("reads .kconfig, but the object has no BTF")
	}
	var ds *btf.Datasec
	if err := l.obj.Types.TypeByName(kconfigMap, &ds); err != nil {
		return fmt.Errorf("reads .kconfig: %w", err)
	}
	const limit = 1 << 20
	if ds.Size > limit {
		return fmt.Errorf(".kconfig has %d bytes, more than %d", ds.Size, limit)
	}
	value := make([]byte, ds.Size)
	for _, v := range ds.Vars {
		variable, ok := v.Type.(*btf.Var)
		if !ok || uint64(v.Offset)+uint64(v.Size) > uint64(len(value)) {
			return fmt.Errorf("malformed .kconfig variable %v", v.Type)
		}
		if err := l.setKconfig(value[v.Offset:v.Offset+v.Size], variable); err != nil {
			return fmt.Errorf("kernel configuration %s: %w", variable.Name, err)
		}
	}
	l.obj.Maps[kconfigMap] = &ebpf.MapSpec{
		Name: kconfigMap, Type: ebpf.Array, KeySize: 4, ValueSize: ds.Size, MaxEntries: 1,
		Flags: rdonlyProg, Key: &btf.Int{Size: 4}, Value: ds,
		Contents: []ebpf.MapKV{{Key: uint32(0), Value: value}},
	}
	return nil
}

// setKconfig writes the value of one variable.
func (l *linker) setKconfig(into []byte, v *btf.Var) error {
	text, set := l.opts.Kconfig[v.Name]
	switch {
	case set && text == "":
		return l.absent(v)
	case set:
	case v.Name == "LINUX_KERNEL_VERSION":
		text = strconv.FormatUint(uint64(l.prof.VersionCode), 10)
	case v.Name == "LINUX_HAS_SYSCALL_WRAPPER", v.Name == "LINUX_HAS_BPF_COOKIE":
		text = "1"
	default:
		if text, set = l.prof.Config(v.Name); !set {
			return l.absent(v)
		}
	}
	return putKconfig(into, btf.UnderlyingType(v.Type), text)
}

// absent is the error for an option that the kernel does not have, nil where
// the program can do without: the variable is then 0.
func (l *linker) absent(v *btf.Var) error {
	if l.weakKconfig[v.Name] {
		return nil
	}
	return fmt.Errorf("not set in kernel profile %s", l.prof.Name)
}

func putKconfig(into []byte, t btf.Type, text string) error {
	switch t := t.(type) {
	case *btf.Enum: // enum libbpf_tristate
		n, ok := map[string]uint32{"n": 0, "y": 1, "m": 2}[text]
		if !ok || len(into) != 4 {
			return fmt.Errorf("%q is not one of y, m, n", text)
		}
		binary.LittleEndian.PutUint32(into, n)
		return nil
	case *btf.Array:
		s, err := strconv.Unquote(text)
		if err != nil {
			return fmt.Errorf("%s is not a string in double quotes", text)
		}
		if elem, ok := btf.UnderlyingType(t.Type).(*btf.Int); !ok || elem.Size != 1 {
			return fmt.Errorf("a string does not fit %v", t)
		}
		// A string longer than its variable is cut and keeps its end mark.
		if n := max(len(into)-1, 0); len(s) > n {
			s = s[:n]
		}
		copy(into, s)
		return nil
	case *btf.Int:
		if int(t.Size) > len(into) || t.Size > 8 {
			return fmt.Errorf("%d bytes do not fit %d", t.Size, len(into))
		}
		n, err := kconfigNumber(text, t)
		if err != nil {
			return err
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], n)
		copy(into, b[:t.Size])
		return nil
	}
	return fmt.Errorf("a variable of type %v cannot hold it", t)
}

func kconfigNumber(text string, t *btf.Int) (uint64, error) {
	if t.Encoding == btf.Bool {
		switch text {
		case "y", "1":
			return 1, nil
		case "n", "0":
			return 0, nil
		}
		return 0, fmt.Errorf("%q is not y or n", text)
	}
	if len(text) == 1 && strings.Contains("ymn", text) {
		// libbpf lets a plain char hold the letter.
		if t.Size == 1 {
			return uint64(text[0]), nil
		}
		return 0, fmt.Errorf("%q is not a number", text)
	}
	bits := int(t.Size) * 8
	if t.Encoding == btf.Signed {
		n, err := strconv.ParseInt(text, 0, bits)
		return uint64(n), err
	}
	return strconv.ParseUint(text, 0, bits)
}
