package live

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Commands of the bpf system call that are made here and not through
// cilium/ebpf, which does not give out all that they answer.
const (
	cmdMapCreate = 0
	cmdProgLoad  = 5
	cmdTestRun   = 10
	cmdBTFLoad   = 18
)

// bpfCall makes the system call with attr, a pointer to the command's struct.
func bpfCall(cmd int, attr unsafe.Pointer, size uintptr) (int, error) {
	for {
		r, _, e := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(attr), size)
		switch e {
		case 0:
			return int(r), nil
		case unix.EAGAIN:
			// A program load that a signal interrupted; Go's scheduler sends those.
			if cmd == cmdProgLoad {
				continue
			}
		}
		return -1, e
	}
}

// attrTestRun is the layout for BPF_PROG_TEST_RUN.
type attrTestRun struct {
	progFD          uint32
	retval          uint32
	dataSizeIn      uint32
	dataSizeOut     uint32
	dataIn, dataOut uint64
	repeat          uint32
	duration        uint32
	ctxSizeIn       uint32
	ctxSizeOut      uint32
	ctxIn, ctxOut   uint64
	flags           uint32
	cpu             uint32
	batchSize       uint32
	_               uint32
}

// pinned keeps Go memory in place while the kernel may write to it.
type pinned struct{ p runtime.Pinner }

func (p *pinned) addr(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	ptr := unsafe.SliceData(b)
	p.p.Pin(ptr)
	return uint64(uintptr(unsafe.Pointer(ptr)))
}

func (p *pinned) release() { p.p.Unpin() }
