package explain

import (
	"regexp"
	"strings"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
)

// references are the classes about what a program must give back.
func references() []Class {
	return []Class{
		{
			Name: "unreleased-reference", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{"Unreleased reference id=%d alloc_insn={insn}%d"},
			What:     "what {func|a function} returned is still held on a path that ends",
			Why: `Some functions give the program something that it owns: a connection, a socket, a ring
buffer record, an object of its own. On every path it must be given back, or moved into a map,
before the program ends, makes a tail call, or returns from a callback. The kernel looks at each
path by itself: one return that forgets it is enough.`,
			Help:  []string{"{release|give it back} on this path too, or restructure so that all paths end in one place that does"},
			at:    "the program leaves here and still holds it{without|}",
			facts: acquired,
		},
		{
			Name: "release-unowned", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{
				"R{reg}%d must be referenced when passed to release function", "arg {arg}%d is an unacquired reference",
				"arg#{arg}%d is neither owning or non-owning ref", "release helper bpf_%s expects referenced PTR_TO_BTF_ID passed to R{reg}%d",
			},
			What: "something is given back that the program does not own",
			Why: `Only what a function handed over as owned can be given back. A pointer that was read from a
kernel structure, or that was already given back or moved into a map, is not owned.`,
			Help:  []string{"give back only the pointer that was returned by the function that acquires, and only once"},
			facts: origins,
		},
		{
			Name: "released-twice", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{
				"arg#{arg}%d pointer type STRUCT {want}%s must point to scalar, or struct with scalar",
			},
			What: "a value that is no pointer to struct {want} (any more) is passed where one is wanted",
			Why: `After a pointer was given back the kernel forgets what it is: the register is a mere number from
then on. Passing it to a kernel function that wants the structure again is refused, in words that
speak of scalars because that is all the kernel knows about it. The same happens when a function
of the other program type is called: the context of a tc program is no struct xdp_md.`,
			Help: []string{
				"give it back exactly once, as the last thing that is done with it",
				"call the bpf_skb_ functions from tc programs and the bpf_xdp_ functions from XDP programs",
			},
			facts: released,
		},
		{
			Name: "pointer-moved", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{"R{reg}%d must have zero offset when passed to release func or trusted arg to kfunc"},
			What:     "a pointer into the middle of an object is passed where the object itself is wanted",
			Why:      "What is given back, or passed as a trusted argument, must be the pointer as it was received: nothing may be added to it.",
			Help:     []string{"pass the pointer that the function returned, not the address of a member"},
			facts:    origins,
		},
	}
}

// acquired notes where the reference comes from and which way the program took.
func acquired(q *query) []note {
	slot, ok := q.number("insn")
	if !ok {
		return nil
	}
	i := q.last(q.end, slot)
	if i < 0 {
		return nil
	}
	name := callName(q.steps[i].in)
	if name == "" {
		return nil
	}
	q.parts["func"] = name
	if give := releaseOf(name); give != "" {
		if v := assigned(q.steps[i].in, name); v != "" && identifier.MatchString(give) {
			give += "(" + v + ")"
		}
		q.parts["release"], q.parts["without"] = "call "+give, ", without "+give
		if strings.HasSuffix(name, "_ct_alloc") {
			q.parts["without"] = ", not inserted"
		}
	}
	out := []note{{i, "acquired here by " + name}}
	return append(out, q.branches(i, q.end)...)
}

var identifier = regexp.MustCompile(`^\w+$`)

// assigned is the variable that the line of C of a call assigns its result to, "" where
// that cannot be seen.
func assigned(in *link.Insn, function string) string {
	if in.Line == nil {
		return ""
	}
	before, _, ok := strings.Cut(in.Line.Text, function+"(")
	if !ok {
		return ""
	}
	if m := assignment.FindStringSubmatch(before); m != nil {
		return m[1]
	}
	return ""
}

var assignment = regexp.MustCompile(`(\w+)\s*=\s*(?:\([^()]*\)\s*)?$`)

// releaseOf is the call that gives back what a function acquires, "" where the
// catalogue does not know.
func releaseOf(name string) string {
	switch {
	case strings.HasSuffix(name, "_ct_alloc"):
		return "bpf_ct_insert_entry, then bpf_ct_release with what it returned,"
	case strings.HasSuffix(name, "_ct_lookup"), name == "bpf_ct_insert_entry":
		return "bpf_ct_release"
	case strings.HasPrefix(name, "bpf_sk_lookup_"), strings.HasPrefix(name, "bpf_skc_lookup_"):
		return "bpf_sk_release"
	case strings.HasPrefix(name, "bpf_ringbuf_reserve"):
		return "bpf_ringbuf_submit or bpf_ringbuf_discard"
	case name == "bpf_obj_new_impl":
		return "bpf_obj_drop"
	case name == "bpf_task_acquire", name == "bpf_task_from_pid":
		return "bpf_task_release"
	case name == "bpf_cpumask_create", name == "bpf_cpumask_acquire":
		return "bpf_cpumask_release"
	}
	return ""
}

// released notes where the pointer came from and which call gave it up.
func released(q *query) []note {
	r, ok := q.pointer()
	if !ok {
		return nil
	}
	from := q.origin(q.end, r)
	if from < 0 {
		return nil
	}
	out := []note{{from, madeBy(q.steps[from].in)}}
	if i := q.givenUp(from); i >= 0 {
		out = append(out, note{i, callName(q.steps[i].in) + " takes it here; it is no pointer after that"})
	}
	return out
}

// givenUp is the step between from and the end that released what step from made, -1
// for none.
func (q *query) givenUp(from int) int {
	for i := q.end - 1; i > from; i-- {
		if !callHas(q.steps[i].in, kernel.Release) {
			continue
		}
		for r := 1; r <= 5; r++ {
			if q.origin(i, register(r)) == from {
				return i
			}
		}
	}
	return -1
}
