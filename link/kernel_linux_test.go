package link

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/kernel"
)

// selftests names a directory of objects to compare, beside our own.
const selftests = "BPFCT_SELFTESTS"

// sameKernel skips where the running kernel is not the one of the profile.
func sameKernel(t *testing.T) *kernel.Profile {
	t.Helper()
	testkernel.Require(t)
	prof := kernel.Default()
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var fn *btf.Func
	if err := spec.TypeByName("bpf_ct_release", &fn); err != nil {
		t.Fatal(err)
	}
	id, err := spec.TypeID(fn)
	if want, wantErr := prof.KfuncID("bpf_ct_release"); err != nil || wantErr != nil || id != want {
		testkernel.Skip(t, "the running kernel is not the one of profile "+prof.Name)
	}
	return prof
}

// raw is what Link made of a program, without anything that the library would
// still resolve: it goes to the kernel as it is.
func raw(p *Program, maps map[string]*ebpf.Map) (asm.Instructions, bool) {
	starts := make(map[int]Subprog)
	for _, s := range p.Subprogs {
		starts[s.Start] = s
	}
	var out asm.Instructions
	for i, ins := range p.Insns {
		bare := asm.Instruction{OpCode: ins.OpCode, Dst: ins.Dst, Src: ins.Src, Offset: ins.Offset, Constant: ins.Constant}
		if ins.Ref != nil {
			m := maps[ins.Ref.Name]
			if m == nil {
				return nil, false
			}
			if ins.Ref.Value {
				bare = asm.LoadMapValue(ins.Dst, m.FD(), ins.Ref.Offset)
			} else {
				bare = asm.LoadMapPtr(ins.Dst, m.FD())
			}
		}
		if s, ok := starts[i]; ok && s.Func != nil {
			bare = btf.WithFuncMetadata(bare.WithSymbol(s.Name), s.Func)
		}
		out = append(out, bare)
	}
	return out, true
}

// address is what differs between two loads of the same program. The functions stand
// in libbpf's order here and in another one in the library's, so that their numbers
// and those of instructions differ.
var address = regexp.MustCompile(`0x[0-9a-f]{8,}|\bid=\d+|\bsubprog \d+|\binsn \d+`)

// verdict is the kernel's last word before its statistics, "" for yes.
func verdict(err error) string {
	if err == nil {
		return ""
	}
	var v *ebpf.VerifierError
	if !errors.As(err, &v) {
		return err.Error()
	}
	lines := v.Log
	for len(lines) > 0 && (strings.HasPrefix(lines[len(lines)-1], "processed ") || lines[len(lines)-1] == "") {
		lines = lines[:len(lines)-1]
	}
	if len(lines) == 0 {
		return v.Error()
	}
	return address.ReplaceAllString(lines[len(lines)-1], "X")
}

// The kernel says the same of a program that Link resolved and of the one that
// the library resolves.
func TestKernelTakesWhatLinkMakes(t *testing.T) {
	prof := sameKernel(t)
	files, err := filepath.Glob("testdata/*.bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv(selftests); dir != "" {
		more, err := filepath.Glob(filepath.Join(dir, "*.bpf.o"))
		if err != nil || len(more) == 0 {
			t.Fatalf("%s=%s has no objects: %v", selftests, dir, err)
		}
		files = append(files, more...)
	}
	var same, yes, left int
	for _, file := range files {
		spec, err := LoadFile(file)
		if err != nil {
			continue
		}
		maps, done := makeMaps(spec)
		for name, ps := range spec.Programs {
			obj, err := Link(spec, prof, Options{Programs: []string{name}})
			if err != nil || usesLocalTypes(ps) || ps.Type == ebpf.UnspecifiedProgram || maps == nil {
				left++
				continue
			}
			insns, ok := raw(obj.Programs[name], maps)
			if !ok {
				left++
				continue
			}
			ours, theirs := ps.Copy(), ps.Copy()
			ours.Instructions = insns
			for i := range theirs.Instructions {
				ins := &theirs.Instructions[i]
				if m := maps[ins.Reference()]; m != nil && ins.IsLoadFromMap() {
					if err := ins.AssociateMap(m); err != nil {
						t.Fatal(err)
					}
				}
			}
			a, errA := ebpf.NewProgram(ours)
			b, errB := ebpf.NewProgram(theirs)
			if errA == nil {
				a.Close()
			}
			if errB == nil {
				b.Close()
			}
			var spoken *ebpf.VerifierError
			if errB != nil && !errors.As(errB, &spoken) {
				left++ // the library itself refuses: an unknown address of a variable
				continue
			}
			if got, want := verdict(errA), verdict(errB); got != want {
				t.Errorf("%s, program %s: linked here the kernel says %q, linked by the library %q", filepath.Base(file), name, got, want)
				continue
			}
			same++
			if errA == nil {
				yes++
			}
		}
		done()
	}
	t.Logf("%d programs, the same verdict; %d of them accepted, %d not comparable", same, yes, left)
	if same < 5 || yes < 4 {
		t.Errorf("compared %d programs, %d of them accepted", same, yes)
	}
}

// usesLocalTypes tells programs whose instructions have IDs of their own types:
// the library numbers these anew.
func usesLocalTypes(ps *ebpf.ProgramSpec) bool {
	for i := range ps.Instructions {
		if r := btf.CORERelocationMetadata(&ps.Instructions[i]); r != nil && strings.Contains(r.String(), "local_type_id") {
			return true
		}
	}
	return false
}

// makeMaps makes the maps of a collection, nil where the kernel or the library
// does not take one of them.
func makeMaps(spec *ebpf.CollectionSpec) (map[string]*ebpf.Map, func()) {
	bare := spec.Copy()
	clear(bare.Programs)
	coll, err := ebpf.NewCollection(bare)
	if err != nil {
		return nil, func() {}
	}
	return coll.Maps, coll.Close
}
