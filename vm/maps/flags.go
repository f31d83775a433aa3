package maps

// Flags of updates and lookups.
const (
	Any     = 0 // BPF_ANY: create or change
	NoExist = 1 // BPF_NOEXIST: create only
	Exist   = 2 // BPF_EXIST: change only
	Lock    = 4 // BPF_F_LOCK: under the value's spin lock
)

// Flags of creation, as in linux/bpf.h.
const (
	NoPrealloc    = 1 << 0
	NoCommonLRU   = 1 << 1
	NumaNode      = 1 << 2
	ReadOnly      = 1 << 3
	WriteOnly     = 1 << 4
	ZeroSeed      = 1 << 6
	ReadOnlyProg  = 1 << 7
	WriteOnlyProg = 1 << 8
	Clone         = 1 << 9
	Mmapable      = 1 << 10
	PreserveElems = 1 << 11
	InnerMap      = 1 << 12

	accessMask = ReadOnly | WriteOnly | ReadOnlyProg | WriteOnlyProg
)

const (
	// kmallocMax is KMALLOC_MAX_SIZE with pages of 4 KiB.
	kmallocMax = 4 << 20
	// percpuMax is PCPU_MIN_UNIT_SIZE, the largest value of a per-CPU map.
	percpuMax = 32 << 10

	pageSize = 4096
)
