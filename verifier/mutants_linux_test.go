package verifier_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/verifier"
)

// mutants is how many mutants of each program are made; BPFCT_MUTANTS says another
// number.
func mutants() int {
	if n, err := strconv.Atoi(os.Getenv("BPFCT_MUTANTS")); err == nil {
		return n
	}
	if testing.Short() {
		return 0
	}
	return 2
}

// Programs of the objects with an instruction changed: verdict, errno, reason and, as
// far as no IDs of types are in it, the log are the kernel's.
func TestMutants(t *testing.T) {
	testkernel.Require(t)
	host, err := live.NewHost(live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	files, err := filepath.Glob("testdata/*.o")
	if err != nil || len(files) == 0 {
		t.Fatalf("no objects: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".o"), func(t *testing.T) { mutateObject(t, host, file) })
	}
}

func mutateObject(t *testing.T, host *live.Host, file string) {
	spec, err := ebpf.LoadCollectionSpec(file)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range spec.Programs {
		names = append(names, name)
	}
	slices.Sort(names)
	tried, accepted := 0, 0
	for round := range mutants() {
		// All programs at once: a loader leaves out the types of those that it does not load.
		s := spec.Copy()
		what := make(map[string]string)
		for k, name := range names {
			what[name] = mutate(rand.New(rand.NewPCG(uint64(k), uint64(round))), s.Programs[name].Instructions)
		}
		coll, err := host.Namespace("").LoadCollection(s, &live.CollectionOptions{
			KeepGoing: true, LogLevel: ebpf.LogLevelInstruction, LogSize: 1 << 20,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			diff, ok := compareMutant(s, name, coll.Verdicts[name])
			if diff != "" {
				t.Errorf("round %d, %s (%s): %s", round, name, what[name], diff)
			}
			tried++
			if ok {
				accepted++
			}
		}
		coll.Close()
	}
	t.Logf("%d mutants, %d accepted", tried, accepted)
}

var memoryClasses = []asm.Class{asm.LdXClass, asm.StXClass, asm.StClass}

// mutate changes one instruction.
func mutate(rng *rand.Rand, insns asm.Instructions) string {
	for {
		i := rng.IntN(len(insns))
		in := &insns[i]
		if btf.CORERelocationMetadata(in) != nil {
			continue // its constant is the loader's
		}
		reg := func() asm.Register { return asm.Register(rng.IntN(11)) }
		switch kind := rng.IntN(8); {
		case kind == 0 && !in.OpCode.IsDWordLoad():
			in.Dst = reg()
		case kind == 1 && in.OpCode.Class() != asm.JumpClass && !in.OpCode.IsDWordLoad():
			in.Src = reg()
		case kind == 2 && slices.Contains(memoryClasses, in.OpCode.Class()):
			in.Offset += int16(rng.IntN(33) - 16)
		case kind == 3 && in.Reference() == "" && in.OpCode.Class() != asm.JumpClass:
			in.Constant += []int64{1, -1, 8, -8, 4, 1 << 20, -in.Constant}[rng.IntN(7)]
		case kind == 4 || kind == 5:
			// Another instruction of the program, in place of this one or before it.
			from := insns[rng.IntN(len(insns))]
			if from.Symbol() != "" || from.OpCode.IsDWordLoad() != in.OpCode.IsDWordLoad() || in.Symbol() != "" ||
				from.OpCode.JumpOp() == asm.Exit {
				continue
			}
			meta := in.Source()
			*in = from.WithSource(meta)
		case kind == 6 && i+1 < len(insns):
			next := &insns[i+1]
			if in.Symbol() != "" || next.Symbol() != "" || next.OpCode.IsDWordLoad() || in.OpCode.IsDWordLoad() ||
				in.OpCode.Class().IsJump() || next.OpCode.JumpOp() == asm.Exit {
				continue
			}
			*in, *next = *next, *in
		case kind == 7 && !in.OpCode.IsDWordLoad() && in.Symbol() == "" && in.OpCode.JumpOp() != asm.Exit:
			*in = asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Ja)}.WithSource(in.Source())
		default:
			continue
		}
		return fmt.Sprint("instruction ", i, ": ", *in)
	}
}

// typeIDs are the arguments of bpf_obj_new, wherever they are shown; peakStates is how
// many states there were at once, which says nothing of the program.
var (
	typeIDs    = regexp.MustCompile(`R1=P?\d+`)
	peakStates = regexp.MustCompile(` peak_states \d+`)
)

// compareMutant reports how the verdicts differ, and whether the kernel accepts.
func compareMutant(spec *ebpf.CollectionSpec, name string, want *live.Verdict) (string, bool) {
	obj, err := link.Link(spec, kernel.Default(), link.Options{Programs: []string{name}})
	if err != nil || want == nil {
		return "", false // not a program that a loader would try
	}
	var ve *ebpf.VerifierError
	if !want.Accepted && !errors.As(want.Err, &ve) {
		return "", false
	}
	got, err := verifier.Verify(obj, name, verifier.Options{Log: verifier.LogAll})
	if err != nil {
		return err.Error(), want.Accepted
	}
	no, line := uint32(0), ""
	if got.Err != nil {
		no, line = uint32(got.Err.Errno), got.Err.Message
	}
	a, b := comparable(got.Log), comparable(strings.Join(want.Log, "\n")+"\n")
	if strings.Contains(a+b, "type ID argument") {
		return "", want.Accepted // which types have the IDs is the loader's
	}
	a, b = typeIDs.ReplaceAllString(a, "R1=ID"), typeIDs.ReplaceAllString(b, "R1=ID")
	a, b = peakStates.ReplaceAllString(a, ""), peakStates.ReplaceAllString(b, "")
	if no == uint32(want.Errno) && a == b {
		return "", want.Accepted
	}
	return fmt.Sprintf("errno %d (%s), kernel %d\n%s", no, line, want.Errno, firstDiff(a, b)), want.Accepted
}
