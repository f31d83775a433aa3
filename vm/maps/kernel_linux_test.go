package maps

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/internal/testkernel"
)

// The bpf system call as it is, so that errno, flags and bytes are the kernel's
// and not a library's.
const (
	cmdMapCreate          = 0
	cmdMapLookup          = 1
	cmdMapUpdate          = 2
	cmdMapDelete          = 3
	cmdMapNextKey         = 4
	cmdMapLookupAndDelete = 21
	cmdMapFreeze          = 22
)

type attrCreate struct {
	mapType, keySize, valueSize, maxEntries, flags, innerFD, numaNode uint32
	name                                                              [16]byte
	ifindex, btfFD, btfKey, btfValue, btfVmlinux                      uint32
	extra                                                             uint64
}

type attrElem struct {
	fd, _      uint32
	key, value uint64
	flags      uint64
}

func bpf(cmd uintptr, attr unsafe.Pointer, size uintptr) (int, errno.Errno) {
	r, _, e := unix.Syscall(unix.SYS_BPF, cmd, uintptr(attr), size)
	return int(r), errno.Errno(e)
}

// kernelMap is a map of the running kernel.
type kernelMap struct {
	fd        int
	valueSize int
	keySize   int
}

// createKernelMap makes the map of spec in the kernel.
func createKernelMap(spec *ebpf.MapSpec, inner int) (*kernelMap, errno.Errno) {
	a := attrCreate{mapType: uint32(spec.Type), keySize: spec.KeySize, valueSize: spec.ValueSize,
		maxEntries: spec.MaxEntries, flags: spec.Flags, innerFD: uint32(inner), numaNode: spec.NumaNode, extra: spec.MapExtra}
	copy(a.name[:15], "bpfct_test")
	fd, e := bpf(cmdMapCreate, unsafe.Pointer(&a), unsafe.Sizeof(a))
	if e != 0 {
		return nil, e
	}
	return &kernelMap{fd: fd, valueSize: int(spec.ValueSize), keySize: int(spec.KeySize)}, 0
}

func (k *kernelMap) close() { unix.Close(k.fd) }

func (k *kernelMap) elem(cmd uintptr, key, value []byte, flags uint64) errno.Errno {
	a := attrElem{fd: uint32(k.fd), flags: flags}
	if len(key) > 0 {
		a.key = uint64(uintptr(unsafe.Pointer(&key[0])))
	}
	if len(value) > 0 {
		a.value = uint64(uintptr(unsafe.Pointer(&value[0])))
	}
	_, e := bpf(cmd, unsafe.Pointer(&a), unsafe.Sizeof(a))
	runtime.KeepAlive(key)
	runtime.KeepAlive(value)
	return e
}

func (k *kernelMap) Lookup(key []byte, flags uint64) ([]byte, errno.Errno) {
	v := make([]byte, k.valueSize)
	e := k.elem(cmdMapLookup, key, v, flags)
	return v, e
}

func (k *kernelMap) NextKey(key []byte) ([]byte, errno.Errno) {
	next := make([]byte, max(k.keySize, 1))
	e := k.elem(cmdMapNextKey, key, next, 0)
	return next[:k.keySize], e
}

func (k *kernelMap) freeze() errno.Errno {
	a := attrElem{fd: uint32(k.fd)}
	_, e := bpf(cmdMapFreeze, unsafe.Pointer(&a), 4)
	return e
}

// possibleCPUs is how many values an element of a per-CPU map has in the kernel.
func possibleCPUs(tb tester) int {
	tb.Helper()
	n, err := ebpf.PossibleCPU()
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// onKernel pins the test to CPU 0, where the user's side of bpfct is, and skips
// where the kernel cannot be asked.
func onKernel(tb testing.TB) {
	tb.Helper()
	testkernel.Require(tb)
	runtime.LockOSThread()
	var old, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		tb.Fatal(err)
	}
	set.Set(0)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		testkernel.Skip(tb, fmt.Sprintf("cannot pin to CPU 0: %v", err))
	}
	tb.Cleanup(func() {
		if err := unix.SchedSetaffinity(0, &old); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		runtime.UnlockOSThread()
	})
}
