package live

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Run runs prog once, or opts.Repeat times, in the namespace.
func (ns *Netns) Run(prog *ebpf.Program, opts RunOptions) (*Result, error) {
	var res *Result
	err := ns.thread.do(func() (err error) {
		res, err = ns.run(prog, opts)
		return err
	})
	return res, err
}

// contextSize is that of a program type's context where test runs take one.
func contextSize(t ebpf.ProgramType) int {
	switch t {
	case ebpf.SchedCLS, ebpf.SchedACT, ebpf.CGroupSKB, ebpf.SocketFilter, ebpf.LWTIn, ebpf.LWTOut, ebpf.LWTXmit, ebpf.SkSKB:
		return SkBuffSize
	case ebpf.XDP:
		return XDPMDSize
	}
	return 0
}

// takesPacket tells the program types that run on a packet.
func takesPacket(t ebpf.ProgramType) bool {
	return contextSize(t) > 0 || t == ebpf.FlowDissector
}

// run must be called on the namespace's thread.
func (ns *Netns) run(prog *ebpf.Program, opts RunOptions) (*Result, error) {
	data := opts.Data
	if data == nil && takesPacket(prog.Type()) {
		data = make([]byte, defaultDataSize)
	}
	var out, ctxOut []byte
	if opts.DataOutSize >= 0 && opts.Flags&FlagXDPLiveFrames == 0 && takesPacket(prog.Type()) {
		n := opts.DataOutSize
		if n == 0 {
			n = len(data) + dataOutRoom
		}
		if len(ns.scratch) < n {
			ns.scratch = make([]byte, n)
		}
		out = ns.scratch[:n]
	}
	if n := opts.CtxOutSize; n > 0 {
		ctxOut = make([]byte, n)
	} else if len(opts.Ctx) > 0 && opts.Flags&FlagXDPLiveFrames == 0 {
		ctxOut = make([]byte, max(len(opts.Ctx), contextSize(prog.Type())))
	}

	if opts.Flags&FlagRunOnCPU != 0 && takesPacket(prog.Type()) {
		// The kernel knows this flag for other program types only.
		back, err := pinToCPU(opts.CPU)
		if err != nil {
			return nil, fmt.Errorf("run %s: CPU %d: %w", prog, opts.CPU, err)
		}
		defer back()
		opts.Flags &^= FlagRunOnCPU
		opts.CPU = 0
	}

	var pin pinned
	defer pin.release()
	attr := attrTestRun{
		progFD:      uint32(prog.FD()),
		dataSizeIn:  uint32(len(data)),
		dataSizeOut: uint32(len(out)),
		dataIn:      pin.addr(data),
		dataOut:     pin.addr(out),
		repeat:      opts.Repeat,
		ctxSizeIn:   uint32(len(opts.Ctx)),
		ctxSizeOut:  uint32(len(ctxOut)),
		ctxIn:       pin.addr(opts.Ctx),
		ctxOut:      pin.addr(ctxOut),
		flags:       opts.Flags,
		cpu:         opts.CPU,
		batchSize:   opts.BatchSize,
	}
	_, err := bpfCall(cmdTestRun, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	for errors.Is(err, unix.EINTR) && attr.repeat > 1 {
		// Signals stop repeated runs between two of them: start over, as the
		// mean time of what has been done is not given.
		_, err = bpfCall(cmdTestRun, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	}
	res := &Result{Ret: attr.retval, Duration: time.Duration(attr.duration)}
	if errors.Is(err, unix.ENOSPC) {
		res.Truncated, err = true, nil
	}
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", prog, err)
	}
	res.Data = append([]byte(nil), out[:min(int(attr.dataSizeOut), len(out))]...)
	res.Ctx = ctxOut[:min(int(attr.ctxSizeOut), len(ctxOut))]
	return res, nil
}

// pinToCPU keeps the calling thread on one CPU until back is called.
func pinToCPU(cpu uint32) (back func(), err error) {
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, err
	}
	one.Set(int(cpu))
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return nil, err
	}
	return func() { _ = unix.SchedSetaffinity(0, &before) }, nil
}

// LoadInsns loads a program made of raw instructions, with a licence that
// the kernel takes for GPL compatible. References to maps are resolved by name
// among maps, calls of kernel functions (KfuncCall) by name in the kernel. The
// caller closes the program.
func (ns *Netns) LoadInsns(typ ebpf.ProgramType, insns asm.Instructions, maps map[string]*ebpf.Map) (*ebpf.Program, error) {
	var prog *ebpf.Program
	err := ns.thread.do(func() (err error) {
		prog, err = ns.loadInsns(typ, insns, maps)
		return err
	})
	return prog, err
}

// RunInsns loads raw instructions, runs them once and forgets them. It is
// meant for many short programs.
func (ns *Netns) RunInsns(typ ebpf.ProgramType, insns asm.Instructions, opts RunOptions) (*Result, error) {
	var res *Result
	err := ns.thread.do(func() error {
		prog, err := ns.loadInsns(typ, insns, opts.Maps)
		if err != nil {
			return err
		}
		defer prog.Close()
		res, err = ns.run(prog, opts)
		return err
	})
	return res, err
}

func (ns *Netns) loadInsns(typ ebpf.ProgramType, insns asm.Instructions, maps map[string]*ebpf.Map) (*ebpf.Program, error) {
	own := append(asm.Instructions(nil), insns...)
	for i := range own {
		ins := &own[i]
		switch {
		case ins.Reference() == "":
		case ins.IsKfuncCall():
			targets, err := ns.kernelTypes()
			if err != nil {
				return nil, err
			}
			module, id, err := findKfunc(ins.Reference(), targets)
			if err != nil {
				return nil, fmt.Errorf("instruction %d: %w", i, err)
			}
			if module != "" {
				return nil, fmt.Errorf("instruction %d: kfunc %s is in module %s, which raw instructions cannot call: %w",
					i, ins.Reference(), module, ErrNotSupported)
			}
			ins.Constant, ins.Offset = int64(id), 0
		case ins.IsLoadFromMap() && int32(ins.Constant) <= 0:
			m, ok := maps[ins.Reference()]
			if !ok {
				return nil, fmt.Errorf("instruction %d refers to map %q, which is not given", i, ins.Reference())
			}
			if err := ins.AssociateMap(m); err != nil {
				return nil, fmt.Errorf("instruction %d: map %q: %w", i, ins.Reference(), err)
			}
		}
	}
	return ebpf.NewProgram(&ebpf.ProgramSpec{Type: typ, Instructions: own, License: "Dual MIT/GPL"})
}
