package vm

import (
	"fmt"
	"io"
	"strings"
)

// Site is a place in a program.
type Site struct {
	Program *Program
	// Insn is the instruction's number as the kernel counts: in slots of 8 bytes.
	Insn int
}

// String is "insn 17 (nat.c:42)", or "" for no place.
func (s Site) String() string {
	if s.Program == nil {
		return ""
	}
	if line := s.Program.SourceAt(s.Insn); line.File != "" {
		return fmt.Sprintf("insn %d (%s:%d)", s.Insn, line.File, line.Line)
	}
	return fmt.Sprintf("insn %d", s.Insn)
}

// FaultKind classes what a program did wrong.
type FaultKind uint8

// What a program can do wrong.
const (
	NullDereference FaultKind = iota + 1
	WildAddress               // an address that belongs to nothing
	OutOfBounds
	UseAfterRelease
	WriteProtected
	ReferenceLeak     // a reference still held at exit or tail call
	BadRelease        // a release of what is not a held reference
	LockViolation     // a lock that is missing, wrong, or still held
	BadArgument       // an argument that the verifier would not let pass
	LimitExceeded     // instructions, call depth, loop iterations
	IllegalInsn       // an instruction or call that cannot be executed
	UncaughtException // bpf_throw where nothing catches
	Misaligned        // an atomic operation at an address that is no multiple of its size
)

var faultNames = [...]string{
	NullDereference: "NULL dereference", WildAddress: "access to unmapped memory", OutOfBounds: "access out of bounds",
	UseAfterRelease: "use after release", WriteProtected: "write to read-only memory", ReferenceLeak: "reference leak",
	BadRelease: "bad release", LockViolation: "lock violation", BadArgument: "bad argument",
	LimitExceeded: "limit exceeded", IllegalInsn: "illegal instruction", UncaughtException: "uncaught exception",
	Misaligned: "misaligned atomic access",
}

// String is the class in words.
func (k FaultKind) String() string {
	if int(k) < len(faultNames) && faultNames[k] != "" {
		return faultNames[k]
	}
	return fmt.Sprintf("FaultKind(%d)", uint8(k))
}

// Fault is the sanitizer's report: why a run was stopped. Error gives one line,
// the verb %+v the whole report.
type Fault struct {
	Kind FaultKind
	// Site is the instruction that did it.
	Site Site
	// Register names the register that held the address or argument, "" when none did.
	Register string
	// Addr, Size and Write describe a memory access; Size is 0 when it was none.
	Addr  uint64
	Size  uint32
	Write bool
	// Object is what the address belongs or belonged to, or the reference that
	// leaks; nil for none.
	Object *Object
	// Detail is a sentence for what the other fields do not say.
	Detail string
}

// Error is the fault in one line.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.Kind.String())
	if s := f.Site.String(); s != "" {
		fmt.Fprintf(&b, " in %s at %s", f.Site.Program.Name, s)
	}
	sep := ": "
	part := func(format string, args ...any) {
		b.WriteString(sep)
		fmt.Fprintf(&b, format, args...)
		sep = ", "
	}
	if f.Size != 0 {
		verb := "read"
		if f.Write {
			verb = "write"
		}
		part("%s of %d bytes at %#x", verb, f.Size, f.Addr)
		if f.Register != "" {
			fmt.Fprintf(&b, " (%s)", f.Register)
		}
	} else if f.Register != "" {
		part("%s", f.Register)
	}
	if f.Object != nil {
		part("%v", f.Object)
		if f.Size != 0 {
			fmt.Fprintf(&b, " offset %d", int64(f.Addr)-int64(f.Object.Base))
		}
	}
	if f.Detail != "" {
		sep = ": "
		part("%s", f.Detail)
	}
	return b.String()
}

// Format writes Error for %v and %s, and for %+v the report with the object's
// history and the source line.
func (f *Fault) Format(s fmt.State, verb rune) {
	io.WriteString(s, f.Error())
	if verb != 'v' || !s.Flag('+') {
		return
	}
	if f.Site.Program != nil {
		if line := f.Site.Program.SourceAt(f.Site.Insn); line.Text != "" {
			fmt.Fprintf(s, "\n  %s:%d: %s", line.File, line.Line, strings.TrimSpace(line.Text))
		}
		fmt.Fprintf(s, "\n  instruction %d: %v", f.Site.Insn, f.Site.Program.InsnText(f.Site.Insn))
	}
	if o := f.Object; o != nil {
		lo, hi := o.Window()
		fmt.Fprintf(s, "\n  object: %v, %d bytes at %#x, accessible from offset %d to %d", o, o.Size, o.Base, lo, hi)
		if o.Stride != 0 {
			fmt.Fprintf(s, ", in elements of %d bytes every %d", o.Elem, o.Stride)
		}
		if a := o.Acquired(); a.Program != nil {
			fmt.Fprintf(s, "\n  acquired at %v of %s", a, a.Program.Name)
		}
		if r, ok := o.Released(); ok && r.Program != nil {
			fmt.Fprintf(s, "\n  released at %v of %s", r, r.Program.Name)
		}
	}
}

// Exception is bpf_throw on its way to the program's exception callback.
type Exception struct {
	Cookie uint64
}

// Error says that nothing caught the exception.
func (e *Exception) Error() string {
	return fmt.Sprintf("uncaught exception with cookie %#x", e.Cookie)
}
