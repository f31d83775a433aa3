package maps

import "unsafe"

// addressable8 reports whether b starts at a multiple of 8, where a word of 64
// bits can be accessed atomically on every machine.
func addressable8(b []byte) bool {
	return len(b) == 0 || uintptr(unsafe.Pointer(unsafe.SliceData(b)))%8 == 0
}
