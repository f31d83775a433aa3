package interp

import "math"

// Division by zero gives 0, modulo by zero the dividend; the quotient that does
// not fit is the dividend.

func div64(a, b uint64) uint64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func div32(a, b uint32) uint32 {
	if b == 0 {
		return 0
	}
	return a / b
}

func mod64(a, b uint64) uint64 {
	if b == 0 {
		return a
	}
	return a % b
}

func mod32(a, b uint32) uint32 {
	if b == 0 {
		return a
	}
	return a % b
}

func sdiv64(a, b uint64) uint64 {
	switch {
	case b == 0:
		return 0
	case int64(a) == math.MinInt64 && int64(b) == -1:
		return a
	}
	return uint64(int64(a) / int64(b))
}

func sdiv32(a, b uint32) uint32 {
	switch {
	case b == 0:
		return 0
	case int32(a) == math.MinInt32 && int32(b) == -1:
		return a
	}
	return uint32(int32(a) / int32(b))
}

func smod64(a, b uint64) uint64 {
	switch {
	case b == 0:
		return a
	case int64(b) == -1:
		return 0
	}
	return uint64(int64(a) % int64(b))
}

func smod32(a, b uint32) uint32 {
	switch {
	case b == 0:
		return a
	case int32(b) == -1:
		return 0
	}
	return uint32(int32(a) % int32(b))
}
