package verifier

import (
	"errors"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier/cfg"
	"github.com/bpfct/bpfct/verifier/disasm"
)

// faulty turns what package cfg finds wrong into a refusal.
func (e *env) faulty(err error) error {
	var f *cfg.Fault
	if !errors.As(err, &f) {
		return err
	}
	e.insn = f.Insn
	if f.Text == "" {
		return &refusal{errno: f.Errno, insn: f.Insn}
	}
	return e.reject(f.Errno, "%s", f.Text)
}

// checkSubprogs finds the functions and checks that control stays in them
// (add_subprog_and_kfunc, check_subprogs, check_btf_func).
func (e *env) checkSubprogs() error {
	e.flow = make([]cfg.Insn, len(e.slots))
	for i := range e.slots {
		s := &e.slots[i]
		e.flow[i] = cfg.Insn{Raw: s.Raw, Second: s.isSecond()}
		if s.insn != nil && s.insn.Call != nil {
			e.flow[i].Call, e.flow[i].Allowed = s.insn.Call.Proto, s.insn.Call.Allowed
		}
	}
	var err error
	if e.exceptionAt, err = e.findExceptionCallback(); err != nil {
		return err
	}
	subs, err := cfg.Split(e.flow, e.exceptionAt, e.admitKfunc)
	if err != nil {
		return e.faulty(err)
	}
	if e.log.verbose() {
		for i := range subs {
			e.log.printf("func#%d @%d\n", i, subs[i].Start)
		}
	}
	if err := cfg.CheckJumps(e.flow, subs); err != nil {
		return e.faulty(err)
	}
	e.subs = subs
	e.subprogs = make([]subprogInfo, len(subs))
	declared := 0
	for i := range e.prog.Subprogs {
		if e.prog.Subprogs[i].Func != nil {
			declared++
		}
	}
	if declared > 0 && declared != len(subs) {
		return e.reject(errno.EINVAL, "number of funcs in func_info doesn't match number of subprogs")
	}
	for i := range subs {
		if err := e.describe(i); err != nil {
			return err
		}
	}
	return nil
}

// describe fills in what is known of function i from the object.
func (e *env) describe(i int) error {
	sub, info := &e.subs[i], &e.subprogs[i]
	first := e.slots[sub.Start].insn
	for k := range e.prog.Subprogs {
		p := &e.prog.Subprogs[k]
		if p.Start < p.End && &e.prog.Insns[p.Start] == first {
			sub.Name, sub.Func = p.Name, p.Func
			info.global = p.Global
		}
	}
	if sub.Func == nil && e.prog.Subprogs[0].Func != nil {
		return e.reject(errno.EINVAL, "func_info BTF section doesn't match subprog layout in BPF program")
	}
	info.Subprog, info.hasTailCall = *sub, sub.HasTailCall
	info.isException = e.exceptionAt != 0 && sub.Start == e.exceptionAt
	info.isCallback = info.isException
	if i == 0 || sub.Func == nil || !sub.HasLegacyLoad && !sub.HasTailCall || returnsInt(sub.Func) {
		return nil
	}
	what := "tail_call"
	if sub.HasLegacyLoad {
		what = "LD_ABS"
	}
	return e.reject(errno.EINVAL, "%s is only allowed in functions that return 'int'.", what)
}

// returnsInt reports whether a function returns a number.
func returnsInt(f *btf.Func) bool {
	proto, ok := f.Type.(*btf.FuncProto)
	if !ok {
		return false
	}
	switch t := btf.UnderlyingType(proto.Return).(type) {
	case *btf.Int:
		return t.Size <= 8
	case *btf.Enum:
		return true
	}
	return false
}

// admitKfunc checks that the program may call kfuncs at all (add_kfunc_call).
func (e *env) admitKfunc(i int) error {
	e.insn = i
	if !e.gpl {
		return e.reject(errno.EINVAL, "cannot call kernel function from non-GPL compatible program")
	}
	call := e.slots[i].insn.Call
	if e.kfuncs == nil {
		e.kfuncs = make(map[btf.TypeID]bool)
	}
	e.kfuncs[call.ID] = true
	if limit := e.prof.Limits.Kfuncs; limit > 0 && len(e.kfuncs) > limit {
		return e.reject(errno.E2BIG, "too many different kernel function calls")
	}
	if strings.HasPrefix(call.Name, "bpf_xdp_metadata_rx_") {
		// The driver of a device answers, and no program is bound to one here.
		return e.reject(errno.EINVAL, "metadata kfuncs require device-bound program")
	}
	return nil
}

// checkFlow makes the graph of the control flow (check_cfg and what follows it).
func (e *env) checkFlow() error {
	var err error
	if e.graph, err = cfg.Build(e.flow, e.subs, e.exceptionAt); err != nil {
		return e.faulty(err)
	}
	for i := range e.subs {
		e.subprogs[i].Subprog = e.subs[i]
		e.subprogs[i].changesPkt, e.subprogs[i].mightSleep = e.subs[i].ChangesPacket, e.subs[i].MightSleep
	}
	e.live = cfg.NewLiveStack(e.graph)
	if e.log.verbose() {
		e.live.Log = e.log.printf
	}
	return nil
}

// logLiveRegs writes the registers that live before each instruction, and the loop
// that it is part of.
func (e *env) logLiveRegs() error {
	if !e.log.verbose() {
		return nil
	}
	e.log.printf("Live regs before insn:\n")
	for i := range e.slots {
		s := &e.slots[i]
		if s.isSecond() {
			continue
		}
		if scc := e.graph.SCC(i); scc != 0 {
			e.log.printf("%3d ", scc)
		} else {
			e.log.printf("    ")
		}
		var regs [10]byte
		for r := range regs {
			regs[r] = '.'
			if e.graph.LiveRegs(i)&(1<<r) != 0 {
				regs[r] = '0' + byte(r)
			}
		}
		e.log.printf("%3d: %s %s\n", i, regs[:], disasm.Text(s.Raw, s.imm64, e.callText(s)))
	}
	return nil
}

// callText is the name of what a call calls, as the log shows it.
func (e *env) callText(s *slot) string { return s.name() }

// newLine is the line of C of an instruction, "" while it is the same as that of the
// instruction logged before.
func (e *env) newLine(insn int) string {
	in := e.slots[insn].insn
	if in == nil || in.Line == nil || in.Line == e.lastLine {
		return ""
	}
	if l := e.lastLine; l != nil && l.File == in.Line.File && l.Number == in.Line.Number {
		return ""
	}
	e.lastLine = in.Line
	return lineText(in.Line)
}

// lineText is a line of C as the log shows it.
func lineText(l *link.Line) string {
	text := trimLeft(l.Text)
	name := l.File
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			name = name[i+1:]
			break
		}
	}
	return text + " @ " + name + ":" + decimal(int64(l.Number))
}

func trimLeft(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t' || s[0] == '\n' || s[0] == '\r' || s[0] == '\v' || s[0] == '\f') {
		s = s[1:]
	}
	return s
}

// findExceptionCallback is the start of the function that the program's declaration
// tags as its exception callback, 0 for none
// (bpf_find_exception_callback_insn_off).
func (e *env) findExceptionCallback() (int, error) {
	const tag = "exception_callback:"
	if len(e.prog.Subprogs) == 0 || e.prog.Subprogs[0].Func == nil {
		return 0, nil
	}
	name, found := "", false
	for _, t := range e.prog.Subprogs[0].Func.Tags {
		if len(t) < len(tag) || t[:len(tag)] != tag {
			continue
		}
		if found {
			return 0, e.reject(errno.EEXIST, "multiple exception callback tags for main subprog")
		}
		name, found = t[len(tag):], true
	}
	if !found {
		return 0, nil
	}
	for i := range e.prog.Subprogs {
		p := &e.prog.Subprogs[i]
		if p.Name != name || p.Func == nil {
			continue
		}
		if !p.Global {
			return 0, e.reject(errno.EINVAL, "exception callback '%s' must have global linkage", name)
		}
		return e.prog.Insns[p.Start].Slot, nil
	}
	return 0, e.reject(errno.ENOENT, "exception callback '%s' could not be found in BTF", name)
}
