// Package disasm is an instruction as the kernel's verifier prints it.
package disasm

import "github.com/bpfct/bpfct/link"

// Text is the instruction as the kernel's log shows it: "(bf) r6 = r1". call is what
// a call calls.
func Text(raw link.Raw, imm64 uint64, call string) string { return "" }
