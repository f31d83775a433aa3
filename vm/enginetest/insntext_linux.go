package enginetest

import (
	"errors"
	"regexp"
	"strconv"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/vm"
)

var logLine = regexp.MustCompile(`(?m)^(\d+): \([0-9a-f]{2}\) (.*?)(?:\s+; .*)?$`)

// testInsnTextAsKernel holds the text of each instruction against the kernel's
// verifier log.
func testInsnTextAsKernel(t *testing.T, engine vm.Engine) {
	p := newBuf(t, engine, recordBase+records*recordSize)
	seen := make(map[string]bool)
	for _, tt := range opcodeTests() {
		insns := onRecord(tt.body...)
		prog := p.env.Program(t, tt.name, insns)
		k := append(asm.Instructions(nil), insns...)
		if err := k.AssociateMap(Buffer, p.kbuf); err != nil {
			t.Fatal(err)
		}
		kprog, err := ebpf.NewProgramWithOptions(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: k},
			ebpf.ProgramOptions{LogLevel: ebpf.LogLevelInstruction, LogSizeStart: 1 << 16})
		if ve := (*ebpf.VerifierError)(nil); errors.As(err, &ve) {
			t.Fatalf("%+v", ve)
		} else if err != nil {
			t.Fatal(err)
		}
		for _, m := range logLine.FindAllStringSubmatch(kprog.VerifierLog, -1) {
			slot, _ := strconv.Atoi(m[1])
			if slot == 0 || seen[tt.name+m[1]] { // the address of the map differs
				continue
			}
			seen[tt.name+m[1]] = true
			if got := prog.InsnText(slot); got != m[2] {
				t.Errorf("%s: insn %d is %q, the kernel says %q", tt.name, slot, got, m[2])
			}
		}
		kprog.Close()
	}
	if len(seen) < len(opcodeTests()) {
		t.Errorf("compared only %d instructions", len(seen))
	}
	t.Logf("%d instructions", len(seen))
}
