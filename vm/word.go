package vm

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Word32 is the aligned 32-bit word at the start of b, for atomic access shared
// with other CPUs. b must be part of an object at an offset that is a multiple of 4.
func Word32(b []byte) *uint32 { return (*uint32)(unsafe.Pointer(&b[:4][0])) }

// Word64 is the aligned 64-bit word at the start of b, as Word32.
func Word64(b []byte) *uint64 { return (*uint64)(unsafe.Pointer(&b[:8][0])) }

// WordAround is the aligned 32-bit word that has the first byte of b, one of 1 or
// 2 aligned bytes, and how far to the left b lies in it.
func WordAround(b []byte) (w *uint32, shift uint) {
	p := unsafe.Pointer(&b[0])
	at := uintptr(p) & 3
	return (*uint32)(unsafe.Add(p, -int(at))), uint(at) * 8
}

// LockWord spins until it has set the 32-bit lock word at the start of b from 0
// to 1, and reports false when giveUp says to stop waiting.
func LockWord(b []byte, giveUp func() bool) bool {
	w := Word32(b)
	for !atomic.CompareAndSwapUint32(w, 0, 1) {
		if giveUp != nil && giveUp() {
			return false
		}
		runtime.Gosched()
	}
	return true
}

func unlockWord(b []byte) { atomic.StoreUint32(Word32(b), 0) }

// UnlockWord clears the lock word at the start of b.
func UnlockWord(b []byte) { unlockWord(b) }
