package dynptr_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/bpfct/bpfct/internal/judge"
	"github.com/bpfct/bpfct/vm"
)

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/bad.c

// What the tests against the kernel prove, a little of it, where there is none.
func TestOnTheMachine(t *testing.T) {
	p := judge.Load(t, "testdata/dynptr.o", judge.Options{MachineOnly: true})
	v := &io{Size: 100, Adjust: [4]uint64{10, 90, 0, 70}, Offs: [8]uint64{1, 2, 3, 4, 5, 0, 40, 60}, Lens: [4]uint64{8, 4, 30, 10}, Value: 9}
	for i := range v.Src {
		v.Src[i] = byte(200 + i)
	}
	for i := range v.Mem {
		v.Mem[i] = byte(i)
	}
	// size, null, read-only, adjust, size, clone, adjust, size, read, write, then
	// pointers (and whether they are to the buffer), copy, fill, size.
	memory := []int64{0, 100, 0, 0, 0, 80, 0, 0, 70, 0, 0, 1, 0, 1, 0, 1, 0, 0, 80}
	packet64 := []int64{0, 64, 0, 0, -34, 64, 0, -34, 64, 0, 0, 1, 0, 1, 0, 0, -7, -7, 64}
	null := []int64{-22, 4294967274, 1, 0, -22, 4294967274, -22, -22, 4294967274, -22, -22, 0, 0, 0, 0, 0, -7, -7, 4294967274}
	for _, tt := range []struct {
		program string
		flags   uint64
		want    []int64
	}{{"of_memory", 0, memory}, {"of_memory", 1, null}, {"of_ringbuf", 0, memory}, {"of_skb", 0, packet64}, {"of_skb", 1, null}, {"of_xdp", 0, packet64}} {
		in := *v
		in.Flags = tt.flags
		out, err := p.RunMachine(tt.program, in.bytes(), nil)
		if err != nil {
			t.Errorf("%+v", err)
			continue
		}
		for i, want := range tt.want {
			if got := int64(binary.LittleEndian.Uint64(out.IO[20*8+16+8*i:])); got != want {
				t.Errorf("%s with flags %d: result %d is %d, want %d", tt.program, tt.flags, i, got, want)
			}
		}
	}
}

// Each program breaks one rule; the machine says which.
func TestSanitizer(t *testing.T) {
	p := judge.Load(t, "testdata/bad.o", judge.Options{MachineOnly: true, Edit: nil})
	for program, want := range map[string]vm.FaultKind{
		"of_more_than_there_is": vm.OutOfBounds, "read_after_submit": vm.UseAfterRelease, "never_submit": vm.ReferenceLeak,
		"submit_memory": vm.BadArgument, "write_past_slice": vm.OutOfBounds, "forged": vm.WildAddress,
		"forged_kind": vm.BadArgument, "old_slice": vm.UseAfterRelease,
	} {
		_, err := p.Machine.Programs[program].Run(nil)
		var f *vm.Fault
		if !errors.As(err, &f) || f.Kind != want {
			t.Errorf("%s ended with %v, want %v", program, err, want)
		}
	}
}

func BenchmarkDynptr(b *testing.B) {
	p := judge.Load(b, "testdata/dynptr.o", judge.Options{MachineOnly: true})
	v := &io{Size: 100, Adjust: [4]uint64{10, 90, 0, 70}, Lens: [4]uint64{8, 4, 30, 10}}
	for b.Loop() {
		if _, err := p.RunMachine("of_memory", v.bytes(), nil); err != nil {
			b.Fatal(err)
		}
	}
}
