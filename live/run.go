package live

import (
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// RunOptions is the input of one run under BPF_PROG_TEST_RUN.
type RunOptions struct {
	// Data is the packet, from its Ethernet header. A tc or XDP program needs
	// at least 14 bytes, or the run fails with EINVAL; nil is 64 zero bytes for
	// these. A tc program takes no more than fits a page beside head and tail
	// room (some 3,700 bytes with 4 KiB pages; EINVAL above), an XDP program
	// without frags support the same, one with it some 64 KiB.
	Data []byte
	// DataOutSize is the room for the packet afterwards. 0 leaves room for any
	// change that a program can make; a negative size asks for no packet.
	DataOutSize int
	// Ctx is the context before, the raw bytes of a struct __sk_buff or xdp_md
	// (or a prefix: missing bytes are zero). See SkBuff and XDPMD for the
	// fields that the kernel takes.
	Ctx []byte
	// CtxOutSize is the room for the context afterwards, 0 that of the
	// program type's context if there is a Ctx and none otherwise.
	CtxOutSize int
	// Repeat is how often to run, on the same packet as it is changed by
	// every run (tc) or reset before each (XDP); 0 is once.
	Repeat uint32
	// CPU to run on; only with FlagRunOnCPU. The kernel takes the flag for
	// tracing programs only; a tc or XDP program is run on a thread that is
	// kept on that CPU.
	CPU uint32
	// BatchSize of XDP frames; only with FlagXDPLiveFrames.
	BatchSize uint32
	Flags     uint32
	// Maps are what instructions of RunInsns refer to by name.
	Maps map[string]*ebpf.Map
}

// Flags of RunOptions.
const (
	FlagRunOnCPU      = 1 << 0
	FlagXDPLiveFrames = 1 << 1
	FlagSKBChecksum   = 1 << 2
)

// Result is the outcome of a run.
type Result struct {
	// Ret is what the program returned (R0, 32 bits).
	Ret uint32
	// Data is the packet afterwards.
	Data []byte
	// Ctx is the context afterwards, as far as the kernel tells it.
	Ctx []byte
	// Duration is the mean time of a run.
	Duration time.Duration
	// Truncated says that Data or Ctx did not fit.
	Truncated bool
}

// defaultData is what a program runs on that is given no packet, as the
// kernel's own tests do.
const defaultDataSize = 64

// dataOutRoom is added to a packet's size for what a program may add: frames
// grow up to a few pages at most under test runs.
const dataOutRoom = 64 << 10

// KfuncCall is a call of a kernel function for LoadInsns and RunInsns.
func KfuncCall(name string) asm.Instruction {
	return asm.Instruction{
		OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call),
		Src:    asm.PseudoKfuncCall, Constant: -1,
	}.WithReference(name)
}
