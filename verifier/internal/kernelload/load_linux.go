package kernelload

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bpfct/bpfct/link"
)

const progLoad = 5 // BPF_PROG_LOAD

// loadAttr is the part of union bpf_attr that BPF_PROG_LOAD of a plain program reads.
type loadAttr struct {
	progType, insnCount uint32
	insns, license      uint64
	logLevel, logSize   uint32
	logBuf              uint64
	kernVersion, flags  uint32
	name                [16]byte
	ifindex, attachType uint32
}

const (
	maxLog     = 16 << 20
	maxRetries = 100
)

// Load loads a program and closes it at once. It returns the verifier's log and what
// the kernel answered, nil for an accepted program. A 64-bit load takes two slots, as
// Wide makes them.
func Load(typ ebpf.ProgramType, insns []link.Raw, level uint32) (log string, err error) {
	code := Encode(insns)
	license := []byte("GPL\x00")
	var pin runtime.Pinner
	defer pin.Unpin()
	defer quiet()()
	for size, retries := 1<<20, 0; ; {
		buf := make([]byte, size)
		pin.Pin(&code[0])
		pin.Pin(&license[0])
		pin.Pin(&buf[0])
		attr := loadAttr{
			progType: uint32(typ), insnCount: uint32(len(insns)),
			insns: address(code), license: address(license),
			logLevel: level, logSize: uint32(len(buf)), logBuf: address(buf),
		}
		fd, _, no := unix.Syscall(unix.SYS_BPF, progLoad, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		if no == 0 {
			unix.Close(int(fd))
		} else {
			err = no
		}
		switch {
		case errors.Is(err, unix.ENOSPC) && size < maxLog:
			err, size = nil, size*4
			continue
		case errors.Is(err, unix.EAGAIN) && retries < maxRetries: // a signal came
			err, retries = nil, retries+1
			continue
		}
		text, _, _ := bytes.Cut(buf, []byte{0})
		return strings.TrimRight(string(text), "\x00"), err
	}
}

// quiet keeps the signals by which Go interrupts threads away from this one: the
// verifier gives up when one comes.
func quiet() (restore func()) {
	runtime.LockOSThread()
	var block, old unix.Sigset_t
	for _, sig := range []unix.Signal{unix.SIGURG, unix.SIGPROF} {
		block.Val[(sig-1)/64] |= 1 << ((sig - 1) % 64)
	}
	err := unix.PthreadSigmask(unix.SIG_BLOCK, &block, &old)
	return func() {
		if err == nil {
			unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
		}
		runtime.UnlockOSThread()
	}
}

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }

// Encode is the program as the kernel reads it.
func Encode(insns []link.Raw) []byte {
	out := make([]byte, 0, 8*len(insns))
	for _, in := range insns {
		out = append(out, in.Op, in.Dst|in.Src<<4)
		out = binary.LittleEndian.AppendUint16(out, uint16(in.Off))
		out = binary.LittleEndian.AppendUint32(out, uint32(in.Imm))
	}
	return out
}

// Wide is a load of 64 bits: first is its lower half, src says what it loads.
func Wide(dst, src uint8, value uint64) []link.Raw {
	return []link.Raw{{Op: 0x18, Dst: dst, Src: src, Imm: int32(value)}, {Imm: int32(value >> 32)}}
}
