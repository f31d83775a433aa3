package verifier_test

import (
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier"
)

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/documented/kptr.c

// The profile of the documentation has connections in maps, which no kernel has: the
// rules are those of its other kptrs.
func TestDocumented(t *testing.T) {
	spec, err := ebpf.LoadCollectionSpec("testdata/documented/kptr.o")
	if err != nil {
		t.Fatal(err)
	}
	prof, err := kernel.Lookup("documented")
	if err != nil {
		t.Fatal(err)
	}
	obj, err := link.Link(spec, prof, link.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"store": "", "store_new": "", "take": "", "look": "",

		"cleared_directly":     "EACCES: store to referenced kptr disallowed",
		"half_read":            "EACCES: kptr access size must be BPF_DW",
		"looked_at_changed":    "EINVAL: R1 must be referenced or trusted",
		"looked_at_marked":     "EACCES: only read is supported",
		"looked_at_released":   "EINVAL: R1 must be referenced or trusted",
		"looked_at_restored":   "EACCES: R2 type=untrusted_ptr_ expected=ptr_, trusted_ptr_, rcu_ptr_",
		"looked_at_unchecked":  "EACCES: R1 invalid mem access 'untrusted_ptr_or_null_'",
		"old_lost":             "EINVAL: Unreleased reference id=5 alloc_insn=34",
		"old_unchecked":        "EACCES: Possibly NULL pointer passed to trusted arg0",
		"passed":               "EACCES: kptr cannot be accessed indirectly by helper",
		"released_after":       "EINVAL: max struct nesting depth exceeded",
		"stored_after_release": "EACCES: R2 type=scalar expected=ptr_, trusted_ptr_, rcu_ptr_",
		"stored_directly":      "EACCES: store to referenced kptr disallowed",
		"stored_elsewhere":     "EACCES: off=0 doesn't point to kptr",
		"stored_moved":         "EACCES: invalid kptr access, R2 type=ptr_nf_conn expected=ptr_nf_conn",
		"stored_new":           "EACCES: invalid kptr access, R2 type=ptr_nf_conn___init expected=ptr_nf_conn",
		"stored_number":        "EACCES: R2 type=scalar expected=ptr_, trusted_ptr_, rcu_ptr_",
		"stored_task":          "EACCES: invalid kptr access, R2 type=trusted_ptr_task_struct expected=ptr_nf_conn",
		"stored_unchecked":     "EACCES: Possibly NULL pointer passed to helper arg2",
		"stored_variable":      "EINVAL: R1 doesn't have constant offset. kptr has to be at the constant offset",
		"taken_lost":           "EINVAL: Unreleased reference id=3 alloc_insn=11",
		"used_after":           "EACCES: R8 invalid mem access 'scalar'",
	}
	for name := range obj.Programs {
		t.Run(name, func(t *testing.T) {
			res, err := verifier.Verify(obj, name, verifier.Options{})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if res.Err != nil {
				got = res.Err.Errno.Name() + ": " + res.Err.Message
			}
			line, ok := want[name]
			if !ok || got != line {
				t.Errorf("%q: %q,", name, got)
			}
		})
	}
	if len(obj.Programs) != len(want) {
		t.Errorf("%d programs, %d answers", len(obj.Programs), len(want))
	}
}
