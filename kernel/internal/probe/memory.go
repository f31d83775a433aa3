//go:build linux

package probe

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

const page = 4096

// Memory reads the kernel's memory.
type Memory struct {
	prog    *ebpf.Program
	in, out *ebpf.Map
}

// NewMemory loads the program that reads.
func NewMemory() (_ *Memory, err error) {
	m := new(Memory)
	defer func() {
		if err != nil {
			m.Close()
		}
	}()
	if m.in, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}); err != nil {
		return nil, err
	}
	if m.out, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: page, MaxEntries: 1}); err != nil {
		return nil, err
	}
	m.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{
			asm.LoadMapValue(asm.R1, m.in.FD(), 0),
			asm.LoadMem(asm.R3, asm.R1, 0, asm.DWord),
			asm.LoadMapValue(asm.R1, m.out.FD(), 0),
			asm.Mov.Imm(asm.R2, page),
			asm.FnProbeReadKernel.Call(),
			asm.Return(),
		},
	})
	return m, err
}

// Close unloads the program.
func (m *Memory) Close() {
	m.prog.Close()
	m.in.Close()
	m.out.Close()
}

// Page reads the page at addr, nil where there is none.
func (m *Memory) Page(addr uint64) ([]byte, error) {
	if err := m.in.Put(uint32(0), addr&^(page-1)); err != nil {
		return nil, err
	}
	ret, err := m.prog.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
	if err != nil {
		return nil, err
	}
	if ret != 0 {
		return nil, nil
	}
	var b []byte
	if err := m.out.Lookup(uint32(0), &b); err != nil {
		return nil, err
	}
	return b, nil
}

// Read reads n bytes at addr.
func (m *Memory) Read(addr uint64, n int) ([]byte, error) {
	var out []byte
	for len(out) < n {
		at := addr + uint64(len(out))
		b, err := m.Page(at)
		if err != nil {
			return nil, err
		}
		if b == nil {
			return nil, fmt.Errorf("no kernel memory at %#x", at)
		}
		b = b[at%page:]
		out = append(out, b[:min(len(b), n-len(out))]...)
	}
	return out, nil
}

// Constants reads the kernel's read-only data, from the end of its code.
func (m *Memory) Constants(syms *Symbols) (addr uint64, data []byte, err error) {
	addr = syms.Addr("__start_rodata")
	if addr == 0 {
		if addr = syms.Addr("_etext"); addr == 0 {
			return 0, nil, fmt.Errorf("the kernel shows no addresses of its symbols")
		}
		addr = (addr + page - 1) &^ (page - 1)
	}
	const limit = 64 << 20
	for len(data) < limit {
		b, err := m.Page(addr + uint64(len(data)))
		if err != nil {
			return 0, nil, err
		}
		if b == nil {
			break
		}
		data = append(data, b...)
	}
	return addr, data, nil
}

// Symbols are the addresses that /proc/kallsyms shows.
type Symbols struct {
	addrs map[string]uint64
	names map[uint64][]string
}

// ReadSymbols reads /proc/kallsyms.
func ReadSymbols() (*Symbols, error) {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := &Symbols{make(map[string]uint64), make(map[uint64][]string)}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		part := strings.Fields(sc.Text())
		if len(part) != 3 {
			continue // of a module
		}
		addr, err := strconv.ParseUint(part[0], 16, 64)
		if err != nil || addr == 0 {
			continue
		}
		s.addrs[part[2]] = addr
		s.names[addr] = append(s.names[addr], part[2])
	}
	return s, sc.Err()
}

// Addr is the address of a symbol, 0 for none.
func (s *Symbols) Addr(name string) uint64 { return s.addrs[name] }

// Names are the symbols at an address.
func (s *Symbols) Names(addr uint64) []string { return slices.Clone(s.names[addr]) }

var le = binary.LittleEndian
