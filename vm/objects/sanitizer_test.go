package objects_test

import (
	"errors"
	"testing"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/vm"
)

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/bad.c

// Each program breaks one rule; the machine says which, and is as it was.
func TestSanitizer(t *testing.T) {
	spec, err := bpfct.LoadCollectionSpec("testdata/bad.o")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		program string
		want    vm.FaultKind
		reg     string
	}{
		{"leak", vm.ReferenceLeak, ""},
		{"drop_twice", vm.UseAfterRelease, "R1"},
		{"read_after_drop", vm.UseAfterRelease, ""},
		{"read_outside", vm.OutOfBounds, ""},
		{"write_refcount", vm.WriteProtected, ""},
		{"push_unlocked", vm.LockViolation, "R1"},
		{"push_under_wrong_lock", vm.LockViolation, "R1"},
		{"push_wrong_node", vm.BadArgument, "R2"},
		{"push_twice", vm.BadRelease, "R2"},
		{"drop_pushed", vm.BadRelease, "R1"},
		{"drop_inside", vm.BadArgument, "R1"},
		{"drop_stack", vm.BadArgument, "R1"},
		{"store_borrowed", vm.BadRelease, "R2"},
		{"exchange_wrong_place", vm.BadArgument, "R1"},
		{"list_in_tree", vm.BadArgument, "R1"},
		{"acquire_node", vm.BadArgument, "R1"},
		{"faulting_less", vm.NullDereference, ""},
		{"unlock_unheld", vm.LockViolation, "R1"},
		{"lock_twice", vm.LockViolation, "R1"},
		{"lock_two", vm.LockViolation, "R1"},
		{"exit_locked", vm.LockViolation, ""},
		{"lock_something_else", vm.BadArgument, "R1"},
		{"lock_stack", vm.BadArgument, "R1"},
		{"leave_rcu", vm.LockViolation, ""},
		{"exit_without_preemption", vm.LockViolation, ""},
		{"read_percpu", vm.OutOfBounds, ""},
		{"lock_once", 0, ""},
		{"overwrite_head", vm.BadArgument, "R1"},
	} {
		t.Run(tt.program, func(t *testing.T) {
			host, err := bpfct.NewHost(bpfct.HostOptions{MaxInsns: 10000})
			if err != nil {
				t.Fatal(err)
			}
			coll, err := host.LoadCollection(spec, bpfct.CollectionOptions{SkipVerifier: true})
			if err != nil {
				t.Fatal(err)
			}
			run := func() error {
				_, err := coll.Programs[tt.program].Run(&bpfct.RunOptions{Data: make([]byte, 64)})
				return err
			}
			err = run()
			if tt.want == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var f *vm.Fault
			if !errors.As(err, &f) {
				t.Fatalf("ended with %v", err)
			}
			if f.Kind != tt.want || tt.reg != "" && f.Register != tt.reg {
				t.Errorf("%+v\nwant %v of %s", f, tt.want, tt.reg)
			}
			if f.Site.Program == nil || f.Site.Program.SourceAt(f.Site.Insn).Line == 0 {
				t.Errorf("%v names no source line", f)
			}
			// What the program held is given back, so that another can run.
			if _, err := coll.Programs["lock_once"].Run(&bpfct.RunOptions{Data: make([]byte, 64)}); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			if err := run(); !errors.As(err, &f) {
				t.Errorf("the second run ended with %v", err)
			}
			coll.Close()
		})
	}
}
