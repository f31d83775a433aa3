package kernel

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
)

// Kind tells helpers from kfuncs.
type Kind uint8

// The two kinds of function that a kernel offers.
const (
	Helper Kind = iota + 1 // called by number
	Kfunc                  // called by name, which the loader turns into a BTF ID
)

// String is "helper" or "kfunc".
func (k Kind) String() string {
	switch k {
	case Helper:
		return "helper"
	case Kfunc:
		return "kfunc"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Flags are the properties of a function that no single argument has.
type Flags uint32

// Flags, named as the kernel's KF_ flags where it has them.
const (
	Acquire       Flags = 1 << iota // the return value holds a reference
	Release                         // one argument's reference is given up
	RetNull                         // the return value may be NULL
	TrustedArgs                     // pointers must be trusted and not NULL
	RCU                             // takes RCU protected pointers
	RCUProtected                    // must be called inside an RCU read-side section
	Sleepable                       // may sleep: only from sleepable programs, outside atomic sections
	Destructive                     // may crash the machine: needs CAP_SYS_BOOT
	GPLOnly                         // only for programs with a GPL compatible licence
	ChangesPacket                   // packet pointers are void after the call
	IterNew                         // constructor of an iterator
	IterNext                        // step of an iterator
	IterDestroy                     // destructor of an iterator
	Fastcall                        // preserves the caller's registers but R0
	PacketAccess                    // a helper that may be passed packet pointers
)

var flagNames = []string{
	"acquire", "release", "ret_null", "trusted_args", "rcu", "rcu_protected",
	"sleepable", "destructive", "gpl_only", "changes_packet", "iter_new",
	"iter_next", "iter_destroy", "fastcall", "packet_access",
}

// Has reports whether f has all flags of m.
func (f Flags) Has(m Flags) bool { return f&m == m }

// String lists the flags, separated by spaces.
func (f Flags) String() string {
	var out []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return strings.Join(out, " ")
}

// MarshalText is String.
func (f Flags) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what String writes.
func (f *Flags) UnmarshalText(text []byte) error {
	*f = 0
	for _, name := range strings.Fields(string(text)) {
		i := slices.Index(flagNames, name)
		if i < 0 {
			return fmt.Errorf("unknown flag %q", name)
		}
		*f |= 1 << i
	}
	return nil
}

// Arg is one argument of a function.
type Arg struct {
	// Name as the kernel has it, for a kfunc with its suffix: "opts__sz".
	Name string `json:"name"`
	// C is the type as a C programmer writes it: "struct nf_conn *".
	C string `json:"c"`
	// Type is what the verifier wants.
	Type ArgType `json:"type"`
	// BTF names the struct behind the pointer, "" for none.
	BTF string `json:"btf,omitempty"`
	// Size is the number of bytes for an ArgFixedSize, else 0. Of a kfunc it is
	// the size of the type that is pointed to, 0 where it has none.
	Size uint32 `json:"size,omitempty"`
}

// Return is what a function leaves in R0.
type Return struct {
	// C is the type as a C programmer writes it.
	C string `json:"c"`
	// Type is what the verifier makes of it.
	Type RetType `json:"type"`
	// BTF names the struct behind the pointer, "" for none.
	BTF string `json:"btf,omitempty"`
	// Size is the number of bytes behind a RetMem, 0 where an argument says it.
	Size uint32 `json:"size,omitempty"`
}

// Callback is how a function of the program is called back.
type Callback struct {
	// Arg is the index of the argument that is the function.
	Arg int `json:"arg"`
	// Args are what it is called with. Its ArgAnything is the context that the
	// caller passed, argument Context.
	Args    []Arg `json:"args"`
	Context int   `json:"context,omitempty"`
	// ReturnMax is the greatest value that it may return; the smallest is 0.
	ReturnMax int64 `json:"return_max"`
	// Async callbacks run later and not as part of the call.
	Async bool `json:"async,omitempty"`
}

// Prototype is one helper or kfunc as a kernel version has it.
type Prototype struct {
	// Kind tells a helper from a kfunc.
	Kind Kind `json:"-"`
	// Name is the full name: "bpf_map_lookup_elem".
	Name string `json:"name,omitempty"`
	// ID is the number in enum bpf_func_id of a helper, 0 for a kfunc, whose
	// BTF ID is [Profile.KfuncID].
	ID int32 `json:"id,omitempty"`
	// Args are the arguments in R1 to R5.
	Args []Arg `json:"args"`
	// Return is what is in R0 afterwards.
	Return Return `json:"return"`
	// Flags are the other properties.
	Flags Flags `json:"flags,omitempty"`
	// Callback describes the function that is passed, nil for none.
	Callback *Callback `json:"callback,omitempty"`
	// Programs are the program types that may call it with these arguments.
	Programs ProgramSet `json:"programs"`
	// Since is the first version of Linux with it, "" where that is not known.
	Since string `json:"since,omitempty"`
	// Unavailable says why the kernel of the profile has only the name of it,
	// "" where it has it.
	Unavailable string `json:"unavailable,omitempty"`
	// Variants are the forms that other program types see: some helpers take
	// other arguments there. Variants have no variants.
	Variants []*Prototype `json:"variants,omitempty"`
}

// For is the form of p that a program of type t calls, nil where it may not.
func (p *Prototype) For(t ebpf.ProgramType) *Prototype {
	if p.Programs.Has(t) {
		return p
	}
	for _, v := range p.Variants {
		if v.Programs.Has(t) {
			return v
		}
	}
	return nil
}

// Allowed reports whether a program of type t may call p.
func (p *Prototype) Allowed(t ebpf.ProgramType) bool { return p.For(t) != nil }

// AllPrograms is the set of the types that may call p in any form.
func (p *Prototype) AllPrograms() ProgramSet {
	s := p.Programs
	for _, v := range p.Variants {
		s |= v.Programs
	}
	return s
}

// ReleaseArg is the index of the argument whose reference is given up, -1 for
// none.
func (p *Prototype) ReleaseArg() int {
	return slices.IndexFunc(p.Args, func(a Arg) bool { return a.Type.Has(ArgRelease) })
}

// SizeArg is the index of the argument that has the size of memory argument
// i, -1 where the size is not an argument.
func (p *Prototype) SizeArg(i int) int {
	if i < 0 || i+1 >= len(p.Args) {
		return -1
	}
	switch next := p.Args[i+1].Type; {
	case next.Base() == ArgConstSize, next.Base() == ArgConstSizeOrZero, next.Has(ArgSize):
		return i + 1
	}
	return -1
}

// String is the declaration as C has it.
func (p *Prototype) String() string {
	args := make([]string, len(p.Args))
	for i, a := range p.Args {
		args[i] = a.C
		if !strings.HasSuffix(a.C, "*") {
			args[i] += " "
		}
		args[i] += a.Name
	}
	if len(args) == 0 {
		args = []string{"void"}
	}
	sep := " "
	if strings.HasSuffix(p.Return.C, "*") {
		sep = ""
	}
	return p.Return.C + sep + p.Name + "(" + strings.Join(args, ", ") + ")"
}
