//go:build linux

package probe

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/kernel"
)

// Context is a program type together with what else the kernel wants to know
// before it looks at the instructions.
type Context struct {
	Type     ebpf.ProgramType
	Attach   ebpf.AttachType
	AttachTo string
	Flags    uint32
}

const sleepable = 1 << 4 // BPF_F_SLEEPABLE

// Contexts lists the ways a program can be loaded that see other functions.
// Types that are not in it (ext, lirc_mode2 where the kernel lacks it) stay
// unmeasured.
func Contexts() []Context {
	return []Context{
		{Type: ebpf.SocketFilter},
		{Type: ebpf.Kprobe},
		{Type: ebpf.SchedCLS},
		{Type: ebpf.SchedACT},
		{Type: ebpf.TracePoint},
		{Type: ebpf.XDP},
		{Type: ebpf.PerfEvent},
		{Type: ebpf.CGroupSKB, Attach: ebpf.AttachCGroupInetIngress},
		{Type: ebpf.CGroupSKB, Attach: ebpf.AttachCGroupInetEgress},
		{Type: ebpf.CGroupSock, Attach: ebpf.AttachCGroupInetSockCreate},
		{Type: ebpf.CGroupSock, Attach: ebpf.AttachCGroupInet4PostBind},
		{Type: ebpf.LWTIn},
		{Type: ebpf.LWTOut},
		{Type: ebpf.LWTXmit},
		{Type: ebpf.SockOps, Attach: ebpf.AttachCGroupSockOps},
		{Type: ebpf.SkSKB},
		{Type: ebpf.CGroupDevice, Attach: ebpf.AttachCGroupDevice},
		{Type: ebpf.SkMsg, Attach: ebpf.AttachSkMsgVerdict},
		{Type: ebpf.RawTracepoint},
		{Type: ebpf.CGroupSockAddr, Attach: ebpf.AttachCGroupInet4Bind},
		{Type: ebpf.CGroupSockAddr, Attach: ebpf.AttachCGroupInet4Connect},
		{Type: ebpf.CGroupSockAddr, Attach: ebpf.AttachCGroupUDP4Sendmsg},
		{Type: ebpf.LWTSeg6Local},
		{Type: ebpf.SkReuseport, Attach: ebpf.AttachSkReuseportSelect},
		{Type: ebpf.FlowDissector, Attach: ebpf.AttachFlowDissector},
		{Type: ebpf.CGroupSysctl, Attach: ebpf.AttachCGroupSysctl},
		{Type: ebpf.RawTracepointWritable},
		{Type: ebpf.CGroupSockopt, Attach: ebpf.AttachCGroupGetsockopt},
		{Type: ebpf.CGroupSockopt, Attach: ebpf.AttachCGroupSetsockopt},
		{Type: ebpf.Tracing, Attach: ebpf.AttachTraceFEntry, AttachTo: "tcp_v4_connect"},
		{Type: ebpf.Tracing, Attach: ebpf.AttachTraceFExit, AttachTo: "tcp_v4_connect"},
		{Type: ebpf.Tracing, Attach: ebpf.AttachTraceRawTp, AttachTo: "kfree_skb"},
		{Type: ebpf.Tracing, Attach: ebpf.AttachTraceIter, AttachTo: "task"},
		{Type: ebpf.StructOps, AttachTo: "tcp_congestion_ops:cong_avoid"},
		{Type: ebpf.LSM, Attach: ebpf.AttachLSMMac, AttachTo: "file_open"},
		{Type: ebpf.LSM, Attach: ebpf.AttachLSMMac, AttachTo: "file_open", Flags: sleepable},
		{Type: ebpf.SkLookup, Attach: ebpf.AttachSkLookup},
		{Type: ebpf.Syscall, Flags: sleepable},
		{Type: ebpf.Netfilter, Attach: ebpf.AttachNetfilter},
	}
}

// Load asks the verifier about a program and gives its words, "" with a nil
// error for a program that it takes. The words come also with the error that
// is not the verifier's.
func (c Context) Load(license string, level ebpf.LogLevel, insns ...asm.Instruction) (log string, err error) {
	spec := &ebpf.ProgramSpec{
		Type: c.Type, AttachType: c.Attach, AttachTo: c.AttachTo, Flags: c.Flags,
		License: license, Instructions: insns,
	}
	prog, err := ebpf.NewProgramWithOptions(spec, ebpf.ProgramOptions{LogLevel: level})
	if err == nil {
		defer prog.Close()
		return prog.VerifierLog, nil
	}
	var v *ebpf.VerifierError
	if errors.As(err, &v) {
		return strings.Join(v.Log, "\n"), err
	}
	return "", err
}

// Usable reports whether this kernel loads programs of the context at all.
func (c Context) Usable() bool {
	_, err := c.Load("GPL", 0, asm.Mov.Imm(asm.R0, 0), asm.Return())
	if err == nil {
		return true
	}
	// Some contexts want another return value; then the verifier has spoken.
	var v *ebpf.VerifierError
	return errors.As(err, &v) && len(v.Log) > 0
}

func (c Context) String() string {
	s := kernel.ProgramName(c.Type)
	if c.AttachTo != "" {
		s += "/" + c.AttachTo
	}
	if c.Flags&sleepable != 0 {
		s += ".s"
	}
	return s
}

// helperCall calls helper id with nothing in the argument registers but the
// context in R1.
func helperCall(id int32) []asm.Instruction {
	return []asm.Instruction{asm.BuiltinFunc(id).Call(), asm.Mov.Imm(asm.R0, 0), asm.Return()}
}

// KfuncCall is a call by BTF ID.
func KfuncCall(id uint32) asm.Instruction {
	return asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoKfuncCall, Constant: int64(id)}
}

// MayCallHelper reports whether a program of the context may call a helper.
func (c Context) MayCallHelper(id int32) (bool, error) {
	log, err := c.Load("GPL", 0, helperCall(id)...)
	if err == nil {
		return true, nil
	}
	switch {
	case strings.Contains(log, "program of this type cannot use helper"), strings.Contains(log, "helper call is not allowed in probe"):
		return false, nil
	case log != "":
		return true, nil
	}
	return false, fmt.Errorf("%v: helper %d: %w", c, id, err)
}

// MayCallKfunc reports whether a program of the context may call a kfunc of
// the kernel itself.
func (c Context) MayCallKfunc(id uint32) (bool, error) {
	insns := []asm.Instruction{}
	for r := asm.R1; r <= asm.R5; r++ {
		insns = append(insns, asm.Mov.Imm(r, 0))
	}
	insns = append(insns, KfuncCall(id), asm.Mov.Imm(asm.R0, 0), asm.Return())
	log, err := c.Load("GPL", 0, insns...)
	if err == nil {
		return true, nil
	}
	switch {
	case strings.Contains(log, "calling kernel function") && strings.Contains(log, "is not allowed"):
		return false, nil
	case log != "":
		return true, nil
	}
	return false, fmt.Errorf("%v: kfunc %d: %w", c, id, err)
}

var expected = regexp.MustCompile(`R(\d) type=\S+ expected=(.*)`)

// Expected gives the register types that the verifier wants for argument
// number arg (1 to 5) of a helper, after what before sets in the registers of
// the arguments ahead of it; "" if it takes a number there.
func (c Context) Expected(id int32, arg int, before ...asm.Instruction) (string, error) {
	insns := append(before[:len(before):len(before)], asm.Mov.Imm(asm.Register(arg), 1))
	insns = append(insns, helperCall(id)...)
	log, err := c.Load("GPL", 0, insns...)
	if err == nil {
		return "", nil
	}
	for _, line := range strings.Split(log, "\n") {
		if m := expected.FindStringSubmatch(line); m != nil && m[1] == fmt.Sprint(arg) {
			return m[2], nil
		}
	}
	if log == "" {
		return "", fmt.Errorf("%v: helper %d: %w", c, id, err)
	}
	return "", nil
}

// Fits reports whether a class of argument is one that the verifier describes
// by the register types in text (see [Context.Expected]).
func Fits(class kernel.ArgType, text string) bool {
	has := func(word string) bool {
		for _, w := range strings.Split(text, ", ") {
			if w == word {
				return true
			}
		}
		return false
	}
	switch class.Base() {
	case kernel.ArgAnything, kernel.ArgConstSize, kernel.ArgConstSizeOrZero, kernel.ArgAllocSizeOrZero, kernel.ArgNone:
		return text == ""
	case kernel.ArgCtx:
		return text == "ctx"
	case kernel.ArgConstMapPtr:
		return text == "map_ptr"
	case kernel.ArgMem, kernel.ArgMapKey, kernel.ArgMapValue:
		return has("fp") && has("pkt") && has("map_value")
	case kernel.ArgSockCommon:
		return has("sock_common") && has("sock") && has("tcp_sock") && !has("ptr_")
	case kernel.ArgBTFIDSockCommon:
		return has("sock_common") && has("ptr_") || has("sock_common") && has("trusted_ptr_")
	case kernel.ArgSocket:
		return text == "sock"
	case kernel.ArgBTFID:
		return has("ptr_") && !has("sock_common") && !has("map_value")
	case kernel.ArgPercpuBTFID:
		return strings.Contains(text, "percpu_ptr_")
	case kernel.ArgRingbufMem:
		return strings.Contains(text, "ringbuf_mem") && !has("fp")
	case kernel.ArgFunc:
		return text == "func"
	case kernel.ArgStack:
		return text == "fp"
	case kernel.ArgConstStr, kernel.ArgTimer:
		return text == "map_value"
	case kernel.ArgSpinLock, kernel.ArgKptrXchgDest:
		return has("map_value") && has("ptr_")
	case kernel.ArgDynptr:
		return strings.Contains(text, "dynptr") || has("fp")
	}
	return false
}
