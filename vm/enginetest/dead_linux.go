package enginetest

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/vm"
)

// testDeadCodeAsKernel puts instructions with every opcode, and fields that most
// of them must leave 0, where no path leads: the kernel refuses some of them even
// there, and takes the others for what is never executed.
func testDeadCodeAsKernel(t *testing.T, engine vm.Engine) {
	testkernel.Require(t)
	env := New(t, engine, vm.Config{})
	for opcode := range 256 {
		switch opcode {
		case 0x85, 0x18: // a call, and a load of two slots: what they refer to is linked before
			continue
		}
		for _, dead := range []vm.Insn{
			{}, {Dst: 1, Src: 2}, {Dst: 10}, {Src: 10, Off: 1}, {Dst: 11}, {Dst: 1, Src: 12}, {Imm: 1}, {Dst: 1, Imm: 64},
			{Dst: 1, Imm: 0x33}, {Dst: 1, Src: 1, Off: 1, Imm: 0x100},
		} {
			dead.Op = uint8(opcode)
			insns := []vm.Insn{{Op: 0xb7}, {Op: 0x15, Off: 1}, dead, {Op: 0xb7}, {Op: 0x95}}
			insns[1].Target = 3
			insns[2].Target = 3 + int32(dead.Off)
			if opcode == 0x06 {
				insns[2].Target = 3 + dead.Imm
			}
			kernel := loadRaw(insns)
			p := &vm.Program{Name: "dead", Insns: insns}
			err := env.M.Compile(p)
			if (kernel == nil) != (err == nil) {
				t.Errorf("opcode %#02x, %+v: kernel says %v, the engine %v", opcode, dead, kernel, err)
			}
			if err != nil {
				continue
			}
			if res, err := env.Run(p); err != nil || res.R0 != 0 {
				t.Errorf("opcode %#02x, %+v: got %#x, %v", opcode, dead, res.R0, err)
			}
		}
	}
}

// loadRaw has the kernel load a program as it is, which assemblers would not make.
func loadRaw(insns []vm.Insn) error {
	var code []byte
	for _, in := range insns {
		code = append(code, in.Op, in.Dst|in.Src<<4)
		code = binary.LittleEndian.AppendUint16(code, uint16(in.Off))
		code = binary.LittleEndian.AppendUint32(code, uint32(in.Imm))
	}
	license := []byte("GPL\x00")
	attr := struct {
		progType, count uint32
		code, license   *byte
		rest            [104]byte
	}{progType: unix.BPF_PROG_TYPE_SCHED_CLS, count: uint32(len(insns)), code: &code[0], license: &license[0]}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}
