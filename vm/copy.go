package vm

import "encoding/binary"

// Copy is copy for helpers that move bytes in or out of guest memory which
// programs on other CPUs may use meanwhile. As on Linux the programs have
// themselves to blame for what they then see; the race detector is kept from
// blaming the machine. The two may overlap.
func Copy(dst, src []byte) int {
	if !raceDetector {
		return copy(dst, src)
	}
	n := min(len(dst), len(src))
	if n == 0 {
		return 0
	}
	copyUnseen(dst[:n], src[:n])
	return n
}

// copyUnseen goes down from the end where that keeps bytes from being written over
// before they are read. The built-in copy would be seen by the race detector.
//
//go:norace
func copyUnseen(dst, src []byte) {
	n := len(dst)
	if overlaps(dst, src) {
		for i := n - 1; i >= 0; i-- {
			dst[i] = src[i]
		}
		return
	}
	i := 0
	if !overlaps(src, dst) {
		for ; i+8 <= n; i += 8 {
			binary.LittleEndian.PutUint64(dst[i:], binary.LittleEndian.Uint64(src[i:]))
		}
	}
	for ; i < n; i++ {
		dst[i] = src[i]
	}
}

// overlaps reports whether a starts behind the start of b and before its end.
func overlaps(a, b []byte) bool {
	for i := 1; i < len(b); i++ {
		if &b[i] == &a[0] {
			return true
		}
	}
	return false
}

// Clear is clear, as Copy is copy.
//
//go:norace
func Clear(b []byte) {
	for i := range b {
		b[i] = 0
	}
}

// Clone is a copy of b, made as by Copy.
func Clone(b []byte) []byte {
	out := make([]byte, len(b))
	Copy(out, b)
	return out
}
