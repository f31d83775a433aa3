package contract

import (
	"slices"
	"strings"
)

// Source is where a sentence comes from.
type Source string

// The sources.
const (
	// Seed is the documentation of bpf_skb_ct_alloc.
	Seed Source = "documentation"
	// Measured is what Linux 6.18 was seen to do.
	Measured Source = "measured"
)

// Engines are what a sentence is tested on.
type Engines uint8

// The engines.
const (
	OnMeasured   Engines = 1 << iota // bpfct with the profile of a measured kernel
	OnDocumented                     // bpfct with the profile "documented"
	OnKernel                         // the running kernel
)

// What most sentences are tested on: those that hold by the documentation and in
// fact, and those that hold in fact only.
const (
	Everywhere = OnMeasured | OnDocumented | OnKernel
	InFact     = OnMeasured | OnKernel
)

// String lists them.
func (e Engines) String() string {
	var out []string
	for i, n := range []string{"bpfct 6.18", "bpfct documented", "kernel"} {
		if e>>i&1 != 0 {
			out = append(out, n)
		}
	}
	return strings.Join(out, ", ")
}

// Sentence is one thing that is promised, and the test that holds it.
type Sentence struct {
	// Test is the name of a test of this package.
	Test string
	// Source and Section say where it stands.
	Source  Source
	Section string
	// Text is the sentence: of the documentation its own words.
	Text string
	// Note says where the kernel disagrees, "" if it does not.
	Note string
	// Kfuncs are those that it is about, without the parts that all names share.
	Kfuncs  []string
	Engines Engines
}

var (
	allocs   = []string{"bpf_skb_ct_alloc", "bpf_xdp_ct_alloc"}
	lookups  = []string{"bpf_skb_ct_lookup", "bpf_xdp_ct_lookup"}
	finders  = slices.Concat(allocs, lookups)
	inserts  = append(slices.Clone(allocs), "bpf_ct_insert_entry")
	natCalls = append(slices.Clone(inserts), "bpf_ct_set_nat_info")
)

// Sentences are all that is promised.
func Sentences() []Sentence { return slices.Concat(seed, facts, words()) }

// words are sentences about what the verifier says.
func words() []Sentence {
	var out []Sentence
	for i := range Words {
		w := &Words[i]
		text := w.Rule + " The kernel accepts it."
		if len(w.Kernel) > 0 {
			text = w.Rule + " The kernel refuses it: `" + strings.Join(w.Kernel, "` … `") + "`."
		}
		out = append(out, Sentence{
			Test: "TestFacts_Words/" + w.Program, Source: Measured, Section: "The verifier's words",
			Text: text, Note: "the machine by itself: " + w.Machine, Kfuncs: w.kfuncs(), Engines: InFact,
		})
	}
	return out
}

// kfuncs are those that the program has to do with beside alloc and insert, by its name.
func (w *Word) kfuncs() []string {
	for _, k := range []struct{ part, name string }{
		{"set_timeout", "bpf_ct_set_timeout"}, {"change_timeout", "bpf_ct_change_timeout"}, {"set_status", "bpf_ct_set_status"},
		{"change_status", "bpf_ct_change_status"}, {"insert", "bpf_ct_insert_entry"}, {"release", "bpf_ct_release"},
		{"alloc", "bpf_skb_ct_alloc"}, {"xdp_kfunc", "bpf_xdp_ct_lookup"}, {"lost", "bpf_skb_ct_alloc"}, {"write", "bpf_ct_insert_entry"},
	} {
		if strings.Contains(w.Program, k.part) {
			return []string{k.name}
		}
	}
	return []string{"bpf_skb_ct_lookup"}
}
