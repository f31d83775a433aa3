package verifier_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier"
	"github.com/bpfct/bpfct/verifier/internal/kernelload"
)

// ours verifies raw instructions. Loads of maps refer to the maps by their place in
// maps.
func ours(insns []link.Raw, typ ebpf.ProgramType, maps []*ebpf.MapSpec, level verifier.LogLevel) (*verifier.Result, error) {
	decoded, err := asm.AppendInstructions(nil, bytes.NewReader(kernelload.Encode(insns)), binary.LittleEndian, "linux")
	if err != nil {
		return nil, &link.Error{Insn: -1, Err: err}
	}
	spec := &ebpf.CollectionSpec{
		Maps: make(map[string]*ebpf.MapSpec), ByteOrder: binary.LittleEndian,
		Programs: map[string]*ebpf.ProgramSpec{"p": {Name: "p", Type: typ, License: "GPL", ByteOrder: binary.LittleEndian, Instructions: decoded}},
	}
	for i, m := range maps {
		spec.Maps[fmt.Sprint("m", i)] = m
	}
	for i := range decoded {
		if in := &decoded[i]; in.IsLoadFromMap() {
			*in = in.WithReference(fmt.Sprint("m", int32(in.Constant)))
		}
	}
	nameFunctions(decoded)
	obj, err := link.Link(spec, kernel.Default(), link.Options{})
	if err != nil {
		return nil, err
	}
	return verifier.VerifyRaw(obj, "p", insns, verifier.Options{Log: level})
}

// nameFunctions gives functions the names by which calls refer to them.
func nameFunctions(insns asm.Instructions) {
	at := make(map[int]int) // slot to instruction
	slot := 0
	slots := make([]int, len(insns))
	for i := range insns {
		at[slot], slots[i] = i, slot
		slot += int(insns[i].Size()) / asm.InstructionSize
	}
	for i := range insns {
		in := &insns[i]
		if !in.IsFunctionCall() {
			continue
		}
		if j, ok := at[slots[i]+1+int(in.Constant)]; ok {
			name := fmt.Sprint("f", j)
			insns[j] = insns[j].WithSymbol(name)
			*in = in.WithReference(name) // the distance stays: functions keep their places
		}
	}
}

// theirs asks the kernel, with the maps that fds has.
func theirs(insns []link.Raw, typ ebpf.ProgramType, fds []int, level uint32) (string, error) {
	code := append([]link.Raw(nil), insns...)
	for i := range code {
		if code[i].Op == 0x18 && (code[i].Src == 1 || code[i].Src == 2) {
			code[i].Imm = int32(fds[code[i].Imm])
		}
	}
	return kernelload.Load(typ, code, level)
}

var addresses = regexp.MustCompile(`(?m)(\(18\) r\d = 0x)[0-9a-f]+ *(; R\d=map_|$)`)

// plain is a log without what differs from run to run.
func plain(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		switch {
		case strings.HasPrefix(line, "verification time "):
			continue
		case strings.Contains(line, ": ") && strings.Contains(line, "(18) "):
			line = addresses.ReplaceAllString(line, "${1}ADDR $2")
		}
		b.WriteString(line)
	}
	return b.String()
}

// errnoOf is the number of what the kernel answered, 0 for success.
func errnoOf(err error) int {
	var no unix.Errno
	if errors.As(err, &no) {
		return int(no)
	}
	return 0
}

// sameVerdict compares everything: verdict, errno and the whole log. It reports whether
// the kernel takes the program.
func sameVerdict(insns []link.Raw, typ ebpf.ProgramType, maps []*ebpf.MapSpec, fds []int) (diff string, accepted bool) {
	level := verifier.LogAll
	log, err := theirs(insns, typ, fds, uint32(level))
	if errors.Is(err, unix.ENOSPC) {
		// The log is too long to be read; the reason of a refusal is not.
		level = verifier.LogStats
		log, err = theirs(insns, typ, fds, uint32(level))
	}
	res, oerr := ours(insns, typ, maps, level)
	var unlinked *link.Error
	if errors.As(oerr, &unlinked) {
		return "", err == nil // not a program that a loader of ours would try
	}
	if oerr != nil {
		return fmt.Sprintf("ours: %v\nkernel: %v\n%s", oerr, err, log), err == nil
	}
	got, want := 0, errnoOf(err)
	if res.Err != nil {
		got = int(res.Err.Errno)
	}
	a, b := plain(res.Log), plain(log)
	if got == want && a == b {
		return "", err == nil
	}
	return fmt.Sprintf("errno %d, kernel %d\n%s", got, want, firstDiff(a, b)), err == nil
}

// firstDiff shows two texts from some lines before their first difference on.
func firstDiff(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	from := max(0, i-4)
	part := func(s []string) string { return strings.Join(s[min(from, len(s)):min(len(s), i+4)], "\n\t") }
	return fmt.Sprintf("ours:\n\t%s\nkernel:\n\t%s", part(a), part(b))
}

func report(t *testing.T, seed uint64, insns []link.Raw, diff string) {
	t.Helper()
	if len(diff) > 6000 {
		diff = diff[:6000]
	}
	t.Errorf("seed %d (%d instructions): %s", seed, len(insns), diff)
}
